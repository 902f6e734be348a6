//! Support for the tests of the whole: doubles, and what tests on a real cluster share.

#[cfg(feature = "cluster")]
pub mod harness;

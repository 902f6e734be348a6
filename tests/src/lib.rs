//! Support for the tests of the whole: doubles, and what tests on a real cluster share.

pub mod descent;
#[cfg(feature = "cluster")]
pub mod harness;
pub mod tools;

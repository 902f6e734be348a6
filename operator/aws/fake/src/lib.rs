//! AWS as the tests know it: it enforces what AWS does, keeps its state on a clock that tests set, and fails where it is told to.

mod clock;
pub mod cloudfront;
mod faults;
pub mod rds;

pub use clock::Clock;
pub use faults::{Fault, Faults};

//! AWS as the tests know it: it enforces what AWS does, keeps its state on a clock that tests set, and fails where it is told to.

mod clock;
pub mod cloudfront;
pub mod elasticache;
mod faults;
pub mod rds;
mod record;

pub use clock::Clock;
pub use faults::{Fault, Faults};
pub use record::Logged;

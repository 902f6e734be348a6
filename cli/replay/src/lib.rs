//! A recorded trace replayed through the decision core that the operator runs, with a model of what stands around it: the
//! HorizontalPodAutoscaler, pods that take time to start, and rollouts.
//!
//! Pure, and a crate of its own, because a day of five-second steps has to be a matter of milliseconds in every profile.

mod closed_loop;
mod hpa;
mod number;
mod pods;
mod run;
mod summary;
pub mod trace;

pub use closed_loop::ClosedLoop;
pub use number::{Plain, short};
pub use pods::RollingUpdate;
pub use run::{Replay, Step, Subject, World, length, replay};
pub use summary::Summary;

//! The tiers of a platform, one module each: its part of the spec and the rules of that part.

pub mod app;
pub mod autoscaling;
pub mod exposure;
pub mod pod;

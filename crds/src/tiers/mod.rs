//! The tiers of a platform, one module each: its part of the spec and the rules of that part.

pub mod app;
pub mod autoscaling;
pub mod cache;
pub mod database;
pub mod endpoint;
pub mod exposure;
pub mod pod;
pub mod uses;

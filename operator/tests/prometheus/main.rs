//! A real Prometheus: what is asked, as whom, and what its silence means.
#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod credentials;
mod quality;
mod queries;
#[path = "../support/mod.rs"]
mod support;

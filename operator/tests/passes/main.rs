//! Passes against an API server in memory: a second pass writes nothing, a crash anywhere ends in the same state, what is
//! changed by hand comes back, what is no longer wanted goes, and what belongs to somebody else stays.

#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod api;
mod drift;
mod faults;
mod refusals;
mod settling;
mod stores;
mod world;

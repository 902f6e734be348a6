//! Passes against an API server in memory: a second pass writes nothing, a crash anywhere ends in the same state, what is
//! changed by hand comes back, what is no longer wanted goes, what belongs to somebody else stays, and what turns is told
//! once.

#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod api;
mod cdn;
mod cloud_native_pg;
mod discovery;
mod drift;
mod faults;
mod freezes;
mod jobs;
mod orphaning;
mod pooler;
mod postgres_server;
mod rds;
mod refusals;
mod rotation;
mod settling;
mod snapshots;
mod stores;
#[path = "../support/mod.rs"]
mod support;
mod transitions;
mod volumes;
mod world;

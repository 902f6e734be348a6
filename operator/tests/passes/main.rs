//! Passes against an API server in memory: a second pass writes nothing, a crash anywhere ends in the same state, what is
//! changed by hand comes back, what is no longer wanted goes, what belongs to somebody else stays, and what turns is told
//! once.

#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod api;
mod cache_servers;
mod cdn;
mod cloud;
mod cloud_native_pg;
mod discovery;
mod drift;
mod edge;
mod elasticache;
mod faults;
mod freezes;
#[path = "../../aws/edge/tests/aws_wire/habits.rs"]
mod habits;
mod jobs;
mod orphaning;
mod pooler;
mod postgres_server;
#[allow(dead_code, reason = "faults are for the tests of the SDK")]
#[path = "../../aws/edge/tests/aws_wire/proxy.rs"]
mod proxy;
mod rds;
mod refusals;
#[path = "../../aws/edge/tests/aws_wire/rest.rs"]
mod rest;
mod rotation;
#[path = "../../aws/edge/tests/aws_wire/server.rs"]
mod server;
mod settling;
#[path = "../support/seven_p.rs"]
mod seven_p;
mod snapshots;
mod stores;
#[path = "../support/mod.rs"]
mod support;
mod transitions;
mod volumes;
mod world;

//! The LearningPlatform operator as a library: the passes that make a platform so, and the evaluation that scales it.
//! The binary, the command line and the tests share it.

pub mod admin;
pub mod apply;
pub mod args;
pub mod backoff;
pub mod capabilities;
pub mod conditions;
pub mod context;
pub mod controller;
pub mod error;
pub mod evaluate;
pub mod events;
pub mod freeze;
pub mod keeper;
pub mod kinds;
pub mod lease;
pub mod metrics;
pub mod naming;
pub mod platform_metrics;
pub mod prometheus;
pub mod rbac;
pub mod reconcile;
pub mod references;
pub mod runtime;
pub mod secrets;
pub mod shallow;
pub mod status;
pub mod store_metrics;
pub mod stores;
pub mod telemetry;
pub mod tiers;
pub mod transitions;
pub mod validate;
pub mod volumes;
pub mod wake;
pub mod watch;

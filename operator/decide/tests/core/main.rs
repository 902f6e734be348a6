//! Tests of the decision core through its public interface, in one binary so that they are linked once.
#![allow(clippy::unwrap_used, reason = "tests")]

mod bottleneck;
mod budget;
mod cache_size;
mod calendar;
mod common;
mod explain;
mod guards;
mod invariants;
mod latency;
mod lifecycle;
mod no_data;
mod ramp;
mod read_replicas;
mod scenarios;
mod schedule;
mod tier_invariants;
mod tier_order;
mod types;

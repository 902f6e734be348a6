//! Tests of the decision core through its public interface, in one binary so that they are linked once.
#![allow(clippy::unwrap_used, reason = "tests")]

mod calendar;
mod common;
mod explain;
mod guards;
mod invariants;
mod latency;
mod lifecycle;
mod no_data;
mod ramp;
mod scenarios;
mod schedule;
mod types;

//! The decision core: how many pods an app needs, and why.
//!
//! [`decide`] is a pure function of a [`Policy`] (what the user asked for), a [`State`] (what earlier ticks
//! left behind) and an [`Input`] (what the world shows now). It reads no clock, opens no socket and draws no
//! random number, so the operator, `lpctl simulate` and the tests run the very same code and get the same
//! answer. Its result is a floor and a cap for a `HorizontalPodAutoscaler`, with an explanation per stage.
//!
//! What databases and caches show and allow enters by [`Tiers`] and [`advance_with`], and by no other way: [`budget`] shares
//! their connections among apps, and a tier that is itself the [`Bottleneck`] ends growth that would not help.
//! [`read_replicas`] and [`cache_size`] decide the sizes of those tiers, [`tier_size`] which of them moves first.
//!
//! The rule behind all others: absence of data is never zero load. Only a fresh, finite, unambiguous value
//! from a source that is trusted again may lower anything ([`Sample`], [`Trust`]).

mod behavior;
mod bottleneck;
mod bound;
pub mod budget;
pub mod cache_size;
pub mod calendar;
mod decide;
mod decision;
mod explain;
mod guard;
mod health;
mod hold;
mod input;
mod latency;
mod plan;
mod policy;
mod ramp;
pub mod read_replicas;
mod report;
mod row;
mod sample;
mod schedule;
mod signal;
mod size;
mod stabilise;
mod state;
mod tick;
pub mod tier_size;
mod tiers;
mod time;
mod trial;
mod tunables;
mod why;
mod window;
mod write;

pub use behavior::{Behavior, PolicyType, RuleSpec, ScalingPolicy, ScalingRules, SelectPolicy};
pub use bottleneck::{Bottleneck, Shown};
pub use decide::{advance, advance_with, decide};
pub use decision::{
    Decision, FailureState, Finding, HeldBy, Hint, LatencyReport, MetricsAvailable, MetricsReason, SignalReport,
    SignalState, Stage, StageName,
};
pub use input::{DemandInput, HpaMetric, Input, LatencyInput, ManualHold, Replicas, Rollout, SourceReading};
pub use policy::{Demand, Latency, Name, Pause, Policy, PolicyError};
pub use sample::{Doubt, NotANumber, Sample, SourceError, SourceErrorKind, Trust, Value};
pub use schedule::{Bound, Schedule, ScheduleError, Weekday, When, Window, time_zone};
pub use state::{Adopted, State};
pub use tiers::{Figure, Symptom, TierKind, Tiers};
pub use time::{Duration, Time};
pub use tunables::Tunables;
pub use why::{Reason, Why};
pub use write::{Bounds, Running, Write};

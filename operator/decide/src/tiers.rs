//! What the tiers beside an app, its databases and caches, show and allow. The only way by which anything outside of the
//! app reaches its decision.

use std::fmt;

use serde::Serialize;

use crate::budget::CapLimit;
use crate::policy::Name;
use crate::sample::Sample;
use crate::tier_size::Proposal;
use crate::tunables::Tunables;

/// What the tiers beside an app show and allow at one tick. The default says nothing and changes nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tiers {
    /// What the connections of its databases allow; none where nothing limits them. See [`share`](crate::budget::share).
    pub cap_limit: Option<CapLimit>,
    /// What would show that a tier, and not the app, makes requests slow. A tier counts as declared by being named here: while
    /// any of its symptoms has no trusted value, latency adds no pods. So name none that nothing measures.
    pub symptoms: Vec<Symptom>,
    /// Those that are growing for the load on them: they get the new load first. See [`waits_for`](crate::tier_size::waits_for).
    pub growing: Vec<Proposal>,
}

/// One figure of a tier beside the value at which the tier is taken to be the bottleneck.
#[derive(Clone, Debug, PartialEq)]
pub struct Symptom {
    /// The tier as explanations call it, such as `main` or `main replica 1`.
    pub tier: Name,
    /// What is measured.
    pub figure: Figure,
    /// Its value now.
    pub sample: Sample,
    /// Above this it is the bottleneck, in the unit of the figure. Default [`Figure::threshold`].
    pub threshold: f64,
}

/// What of a tier is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Figure {
    /// CPU of a database's primary, as a share of its limit.
    PrimaryCpu,
    /// Sessions that wait for a lock, as a share of those that are active.
    LockWait,
    /// Connections in use, as a share of those that may be opened: the next ones wait.
    ConnectionWait,
    /// How long the app's requests wait for a connection of their pool, 95th percentile, in seconds.
    PoolWait,
    /// How far a read replica is behind, in seconds.
    ReplicaLag,
    /// CPU of a cache's busiest node, as a share of one core: commands run on one.
    CacheCpu,
    /// Keys that a cache evicts per second, expired ones not counted.
    Evictions,
}

/// A kind of tier, in the order in which tiers grow: what others lean on first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum TierKind {
    /// The read replicas of a database.
    ReadReplicas,
    /// A cache.
    Cache,
    /// An app.
    App,
}

impl Symptom {
    /// With the default threshold.
    pub fn new(tier: impl Into<Name>, figure: Figure, sample: Sample, tunables: &Tunables) -> Self {
        Self { tier: tier.into(), figure, sample, threshold: figure.threshold(tunables) }
    }
}

impl Figure {
    /// The value above which a tier is the bottleneck, unless its symptom says otherwise.
    pub fn threshold(self, tunables: &Tunables) -> f64 {
        match self {
            Self::PrimaryCpu | Self::CacheCpu => tunables.guard_cpu,
            Self::LockWait => tunables.guard_lock_wait,
            Self::ConnectionWait => tunables.guard_connection_wait,
            Self::PoolWait => tunables.guard_pool_wait.as_secs_f64(),
            Self::ReplicaLag => tunables.replica_lag.as_secs_f64(),
            Self::Evictions => tunables.guard_evictions,
        }
    }

    /// Which tier might take the load off this one by growing; none where more of it would not.
    pub fn eased_by(self) -> Option<TierKind> {
        match self {
            Self::PrimaryCpu | Self::ConnectionWait | Self::PoolWait => Some(TierKind::ReadReplicas),
            Self::CacheCpu | Self::Evictions => Some(TierKind::Cache),
            // Waiting for each other's locks, or for the primary's changes, is shared by any number of replicas.
            Self::LockWait | Self::ReplicaLag => None,
        }
    }

    pub(crate) fn unit(self) -> Unit {
        match self {
            Self::PrimaryCpu | Self::CacheCpu | Self::LockWait | Self::ConnectionWait => Unit::Share,
            Self::PoolWait | Self::ReplicaLag => Unit::Seconds,
            Self::Evictions => Unit::PerSecond,
        }
    }
}

/// How a figure is written.
pub(crate) enum Unit {
    Share,
    Seconds,
    PerSecond,
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PrimaryCpu => "the primary's cpu",
            Self::LockWait => "the share of sessions that wait for a lock",
            Self::ConnectionWait => "the share of connections in use",
            Self::PoolWait => "the wait for a connection",
            Self::ReplicaLag => "the lag",
            Self::CacheCpu => "the cache's cpu",
            Self::Evictions => "the rate of evictions",
        })
    }
}

impl fmt::Display for TierKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadReplicas => "read replicas",
            Self::Cache => "the cache",
            Self::App => "the app",
        })
    }
}

//! Sizes of tiers beside apps: what asks for a move, what a move waits for, and which tier moves first.

use std::cmp::Reverse;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::budget::Fit;
use crate::explain::{Num, Percent};
use crate::policy::Name;
use crate::tick::Tick;
use crate::tiers::{Figure, TierKind};
use crate::time::{Duration, Time};
use crate::tunables::Tunables;
use crate::why::Why;

/// Something that is done to a tier: meanwhile its size stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Operation {
    /// A base backup, for a new replica or for safe-keeping.
    BaseBackup,
    /// Another node takes over, planned or not.
    Failover,
    /// A node restarts.
    Restart,
    /// A node joins or leaves.
    Membership,
    /// Slots move between shards.
    SlotMigration,
}

/// An app whose requests this tier makes slow: see [`Bottleneck`](crate::Bottleneck).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// The app.
    pub app: Name,
    /// What showed it.
    pub figure: Figure,
}

/// Why a tier should have another size.
#[derive(Clone, Debug, PartialEq)]
pub enum Cause {
    /// The spec's minimum.
    Minimum(u32),
    /// The spec's maximum.
    Maximum(u32),
    /// Its load, by what one node carries.
    Load {
        /// The load of all nodes.
        load: f64,
        /// What one carries.
        per_node: f64,
    },
    /// Its memory, as a share of what it may use.
    Memory {
        /// The share.
        used: f64,
    },
    /// Keys evicted per second.
    Evictions {
        /// Keys.
        per_second: f64,
    },
    /// An app that it makes slow.
    Asked(Asked),
}

/// What a move waits for.
#[derive(Clone, Debug, PartialEq)]
pub enum Gate {
    /// Something else is done to the tier.
    UnderWay(Operation),
    /// The last move was a short while ago.
    TooSoon {
        /// Until then.
        until: Time,
    },
    /// It must have needed less for longer.
    NotLowLongEnough {
        /// Until then, if it goes on to.
        until: Time,
    },
    /// The last move is not done: not all replicas serve.
    NotServing {
        /// Replicas that serve.
        serving: u32,
        /// Those that are wanted.
        wanted: u32,
    },
    /// Not every replica's link to its primary is known to be up.
    LinkDown,
    /// The connections of the servers.
    Connections(Fit),
    /// The primary has too few WAL senders left, or does not say how many.
    WalSenders {
        /// Those that are left, where known.
        free: Option<f64>,
        /// Those that a new replica takes.
        needed: u32,
    },
    /// Commits wait for replicas, and one must be there beside those.
    Sync {
        /// Replicas that must stay.
        least: u32,
    },
    /// How far a replica is behind is not known.
    LagUnknown {
        /// The replica.
        ordinal: u32,
    },
    /// A figure without which nothing shrinks has no trusted value.
    Unknown(&'static str),
    /// What is used would not fit.
    Memory {
        /// The share that would be used afterwards.
        after: f64,
        /// The most that may be.
        most: f64,
    },
    /// A database that would get the load is busy itself, or does not say.
    Primary {
        /// The database.
        tier: Name,
    },
    /// Another tier moves first.
    Turn {
        /// It.
        tier: Name,
        /// More, or less.
        grows: bool,
    },
}

/// A tier that grows or shrinks, or should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// Its name.
    pub tier: Name,
    /// Its kind.
    pub kind: TierKind,
    /// More, or less.
    pub grows: bool,
    /// Since when.
    pub since: Time,
}

impl Proposal {
    /// Until when growth of what leans on this tier waits for it. A replica may take hours to be made, and demand is there now.
    pub(crate) fn first_until(&self, tunables: &Tunables) -> Time {
        self.since.plus(tunables.tier_wait)
    }
}

/// What a tier of this kind has to wait for among the `others` that it shares requests with, before it grows or shrinks: tiers
/// that others lean on grow first, for [`Tunables::tier_wait`] at most, and shrink last; nothing shrinks while anything grows. An
/// app that shrinks waits for nothing: nothing leans on it.
pub fn waits_for<'a>(
    tunables: &Tunables,
    now: Time,
    kind: TierKind,
    grows: bool,
    others: &'a [Proposal],
) -> Option<&'a Proposal> {
    let first = |other: &&Proposal| match (grows, other.grows) {
        // What began after now is of another clock.
        (true, true) => other.kind < kind && other.since <= now && now < other.first_until(tunables),
        (true, false) => false,
        (false, true) => kind != TierKind::App,
        (false, false) => kind != TierKind::App && other.kind > kind,
    };
    let order = |other: &&Proposal| (!other.grows, other.grows.then_some(other.kind), Reverse(other.kind));
    others.iter().filter(first).min_by_key(order)
}

/// What a move of a tier waits for: others that come first.
pub(crate) fn turn(tunables: &Tunables, now: Time, kind: TierKind, grows: bool, others: &[Proposal]) -> Option<Gate> {
    waits_for(tunables, now, kind, grows, others)
        .map(|other| Gate::Turn { tier: other.tier.clone(), grows: other.grows })
}

/// Of the stage "ramp": new pods wait for the tiers under them, unless something other than load asks for them (`planned`: a
/// schedule, a hold, a fallback or the minimum).
pub(crate) fn in_turn(tick: &Tick<'_>, planned: u32, (wanted, why): (u32, Why)) -> (u32, Why) {
    let tunables = &tick.policy.tunables;
    // What runs already costs nothing, and without any pod nothing is answered.
    let least = tick.floor.max(tick.observed).max(planned).max(1);
    if wanted <= least {
        return (wanted, why);
    }
    match waits_for(tunables, tick.now, TierKind::App, true, &tick.tiers.growing) {
        None => (wanted, why),
        Some(other) => {
            let until = other.first_until(tunables);
            (least, Why::TierFirst { tier: other.tier.clone(), kind: other.kind, until })
        }
    }
}

/// What a move that is not the spec's own waits for: time since the last one.
pub(crate) fn too_soon(tunables: &Tunables, now: Time, last_move: Option<Time>) -> Option<Gate> {
    let until = last_move?.plus(tunables.tier_spacing);
    (now < until).then_some(Gate::TooSoon { until })
}

/// Since when a tier has needed less, without a break.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Low {
    since: Option<Time>,
    last: Option<Time>,
}

impl Low {
    /// Takes the next evaluation. A silence, a clock that was set back and an evaluation that does not know end the row.
    pub(crate) fn count(&mut self, tunables: &Tunables, now: Time, low: bool) {
        let unbroken = self.last.is_some_and(|last| last <= now && now.since(last) <= tunables.tier_stale);
        self.since = if low { self.since.filter(|_| unbroken).or(Some(now)) } else { None };
        self.last = Some(now);
    }

    /// Until when it must go on; none where it has been so for long enough.
    pub(crate) fn until(&self, spacing: Duration, now: Time) -> Option<Time> {
        let until = self.since.unwrap_or(now).plus(spacing);
        (now < until).then_some(until)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BaseBackup => "a base backup is under way",
            Self::Failover => "a failover is under way",
            Self::Restart => "a node restarts",
            Self::Membership => "a node joins or leaves",
            Self::SlotMigration => "slots are moving",
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minimum(min) => write!(f, "the spec asks for at least {min}"),
            Self::Maximum(max) => write!(f, "the spec allows {max}"),
            Self::Load { load, per_node } => write!(f, "a load of {} at {} per node", Num(*load), Num(*per_node)),
            Self::Memory { used } => write!(f, "{} of the memory is used", Percent(*used)),
            Self::Evictions { per_second } => write!(f, "{} keys are evicted per second", Num(*per_second)),
            Self::Asked(Asked { app, figure }) => write!(f, "{app} is slow because of it: {figure}"),
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnderWay(operation) => write!(f, "{operation}"),
            Self::TooSoon { until } => write!(f, "the last move was a short while ago: not before {until}"),
            Self::NotLowLongEnough { until } => write!(f, "it must need less for longer: not before {until}"),
            Self::NotServing { serving, wanted } => write!(f, "{serving} of {wanted} replicas serve"),
            Self::LinkDown => f.write_str("not every replica is known to be linked to its primary"),
            Self::Connections(Fit::Unknown) => f.write_str("how many connections the servers take is not known"),
            Self::Connections(_) => f.write_str("the servers do not take the connections of the apps' fewest pods"),
            Self::WalSenders { free: Some(free), needed } => {
                write!(f, "the primary has {} WAL senders left of the {needed} that a new replica takes", Num(*free))
            }
            Self::WalSenders { free: None, .. } => {
                f.write_str("how many WAL senders the primary has left is not known")
            }
            Self::Sync { least } => write!(f, "commits wait for replicas: {least} must stay"),
            Self::LagUnknown { ordinal } => write!(f, "how far replica {ordinal} is behind is not known"),
            Self::Unknown(what) => write!(f, "{what} is not known"),
            Self::Memory { after, most } => {
                write!(
                    f,
                    "{} of the memory would be used afterwards, and at most {} may be",
                    Percent(*after),
                    Percent(*most)
                )
            }
            Self::Primary { tier } => write!(f, "{tier} would get the load, and is not known to be able to take it"),
            Self::Turn { tier, grows: true } => write!(f, "{tier} grows first"),
            Self::Turn { tier, grows: false } => write!(f, "{tier} shrinks first"),
        }
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Gate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

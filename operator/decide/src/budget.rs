//! Connections of databases, shared by the apps that use them: how many pods each may have at most, so that all of them
//! together never open more connections than a server accepts.
//!
//! Per server: the sum over its apps of (most pods + surge + terminating + jobs) x connections per pod is at most its limit. What
//! is left above every app's minimum is shared by weight. A share is a target: the cap moves there by the app's `behavior`
//! ([`Tiers::cap_limit`](crate::Tiers::cap_limit)).

mod divide;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use self::divide::{divide, sum};
use crate::policy::Name;
use crate::sample::Sample;
use crate::time::Time;
use crate::tunables::Tunables;

/// One server, a primary or one of its replicas, and who opens connections to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// As explanations call it, such as `main` or `main replica 1`.
    pub name: Name,
    /// What it accepts.
    pub limit: Limit,
    /// One entry per app.
    pub consumers: Vec<Consumer>,
}

/// What a server accepts: the lesser of what is written and what was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limit {
    /// `connectionBudget` of the resource.
    pub budget: Option<u32>,
    /// `max_connections` as the server says it; none where nobody asks it.
    pub max_connections: Option<Sample>,
    /// Connections of those that apps may not have: `superuser_reserved_connections`, `reserved_connections`, monitoring,
    /// migrations, the operator.
    pub reserved: u32,
}

/// An app that opens connections to a server.
#[derive(Clone, Debug, PartialEq)]
pub struct Consumer {
    /// Its name, unique among all endpoints.
    pub app: Name,
    /// Fewest pods by its spec. An app that may go to zero counts with one: with none it would never answer again.
    pub min: u32,
    /// Most pods by its spec.
    pub max: u32,
    /// Pods beyond that during a rollout.
    pub surge: Extra,
    /// Pods that are going, with their pools still open. The same as the surge, unless a pod closes its pools first.
    pub terminating: Extra,
    /// Pods beside those that run at any time, however many others there are: of jobs.
    pub jobs: u32,
    /// Connections of one pod to this server: the sizes of all its pools. For an app behind a pooler it is the pooler that
    /// is the consumer, with the server-side pool of each of its pods.
    pub per_pod: u32,
    /// Its part of what is left above the minimums, relative to the others'; 0 counts as 1.
    pub weight: u32,
    /// Pods that it may have now: the greater of those that are wanted and of the cap that was written last.
    pub now: u32,
}

/// Pods beside those that are wanted, as in `maxSurge` of a Deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// So many, while there is any pod.
    Pods(u32),
    /// A share of the pods, rounded up.
    Percent(u32),
}

/// What connections allow one app.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CapLimit {
    /// At most this many pods.
    pub cap: u32,
    /// Whether the server's limit is known. Where it is not, the cap is not raised above what was written last, and is not
    /// lowered for that either.
    pub known: bool,
    /// The server that allows least.
    pub endpoint: Name,
    /// What it accepts, where known.
    pub limit: Option<u32>,
    /// What all its apps could open at the most pods of their specs.
    pub wanted: u64,
    /// The minimums alone are above the limit.
    pub exceeded: bool,
}

/// The sum of one server.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The server.
    pub name: Name,
    /// What it accepts; none where neither spec nor server has said it.
    pub limit: Option<u32>,
    /// The connections of each app: at its fewest pods, at its share, at the pods that it may have now, at its most.
    pub parts: Vec<Part>,
}

/// One app's part of a server's connections.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// The app.
    pub app: Name,
    /// Most pods by its spec.
    pub pods: u32,
    /// Surge and terminating pods beside those, and those of jobs.
    pub extra: u32,
    /// Connections of one pod.
    pub per_pod: u32,
    /// Connections at its fewest pods.
    pub at_min: u64,
    /// Connections at the cap that this sharing gives it.
    pub at_cap: u64,
    /// Connections at the pods that it may have now.
    pub now: u64,
    /// Connections at its most pods.
    pub at_max: u64,
}

/// Whether a server accepts what its apps could open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Fit {
    /// All of it.
    Fits,
    /// Less: caps are lowered below the specs'.
    Shared,
    /// Not even the minimums: caps are the minimums, and nothing grows.
    BudgetExceededByMinimums,
    /// Nobody has said what it accepts.
    Unknown,
}

/// The limits that servers have shown. Keep it between calls: what was known once holds until something else is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Known(BTreeMap<Name, u32>);

/// What connections allow, per app and per server.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Shares {
    /// The apps that are limited; the others may have what their specs say.
    pub caps: BTreeMap<Name, CapLimit>,
    /// One per endpoint, in their order.
    pub accounts: Vec<Account>,
}

/// Shares the connections of all `endpoints`. What an app may have is the least of what its servers allow.
pub fn share(tunables: &Tunables, now: Time, known: &mut Known, endpoints: &[Endpoint]) -> Shares {
    known.0.retain(|name, _| endpoints.iter().any(|endpoint| endpoint.name == *name));
    let mut shares = Shares::default();
    for endpoint in endpoints {
        let (limit, is_known) = known.limit(tunables, now, endpoint);
        let caps = match limit {
            Some(limit) => divide(limit, &endpoint.consumers),
            None => endpoint.consumers.iter().map(Consumer::most).collect(),
        };
        let account = Account::new(endpoint, limit, &caps);
        for (consumer, cap) in endpoint.consumers.iter().zip(caps) {
            if is_known && cap >= consumer.most() {
                continue;
            }
            let allowed = CapLimit {
                cap,
                known: is_known,
                endpoint: endpoint.name.clone(),
                limit,
                wanted: account.wanted(),
                exceeded: account.fit() == Fit::BudgetExceededByMinimums,
            };
            match shares.caps.get_mut(&consumer.app) {
                None => drop(shares.caps.insert(consumer.app.clone(), allowed)),
                Some(least) => least.tighten(allowed),
            }
        }
        shares.accounts.push(account);
    }
    shares
}

impl Known {
    /// What a server accepts, and whether that is all there is to know of it.
    fn limit(&mut self, tunables: &Tunables, now: Time, endpoint: &Endpoint) -> (Option<u32>, bool) {
        let Limit { budget, max_connections, reserved } = &endpoint.limit;
        let Some(sample) = max_connections else { return (*budget, true) };
        if let Some(value) = tunables.trusted(sample, now) {
            // `as` saturates, and a value is at least zero.
            self.0.insert(endpoint.name.clone(), (value as u32).saturating_sub(*reserved));
        }
        let seen = self.0.get(&endpoint.name).copied();
        (seen.into_iter().chain(*budget).min(), seen.is_some())
    }
}

impl Extra {
    /// None at all.
    pub const NONE: Self = Self::Pods(0);

    pub(super) fn of(self, pods: u32) -> u64 {
        match self {
            Self::Pods(_) if pods == 0 => 0,
            Self::Pods(extra) => u64::from(extra),
            Self::Percent(percent) => (u64::from(pods) * u64::from(percent)).div_ceil(100),
        }
    }
}

impl CapLimit {
    /// What both allow. That one of them is not known leaves the cap where it is, unless the other lowers it.
    fn tighten(&mut self, other: Self) {
        let known = self.known && other.known;
        if other.cap < self.cap || (other.cap == self.cap && !other.known && self.known) {
            *self = other;
        }
        self.known = known;
    }
}

impl Account {
    fn new(endpoint: &Endpoint, limit: Option<u32>, caps: &[u32]) -> Self {
        let part = |(consumer, cap): (&Consumer, &u32)| Part {
            app: consumer.app.clone(),
            pods: consumer.most(),
            extra: u32::try_from(consumer.extra(consumer.most())).unwrap_or(u32::MAX),
            per_pod: consumer.per_pod,
            at_min: consumer.cost(consumer.least()),
            at_cap: consumer.cost(*cap),
            now: consumer.cost(consumer.now),
            at_max: consumer.cost(consumer.most()),
        };
        Self { name: endpoint.name.clone(), limit, parts: endpoint.consumers.iter().zip(caps).map(part).collect() }
    }

    /// What all apps could open at the most pods of their specs.
    pub fn wanted(&self) -> u64 {
        sum(self.parts.iter().map(|part| part.at_max))
    }

    /// What they could open at their fewest pods.
    pub fn minimums(&self) -> u64 {
        sum(self.parts.iter().map(|part| part.at_min))
    }

    /// Whether the server accepts it.
    pub fn fit(&self) -> Fit {
        match self.limit.map(u64::from) {
            None => Fit::Unknown,
            Some(limit) if self.minimums() > limit => Fit::BudgetExceededByMinimums,
            Some(limit) if self.wanted() > limit => Fit::Shared,
            Some(_) => Fit::Fits,
        }
    }
}

impl Fit {
    /// The word for a condition.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fits => "Fits",
            Self::Shared => "Shared",
            Self::BudgetExceededByMinimums => "BudgetExceededByMinimums",
            Self::Unknown => "Unknown",
        }
    }
}

impl fmt::Display for CapLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cap, known, endpoint, limit, wanted, exceeded } = self;
        match limit {
            Some(limit) => {
                write!(f, "{endpoint} takes {limit} connections, and its apps could open {wanted}: ")?;
                if *exceeded {
                    f.write_str("even their minimums are more, so nothing grows")?;
                } else {
                    write!(f, "the share of this app is enough for {cap}")?;
                }
            }
            None => write!(f, "how many connections {endpoint} takes is not known")?,
        }
        if *known {
            Ok(())
        } else {
            f.write_str("; nothing grows beyond what was allowed before until the server says its limit")
        }
    }
}

impl fmt::Display for Account {
    /// The sum, spelt out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        for (index, Part { app, pods, extra, per_pod, at_max, .. }) in self.parts.iter().enumerate() {
            let plus = if index == 0 { "" } else { " + " };
            write!(f, "{plus}{app} ({pods} + {extra}) x {per_pod} = {at_max}")?;
        }
        let wanted = self.wanted();
        match (self.fit(), self.limit.unwrap_or_default()) {
            (Fit::Unknown, _) => write!(f, "; together {wanted}, of a limit that is not known"),
            (Fit::Fits, limit) => write!(f, "; together {wanted} of {limit}"),
            (Fit::Shared, limit) => write!(f, "; together {wanted} of {limit}, so caps are lowered"),
            (Fit::BudgetExceededByMinimums, limit) => {
                write!(f, "; together {wanted} of {limit}, and the minimums alone are {}", self.minimums())
            }
        }
    }
}

//! What earlier ticks left behind.

use serde::Serialize;

use crate::guard::GuardMemory;
use crate::input::Input;
use crate::latency::LatencyMemory;
use crate::policy::Policy;
use crate::ramp::Pace;
use crate::signal::SignalMemory;
use crate::stabilise::History;
use crate::tick::Tick;
use crate::tiers::Tiers;
use crate::time::{Duration, Time};

/// The memory of one app's decisions: bounded, opaque, and lost without harm. After a restart build it with
/// [`State::adopt`]: for one down window nothing is lowered then.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct State {
    now: Time,
    /// The first tick after adoption, once there was one.
    first: Option<Time>,
    floor: u32,
    cap: u32,
    pub(crate) signals: Vec<SignalMemory>,
    pub(crate) latency: LatencyMemory,
    pub(crate) guard: GuardMemory,
    pub(crate) history: History,
    pub(crate) pace: Pace,
    /// Since when a rollout has been under way.
    /// Since when the rollout has made no progress, and how many pods were of the newest template then.
    rollout_since: Option<(Time, u32)>,
}

/// What a new process finds in the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// `minReplicas` of the HPA, if it was written by this operator before.
    pub floor: Option<u32>,
    /// `maxReplicas` of that HPA.
    pub cap: Option<u32>,
    /// The count of pods that is wanted now; see [`Replicas::observed`](crate::Replicas::observed).
    pub observed: u32,
}

impl State {
    /// The state at a start, a change of leader, or the first sight of an app: the floor is the one that was written before,
    /// else the count that runs, so that taking over moves nothing. Where nothing runs, it is the policy's minimum.
    pub fn adopt(policy: &Policy, now: Time, found: Adopted) -> Self {
        let running = if found.observed == 0 { policy.min_replicas } else { found.observed };
        let cap = found.cap.unwrap_or(policy.max_replicas).max(found.observed);
        // A floor above a maximum that was lowered meanwhile sinks with the cap, by steps.
        let floor = found.floor.map_or(running.min(policy.max_replicas), |floor| floor.min(cap));
        Self {
            now,
            first: None,
            floor,
            cap,
            signals: Vec::new(),
            latency: LatencyMemory::default(),
            guard: GuardMemory::default(),
            history: History::new(now, floor),
            pace: Pace::new(now, floor, found.observed),
            rollout_since: None,
        }
    }

    /// The floor that was written last.
    pub fn floor(&self) -> u32 {
        self.floor
    }

    /// The cap that was written last.
    pub fn cap(&self) -> u32 {
        self.cap
    }

    /// Begins a tick: the clock never runs back, and a silence that is too long loses the history.
    pub(crate) fn begin<'a>(&mut self, policy: &'a Policy, input: &'a Input, tiers: &'a Tiers) -> Tick<'a> {
        let observed = input.replicas.observed();
        let gap = policy.tunables.evaluation_interval.times(policy.tunables.gap_intervals);
        if self.now.since(input.now) > gap {
            // The clock was set back: no time that is remembered means anything any more.
            let known = Adopted { floor: Some(self.floor), cap: Some(self.cap), observed };
            *self = Self::adopt(policy, input.now, known);
        }
        let now = input.now.max(self.now);
        let fresh = self.first.is_none() || now > self.now;
        let mut elapsed = now.since(self.now);
        if elapsed > gap {
            elapsed = Duration::ZERO;
            self.history.lose(now, self.floor);
            self.latency.lose_history();
            self.guard.lose_history();
            self.signals.iter_mut().for_each(SignalMemory::lose_history);
        }
        self.now = now;
        self.first.get_or_insert(now);
        self.align(policy);
        let tick = Tick { policy, input, tiers, now, fresh, elapsed, floor: self.floor, cap: self.cap, observed };
        self.pace.observe(&tick);
        tick
    }

    /// Whether this is the first instant since adoption.
    pub(crate) fn is_adopting(&self) -> bool {
        self.first == Some(self.now)
    }

    /// Follows the rollout; true while it freezes scaling.
    pub(crate) fn rollout(&mut self, tick: &Tick<'_>) -> bool {
        let rollout = tick.input.rollout;
        if !rollout.under_way() {
            self.rollout_since = None;
            return false;
        }
        if self.rollout_since.is_none() {
            self.signals.iter_mut().for_each(|signal| signal.rollout_began(tick.policy, tick.now));
        }
        let (since, updated) = self.rollout_since.get_or_insert((tick.now, rollout.updated));
        if *updated != rollout.updated {
            (*since, *updated) = (tick.now, rollout.updated);
        }
        let deadline = rollout.deadline.unwrap_or(tick.policy.tunables.rollout_deadline);
        !rollout.stuck && tick.now.since(*since) < deadline
    }

    /// What was written becomes what was written last.
    pub(crate) fn wrote(&mut self, floor: u32, cap: u32) {
        self.floor = floor;
        self.cap = cap;
        self.pace.wrote(self.now, floor);
    }

    /// One memory per signal of the policy, in its order. A signal keeps its memory when others come and go.
    fn align(&mut self, policy: &Policy) {
        let same = self.signals.len() == policy.demand.len()
            && self.signals.iter().zip(&policy.demand).all(|(memory, demand)| memory.name == demand.name);
        if same {
            return;
        }
        let mut known = std::mem::take(&mut self.signals);
        self.signals = policy
            .demand
            .iter()
            .map(|demand| match known.iter().position(|memory| memory.name == demand.name) {
                Some(index) => known.swap_remove(index),
                None => SignalMemory::new(demand.name.clone()),
            })
            .collect();
    }
}

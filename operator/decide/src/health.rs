//! From health to fallback and back, per source: N failures to enter, M values to leave, so that a source that comes and
//! goes does not make pods come and go.

use serde::Serialize;

use crate::decision::FailureState;
use crate::policy::Policy;
use crate::sample::{Doubt, Trust};
use crate::time::Time;

/// What is remembered of one source.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct SourceHealth {
    state: FailureState,
    /// Failures in a row.
    failures: u32,
    /// The first of them.
    failing_since: Time,
    /// Values in a row.
    values: u32,
    /// The latest start of the source's process that was ever seen.
    started: Option<Time>,
    /// Until then values only raise.
    grace_until: Option<Time>,
}

/// What happened to a source at one tick.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Change {
    /// The grace after a restart or a return has begun, so older candidates no longer count.
    pub(crate) grace_began: bool,
}

impl SourceHealth {
    pub(crate) fn state(&self) -> FailureState {
        self.state
    }

    /// Counts one tick. Must be called once per new instant.
    pub(crate) fn observe(&mut self, policy: &Policy, now: Time, answered: bool, started: Option<Time>) -> Change {
        let mut change = Change::default();
        // Two replicas behind one address alternate between two start times: only a later one than ever is a restart.
        if let Some(started) = started
            && self.started.is_none_or(|known| started > known)
        {
            if self.started.is_some() {
                change.grace_began = self.begin_grace(policy, now);
            }
            self.started = Some(started);
        }
        if answered {
            change.grace_began |= self.value(policy, now);
        } else {
            self.failure(policy, now);
        }
        change
    }

    fn begin_grace(&mut self, policy: &Policy, now: Time) -> bool {
        self.grace_until = Some(now.plus(policy.source_grace()));
        true
    }

    fn value(&mut self, policy: &Policy, now: Time) -> bool {
        let returned = self.failures >= policy.tunables.failure_threshold && self.begin_grace(policy, now);
        self.failures = 0;
        self.values = self.values.saturating_add(1);
        self.state = match self.state {
            FailureState::Healthy | FailureState::Failing => FailureState::Healthy,
            FailureState::Fallback | FailureState::Recovering => {
                if self.values >= policy.tunables.recovery_values && !self.in_grace(now) {
                    FailureState::Healthy
                } else {
                    FailureState::Recovering
                }
            }
        };
        returned
    }

    fn failure(&mut self, policy: &Policy, now: Time) {
        if self.failures == 0 {
            self.failing_since = now;
        }
        self.values = 0;
        self.failures = self.failures.saturating_add(1);
        self.state = match self.state {
            FailureState::Healthy | FailureState::Failing => {
                let often = self.failures >= policy.tunables.failure_threshold;
                let long = now.since(self.failing_since) >= policy.tunables.failure_span;
                if often && long { FailureState::Fallback } else { FailureState::Failing }
            }
            FailureState::Fallback | FailureState::Recovering => FailureState::Fallback,
        };
    }

    fn in_grace(&self, now: Time) -> bool {
        self.grace_until.is_some_and(|until| now < until)
    }

    /// What a value of this source may be used for now, where the source itself vouches for `trust`.
    pub(crate) fn trust(&self, now: Time, trust: Trust) -> Trust {
        if matches!(self.state, FailureState::Fallback | FailureState::Recovering) {
            Trust::RaiseOnly(Doubt::Recovering)
        } else if self.in_grace(now) {
            Trust::RaiseOnly(Doubt::SourceRestarted)
        } else {
            trust
        }
    }
}

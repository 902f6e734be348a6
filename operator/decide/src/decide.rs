//! The table of stages.

use crate::decision::{Decision, HeldBy, Write};
use crate::explain::Reason;
use crate::input::Input;
use crate::policy::Policy;
use crate::state::State;

/// Decides one tick: a pure function, total for every input.
///
/// The same arguments always give the same result. [`advance`] does the same in place, without copying the state.
pub fn decide(policy: &Policy, state: &State, input: &Input) -> (Decision, State) {
    let mut next = state.clone();
    let decision = advance(policy, &mut next, input);
    (decision, next)
}

/// [`decide`] in place.
pub fn advance(policy: &Policy, state: &mut State, input: &Input) -> Decision {
    let _ = policy;
    let (floor, cap) = (state.floor, state.cap);
    Decision {
        at: input.now,
        floor,
        cap,
        write: Write { floor, cap, disable_scale_up: false, disable_scale_down: false, scale: None },
        reason: Reason::Minimum,
        signals: Vec::new(),
        latency: None,
        stages: Vec::new(),
        metrics: None,
        findings: Vec::new(),
        held_by: HeldBy::Floor { floor },
        would_scale_if: Vec::new(),
    }
}

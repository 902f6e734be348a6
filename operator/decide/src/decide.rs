//! The table of stages.

use crate::bound::{bound, caps, raise};
use crate::decision::{Decision, Stage, StageName};
use crate::guard::{Guard, GuardMemory};
use crate::hold::hold;
use crate::input::Input;
use crate::latency::{Look, Verdict};
use crate::plan::Plan;
use crate::policy::Policy;
use crate::report;
use crate::signal::{Signal, observe_latency};
use crate::size::{correct, restrain, size};
use crate::state::State;
use crate::tier_size::in_turn;
use crate::tiers::Tiers;
use crate::why::Why;

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
    advance_with(policy, state, input, &Tiers::default())
}

/// [`advance`] for an app beside tiers that limit it, or that may be what makes it slow.
pub fn advance_with(policy: &Policy, state: &mut State, input: &Input, tiers: &Tiers) -> Decision {
    let tick = state.begin(policy, input, tiers);

    // Classify: what every signal says, and how far it may be trusted.
    let frozen = state.rollout(&tick);
    let mut signals: Vec<Signal<'_>> = Vec::with_capacity(policy.demand.len());
    for (index, (memory, demand)) in state.signals.iter_mut().zip(&policy.demand).enumerate() {
        let (signal, clear) = memory.observe(&tick, demand, input.demand.get(index));
        if clear {
            state.history.clear_down(tick.now);
        }
        signals.push(signal);
    }
    let resolvable = input.latency.as_ref().is_none_or(|latency| latency.resolvable);
    let latency =
        policy.latency.as_ref().map(|_| observe_latency(&tick, &mut state.latency.health, input.latency.as_ref()));
    let (verdict, guard) = match (&policy.latency, &latency) {
        (Some(budget), Some(latency)) if resolvable => {
            let look = Look::at(&tick, budget, latency, &signals, frozen);
            let guard = state.guard.observe(&tick, &look, &signals, frozen, state.latency.not_helped_until());
            (state.latency.judge(&tick, budget, latency, look, frozen, &guard), guard)
        }
        _ => {
            state.latency.reset();
            state.guard = GuardMemory::default();
            (Verdict::NEUTRAL, Guard::default())
        }
    };
    let judged = latency.as_ref().filter(|_| resolvable).map(|latency| (latency, &verdict));
    let k = verdict.k;
    let plan = Plan::at(&tick, &state.pace, k);
    let caps = caps(&tick, &plan, &state.pace, state.is_adopting());

    // Each stage moves the number in one direction only, and says why.
    let mut stages = Stages::new(tick.floor);
    stages.add(StageName::Size, |_| size(&tick, &signals));
    let sized = stages.number;
    stages.add(StageName::Correct, |wanted| correct(&tick, &signals, k, wanted));
    stages
        .add(StageName::Restrain, |wanted| guard.restrain(&tick, sized, restrain(&tick, &signals, k, frozen, wanted)));
    stages.add(StageName::Raise, |wanted| raise(&tick, &signals, &plan, wanted));
    let mut held = false;
    stages.add(StageName::Hold, |wanted| {
        let (after, why, is_held) = hold(&tick, &signals, judged, frozen, wanted);
        held = is_held;
        (after, why)
    });
    stages.add(StageName::Stabilise, |wanted| state.history.stabilise(&tick, &signals, wanted, held));
    let planned = raise(&tick, &signals, &plan, 0).0;
    stages.add(StageName::Ramp, |wanted| in_turn(&tick, planned, state.pace.ramp(&tick, wanted)));
    stages.add(StageName::Bound, |wanted| bound(&tick, &caps, wanted));

    // Gate: a pause suppresses writes, never the recommendation.
    let floor = stages.number;
    let write = report::write(&tick, floor, caps.now);
    state.wrote(write.floor, write.cap);

    Decision {
        at: tick.now,
        floor,
        cap: caps.now,
        write,
        reason: report::reason(&stages.done),
        would_scale_if: report::hints(&tick, &signals, k, floor, caps.target),
        metrics: report::metrics(&signals, policy.latency.as_ref(), judged),
        held_by: report::held_by(&tick, &write),
        findings: report::findings(&tick, &signals, &verdict, resolvable, frozen, caps.conflict),
        bottleneck: guard.bottleneck,
        latency: report::latency(policy.latency.as_ref(), latency, &verdict),
        signals: report::signals(&tick, signals, k),
        stages: stages.done,
    }
}

/// The number on its way through the stages.
struct Stages {
    number: u32,
    done: Vec<Stage>,
}

impl Stages {
    fn new(floor: u32) -> Self {
        Self { number: floor, done: Vec::with_capacity(8) }
    }

    fn add(&mut self, name: StageName, stage: impl FnOnce(u32) -> (u32, Why)) {
        let before = self.number;
        let (after, why) = stage(before);
        self.number = after;
        self.done.push(Stage { name, before, after, why });
    }
}

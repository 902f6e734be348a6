//! Floors and caps from outside of demand: what raises, and what limits.

use crate::decision::Finding;
use crate::input::ManualHold;
use crate::plan::Plan;
use crate::ramp::Pace;
use crate::signal::Signal;
use crate::tick::Tick;
use crate::why::Why;

/// Stage "raise": up to the greatest of fallback, schedules, manual holds and the minimum.
pub(crate) fn raise(tick: &Tick<'_>, signals: &[Signal<'_>], plan: &Plan, wanted: u32) -> (u32, Why) {
    let (mut most, mut why) = (wanted, Why::NothingHigher);
    let min = tick.policy.min_replicas;
    if min > most {
        (most, why) = (min, Why::Minimum { min });
    }
    for signal in signals {
        if let Some(replicas) = signal.fallback.filter(|replicas| *replicas > most) {
            (most, why) = (replicas, Why::Fallback { signal: signal.demand.name.clone(), replicas });
        }
    }
    if let Some(planned) = plan.floor.as_ref().filter(|planned| planned.now > most) {
        (most, why) = (planned.now, Why::Schedule { name: planned.name.clone(), full: planned.full });
    }
    if let Some(hold) = manual_hold(tick).filter(|hold| hold.floor > most) {
        (most, why) =
            (hold.floor, Why::ManualHold { until: hold.until, reason: hold.reason.clone(), by: hold.by.clone() });
    }
    (most, why)
}

/// The greatest manual hold that has not expired.
fn manual_hold<'a>(tick: &Tick<'a>) -> Option<&'a ManualHold> {
    tick.input.holds.iter().filter(|hold| tick.now < hold.until).max_by_key(|hold| hold.floor)
}

/// Where the cap goes, and where it is on its way.
pub(crate) struct Caps {
    /// Where it goes.
    pub(crate) target: u32,
    /// What it is now.
    pub(crate) now: u32,
    /// Who wants the target.
    pub(crate) why: Why,
    /// A planned floor above a planned cap.
    pub(crate) conflict: Option<Finding>,
}

/// The cap: raised at once, lowered as fast as the behaviour lowers a count.
pub(crate) fn caps(tick: &Tick<'_>, plan: &Plan, pace: &Pace, adopting: bool) -> Caps {
    let max = tick.policy.max_replicas.max(tick.policy.min_replicas);
    let (mut target, mut why, mut conflict) = (max, Why::Maximum { max }, None);
    if let Some(cap) = plan.cap.as_ref().filter(|cap| cap.now < max) {
        let by_plan = plan.floor.as_ref().map(|floor| (floor.now.min(max), floor.name.clone()));
        let by_hand = manual_hold(tick).map(|hold| (hold.floor.min(max), "a manual hold".into()));
        let floor = [by_plan, by_hand].into_iter().flatten().max_by_key(|(floor, _)| *floor);
        target = cap.now.max(tick.policy.min_replicas);
        why = Why::ScheduleCap { name: cap.name.clone(), cap: target };
        if let Some((floor, floor_by)) = floor
            && floor > target
        {
            conflict = Some(Finding::ScheduleConflict { floor_by, floor, cap_by: cap.name.clone(), cap: cap.now });
            target = floor;
        }
    }
    if let Some(limit) = &tick.tiers.cap_limit {
        // A planned floor or a hold does not make a server accept more.
        let allowed = if limit.known { limit.cap } else { limit.cap.min(tick.cap) }.max(tick.policy.min_replicas);
        if allowed < target {
            (target, why) = (allowed, Why::Connections(limit.clone()));
        }
    }
    let now = if adopting { target.max(tick.observed) } else { target.max(tick.cap.min(pace.lowest_cap(tick))) };
    Caps { target, now, why, conflict }
}

/// Stage "bound": down to the cap. A floor that is already above the cap's target sinks with the cap; no floor rises above it.
pub(crate) fn bound(tick: &Tick<'_>, caps: &Caps, wanted: u32) -> (u32, Why) {
    let limit = caps.target.max(tick.floor.min(caps.now));
    if wanted <= limit {
        return (wanted, Why::WithinCap);
    }
    (limit, if limit > caps.target { Why::CapFalling { cap: caps.now } } else { caps.why.clone() })
}

//! What forbids lowering at this very tick.

use crate::latency::Verdict;
use crate::signal::{LatencySignal, Signal};
use crate::tick::Tick;
use crate::why::Why;

/// Stage "hold": up to the floor, while any required signal has no trusted value, latency is over budget or a rollout runs.
///
/// The last result tells whether the tick was held. A held tick is not remembered as a candidate.
pub(crate) fn hold(
    tick: &Tick<'_>,
    signals: &[Signal<'_>],
    latency: Option<(&LatencySignal, &Verdict)>,
    frozen: bool,
    wanted: u32,
) -> (u32, Why, bool) {
    let Some(why) = obstacle(tick, signals, latency, frozen) else { return (wanted, Why::Free, false) };
    (wanted.max(tick.floor), why, true)
}

fn obstacle(
    tick: &Tick<'_>,
    signals: &[Signal<'_>],
    latency: Option<(&LatencySignal, &Verdict)>,
    frozen: bool,
) -> Option<Why> {
    if let Some(signal) = signals.iter().find(|signal| !signal.state.is_full()) {
        return Some(Why::SignalNotFull { signal: signal.demand.name.clone(), state: signal.state.clone() });
    }
    if let (Some((latency, verdict)), Some(budget)) = (latency, &tick.policy.latency) {
        if verdict.blind {
            return Some(Why::SignalNotFull { signal: budget.name.clone(), state: latency.state.clone() });
        }
        if verdict.overloaded() {
            return Some(Why::OverBudget { value: latency.value.unwrap_or_default(), budget: budget.budget });
        }
    }
    frozen.then_some(Why::RolloutHolds)
}

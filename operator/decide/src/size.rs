//! Demand to pods.

use crate::policy::Demand;
use crate::signal::Signal;
use crate::tick::Tick;
use crate::why::Why;

/// Quotients this close to a whole number are that number: 300 / 100 must not need 4 pods for the last bit of a float.
const EPSILON: f64 = 1e-9;

/// The pods that `demand` needs at `per_pod` each, rounded up, at most `i32::MAX` as Kubernetes counts.
pub(crate) fn pods_for(demand: f64, per_pod: f64) -> u32 {
    let quotient = demand / per_pod;
    let nearest = quotient.round();
    let pods = if (quotient - nearest).abs() <= EPSILON * nearest { nearest } else { quotient.ceil() };
    // NaN comes of 0 / 0 only, a demand of nothing.
    if pods.is_nan() { 0 } else { pods.min(f64::from(i32::MAX)) as u32 }
}

/// Pods that a signal needs, and those it asks for: the same where that is no less than the floor, else with a margin,
/// so that a floor does not fall for a demand that only just fits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Proposal {
    pub(crate) need: u32,
    pub(crate) pods: u32,
}

/// What a signal asks for by its values over the long range and for raising, with `k` on the capacity of a pod.
pub(crate) fn propose(tick: &Tick<'_>, demand: &Demand, long: f64, raise: f64, k: f64) -> Proposal {
    let per_pod = demand.planned_per_pod() * k;
    let need = if raise <= demand.activation { 0 } else { pods_for(raise, per_pod) };
    if need >= tick.floor || need == 0 {
        return Proposal { need, pods: need };
    }
    let margin = 1.0 + f64::from(tick.policy.tunables.dead_band_percent) / 100.0;
    Proposal { need, pods: need.max(tick.floor.min(pods_for(margin * long, per_pod))) }
}

/// What `signal` asks for with `k`; none without a value. One that may not lower needs no margin for lowering.
pub(crate) fn proposal(tick: &Tick<'_>, signal: &Signal<'_>, k: f64) -> Option<Proposal> {
    let (long, raise) = (signal.value?, signal.raise_value?);
    let long = if signal.state.is_full() { long } else { 0.0 };
    Some(propose(tick, signal.demand, long, raise, k))
}

/// The greatest proposal of all signals, and the signal's place. The first of equals wins.
pub(crate) fn greatest(tick: &Tick<'_>, signals: &[Signal<'_>], k: f64) -> Option<(usize, Proposal)> {
    let mut best: Option<(usize, Proposal)> = None;
    for (index, signal) in signals.iter().enumerate() {
        if let Some(proposal) = proposal(tick, signal, k)
            && best.is_none_or(|(_, known)| proposal.pods > known.pods)
        {
            best = Some((index, proposal));
        }
    }
    best
}

/// Stage "size": sets the number by demand alone.
pub(crate) fn size(tick: &Tick<'_>, signals: &[Signal<'_>]) -> (u32, Why) {
    if signals.is_empty() {
        return (0, Why::NoDemandSignal);
    }
    let Some((index, proposal)) = greatest(tick, signals, 1.0) else { return (0, Why::NoValue) };
    let signal = &signals[index];
    let (name, unit) = (signal.demand.name.clone(), signal.demand.unit);
    let value = signal.raise_value.unwrap_or_default();
    if proposal.need == 0 {
        return (0, Why::Idle { signal: name, value, unit });
    }
    let per_pod = signal.demand.planned_per_pod();
    (proposal.pods, Why::Demand { signal: name, value, unit, per_pod, need: proposal.need, proposal: proposal.pods })
}

/// Stage "correct": up, where latency has shown that pods carry less than planned.
pub(crate) fn correct(tick: &Tick<'_>, signals: &[Signal<'_>], k: f64, sized: u32) -> (u32, Why) {
    match greatest(tick, signals, k) {
        Some((index, proposal)) if proposal.pods > sized => {
            let per_pod = signals[index].demand.planned_per_pod() * k;
            (proposal.pods, Why::CapacityCorrected { k, per_pod })
        }
        _ => (sized, Why::CapacityAsPlanned),
    }
}

/// Stage "restrain": down, never below the floor. During a rollout demand counts as before it, unless it has clearly grown:
/// pods of two templates serve, warm up and are probed at the same time.
pub(crate) fn restrain(tick: &Tick<'_>, signals: &[Signal<'_>], k: f64, frozen: bool, wanted: u32) -> (u32, Why) {
    if !frozen {
        return (wanted, Why::NoRollout);
    }
    let mut most: Option<(u32, f64, &'static str)> = None;
    for signal in signals {
        let (Some(long), Some(raise)) = (signal.value, signal.raise_value) else { continue };
        let limit = signal.before_rollout.filter(|before| raise <= before * tick.policy.tunables.rollout_margin);
        let limit = limit.unwrap_or(f64::INFINITY);
        let pods = propose(tick, signal.demand, long.min(limit), raise.min(limit), k).pods;
        if most.is_none_or(|(known, ..)| pods > known) {
            most = Some((pods, limit, signal.demand.unit));
        }
    }
    match most {
        Some((pods, before, unit)) if pods < wanted && tick.floor < wanted => {
            (pods.max(tick.floor), Why::RolloutRestrained { before, unit })
        }
        _ => (wanted, Why::RolloutUnrestrained),
    }
}

#[cfg(test)]
mod tests {
    use super::pods_for;

    #[test]
    fn pods_are_rounded_up_but_not_for_the_last_bit() {
        let table = [
            (320.0, 100.0, 4),
            (300.0, 100.0, 3),
            (300.000_000_2, 100.0, 3),
            (300.001, 100.0, 4),
            (0.3, 0.1, 3),       // 0.3 / 0.1 is 2.9999999999999996
            (0.7, 0.1, 7),       // 0.7 / 0.1 is 6.999999999999999
            (1.1 * 3.0, 1.1, 3), // 3.3000000000000003 / 1.1
            (1.0, 100.0, 1),
            (1e-9, 100.0, 1),
            (1e-6, 100.0, 1),
            (100.0 * 1e6 + 0.05, 100.0, 1_000_000),
            (100.0 * 1e6 + 1.0, 100.0, 1_000_001),
            (0.0, 100.0, 0),
            (1e300, 1.0, i32::MAX as u32),
            (1.0, 0.0, i32::MAX as u32),
            (0.0, 0.0, 0),
        ];
        for (demand, per_pod, pods) in table {
            assert_eq!(pods_for(demand, per_pod), pods, "{demand} / {per_pod}");
        }
    }
}

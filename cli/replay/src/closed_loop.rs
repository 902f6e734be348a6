//! Pods that complete only so much: what the operator would have measured, had the offered load met them.
//!
//! The trace's rate is what users offer. A counter of completed requests shows at most what the Ready pods complete.
//! Below that capacity latency is the recorded one, or 40 % of the budget where the trace records none; above it latency
//! is at least twice the budget times the overload (offered by capacity), so that it is clearly over and falls with
//! every pod that is added.

use crate::trace::Reading;

/// Latency of an app that is not overloaded, as a share of its budget, where the trace records none.
const CALM: f64 = 0.4;
/// Latency at the edge of overload, as a multiple of the budget.
const OVERLOADED: f64 = 2.0;

/// Pods with a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClosedLoop {
    /// Requests per second that one pod completes.
    pub per_pod: f64,
    /// The latency budget in seconds, if there is one.
    pub budget: Option<f64>,
    /// Whether the rate is measured in front of the pods, so that it is known without any.
    pub at_gateway: bool,
}

impl ClosedLoop {
    /// Rate and latency as measured, where `offered` meets `ready` pods. `recorded` is the latency of the trace, if it has one.
    /// Where the trace has no rate or no latency, or failed queries, there is none here either.
    pub fn measure(&self, offered: Reading, recorded: Option<Reading>, ready: u32) -> (Reading, Reading) {
        let Some(load) = offered.finite().filter(|load| *load >= 0.0) else {
            return (offered, recorded.unwrap_or(Reading::Missing));
        };
        let capacity = f64::from(ready) * self.per_pod;
        if ready == 0 {
            let rate = if self.at_gateway { offered } else { Reading::Missing };
            return (rate, if self.at_gateway { Reading::Number(f64::NAN) } else { Reading::Missing });
        }
        (Reading::Number(load.min(capacity)), self.latency(load, capacity, recorded))
    }

    fn latency(&self, load: f64, capacity: f64, recorded: Option<Reading>) -> Reading {
        let calm = match (recorded, self.budget) {
            (Some(recorded), _) => recorded,
            // The quantile of no requests is no number.
            (None, Some(_)) if load == 0.0 => Reading::Number(f64::NAN),
            (None, Some(budget)) => Reading::Number(CALM * budget),
            (None, None) => Reading::Missing,
        };
        let Reading::Number(number) = calm else { return calm };
        if load <= capacity {
            return calm;
        }
        let edge = self.budget.map_or(number, |budget| OVERLOADED * budget);
        // `max` takes the other side of a NaN.
        Reading::Number(number.max(edge * load / capacity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overload_hides_demand_and_shows_in_latency() {
        let pods = ClosedLoop { per_pod: 60.0, budget: Some(0.2), at_gateway: false };
        let number = Reading::Number;
        let table = [
            (number(100.0), None, 3, (number(100.0), number(0.2 * 0.4))),
            (number(180.0), None, 3, (number(180.0), number(0.2 * 0.4))),
            (number(360.0), None, 3, (number(180.0), number(0.8))),
            (number(360.0), Some(number(0.1)), 3, (number(180.0), number(0.8))),
            (number(360.0), Some(number(5.0)), 3, (number(180.0), number(5.0))),
            (number(360.0), Some(number(0.1)), 6, (number(360.0), number(0.1))),
            (number(360.0), Some(Reading::Failed), 3, (number(180.0), Reading::Failed)),
            (Reading::Missing, Some(number(0.1)), 3, (Reading::Missing, number(0.1))),
            (Reading::Failed, None, 3, (Reading::Failed, Reading::Missing)),
            (number(360.0), None, 0, (Reading::Missing, Reading::Missing)),
        ];
        for (offered, recorded, ready, measured) in table {
            assert_eq!(pods.measure(offered, recorded, ready), measured, "{offered:?} {recorded:?} on {ready}");
        }
        let overloaded = ClosedLoop { budget: Some(0.2), ..pods }.measure(number(360.0), Some(number(f64::NAN)), 3);
        assert_eq!(overloaded.1, number(0.8), "a recorded NaN does not hide overload");
    }

    #[test]
    fn a_gateway_counts_without_pods() {
        let pods = ClosedLoop { per_pod: 60.0, budget: None, at_gateway: true };
        assert_eq!(pods.measure(Reading::Number(5.0), None, 0).0, Reading::Number(5.0));
    }

    #[test]
    fn no_requests_have_no_latency() {
        let pods = ClosedLoop { per_pod: 60.0, budget: Some(0.2), at_gateway: false };
        let (rate, latency) = pods.measure(Reading::Number(0.0), None, 3);
        assert_eq!((rate, latency.finite()), (Reading::Number(0.0), None));
    }
}

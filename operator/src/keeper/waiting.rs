//! A change of size that is called for and has to wait, told as long as it does. Pure.

use decide::{
    Duration, Time,
    tier_size::{Cause, Gate},
};
use std::mem::{Discriminant, discriminant};

/// How long a change waits before that is told (P): what passes by itself within some rounds explains nothing.
const SHORT: Duration = Duration::from_secs(30);

/// The change that waits: to how many of what, and for which kind of gate.
type Change = (u32, &'static str, Discriminant<Gate>);

/// What waits, since when, and how that was first put. The figures in it change with every look, which is no news.
#[derive(Debug, Default)]
pub struct Waiting(Option<(Change, Time, String)>);

impl Waiting {
    /// Takes what the last evaluation found to wait (how many of what, why, and for what), and tells of it if it has been so
    /// for long enough.
    pub fn tell(&mut self, now: Time, waits: Option<(u32, &'static str, &Cause, &Gate)>) -> Option<String> {
        // That it must need less for longer is how shrinking works, not what keeps it from working.
        let waits = waits.filter(|(.., gate)| !matches!(gate, Gate::NotLowLongEnough { .. }));
        self.0 = waits.map(|(to, what, cause, gate)| {
            let change = (to, what, discriminant(gate));
            match self.0.take() {
                Some(before) if before.0 == change && before.1 <= now => before,
                _ => (change, now, format!("{to} {what} would be right ({cause}), and wait: {gate}")),
            }
        });
        let (_, since, words) = self.0.as_ref()?;
        (now.since(*since) >= SHORT).then(|| words.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use decide::Name;

    fn at(second: i64) -> Time {
        Time::from_secs(1_800_000_000 + second)
    }

    #[test]
    fn what_waits_is_told_after_a_while_in_words_that_stay() {
        let mut waiting = Waiting::default();
        let load = |load| Cause::Load { load, per_node: 2.0 };
        let turn = |grows| Gate::Turn { tier: Name::from("cache"), grows };
        let serving = Gate::NotServing { serving: 1, wanted: 2 };
        let mut tell = |second, what: Option<(u32, &Cause, &Gate)>| {
            waiting.tell(at(second), what.map(|(to, cause, gate)| (to, "read replicas", cause, gate)))
        };
        assert_eq!(tell(0, Some((3, &load(5.0), &turn(true)))), None, "it may pass by itself");
        let told = tell(30, Some((3, &load(5.5), &turn(true)))).unwrap();
        assert_eq!(
            told, "3 read replicas would be right (a load of 5 at 2 per node), and wait: cache grows first",
            "as first seen"
        );
        assert_eq!(tell(35, Some((3, &load(7.5), &turn(true)))), Some(told), "figures are no news");
        assert_eq!(tell(40, Some((3, &load(7.5), &serving))), None, "another gate");
        assert_eq!(tell(70, Some((2, &load(7.5), &serving))), None, "another number");
        assert!(tell(100, Some((2, &load(7.5), &serving))).is_some());
        assert_eq!(tell(105, None), None, "nothing waits");
        assert_eq!(tell(110, Some((2, &load(7.5), &serving))), None, "it begins anew");
        assert_eq!(tell(60, Some((2, &load(7.5), &serving))), None, "a clock that was set back");
        let low = Gate::NotLowLongEnough { until: at(400) };
        assert_eq!(tell(200, Some((1, &load(0.5), &low))), None);
        assert_eq!(tell(300, Some((1, &load(0.5), &low))), None, "patience is no obstacle");
    }
}

//! Counters of a server, looked at from time to time, as rates. Pure.

use decide::{Duration, Time};
use std::collections::VecDeque;

/// The time over which a counter is averaged (P): a server counts a statement when it has ended.
const SPAN: Duration = Duration::from_secs(60);

/// `N` counters of one server over the last span.
#[derive(Clone, Debug, PartialEq)]
pub struct Looks<const N: usize>(VecDeque<(Time, [f64; N])>);

impl<const N: usize> Default for Looks<N> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<const N: usize> Looks<N> {
    /// Takes a look, and tells how much each counter has grown per second over the last span; None before there is a look that
    /// is `least` older.
    pub fn rates(&mut self, now: Time, counters: [f64; N], least: Duration) -> Option<[f64; N]> {
        let Self(looks) = self;
        // A server that has started anew counts from zero; a clock that was set back measures nothing.
        let anew = |(at, before): &(Time, [f64; N])| *at >= now || before.iter().zip(&counters).any(|(b, c)| b > c);
        if looks.back().is_some_and(anew) {
            looks.clear();
        }
        looks.push_back((now, counters));
        // The last one that is a whole span old is kept.
        while looks.get(1).is_some_and(|(at, _)| now.since(*at) >= SPAN) {
            looks.pop_front();
        }
        let (since, before) = looks.front()?;
        let span = now.since(*since);
        let rate = |counter: usize| (counters[counter] - before[counter]) / span.as_secs_f64();
        (span >= least && span > Duration::ZERO).then(|| std::array::from_fn(rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What looks at these seconds tell, of a counter that is as told.
    fn rates(looks: &[(i64, [f64; 2])]) -> Vec<Option<[f64; 2]>> {
        let mut watched = Looks::default();
        let one = |(second, counters): &(i64, [f64; 2])| watched.rates(at(*second), *counters, Duration::from_secs(10));
        looks.iter().map(one).collect()
    }

    fn at(second: i64) -> Time {
        Time::from_secs(1_800_000_000 + second)
    }

    #[test]
    fn a_rate_takes_two_looks_that_are_far_enough_apart_and_a_minute_at_most() {
        let looks = [
            (0, [100.0, 50.0]),
            (8, [104.0, 50.0]),
            (10, [105.0, 60.0]),
            (60, [160.0, 350.0]),
            // From the look at 8 s on.
            (68, [164.0, 350.0]),
            // However late the next one is.
            (268, [364.0, 350.0]),
        ];
        let expected = [None, None, Some([0.5, 1.0]), Some([1.0, 5.0]), Some([1.0, 5.0]), Some([1.0, 0.0])];
        assert_eq!(rates(&looks), expected);
    }

    #[test]
    fn what_is_counted_anew_is_watched_anew() {
        let table: [(&str, [f64; 2], i64); 3] = [
            ("a counter that fell", [1.0, 60.0], 30),
            ("the other one", [200.0, 0.0], 30),
            ("a clock that was set back", [200.0, 60.0], 15),
        ];
        for (why, counters, second) in table {
            let looks = [(0, [100.0, 50.0]), (20, [120.0, 50.0]), (second, counters)];
            assert_eq!(rates(&looks), [None, Some([1.0, 0.0]), None], "{why}");
            let [a, b] = counters;
            let after = [&looks[..], &[(second + 10, [a + 5.0, b])]].concat();
            assert_eq!(rates(&after)[3], Some([0.5, 0.0]), "{why}: the looks before it count no more");
        }
        let same = [(0, [1.0, 1.0]), (0, [2.0, 2.0])];
        assert_eq!(rates(&same), [None, None], "no time has passed");
    }
}

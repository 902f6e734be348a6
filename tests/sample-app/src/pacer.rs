//! The capacity of one pod as a schedule of start times; no clock, no waiting.

use std::time::Duration;

/// Idle capacity that may be caught up at once: random arrivals below capacity then see no queue, while
/// over a few seconds no more than the capacity is completed. (P)
pub const BURST: Duration = Duration::from_millis(250);

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It starts after this wait.
    Start(Duration),
    /// The queue is full; it has room again after this time.
    Full(Duration),
}

/// Gives each request the time at which it may start, one every `1 / capacity` seconds.
#[derive(Debug, Clone)]
pub struct Pacer {
    interval: Duration,
    queue_limit: u32,
    next_start: Duration,
}

impl Pacer {
    /// `capacity_rps` is above 0; `queue_limit` is the number of requests that may wait.
    #[must_use]
    pub fn new(capacity_rps: f64, queue_limit: u32) -> Self {
        Self { interval: interval(capacity_rps), queue_limit, next_start: Duration::ZERO }
    }

    /// Decides about a request that arrives at `now`, the time since some fixed start.
    pub fn admit(&mut self, now: Duration) -> Admission {
        let start = self.next_start.max(now.saturating_sub(BURST));
        let wait = start.saturating_sub(now);
        let longest = self.interval.saturating_mul(self.queue_limit);
        if wait > longest {
            return Admission::Full(wait - longest);
        }
        self.next_start = start.saturating_add(self.interval);
        Admission::Start(wait)
    }

    /// How long a request that arrives at `now` would wait.
    #[must_use]
    pub fn wait(&self, now: Duration) -> Duration {
        self.next_start.saturating_sub(now)
    }

    /// Changes the capacity; the requests that wait keep their start times, later ones queue behind
    /// what the backlog takes at the new pace.
    pub fn set_capacity(&mut self, now: Duration, capacity_rps: f64) {
        let new = interval(capacity_rps);
        let scale = new.as_secs_f64() / self.interval.as_secs_f64();
        let backlog = Duration::try_from_secs_f64(self.wait(now).as_secs_f64() * scale).unwrap_or(Duration::MAX);
        if !backlog.is_zero() {
            self.next_start = now.saturating_add(backlog);
        }
        self.interval = new;
    }
}

fn interval(capacity_rps: f64) -> Duration {
    Duration::try_from_secs_f64(1.0 / capacity_rps).unwrap_or(Duration::MAX).max(Duration::from_nanos(1))
}

/// Time that request number `n` takes, evenly spread over `base` to `base + jitter`; the same `n` always
/// takes the same time.
#[must_use]
pub fn service_time(n: u64, base: Duration, jitter: Duration) -> Duration {
    let share = f64::from(mix(n) as u32) / f64::from(u32::MAX);
    base + jitter.mul_f64(share)
}

/// A bijective 64-bit mixing step (the finaliser of the splitmix64 generator).
#[must_use]
pub fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    /// Offers `rps` evenly for `seconds`; gives the waits of the started requests and the number refused.
    fn offer(pacer: &mut Pacer, rps: u32, seconds: u32) -> (Vec<Duration>, usize) {
        let gap = Duration::from_secs(1) / rps;
        let all: Vec<_> = (0..rps * seconds).map(|i| pacer.admit(gap * i)).collect();
        let waits: Vec<_> = all
            .iter()
            .filter_map(|a| match a {
                Admission::Start(wait) => Some(*wait),
                Admission::Full(_) => None,
            })
            .collect();
        let refused = all.len() - waits.len();
        (waits, refused)
    }

    #[test]
    fn below_capacity_nothing_waits_above_it_the_queue_fills_and_refuses() {
        let (waits, refused) = offer(&mut Pacer::new(100.0, 200), 100, 30);
        assert!(waits.iter().all(|w| w.is_zero()));
        assert_eq!(refused, 0);

        let (waits, refused) = offer(&mut Pacer::new(100.0, 200), 150, 30);
        // 100 per second for 30 s, the queue of 200 beyond, and the rest of the 4500 refused.
        assert!((3190..=3201).contains(&waits.len()), "{}", waits.len());
        assert_eq!(refused, 4500 - waits.len());
        let last = waits.last().unwrap();
        assert!((1990 * MS..=2000 * MS).contains(last), "{last:?}");
    }

    #[test]
    fn idle_time_is_caught_up_in_a_burst_of_a_quarter_of_a_second() {
        let mut pacer = Pacer::new(100.0, 200);
        let now = Duration::from_secs(60);
        let at_once = (0..100).filter(|_| pacer.admit(now) == Admission::Start(Duration::ZERO)).count();
        assert_eq!(at_once, 26);
        assert_eq!(pacer.wait(now), 750 * MS);
    }

    #[test]
    fn a_full_queue_says_when_there_is_room() {
        let mut pacer = Pacer::new(10.0, 2);
        let now = Duration::ZERO;
        let answers: Vec<_> = (0..4).map(|_| pacer.admit(now)).collect();
        assert_eq!(
            answers,
            [
                Admission::Start(Duration::ZERO),
                Admission::Start(100 * MS),
                Admission::Start(200 * MS),
                Admission::Full(100 * MS),
            ]
        );
        assert_eq!(pacer.admit(100 * MS), Admission::Start(200 * MS));
    }

    #[test]
    fn a_new_capacity_scales_the_backlog() {
        let mut pacer = Pacer::new(100.0, 1000);
        for _ in 0..100 {
            pacer.admit(Duration::ZERO);
        }
        assert_eq!(pacer.wait(Duration::ZERO), Duration::from_secs(1));
        pacer.set_capacity(Duration::ZERO, 50.0);
        assert_eq!(pacer.wait(Duration::ZERO), Duration::from_secs(2));
        assert_eq!(pacer.admit(Duration::ZERO), Admission::Start(Duration::from_secs(2)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn never_more_than_capacity_and_never_longer_than_the_queue(
            capacity in 1.0f64..500.0,
            queue in 0u32..300,
            gaps in prop::collection::vec(0u64..40_000, 1..400),
        ) {
            let mut pacer = Pacer::new(capacity, queue);
            let mut now = Duration::ZERO;
            let mut starts = Vec::new();
            for gap in gaps {
                now += Duration::from_micros(gap);
                match pacer.admit(now) {
                    Admission::Start(wait) => {
                        prop_assert!(wait.as_secs_f64() <= f64::from(queue) / capacity + 1e-6);
                        starts.push(now + wait);
                    }
                    Admission::Full(after) => prop_assert!(!after.is_zero()),
                }
            }
            prop_assert!(starts.is_sorted());
            for (i, first) in starts.iter().enumerate() {
                let window = *first + Duration::from_secs(1);
                let within = starts[i..].iter().take_while(|s| **s < window).count();
                prop_assert!(within as f64 <= capacity * (1.0 + BURST.as_secs_f64()) + 2.0);
            }
        }

        #[test]
        fn service_time_stays_in_its_range(n in any::<u64>()) {
            let time = service_time(n, 20 * MS, 20 * MS);
            prop_assert!((20 * MS..=40 * MS).contains(&time));
        }
    }
}

//! A model of a Deployment's pods: how long they take to become Ready, and how a rolling update replaces them.
//!
//! Every pod becomes Ready the same time after its creation, and a removed pod is gone at once. Nodes always have room.

use decide::{Duration, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// How a Deployment replaces pods.
#[derive(Clone, Debug, PartialEq)]
pub struct RollingUpdate {
    /// Pods that may exist above the wanted count.
    pub max_surge: IntOrString,
    /// Pods that may be missing below it.
    pub max_unavailable: IntOrString,
    /// How long a pod must have been Ready before it counts as available.
    pub min_ready: Duration,
}

/// Pods of one template that become Ready at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cohort {
    template: u32,
    ready_at: Time,
    count: u32,
}

/// The pods of a Deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct Pods {
    now: Time,
    wanted: u32,
    template: u32,
    cohorts: Vec<Cohort>,
    start: Duration,
    update: RollingUpdate,
}

impl Pods {
    /// `count` Ready pods at `now`; later ones become Ready `start` after their creation.
    pub fn new(now: Time, count: u32, start: Duration, update: RollingUpdate) -> Self {
        let cohorts = vec![Cohort { template: 0, ready_at: now.minus(update.min_ready), count }];
        Self { now, wanted: count, template: 0, cohorts, start, update }
    }

    /// The count that is wanted: `spec.replicas`.
    pub fn wanted(&self) -> u32 {
        self.wanted
    }

    /// Ready pods of all templates: `status.readyReplicas`.
    pub fn ready(&self) -> u32 {
        self.count(|cohort| cohort.ready_at <= self.now)
    }

    /// Pods that have not become Ready yet.
    pub fn pending(&self) -> u32 {
        self.count(|cohort| cohort.ready_at > self.now)
    }

    /// Whether pods of an older template are left.
    pub fn rolling(&self) -> bool {
        self.cohorts.iter().any(|cohort| cohort.template != self.template)
    }

    /// Pods of the newest template: `status.updatedReplicas`.
    pub fn updated(&self) -> u32 {
        self.count(|cohort| cohort.template == self.template)
    }

    /// Lets time pass.
    pub fn advance(&mut self, now: Time) {
        if self.rolling() {
            // A rollout goes on whenever a new pod becomes available, not only at the steps of the replay.
            while let Some(event) = self.next_available(now) {
                self.now = event;
                self.replace();
            }
        }
        self.now = now;
        let settled = self.now.minus(self.update.min_ready);
        self.cohorts.dedup_by(|b, a| {
            let same = a.template == b.template && a.ready_at <= settled && b.ready_at <= settled;
            if same {
                a.count += b.count;
            }
            same
        });
    }

    /// Sets the wanted count.
    pub fn scale(&mut self, wanted: u32) {
        self.wanted = wanted;
        if self.rolling() {
            let total = self.count(|_| true);
            self.remove(total.saturating_sub(wanted.saturating_add(self.surge())), |_| true);
            self.replace();
        } else {
            let total = self.count(|_| true);
            self.create(wanted.saturating_sub(total));
            self.remove(total.saturating_sub(wanted), |_| true);
        }
    }

    /// Begins a rolling update to a new template.
    pub fn roll(&mut self) {
        self.template += 1;
        self.replace();
    }

    fn count(&self, counts: impl Fn(&Cohort) -> bool) -> u32 {
        self.cohorts.iter().filter(|cohort| counts(cohort)).map(|cohort| cohort.count).sum()
    }

    fn available(&self, cohort: &Cohort) -> bool {
        cohort.ready_at.plus(self.update.min_ready) <= self.now
    }

    fn next_available(&self, until: Time) -> Option<Time> {
        let times = self.cohorts.iter().map(|cohort| cohort.ready_at.plus(self.update.min_ready));
        times.filter(|time| *time > self.now && *time <= until).min()
    }

    /// Everything that the Deployment's controller does at this moment of a rolling update.
    fn replace(&mut self) {
        let current = self.template;
        loop {
            let total = self.count(|_| true);
            let new = self.count(|cohort| cohort.template == current);
            let room = self.wanted.saturating_add(self.surge()).saturating_sub(total);
            let added = self.wanted.saturating_sub(new).min(room);
            self.create(added);

            let (total, least) = (total + added, self.wanted.saturating_sub(self.unavailable()));
            let new_waiting = self.count(|cohort| cohort.template == current && !self.available(cohort));
            let may_go = total.saturating_sub(least).saturating_sub(new_waiting);
            let old_waiting = self.count(|cohort| cohort.template != current && !self.available(cohort));
            let unhealthy = old_waiting.min(may_go);
            let now = self.now;
            let min_ready = self.update.min_ready;
            self.remove(unhealthy, |cohort| cohort.template != current && cohort.ready_at.plus(min_ready) > now);
            let old = self.count(|cohort| cohort.template != current);
            let spare = self.count(|cohort| self.available(cohort)).saturating_sub(least);
            let healthy = spare.min(old).min(may_go - unhealthy);
            self.remove(healthy, |cohort| cohort.template != current);
            if added + unhealthy + healthy == 0 {
                break;
            }
        }
        if !self.rolling() {
            // The count may have been lowered meanwhile.
            let total = self.count(|_| true);
            self.remove(total.saturating_sub(self.wanted), |_| true);
        }
    }

    fn create(&mut self, count: u32) {
        if count > 0 {
            self.cohorts.push(Cohort { template: self.template, ready_at: self.now.plus(self.start), count });
        }
    }

    /// Removes pods: those that are not Ready first, then older templates, then the youngest.
    fn remove(&mut self, mut count: u32, may: impl Fn(&Cohort) -> bool) {
        while count > 0 {
            let rank =
                |cohort: &Cohort| (cohort.ready_at > self.now, cohort.template != self.template, cohort.ready_at);
            let candidates = self.cohorts.iter().enumerate().filter(|(_, cohort)| may(cohort));
            let Some((index, _)) = candidates.max_by_key(|(_, cohort)| rank(cohort)) else { return };
            let taken = self.cohorts[index].count.min(count);
            self.cohorts[index].count -= taken;
            count -= taken;
            if self.cohorts[index].count == 0 {
                self.cohorts.remove(index);
            }
        }
    }

    fn surge(&self) -> u32 {
        portion(&self.update.max_surge, self.wanted, f64::ceil)
    }

    /// Kubernetes takes 1 where both come out as 0, else nothing could ever be replaced.
    fn unavailable(&self) -> u32 {
        let unavailable = portion(&self.update.max_unavailable, self.wanted, f64::floor);
        if unavailable == 0 && self.surge() == 0 { 1 } else { unavailable }
    }
}

/// A count, or a percentage of `whole`, rounded as the Deployment's controller rounds it.
fn portion(value: &IntOrString, whole: u32, round: fn(f64) -> f64) -> u32 {
    match value {
        IntOrString::Int(count) => u32::try_from(*count).unwrap_or(0),
        IntOrString::String(text) => {
            let number = text.trim_end_matches('%').parse().unwrap_or(0.0);
            if text.ends_with('%') { round(number * f64::from(whole) / 100.0) as u32 } else { number as u32 }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_secs(seconds)
    }

    fn update(surge: &str, unavailable: &str) -> RollingUpdate {
        let part = |text: &str| text.parse().map_or(IntOrString::String(text.to_owned()), IntOrString::Int);
        RollingUpdate { max_surge: part(surge), max_unavailable: part(unavailable), min_ready: Duration::ZERO }
    }

    fn pods(count: u32, surge: &str, unavailable: &str) -> Pods {
        Pods::new(at(0), count, Duration::from_secs(10), update(surge, unavailable))
    }

    #[test]
    fn pods_become_ready_after_their_start() {
        let mut pods = pods(3, "1", "0");
        pods.scale(8);
        let table = [(0, 3, 5), (9, 3, 5), (10, 8, 0)];
        for (now, ready, pending) in table {
            pods.advance(at(now));
            assert_eq!((pods.ready(), pods.pending()), (ready, pending), "at {now} s");
        }
        assert_eq!(pods.cohorts.len(), 1, "settled pods need no further memory");
    }

    #[test]
    fn pods_that_are_not_ready_go_first() {
        let mut pods = pods(3, "1", "0");
        pods.scale(8);
        pods.advance(at(5));
        pods.scale(5);
        assert_eq!((pods.wanted(), pods.ready(), pods.pending()), (5, 3, 2));
        pods.scale(2);
        assert_eq!((pods.wanted(), pods.ready(), pods.pending()), (2, 2, 0));
        pods.scale(0);
        assert_eq!((pods.wanted(), pods.ready()), (0, 0));
    }

    #[test]
    fn a_rollout_keeps_its_bounds_and_ends() {
        // (surge, unavailable, least ready, end in seconds)
        let table = [
            ("1", "0", 4, 40),
            ("25%", "25%", 3, 20),
            ("100%", "0", 4, 10),
            ("0", "0", 3, 30),
            ("0", "2", 2, 10),
            ("10%", "0%", 4, 40),
        ];
        for (surge, unavailable, least, end) in table {
            let mut pods = pods(4, surge, unavailable);
            pods.roll();
            let mut lowest = pods.ready();
            let mut last = None;
            for now in 1..=60 {
                pods.advance(at(now));
                lowest = lowest.min(pods.ready());
                let total = pods.count(|_| true);
                assert!(total <= 4 + pods.surge(), "surge {surge}, unavailable {unavailable}: {total} pods at {now} s");
                if pods.rolling() {
                    last = Some(now + 1);
                }
            }
            assert_eq!((lowest, last, pods.ready()), (least, Some(end), 4), "surge {surge}, unavailable {unavailable}");
        }
    }

    #[test]
    fn a_rollout_follows_the_count() {
        let mut pods = pods(4, "1", "0");
        pods.roll();
        pods.advance(at(10));
        pods.scale(8);
        assert_eq!(pods.pending(), 5, "the new template grows, and one surges");
        pods.advance(at(12));
        pods.scale(2);
        for now in 13..60 {
            pods.advance(at(now));
        }
        assert_eq!((pods.rolling(), pods.wanted(), pods.ready(), pods.count(|_| true)), (false, 2, 2, 2));
    }

    #[test]
    fn a_second_rollout_may_overtake_the_first() {
        let mut pods = pods(3, "1", "0");
        pods.roll();
        pods.advance(at(5));
        pods.roll();
        for now in 6..60 {
            pods.advance(at(now));
        }
        assert_eq!((pods.rolling(), pods.ready()), (false, 3));
    }
}

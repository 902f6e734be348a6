//! What is measured of reads or of writes.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;

/// Measures operations that several lanes do, each lane one after the other.
#[derive(Debug)]
pub struct Figures {
    begun: u64,
    done: u64,
    /// By lane: since when nothing of what it wanted was done. An error does not end it, only an answer does.
    waiting: Vec<Option<Instant>>,
    longest: Pause,
    took: Vec<Duration>,
    last_error: Option<String>,
}

#[derive(Debug, Default, Clone)]
struct Pause {
    length: Duration,
    ended: Option<Timestamp>,
}

/// The figures of a run.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Operations that were answered.
    pub done: u64,
    /// Operations that were not, after all retries that a correct client makes.
    pub errors: u64,
    /// The longest time in which one lane waited for an answer, its retries and errors included.
    pub longest_pause_ms: f64,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_pause_ended: Option<Timestamp>,
    /// Median time of those that were answered.
    pub p50_ms: f64,
    /// 99th percentile of it.
    pub p99_ms: f64,
    /// The last error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

impl Figures {
    /// For so many lanes.
    #[must_use]
    pub fn new(lanes: usize) -> Self {
        let (waiting, took) = (vec![None; lanes], Vec::new());
        Self { begun: 0, done: 0, waiting, longest: Pause::default(), took, last_error: None }
    }

    /// A lane begins an operation.
    pub fn begin(&mut self, lane: usize, now: Instant) {
        self.begun += 1;
        self.waiting[lane].get_or_insert(now);
    }

    /// The lane's operation was answered, after so long.
    pub fn done(&mut self, lane: usize, now: Instant, took: Duration) {
        self.done += 1;
        self.took.push(took);
        if let Some(since) = self.waiting[lane].take() {
            self.paused(now - since);
        }
    }

    /// The lane's operation failed for good.
    pub fn failed(&mut self, error: String) {
        self.last_error = Some(error);
    }

    fn paused(&mut self, length: Duration) {
        if length > self.longest.length {
            self.longest = Pause { length, ended: Some(Timestamp::now()) };
        }
    }

    /// The figures up to now: what still waits is an error, and a pause.
    #[must_use]
    pub fn summary(mut self, now: Instant) -> Summary {
        for since in std::mem::take(&mut self.waiting).into_iter().flatten() {
            self.paused(now - since);
        }
        self.took.sort_unstable();
        let quantile = |share: f64| {
            let index = (self.took.len() as f64 * share) as usize;
            self.took.get(index).copied().unwrap_or_default().as_secs_f64() * 1e3
        };
        Summary {
            done: self.done,
            errors: self.begun - self.done,
            longest_pause_ms: self.longest.length.as_secs_f64() * 1e3,
            longest_pause_ended: self.longest.ended,
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
            last_error: self.last_error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_pause_lasts_from_the_first_unanswered_wish_to_the_next_answer() {
        let start = Instant::now();
        let at = |ms: u32| start + MS * ms;
        let mut figures = Figures::new(2);
        figures.begin(0, at(0));
        figures.done(0, at(3), MS * 3);
        // Not asking is no pause.
        figures.begin(0, at(1000));
        figures.failed("gone".into());
        figures.begin(0, at(1200));
        // The other lane goes on meanwhile.
        figures.begin(1, at(1100));
        figures.done(1, at(1102), MS * 2);
        figures.done(0, at(1250), MS * 50);
        let summary = figures.summary(at(5000));
        assert_eq!((summary.done, summary.errors), (3, 1));
        assert_eq!(summary.longest_pause_ms, 250.0);
        assert_eq!((summary.p50_ms, summary.p99_ms), (3.0, 50.0));
        assert_eq!(summary.last_error.as_deref(), Some("gone"));
    }

    #[test]
    fn what_waits_at_the_end_counts() {
        let start = Instant::now();
        let mut figures = Figures::new(1);
        figures.begin(0, start);
        let summary = figures.summary(start + MS * 700);
        assert_eq!((summary.done, summary.errors, summary.longest_pause_ms), (0, 1, 700.0));
        assert!(summary.longest_pause_ended.is_some());
    }

    #[test]
    fn nothing_done_has_figures_too() {
        let summary = Figures::new(4).summary(Instant::now());
        assert_eq!((summary.done, summary.errors, summary.p99_ms), (0, 0, 0.0));
    }
}

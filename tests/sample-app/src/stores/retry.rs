//! Trying again: what may be tried again, how often, and how it is counted.

use std::future::Future;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;

/// Pause before the second try; each further one is twice as long, up to [`LONGEST_PAUSE`]. (P)
const FIRST_PAUSE: Duration = Duration::from_millis(25);

/// Longest pause between two tries: a store that is back is noticed soon. (P)
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Why a store did not do what it was asked. No text holds a password: they are the servers' and the system's own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// This connection is of no use: once more, on another one.
    #[error("{0}")]
    Retry(String),
    /// The server cannot just now: once more, later.
    #[error("{0}")]
    Wait(String),
    /// Once more would change nothing.
    #[error("{0}")]
    Terminal(String),
}

impl StoreError {
    /// Nothing came back in time.
    #[must_use]
    pub fn no_answer(limit: Duration) -> Self {
        Self::Retry(format!("no answer within {} ms", limit.as_millis()))
    }
}

/// How long a client goes on trying.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Time from the first try in which another may begin.
    pub within: Duration,
    /// Longest time of one try.
    pub each: Duration,
}

/// What a client counts of one store.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Tries after the first.
    pub retries: Counter,
    /// What failed for good.
    pub errors: Counter,
}

/// Asks until there is an answer, an error that stays, or no time left. `ask` gets the longest time it may take and keeps to
/// it by itself, for it knows what to do with a connection that has not answered.
///
/// # Errors
/// The last one.
pub async fn persist<T, F>(
    patience: Patience,
    counts: &Counts,
    mut ask: impl FnMut(Duration) -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let left = patience.within.saturating_sub(begun.elapsed());
        let error = match ask(patience.each.min(left)).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if matches!(error, StoreError::Terminal(_)) || begun.elapsed() + pause >= patience.within {
            counts.errors.inc();
            return Err(error);
        }
        counts.retries.inc();
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const PATIENCE: Patience = Patience { within: Duration::from_secs(30), each: Duration::from_secs(2) };

    /// What comes of an error that is always the same: the tries, the time they took, and the counts.
    async fn always(error: StoreError) -> (u32, Duration, u64, u64) {
        let (tries, counts, begun) = (Cell::new(0), Counts::default(), Instant::now());
        let end: Result<(), _> = persist(PATIENCE, &counts, |limit| {
            assert!(!limit.is_zero() && limit <= PATIENCE.each, "{limit:?}");
            tries.set(tries.get() + 1);
            let error = error.clone();
            async { Err(error) }
        })
        .await;
        assert_eq!(end, Err(error));
        (tries.get(), begun.elapsed(), counts.retries.get(), counts.errors.get())
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_for_the_whole_time_with_growing_pauses() {
        for error in [StoreError::Retry("gone".into()), StoreError::Wait("loading".into())] {
            let (tries, took, retries, errors) = always(error).await;
            // After 0, 25, 75, 175 and 375 ms, then four a second.
            assert_eq!(tries, 123);
            assert!((Duration::from_secs(29)..PATIENCE.within).contains(&took), "{took:?}");
            assert_eq!((retries, errors), (122, 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_stays_is_not_tried_again() {
        let (tries, took, retries, errors) = always(StoreError::Terminal("no such table".into())).await;
        assert_eq!((tries, took, retries, errors), (1, Duration::ZERO, 0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_after_errors_is_no_error() {
        let (tries, counts) = (Cell::new(0), Counts::default());
        let answer = persist(PATIENCE, &counts, |_| {
            tries.set(tries.get() + 1);
            let answer = if tries.get() < 4 { Err(StoreError::Retry("gone".into())) } else { Ok(7) };
            async { answer }
        });
        assert_eq!(answer.await, Ok(7));
        assert_eq!((counts.retries.get(), counts.errors.get()), (3, 0));
    }
}

//! Awaiting conditions instead of sleeping.

use std::{
    fmt::Debug,
    future::Future,
    time::{Duration, Instant},
};

const POLL: Duration = Duration::from_millis(250);

/// Until the next look, after so long: what comes soon is seen soon, and what takes long is not asked for at every turn, which
/// the API server would feel.
fn pause(waited: Duration) -> Duration {
    (waited / 8).clamp(POLL, Duration::from_secs(1))
}

/// Polls `look` until `good` holds of what it returns, and returns that.
///
/// # Panics
/// When `deadline` passes first; the message carries `what` and the last value.
pub async fn eventually<T, F>(
    what: &str,
    deadline: Duration,
    mut look: impl FnMut() -> F,
    good: impl Fn(&T) -> bool,
) -> T
where
    T: Debug,
    F: Future<Output = T>,
{
    let start = Instant::now();
    loop {
        let value = look().await;
        if good(&value) {
            return value;
        }
        assert!(start.elapsed() < deadline, "not within {deadline:?}: {what}; last seen: {value:#?}");
        tokio::time::sleep(pause(start.elapsed())).await;
    }
}

/// Polls `look` for the whole of `time` and asserts that `good` holds each time.
///
/// # Panics
/// At the first value of which it does not hold.
pub async fn holds_for<T, F>(what: &str, time: Duration, mut look: impl FnMut() -> F, good: impl Fn(&T) -> bool)
where
    T: Debug,
    F: Future<Output = T>,
{
    let start = Instant::now();
    while start.elapsed() < time {
        let value = look().await;
        assert!(good(&value), "after {:?} no longer: {what}; seen: {value:#?}", start.elapsed());
        tokio::time::sleep(POLL).await;
    }
}

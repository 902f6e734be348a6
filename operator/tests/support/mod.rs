//! A real Prometheus on loopback, a target it scrapes, a proxy in front of it that can break, and a cluster in memory.

#![allow(dead_code, clippy::unwrap_used)] // Each test binary uses its own part; helpers fail as tests do.

pub mod cluster;
pub mod script;
pub mod server;
mod sigv4;
pub mod web;

use std::{
    future::Future,
    time::{Duration, Instant},
};

/// Waits until `check` gives something. Panics after `deadline` with what was waited for.
pub async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    deadline: Duration,
    mut check: impl FnMut() -> F,
) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(Instant::now() < end, "waited {deadline:?} in vain until {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

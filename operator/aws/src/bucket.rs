//! How many calls are made: one bucket of tokens per account, region and service, for all platforms together. Plain values,
//! with the time as an argument.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// A service of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Service {
    /// Databases.
    Rds,
    /// Caches.
    ElastiCache,
    /// Distributions.
    CloudFront,
}

/// What a limit of AWS's counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Spot {
    /// The account's number.
    pub account: String,
    /// The region.
    pub region: String,
    /// The service.
    pub service: Service,
}

/// How fast tokens come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Per second; above 0.
    pub per_second: f64,
    /// The most that are kept; at least 1.
    pub burst: f64,
}

/// A bucket of tokens, full when it is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    rate: Rate,
    tokens: f64,
    at: Timestamp,
}

impl Bucket {
    /// A full one.
    pub fn new(rate: Rate, now: Timestamp) -> Self {
        Self { rate, tokens: rate.burst, at: now }
    }

    /// Takes a token for one call.
    ///
    /// # Errors
    /// There is none: how long until there is. Nothing was taken.
    pub fn take(&mut self, now: Timestamp) -> Result<(), Duration> {
        // A clock that was set back gives nothing and takes nothing.
        let passed = now.duration_since(self.at).as_secs_f64().max(0.0);
        self.tokens = (self.tokens + passed * self.rate.per_second).min(self.rate.burst);
        self.at = self.at.max(now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        // Rounded up: a caller that waits as long as it is told finds a token.
        Err(Duration::from_millis(((1.0 - self.tokens) / self.rate.per_second * 1000.0).ceil() as u64 + 1))
    }
}

/// All buckets.
#[derive(Clone, Debug, PartialEq)]
pub struct Buckets {
    rate: Rate,
    buckets: BTreeMap<Spot, Bucket>,
}

impl Buckets {
    /// Buckets of this rate.
    pub fn new(rate: Rate) -> Self {
        Self { rate, buckets: BTreeMap::new() }
    }

    /// Takes a token for one call.
    ///
    /// # Errors
    /// There is none: how long until there is.
    pub fn take(&mut self, spot: &Spot, now: Timestamp) -> Result<(), Duration> {
        let bucket = self.buckets.entry(spot.clone()).or_insert_with(|| Bucket::new(self.rate, now));
        bucket.take(now)
    }
}

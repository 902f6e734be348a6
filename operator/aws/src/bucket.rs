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

impl Service {
    /// As AWS's ARNs name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rds => "rds",
            Self::ElastiCache => "elasticache",
            Self::CloudFront => "cloudfront",
        }
    }
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

    /// Takes tokens for so many calls: those of a whole round, so that no round stops half way for want of the rest. More than
    /// the bucket holds count as all that it holds.
    ///
    /// # Errors
    /// There are too few: how long until there are enough. Nothing was taken.
    pub fn take(&mut self, calls: u32, now: Timestamp) -> Result<(), Duration> {
        // A clock that was set back gives nothing and takes nothing.
        let passed = now.duration_since(self.at).as_secs_f64().max(0.0);
        self.tokens = (self.tokens + passed * self.rate.per_second).min(self.rate.burst);
        self.at = self.at.max(now);
        let wanted = f64::from(calls).min(self.rate.burst);
        if self.tokens >= wanted {
            self.tokens -= wanted;
            return Ok(());
        }
        // Rounded up: a caller that waits as long as it is told finds its tokens, where nobody else was faster.
        Err(Duration::from_millis(((wanted - self.tokens) / self.rate.per_second * 1000.0).ceil() as u64 + 1))
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

    /// Takes tokens for so many calls at one spot.
    ///
    /// # Errors
    /// There are too few: how long until there are enough. Nothing was taken.
    pub fn take(&mut self, spot: &Spot, calls: u32, now: Timestamp) -> Result<(), Duration> {
        let bucket = self.buckets.entry(spot.clone()).or_insert_with(|| Bucket::new(self.rate, now));
        bucket.take(calls, now)
    }
}

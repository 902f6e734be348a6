//! What AWS refused, how often and until when it is not asked again. Nothing is refused for ever.

use crate::{Class, Condition, Error, Kind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// Under which key stands what says something about the whole service.
const ALL: &str = "";
/// Under which key stands why the world could not be seen: until it is. No call has such a key.
const LOOKS: &str = "look";
/// How long after its time an error still counts as one of a row.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// An error that a call, or the service, gave last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// What it is.
    pub class: Class,
    /// AWS's words.
    pub message: String,
    /// How often in a row.
    pub attempts: u32,
    /// Of the platform, when it happened.
    pub generation: i64,
    /// When it is asked again.
    pub until: Timestamp,
}

/// The errors that hold, by call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Troubles(BTreeMap<String, Trouble>);

impl Troubles {
    /// Notes an error of the call with this key ([`crate::Call::key`]).
    pub fn note(&mut self, key: &str, error: &Error, generation: i64, now: Timestamp) {
        let key = if error.class().is_of_the_call() { key } else { ALL };
        self.set(key, error, generation, now);
    }

    fn set(&mut self, key: &str, error: &Error, generation: i64, now: Timestamp) -> Duration {
        let class = error.class();
        let former = self.0.get(key).filter(|former| former.class == class && former.generation == generation);
        let attempts = former.map_or(1, |former| former.attempts.saturating_add(1));
        let delay = class.delay(attempts);
        let until = later(now, delay);
        self.0.insert(key.to_owned(), Trouble { class, message: error.to_string(), attempts, generation, until });
        delay
    }

    /// Forgets what a call that succeeded has refuted.
    pub fn clear(&mut self, key: &str) {
        self.0.remove(key);
        self.0.remove(ALL);
    }

    /// How long the call with this key is not sent. A changed wish is tried at once where it was the wish that was refused.
    pub fn holds(&self, key: &str, generation: i64, now: Timestamp) -> Option<Duration> {
        let holds = |trouble: &&Trouble| {
            now < trouble.until && (trouble.class != Class::User || trouble.generation == generation)
        };
        let until =
            [ALL, key].iter().filter_map(|key| self.0.get(*key)).filter(holds).map(|trouble| trouble.until).max()?;
        Some(Duration::from_secs_f64(until.duration_since(now).as_secs_f64().max(0.0)))
    }

    /// Notes that the world could not be seen, and says when to look again.
    pub fn unseen(&mut self, error: &Error, generation: i64, now: Timestamp) -> Duration {
        self.set(LOOKS, error, generation, now)
    }

    /// The world was seen. Keeps what says something about one of these calls, and for a while what says something about the
    /// service.
    pub(crate) fn retain(&mut self, keys: &[String], now: Timestamp) {
        let is_fresh = |trouble: &Trouble| now < later(trouble.until, FORGOTTEN);
        self.0.retain(|key, trouble| match key.as_str() {
            ALL => is_fresh(trouble),
            LOOKS => false,
            key => keys.iter().any(|of| of == key),
        });
    }

    /// What the user is told.
    pub fn conditions(&self) -> impl Iterator<Item = Condition> {
        self.0.values().filter_map(|trouble| {
            let kind = match trouble.class {
                Class::User => Kind::Refused,
                Class::Capacity => Kind::NoCapacity,
                Class::Permission => Kind::PermissionDenied,
                _ => Kind::Unavailable,
            };
            let told = trouble.class.told_after().is_some_and(|after| trouble.attempts >= after);
            told.then(|| Condition::is(kind, trouble.message.clone()))
        })
    }
}

/// A time from now; the end of time where there is none.
pub(crate) fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

//! Passwords that change while clients use them. Pure.
//!
//! How far a change is stands in the Secret alone, so that it goes on wherever it was cut:
//! 1. `next…` holds the password that comes. The servers are taught it beside the present one; no client has it yet.
//! 2. Once it works on all of them it is published: it becomes `password`, and the one before it is kept as `previous…`.
//!    The apps' Secrets follow, and each app is replaced by one rollout.
//! 3. When no pod of an app is left from before, and a grace has passed, the former one is dropped.
//!
//! A cache has two passwords at a time, a database two roles, each with a password of its own.

pub mod apps;

use super::auth::Passwords;
use k8s_openapi::jiff::Timestamp;
use std::time::Duration;

/// Key of the Secret: the password that clients use.
pub const PASSWORD: &str = "password";
/// Key of the Secret: the role that clients use; of databases.
pub const USERNAME: &str = "username";
/// Key of the Secret of a cache: the password that comes.
pub const NEXT: &str = "next";
/// Key of the Secret of a cache: the password that goes.
pub const PREVIOUS: &str = "previous";
/// Key of the Secret of a cache: the password that clients have been given, to tell an edit of `password`.
pub const PUBLISHED: &str = "published";
/// Key of the Secret of a database: the role that comes.
pub const NEXT_USERNAME: &str = "nextUsername";
/// Key of the Secret of a database: its password.
pub const NEXT_PASSWORD: &str = "nextPassword";
/// Key of the Secret of a database: the role that goes.
pub const PREVIOUS_USERNAME: &str = "previousUsername";
/// Key of the Secret of a database: the role that is gone, and shall not be able to log in.
pub const RETIRED_USERNAME: &str = "retiredUsername";
/// Key of the Secret: the request that was taken up last.
pub const REQUEST: &str = "request";
/// Key of the Secret: when the change that is under way, or was last, began.
pub const BEGUN: &str = "begun";
/// Key of the Secret: since when clients are given the present password.
pub const CHANGED: &str = "changed";
/// Key of the Secret: when the last pod from before the change was seen to be gone.
pub const REPLACED: &str = "replaced";

/// How long after its beginning a change is published at the earliest (P): changes that were asked for together are then
/// published together, and the apps that use several of the stores are replaced once.
const TOGETHER: Duration = Duration::from_secs(10);
/// How long a former password goes on being accepted when no pod of an app is left that was given it (P): for what is not
/// seen here, a job say.
const GRACE: Duration = Duration::from_secs(30);
/// How long the pods of a cache may have the former password in their mounted files, by which their probes log in (P): a
/// kubelet renews the files at each sync of a pod, every 60 to 90 s by default (`syncFrequency`).
const MOUNTED: Duration = Duration::from_secs(120);

/// What a store knows clients by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logins<'a> {
    /// One user with several passwords.
    Passwords,
    /// Two roles that take turns.
    Roles(&'a [String; 2]),
}

/// How far a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// None is under way.
    Settled,
    /// The servers are taught the next password.
    Spreading,
    /// Clients are given the next one, and the former is still accepted.
    Published,
}

/// What a step depends on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The time.
    pub now: Timestamp,
    /// What the user asks for, if anything: each new word once.
    pub request: Option<&'a str>,
    /// Time from one change to the next.
    pub every: Option<Duration>,
    /// The password that a Secret of the user's own gives: then nothing else changes it.
    pub given: Option<&'a str>,
    /// Whether a change may begin, and may be published so that apps are replaced. False while voluntary rollouts are
    /// forbidden.
    pub may_begin: bool,
    /// Whether the store has served, so that there are clients.
    pub has_served: bool,
    /// Whether the next password works on every server.
    pub works: bool,
    /// Apps that have pods which were given the former password, or that will still make such.
    pub waiting: &'a [String],
}

/// How far the change of a Secret's password is.
pub fn phase(logins: Logins<'_>, secret: &Passwords) -> Phase {
    let (next, previous) = match logins {
        Logins::Passwords => (NEXT, PREVIOUS),
        Logins::Roles(_) => (NEXT_USERNAME, PREVIOUS_USERNAME),
    };
    match (secret.text(previous), secret.text(next)) {
        (Some(_), _) => Phase::Published,
        (None, Some(_)) => Phase::Spreading,
        (None, None) => Phase::Settled,
    }
}

/// The Secret after the next step; as it is where there is none to take. `make` makes a password.
pub fn step(
    logins: Logins<'_>,
    secret: &Passwords,
    facts: &Facts<'_>,
    make: impl FnOnce() -> Option<String>,
) -> Passwords {
    let mut after = secret.clone();
    if logins == Logins::Passwords {
        take_up(&mut after, facts.given);
    }
    if after.text(CHANGED).is_none() {
        // The password is new: what is asked for so far is done.
        after.set(CHANGED, &rfc3339(facts.now));
        after.set(REQUEST, facts.request.unwrap_or_default());
    }
    match phase(logins, &after) {
        Phase::Settled if facts.may_begin && is_due(&after, facts) => {
            if let Some(made) = make() {
                begin(logins, &mut after, &made);
                after.set(BEGUN, &rfc3339(facts.now));
                if let Some(word) = facts.request {
                    after.set(REQUEST, word);
                }
            }
        }
        Phase::Spreading if facts.may_begin && facts.works && together(&after) <= facts.now => {
            publish(logins, &mut after);
            after.set(CHANGED, &rfc3339(facts.now));
            after.clear(REPLACED);
        }
        Phase::Published if facts.waiting.is_empty() => match drop_at(logins, &after) {
            None => after.set(REPLACED, &rfc3339(facts.now)),
            Some(at) if at <= facts.now => drop_former(logins, &mut after),
            Some(_) => {}
        },
        _ => {}
    }
    after
}

/// A password that somebody else wrote is the next one. Where it was written over the present one, that comes back until the
/// servers know the new one.
fn take_up(secret: &mut Passwords, given: Option<&str>) {
    // Editors and echo leave a line's end.
    let password = secret.text(PASSWORD).map(|password| password.trim_end_matches(['\r', '\n']).to_owned());
    let Some(password) = password.filter(|password| !password.is_empty()) else { return };
    let published = secret.text(PUBLISHED).unwrap_or(&password).to_owned();
    if password != published {
        secret.set(NEXT, &password);
    }
    match given {
        Some(given) if given != published => secret.set(NEXT, given),
        // Taken back before anybody was given it.
        Some(_) => secret.clear(NEXT),
        None => {}
    }
    secret.set(PASSWORD, &published);
    secret.set(PUBLISHED, &published);
}

/// Whether the user asks for a new password, or it is time for one.
fn is_due(secret: &Passwords, facts: &Facts<'_>) -> bool {
    if facts.given.is_some() || !facts.has_served {
        return false;
    }
    let asked = facts.request.is_some_and(|word| secret.text(REQUEST) != Some(word));
    let due = facts.every.zip(time(secret, CHANGED)).map(|(every, changed)| plus(changed, every));
    let old = due.is_some_and(|due| due <= facts.now);
    asked || old
}

fn begin(logins: Logins<'_>, secret: &mut Passwords, made: &str) {
    match logins {
        Logins::Passwords => secret.set(NEXT, made),
        Logins::Roles([a, b]) => {
            let next = if secret.text(USERNAME) == Some(a) { b } else { a };
            secret.set(NEXT_USERNAME, next);
            secret.set(NEXT_PASSWORD, made);
        }
    }
}

fn publish(logins: Logins<'_>, secret: &mut Passwords) {
    match logins {
        Logins::Passwords => {
            secret.shift(PASSWORD, PREVIOUS);
            secret.shift(NEXT, PASSWORD);
            let published = secret.text(PASSWORD).unwrap_or_default().to_owned();
            secret.set(PUBLISHED, &published);
        }
        Logins::Roles(_) => {
            secret.shift(USERNAME, PREVIOUS_USERNAME);
            secret.shift(NEXT_USERNAME, USERNAME);
            secret.shift(NEXT_PASSWORD, PASSWORD);
            secret.clear(RETIRED_USERNAME);
        }
    }
}

fn drop_former(logins: Logins<'_>, secret: &mut Passwords) {
    match logins {
        Logins::Passwords => secret.clear(PREVIOUS),
        Logins::Roles(_) => secret.shift(PREVIOUS_USERNAME, RETIRED_USERNAME),
    }
}

/// When a change may be published.
fn together(secret: &Passwords) -> Timestamp {
    time(secret, BEGUN).map_or(Timestamp::MIN, |begun| plus(begun, TOGETHER))
}

/// When the former password is dropped; None before all apps were seen to have changed over.
fn drop_at(logins: Logins<'_>, secret: &Passwords) -> Option<Timestamp> {
    let changed = time(secret, CHANGED);
    // One from before the change speaks of the change before it.
    let replaced = time(secret, REPLACED).filter(|at| changed.is_none_or(|changed| *at >= changed))?;
    let graced = plus(replaced, GRACE);
    Some(match (logins, changed) {
        (Logins::Passwords, Some(changed)) => graced.max(plus(changed, MOUNTED)),
        _ => graced,
    })
}

/// What is told of a change that is under way, or that waits; None where there is none.
pub fn told(logins: Logins<'_>, secret: &Passwords, facts: &Facts<'_>) -> Option<String> {
    let held = "waits, because nothing may replace the apps' pods now";
    Some(match phase(logins, secret) {
        Phase::Settled if is_due(secret, facts) => format!("a change of the password {held}"),
        Phase::Settled => return None,
        Phase::Spreading if facts.works && !facts.may_begin => {
            format!("the next password works on every server; the change {held}")
        }
        Phase::Spreading => "the servers are taught the next password".to_owned(),
        Phase::Published if !facts.waiting.is_empty() => {
            format!("the apps change over to the new password: waiting for the rollout of {}", facts.waiting.join(", "))
        }
        Phase::Published => match drop_at(logins, secret) {
            Some(at) => format!("all apps have the new password; the former one is accepted until {}", rfc3339(at)),
            None => "the apps are given the new password".to_owned(),
        },
    })
}

/// The word of the annotation for an item: `<item>=<word>` before a word for all.
pub fn request<'a>(annotation: &'a str, item: &str) -> Option<&'a str> {
    let words = || annotation.split(',').map(str::trim).filter(|word| !word.is_empty());
    let own = words().filter_map(|word| word.split_once('=')).find(|(name, _)| name.trim() == item);
    let own = own.map(|(_, word)| word.trim()).filter(|word| !word.is_empty());
    own.or_else(|| words().find(|word| !word.contains('=')))
}

/// Since when clients are given the present password.
pub fn changed(secret: &Passwords) -> Option<Timestamp> {
    time(secret, CHANGED)
}

fn time(secret: &Passwords, key: &str) -> Option<Timestamp> {
    secret.text(key)?.parse().ok()
}

/// Whole seconds, as the API has them.
pub fn rfc3339(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

fn plus(at: Timestamp, duration: Duration) -> Timestamp {
    at.checked_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;

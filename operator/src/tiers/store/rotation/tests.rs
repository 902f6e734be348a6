//! From what the Secret holds and what is seen to what it holds next.

use super::*;
use Logins::Roles;

const HOUR: Duration = Duration::from_secs(3600);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn said(seconds: i64) -> String {
    rfc3339(at(seconds))
}

fn roles() -> [String; 2] {
    postgres::pair("app")
}

fn secret(values: &[(&str, &str)]) -> Passwords {
    values.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
}

/// The Secret with other values; an empty one is none.
fn with(secret: &Passwords, values: &[(&str, &str)]) -> Passwords {
    let mut secret = secret.clone();
    for (key, value) in values {
        secret.set(key, value);
    }
    secret
}

fn cache() -> Passwords {
    secret(&[("password", "p1"), ("published", "p1"), ("request", ""), ("changed", &said(0))])
}

fn database() -> Passwords {
    secret(&[
        ("username", "app_a"),
        ("password", "p1"),
        ("operatorPassword", "o"),
        ("operatorVerifier", "ov"),
        ("replicationPassword", "r"),
        ("replicationVerifier", "rv"),
        ("request", ""),
        ("changed", &said(0)),
    ])
}

fn facts(seconds: i64) -> Facts<'static> {
    Facts {
        now: at(seconds),
        request: None,
        every: None,
        given: None,
        may_begin: true,
        has_served: true,
        works: false,
        waiting: &[],
    }
}

fn asked(seconds: i64) -> Facts<'static> {
    Facts { request: Some("monday"), ..facts(seconds) }
}

/// What a Secret holds, empty values aside.
fn held(passwords: &Passwords) -> Vec<(&str, &str)> {
    passwords.keys().filter_map(|key| Some((key.as_str(), passwords.text(key)?))).collect()
}

fn stepped(logins: Logins<'_>, before: &Passwords, facts: &Facts<'_>) -> Passwords {
    step(logins, before, facts, || Some("made".to_owned()))
}

#[track_caller]
fn leads(logins: Logins<'_>, before: &Passwords, facts: &Facts<'_>, after: &Passwords) {
    let found = stepped(logins, before, facts);
    assert_eq!(held(&found), held(after), "{facts:?}");
}

#[test]
fn a_change_begins_when_it_is_asked_for_or_due_and_not_otherwise() {
    let roles = roles();
    for (logins, before, next) in [
        (Logins::Passwords, cache(), vec![("next", "made")]),
        (Roles(&roles), database(), vec![("nextUsername", "app_b"), ("nextPassword", "made")]),
    ] {
        let begun = |seconds, word| with(&with(&before, &next), &[("begun", &said(seconds)), ("request", word)]);
        leads(logins, &before, &facts(100), &before);
        leads(logins, &before, &asked(100), &begun(100, "monday"));
        // Once for each word.
        let done = with(&before, &[("request", "monday")]);
        leads(logins, &done, &asked(100), &done);
        leads(logins, &done, &facts(100), &done);
        leads(logins, &done, &Facts { request: Some("tuesday"), ..facts(100) }, &begun(100, "tuesday"));

        let every = Facts { every: Some(HOUR), ..facts(3599) };
        leads(logins, &before, &every, &before);
        leads(logins, &before, &Facts { now: at(3600), ..every }, &begun(3600, ""));
        // What is done for one reason is done for the other, too.
        leads(logins, &before, &Facts { every: Some(HOUR), ..asked(3600) }, &begun(3600, "monday"));

        for held in [
            Facts { may_begin: false, ..asked(100) },
            Facts { has_served: false, ..asked(100) },
            Facts { every: Some(HOUR), may_begin: false, ..facts(9999) },
        ] {
            leads(logins, &before, &held, &before);
        }
        // Without randomness there is no password.
        assert_eq!(held(&step(logins, &before, &asked(100), || None)), held(&before));
    }
}

#[test]
fn a_new_secret_is_no_change_and_what_was_asked_before_it_is_done() {
    let roles = roles();
    for (logins, made, first) in [
        (Logins::Passwords, secret(&[("password", "p1")]), vec![("published", "p1")]),
        (Roles(&roles), secret(&[("username", "app_a"), ("password", "p1")]), vec![]),
    ] {
        let first = with(&made, &first);
        leads(logins, &made, &facts(7), &with(&first, &[("changed", &said(7))]));
        let first = with(&first, &[("changed", &said(7)), ("request", "monday")]);
        leads(logins, &made, &Facts { has_served: false, every: Some(HOUR), ..asked(7) }, &first);
        leads(logins, &first, &asked(8), &first);
    }
}

#[test]
fn a_cache_goes_over_to_the_next_password_step_by_step() {
    let spreading = with(&cache(), &[("next", "made"), ("request", "monday"), ("begun", &said(-5))]);
    leads(Logins::Passwords, &spreading, &asked(5), &spreading);
    leads(Logins::Passwords, &spreading, &Facts { works: true, ..asked(4) }, &spreading);
    leads(Logins::Passwords, &spreading, &Facts { works: true, may_begin: false, ..asked(5) }, &spreading);
    let published = with(
        &spreading,
        &[("password", "made"), ("published", "made"), ("previous", "p1"), ("next", ""), ("changed", &said(5))],
    );
    leads(Logins::Passwords, &spreading, &Facts { works: true, ..asked(5) }, &published);

    let waits = ["web".to_owned()];
    leads(Logins::Passwords, &published, &Facts { waiting: &waits, ..asked(900) }, &published);
    let replaced = with(&published, &[("replaced", &said(9))]);
    leads(Logins::Passwords, &published, &asked(9), &replaced);
    // The grace is over, but the probes of the pods may not have the new password yet.
    leads(Logins::Passwords, &replaced, &asked(9 + 30), &replaced);
    leads(Logins::Passwords, &replaced, &asked(5 + 119), &replaced);
    // A pod that has not gone holds it up again.
    leads(Logins::Passwords, &replaced, &Facts { waiting: &waits, ..asked(5 + 120) }, &replaced);
    let settled = with(&replaced, &[("previous", "")]);
    leads(Logins::Passwords, &replaced, &asked(5 + 120), &settled);
    leads(Logins::Passwords, &settled, &asked(500), &settled);

    // Apps that take long: the grace counts from the last of them.
    let late = with(&published, &[("replaced", &said(1000))]);
    leads(Logins::Passwords, &late, &asked(1029), &late);
    leads(Logins::Passwords, &late, &asked(1030), &with(&late, &[("previous", "")]));

    // The time at which apps were replaced the last time does not count for the next change.
    let again = with(&settled, &[("next", "p3"), ("request", "tuesday"), ("begun", &said(1990))]);
    let again = stepped(Logins::Passwords, &again, &Facts { works: true, ..facts(2000) });
    assert_eq!(
        (again.text("password"), again.text("previous"), again.text("replaced")),
        (Some("p3"), Some("made"), None)
    );
    let stale = with(&again, &[("replaced", &said(9))]);
    leads(Logins::Passwords, &stale, &facts(5000), &with(&stale, &[("replaced", &said(5000))]));
}

#[test]
fn a_database_goes_over_to_its_other_role_and_back() {
    let (roles, waits) = (roles(), ["web".to_owned()]);
    let logins = Roles(&roles);
    let spreading = with(&database(), &[("nextUsername", "app_b"), ("nextPassword", "made"), ("request", "monday")]);
    leads(logins, &spreading, &asked(5), &spreading);
    let published = with(
        &spreading,
        &[
            ("username", "app_b"),
            ("password", "made"),
            ("previousUsername", "app_a"),
            ("nextUsername", ""),
            ("nextPassword", ""),
            ("changed", &said(5)),
        ],
    );
    leads(logins, &spreading, &Facts { works: true, ..asked(5) }, &published);
    leads(logins, &published, &Facts { waiting: &waits, ..asked(900) }, &published);
    let replaced = with(&published, &[("replaced", &said(9))]);
    leads(logins, &published, &asked(9), &replaced);
    leads(logins, &replaced, &asked(38), &replaced);
    let settled = with(&replaced, &[("previousUsername", ""), ("retiredUsername", "app_a")]);
    leads(logins, &replaced, &asked(39), &settled);

    let tuesday = Facts { request: Some("tuesday"), ..facts(100) };
    let back = stepped(logins, &settled, &tuesday);
    assert_eq!((back.text("nextUsername"), back.text("retiredUsername")), (Some("app_a"), Some("app_a")));
    let back = stepped(logins, &back, &Facts { works: true, now: at(110), ..tuesday });
    assert_eq!((back.text("username"), back.text("previousUsername")), (Some("app_a"), Some("app_b")));
    assert_eq!(back.text("retiredUsername"), None, "the role of the apps may log in");
}

#[test]
fn a_request_waits_for_the_end_of_the_change_before_it() {
    let roles = roles();
    let spreading = [
        (Logins::Passwords, with(&cache(), &[("next", "p2"), ("request", "monday")])),
        (Roles(&roles), with(&database(), &[("nextUsername", "app_b"), ("nextPassword", "p2"), ("request", "monday")])),
    ];
    for (logins, mut secret) in spreading {
        let mut seen = vec![phase(logins, &secret)];
        for seconds in (0..1000).step_by(10) {
            let now = Facts { request: Some("tuesday"), every: Some(HOUR), works: true, ..facts(seconds) };
            secret = stepped(logins, &secret, &now);
            if seen.last() != Some(&phase(logins, &secret)) {
                seen.push(phase(logins, &secret));
            }
        }
        use Phase::{Published, Settled, Spreading};
        assert_eq!(seen, [Spreading, Published, Settled, Spreading, Published, Settled]);
        assert_eq!((secret.text("request"), secret.text("password")), (Some("tuesday"), Some("made")));
        for key in ["operatorPassword", "operatorVerifier", "replicationPassword", "replicationVerifier"] {
            assert_eq!(
                secret.text(key),
                database().text(key).filter(|_| logins != Logins::Passwords),
                "{key} is never changed"
            );
        }
    }
}

/// A password that somebody writes into the generated Secret of a cache, and one that a Secret of their own gives.
#[test]
fn a_password_from_elsewhere_of_a_cache_is_taught_before_it_is_published() {
    let edited = with(&cache(), &[("password", "mine\n")]);
    let spreading = with(&cache(), &[("next", "mine")]);
    leads(Logins::Passwords, &edited, &facts(5), &spreading);
    leads(Logins::Passwords, &edited, &Facts { may_begin: false, ..facts(5) }, &spreading);
    let given = |given| Facts { given: Some(given), ..facts(5) };
    leads(Logins::Passwords, &cache(), &given("mine"), &spreading);
    leads(Logins::Passwords, &cache(), &given("p1"), &cache());
    // Nothing else changes it then.
    leads(Logins::Passwords, &cache(), &Facts { given: Some("p1"), every: Some(HOUR), ..asked(9999) }, &cache());
    // Theirs is the one that counts, and may be another one by now, or the old one.
    leads(Logins::Passwords, &edited, &given("p1"), &cache());
    leads(Logins::Passwords, &spreading, &given("other"), &with(&spreading, &[("next", "other")]));
    leads(Logins::Passwords, &spreading, &given("p1"), &cache());
    let published = stepped(Logins::Passwords, &spreading, &Facts { works: true, ..given("mine") });
    assert_eq!((published.text("password"), published.text("previous")), (Some("mine"), Some("p1")));

    // Written while a change is under way it comes after that.
    let published = with(&cache(), &[("previous", "p0"), ("replaced", &said(1))]);
    let edited = with(&published, &[("password", "mine")]);
    let queued = with(&published, &[("next", "mine")]);
    leads(Logins::Passwords, &edited, &facts(5), &queued);
    assert_eq!(phase(Logins::Passwords, &queued), Phase::Published);
    let settled = stepped(Logins::Passwords, &queued, &facts(300));
    assert_eq!((phase(Logins::Passwords, &settled), settled.text("next")), (Phase::Spreading, Some("mine")));

    // Of a database the keeper sets it.
    let roles = roles();
    let edited = with(&database(), &[("password", "mine")]);
    leads(Roles(&roles), &edited, &facts(5), &edited);
}

/// Whatever is interrupted, and however often a step is taken again: the password of the clients is one that the servers accept.
#[test]
fn nobody_is_given_a_password_before_it_works_or_after_it_is_dropped() {
    let waits = ["web".to_owned()];
    let mut random = 7_u64;
    let mut chance = |of: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33).is_multiple_of(of)
    };
    let mut secret = cache();
    // What the servers accept, and since when the pods of apps have been what they are.
    let mut accepted = vec!["p1".to_owned()];
    let (mut pods, mut changes) = ("p1".to_owned(), 0);
    for round in 0..5000_i64 {
        let word = (round / 100).to_string();
        let works = secret.text("next").is_some_and(|next| accepted.iter().any(|known| known == next));
        let behind = secret.text("password") != Some(pods.as_str());
        let now = Facts {
            request: Some(&word),
            works,
            waiting: if behind { &waits } else { &[] },
            may_begin: !chance(5),
            ..facts(round * 20)
        };
        let after = step(Logins::Passwords, &secret, &now, || Some(format!("p-{round}")));
        // A write that fails.
        if !chance(3) {
            changes += u32::from(after.text("password") != secret.text("password"));
            secret = after;
        }
        let present = secret.text("password").unwrap();
        assert!(accepted.iter().any(|known| known == present), "{round}: clients are given what does not work");
        assert!(accepted.contains(&pods), "{round}: pods have what is no longer accepted");
        // A rollout, and a round of the keeper.
        if chance(4) {
            pods = present.to_owned();
        }
        if chance(2) {
            let kept = ["password", "next", "previous"].into_iter().filter_map(|key| secret.text(key));
            accepted = kept.map(str::to_owned).collect();
        }
    }
    assert!(changes > 20, "{changes}");
}

#[test]
fn the_word_of_an_item_comes_before_that_for_all() {
    for (annotation, expected) in [
        ("", None),
        ("monday", Some("monday")),
        ("main=tuesday", None),
        ("cache=tuesday", Some("tuesday")),
        (" main = 1 , cache = 2 ", Some("2")),
        ("monday,main=1", Some("monday")),
        ("monday,cache=3", Some("3")),
        ("cache=", None),
        ("2026-01-01T10:00:00Z", Some("2026-01-01T10:00:00Z")),
    ] {
        assert_eq!(request(annotation, "cache"), expected, "{annotation}");
    }
}

#[test]
fn what_is_told_does_not_change_with_time_and_names_no_password() {
    let waits = ["web".to_owned(), "worker".to_owned()];
    let spreading = with(&cache(), &[("next", "p2")]);
    let published = with(&cache(), &[("previous", "p0")]);
    let replaced = with(&published, &[("replaced", &said(200))]);
    let until = said(230);
    for (secret, facts, expected) in [
        (&cache(), facts(9), None),
        (&cache(), Facts { may_begin: false, ..asked(9) }, Some("a change of the password waits")),
        (&spreading, facts(9), Some("the servers are taught the next password")),
        (
            &spreading,
            Facts { works: true, may_begin: false, ..facts(9) },
            Some("works on every server; the change waits"),
        ),
        (&published, Facts { waiting: &waits, ..facts(9) }, Some("waiting for the rollout of web, worker")),
        (&replaced, facts(201), Some(until.as_str())),
        (&replaced, facts(229), Some(until.as_str())),
    ] {
        let found = told(Logins::Passwords, secret, &facts);
        let matches = match (&found, expected) {
            (Some(found), Some(expected)) => found.contains(expected) && !found.contains("p0") && !found.contains("p2"),
            (found, expected) => found.is_none() && expected.is_none(),
        };
        assert!(matches, "{found:?} is not {expected:?}");
    }
    assert!(!format!("{:?}", cache()).contains("p1"));
}

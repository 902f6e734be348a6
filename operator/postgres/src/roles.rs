//! The roles of owners and apps, and rotation between two logins. Pure, but for the salt of a verifier.
//!
//! PostgreSQL keeps one password per role, so passwords are rotated between two roles that become the same owner:
//! 1. the caller makes a password for the other role and wishes it [`Other::Prepared`]; [`Step::Publish`] says that it works;
//! 2. the caller writes the apps' Secret with it and swaps the two in the wish, the old one [`Other::Kept`]; apps are rolled,
//!    and [`Step::Draining`] says how many sessions the old one still has;
//! 3. after a grace period the caller wishes the old one [`Other::Retired`], and it can no longer log in.
//!
//! Each step can be repeated, and none ends a session.

use crate::{
    decide::Act,
    model::{Database, Login, Other, Password, is_reserved},
    seen::{LoginProbe, PrimarySeen},
};

/// The two roles between which the passwords of `base` are rotated.
pub fn pair(base: &str) -> [String; 2] {
    ["a", "b"].map(|side| format!("{base}_{side}"))
}

/// The SCRAM-SHA-256 verifier of a password, with a new salt each time: what stands in SQL and in the pod's files.
pub fn verifier(password: &Password) -> String {
    postgres_protocol::password::scram_sha_256(password.reveal().as_bytes())
}

/// How far a login's rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing is rotated.
    Steady,
    /// The next password does not work yet.
    Preparing,
    /// The next password works: it may be published.
    Publish,
    /// The old role still works, and has so many sessions.
    Draining(u32),
    /// The old role shall no longer log in, and still can.
    Retiring,
}

/// Owners and databases that are missing.
pub(crate) fn databases(databases: &[Database], primary: &PrimarySeen) -> Vec<Act> {
    let mut acts = Vec::new();
    for Database { name, owner, .. } in databases {
        let make = Act::CreateOwner { role: owner.clone() };
        if !is_reserved(owner) && !primary.roles.contains_key(owner) && !acts.contains(&make) {
            acts.push(make);
        }
        if !primary.databases.contains(name) {
            acts.push(Act::CreateDatabase { name: name.clone(), owner: owner.clone() });
        }
    }
    acts
}

/// What must be done to the roles of a login.
pub(crate) fn login(login: &Login, primary: &PrimarySeen) -> Vec<Act> {
    let mut acts = Vec::new();
    if let Some(password) = &login.password {
        acts.extend(enable(&login.role, &login.owner, password, primary));
    }
    match &login.other {
        Some((role, Other::Prepared(password))) => acts.extend(enable(role, &login.owner, password, primary)),
        Some((role, Other::Retired)) if *role != login.role && !is_reserved(role) && can_log_in(role, primary) => {
            acts.push(Act::DisableLogin { role: role.clone() });
        }
        _ => {}
    }
    acts
}

/// How far its rotation is.
pub(crate) fn step(login: &Login, primary: &PrimarySeen) -> Step {
    let Some((role, other)) = &login.other else { return Step::Steady };
    match other {
        Other::Prepared(_) if works(role, &login.owner, primary) == Some(true) => Step::Publish,
        Other::Prepared(_) => Step::Preparing,
        Other::Kept if can_log_in(role, primary) => {
            Step::Draining(primary.roles.get(role).map_or(0, |role| role.sessions))
        }
        Other::Retired if can_log_in(role, primary) => Step::Retiring,
        Other::Kept | Other::Retired => Step::Steady,
    }
}

/// Whether a role can be used with the password wished; none where that was not learnt.
pub(crate) fn works(role: &str, owner: &str, primary: &PrimarySeen) -> Option<bool> {
    let complete = primary
        .roles
        .get(role)
        .is_some_and(|seen| seen.login && seen.member_of.contains(owner) && seen.becomes.as_deref() == Some(owner));
    match primary.logins.get(role) {
        _ if !complete => Some(false),
        Some(LoginProbe::Works) => Some(true),
        Some(LoginProbe::Refused) => Some(false),
        Some(LoginProbe::Unknown) | None => None,
    }
}

fn can_log_in(role: &str, primary: &PrimarySeen) -> bool {
    primary.roles.get(role).is_some_and(|seen| seen.login)
}

/// Unknown is not refused: nothing is done on what was not learnt.
fn enable(role: &str, owner: &str, password: &Password, primary: &PrimarySeen) -> Option<Act> {
    (!is_reserved(role) && !is_reserved(owner) && works(role, owner, primary) == Some(false))
        .then(|| Act::EnableLogin { role: role.to_owned(), owner: owner.to_owned(), password: password.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::RoleSeen;

    fn seen(logins: &[(&str, bool, LoginProbe)]) -> PrimarySeen {
        let mut primary = PrimarySeen::default();
        for (role, login, probe) in logins {
            let becomes = Some("owner".to_owned());
            let role_seen = RoleSeen { login: *login, member_of: ["owner".into()].into(), becomes, sessions: 2 };
            primary.roles.insert((*role).to_owned(), role_seen);
            primary.logins.insert((*role).to_owned(), *probe);
        }
        primary
    }

    fn wish(role: &str, password: Option<&str>, other: Option<(&str, Other)>) -> Login {
        let other = other.map(|(role, other)| (role.to_owned(), other));
        Login { role: role.into(), owner: "owner".into(), password: password.map(Password::new), other }
    }

    fn enable_act(role: &str, password: &str) -> Act {
        Act::EnableLogin { role: role.into(), owner: "owner".into(), password: Password::new(password) }
    }

    #[test]
    fn passwords_are_set_where_they_are_refused_and_nowhere_else() {
        use LoginProbe::{Refused, Unknown, Works};
        let set = vec![enable_act("web_a", "x")];
        for (login, primary, acts) in [
            (wish("web_a", Some("x"), None), seen(&[]), set.clone()),
            (wish("web_a", Some("x"), None), seen(&[("web_a", true, Works)]), vec![]),
            (wish("web_a", Some("x"), None), seen(&[("web_a", true, Refused)]), set.clone()),
            (wish("web_a", Some("x"), None), seen(&[("web_a", true, Unknown)]), vec![]),
            (wish("web_a", Some("x"), None), seen(&[("web_a", false, Works)]), set),
            // The Secret is missing.
            (wish("web_a", None, None), seen(&[("web_a", true, Refused)]), vec![]),
            (wish("web_a", None, None), seen(&[]), vec![]),
        ] {
            assert_eq!(super::login(&login, &primary), acts, "{login:?} {primary:?}");
        }
        for role in ["postgres", "lp_operator", "lp_replication", "pg_monitor"] {
            let login = wish(role, Some("x"), Some((role, Other::Prepared(Password::new("y")))));
            assert_eq!(super::login(&login, &seen(&[])), [], "{role}");
            let login = wish("web_a", None, Some((role, Other::Retired)));
            assert_eq!(super::login(&login, &seen(&[(role, true, Works)])), [], "{role}");
        }
    }

    #[test]
    fn a_rotation_goes_step_by_step() {
        use LoginProbe::{Refused, Works};
        let old = ("web_a", true, Works);
        let prepared = wish("web_a", Some("x"), Some(("web_b", Other::Prepared(Password::new("y")))));
        assert_eq!(login(&prepared, &seen(&[old])), [enable_act("web_b", "y")]);
        assert_eq!(step(&prepared, &seen(&[old])), Step::Preparing);
        assert_eq!(step(&prepared, &seen(&[old, ("web_b", true, Refused)])), Step::Preparing);
        let both = seen(&[old, ("web_b", true, Works)]);
        assert_eq!((login(&prepared, &both), step(&prepared, &both)), (vec![], Step::Publish));

        let published = wish("web_b", Some("y"), Some(("web_a", Other::Kept)));
        assert_eq!((login(&published, &both), step(&published, &both)), (vec![], Step::Draining(2)));

        let retired = wish("web_b", Some("y"), Some(("web_a", Other::Retired)));
        let disable = Act::DisableLogin { role: "web_a".into() };
        assert_eq!((login(&retired, &both), step(&retired, &both)), (vec![disable], Step::Retiring));
        let done = seen(&[("web_a", false, Refused), ("web_b", true, Works)]);
        assert_eq!((login(&retired, &done), step(&retired, &done)), (vec![], Step::Steady));

        // Whatever the wish says, the login that apps use is not disabled.
        let wrong = wish("web_b", Some("y"), Some(("web_b", Other::Retired)));
        assert_eq!(login(&wrong, &both), []);
    }

    #[test]
    fn a_verifier_holds_no_password_and_a_password_prints_as_nothing() {
        let password = Password::new("correct horse");
        let verifier = verifier(&password);
        assert!(verifier.starts_with("SCRAM-SHA-256$4096:") && !verifier.contains("horse"), "{verifier}");
        assert!(!format!("{password:?} {:?}", enable_act("web_a", "horse")).contains("horse"));
    }
}

//! The login of the apps, wherever the servers run, by what the Secret holds.

use crate::tiers::store::{
    auth::Passwords,
    rotation::{NEXT_PASSWORD, NEXT_USERNAME, PASSWORD, PREVIOUS_USERNAME, RETIRED_USERNAME, USERNAME},
};

/// The login of the apps, and the one that takes turns with it. Both become `owner`.
pub(super) fn login(owner: &str, passwords: &Passwords) -> postgres::Login {
    let role = |key: &str| passwords.text(key).map(str::to_owned);
    let next = role(NEXT_USERNAME).zip(passwords.text(NEXT_PASSWORD));
    let next = next.map(|(role, password)| (role, postgres::Other::Prepared(postgres::Password::new(password))));
    let previous = role(PREVIOUS_USERNAME).map(|role| (role, postgres::Other::Kept));
    let retired = role(RETIRED_USERNAME).map(|role| (role, postgres::Other::Retired));
    postgres::Login {
        role: role(USERNAME).unwrap_or_else(|| postgres::pair(owner)[0].clone()),
        password: passwords.text(PASSWORD).map(postgres::Password::new),
        other: previous.or(next).or(retired),
        owner: owner.to_owned(),
    }
}

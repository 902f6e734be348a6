//! What is wanted of the keeper of a database at RDS.

use super::{OPERATOR_PASSWORD, RUNNER, Rds, Seen, wish};
use crate::{
    keeper::{
        StoreKey,
        rds::{Inside, Orders},
    },
    kinds::Kind,
    naming::PlatformKey,
    tiers::{
        Children,
        aws::{account, control, recorded::Recorded},
        store::{
            auth::{self, Passwords},
            made_for, record,
            rotation::{NEXT_PASSWORD, NEXT_USERNAME, PASSWORD, PREVIOUS_USERNAME, RETIRED_USERNAME, USERNAME},
        },
    },
};
use aws::rds::{Memory, Spec, Wish};
use crds::LearningPlatform;
use std::collections::BTreeMap;

/// The login of the apps, and the one that takes turns with it.
pub(super) fn login(database: &Rds, passwords: &Passwords) -> postgres::Login {
    let owner = database.database().to_owned();
    let role = |key: &str| passwords.text(key).map(str::to_owned);
    let next = role(NEXT_USERNAME).zip(passwords.text(NEXT_PASSWORD));
    let next = next.map(|(role, password)| (role, postgres::Other::Prepared(postgres::Password::new(password))));
    let previous = role(PREVIOUS_USERNAME).map(|role| (role, postgres::Other::Kept));
    let retired = role(RETIRED_USERNAME).map(|role| (role, postgres::Other::Retired));
    postgres::Login {
        role: role(USERNAME).unwrap_or_else(|| postgres::pair(&owner)[0].clone()),
        password: passwords.text(PASSWORD).map(postgres::Password::new),
        other: previous.or(next).or(retired),
        owner,
    }
}

/// What is wanted; None while nothing may be done for it.
pub fn orders(database: &Rds, generation: i64, seen: &Seen, children: &Children, acts: bool) -> Option<Orders> {
    if seen.held.is_some() {
        return None;
    }
    // None that is not kept in the Secret: the servers must not know what the next pass does not.
    let passwords = auth::live(children, &database.object_name).filter(|_| seen.passwords.is_ok());
    let administrator = passwords.as_ref().and_then(|passwords| passwords.text(OPERATOR_PASSWORD));
    let inside = administrator.zip(passwords.as_ref()).zip(seen.authorities.as_ref().ok());
    let key = PlatformKey { namespace: database.namespace.clone(), name: database.identity.platform.clone() };
    Some(Orders {
        item: database.name.clone(),
        wish: wish::wish(database, generation, administrator),
        account: account::settings(&key, &database.account),
        stored: stored(children, &database.object_name),
        inside: inside.map(|((administrator, passwords), authorities)| Inside {
            database: postgres::Database {
                name: database.database().to_owned(),
                owner: database.database().to_owned(),
                extensions: database.spec.extensions.clone(),
            },
            login: login(database, passwords),
            administrator: postgres::Password::new(administrator),
            authorities: authorities.clone(),
        }),
        acts,
    })
}

/// What is written down by now.
fn stored(children: &Children, object_name: &str) -> Option<Memory> {
    Recorded::of(&record::of(children, object_name)?).ok().map(|recorded| recorded.memory)
}

/// What is wanted where the platform is deleted: all that its records tell of, each as its policy says. What a user allows for it
/// is taken from the spec, if it is there.
pub fn released(
    platform: &LearningPlatform,
    owner: impl Fn(&str) -> Option<aws::Owner>,
    children: &Children,
) -> BTreeMap<StoreKey, Result<(Orders, Recorded<Memory>), String>> {
    let key = PlatformKey::of(platform);
    let mut all = BTreeMap::new();
    for (id, map) in children.0.iter().filter(|(id, _)| id.kind == Kind::ConfigMap) {
        let Some(object_name) = id.name.strip_suffix(record::SUFFIX) else { continue };
        let record = record::of(children, object_name).unwrap_or_default();
        let is_ours = record.get(record::RUNNER).is_some_and(|runner| runner == RUNNER);
        if !is_ours || record.contains_key(record::ABANDONED) {
            continue;
        }
        let Some(item) = made_for(map) else { continue };
        let store = StoreKey { platform: key.clone(), object_name: object_name.to_owned() };
        let found = Recorded::<Memory>::of(&record).map_err(|problem| format!("ConfigMap {}: {problem}", id.name));
        let orders = found.and_then(|recorded| {
            let owner = owner(item).ok_or_else(|| format!("{item} is no name at AWS"))?;
            let named = platform.spec.databases.iter().find(|database| {
                database.renamed_from.as_deref().unwrap_or(&database.name) == item && database.rds.is_some()
            });
            let spec = named.and_then(|database| database.rds.as_ref());
            let wish = Wish {
                owner,
                generation: platform.metadata.generation.unwrap_or_default(),
                mode: control::mode(Some(recorded.mode)),
                approved: spec.and_then(|spec| spec.control.approve.clone()),
                allow: spec.map(|spec| control::allow(&spec.control)).unwrap_or_default(),
                adopt: false,
                deleted: true,
                deletion_policy: control::deletion(recorded.deletion),
                spec: Spec::default(),
            };
            let orders = Orders {
                item: item.to_owned(),
                wish,
                account: account::settings(&key, &recorded.account),
                stored: Some(recorded.memory.clone()),
                inside: None,
                acts: true,
            };
            Ok((orders, recorded))
        });
        all.insert(store, orders);
    }
    all
}

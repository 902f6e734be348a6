//! What is wanted of the keeper of a database at RDS.

use super::{OPERATOR_PASSWORD, RUNNER, Rds, Seen, wish};
use crate::{
    context::Context,
    keeper::{
        Keepers,
        aws::AwsKeeper,
        rds::{RdsOrders, RdsService},
        rds_servers::Orders,
    },
    kinds::Kind,
    naming::PlatformKey,
    tiers::{
        Children,
        aws::{
            account, control, recorded,
            released::{Item, Words},
        },
        database::login::login,
        store::{
            auth::{self, Passwords},
            record,
        },
    },
};
use aws::rds::{Spec, Wish};
use crds::{
    LearningPlatform,
    tiers::{
        aws::{AwsControl, AwsDeletionPolicy},
        database::Database,
    },
};

/// What is wanted of AWS; None while nothing may be done for it.
pub fn orders(database: &Rds, generation: i64, seen: &Seen, children: &Children, acts: bool) -> Option<RdsOrders> {
    if seen.held.is_some() {
        return None;
    }
    let passwords = kept(database, seen, children);
    let administrator = passwords.as_ref().and_then(|passwords| passwords.text(OPERATOR_PASSWORD));
    let key = PlatformKey { namespace: database.namespace.clone(), name: database.identity.platform.clone() };
    let replicas = wanted(database, children).max(routed(database, seen, children));
    Some(RdsOrders {
        item: database.name.clone(),
        wish: wish::wish(database, replicas, generation, administrator),
        account: account::settings(&key, &database.account),
        stored: recorded::stored(children, &database.object_name),
        acts,
    })
}

/// What is wanted of its servers; None before AWS says that they serve, with the administrator's password.
pub fn servers_orders(database: &Rds, seen: &Seen, children: &Children, acts: bool) -> Option<Orders> {
    let at = seen.view.as_ref().map(|view| &view.at).filter(|at| at.serves && at.password_set)?;
    if seen.held.is_some() {
        return None;
    }
    let passwords = kept(database, seen, children)?;
    Some(Orders {
        item: database.name.clone(),
        primary: at.endpoint.clone()?,
        replicas: at.replicas.iter().cloned().collect(),
        wanted: wanted(database, children),
        database: postgres::Database {
            name: database.database().to_owned(),
            owner: database.database().to_owned(),
            extensions: database.spec.extensions.clone(),
        },
        login: login(database.database(), &passwords),
        user: at.username.clone().unwrap_or_else(|| postgres::OPERATOR.to_owned()),
        administrator: postgres::Password::new(passwords.text(OPERATOR_PASSWORD)?),
        authorities: seen.authorities.clone().ok()?,
        scaling: seen.scaling.clone(),
        acts,
    })
}

/// The passwords, none that are not kept in the Secret: the servers must not know what the next pass does not.
fn kept(database: &Rds, seen: &Seen, children: &Children) -> Option<Passwords> {
    auth::live(children, &database.object_name).filter(|_| seen.passwords.is_ok())
}

/// Read replicas that are wanted by what is recorded now.
fn wanted(database: &Rds, children: &Children) -> u32 {
    database.wanted(record::of(children, &database.object_name).as_ref())
}

/// Up to which replica a name leads readers to one of its own: it goes only after they were led elsewhere.
fn routed(database: &Rds, seen: &Seen, children: &Children) -> u32 {
    let led = seen.view.iter().flat_map(|view| &view.at.replicas).filter(|(number, at)| {
        let service = children.get(Kind::Service, &database.numbered_service(*number));
        let leads = service.and_then(|service| service.data.pointer("/spec/externalName")?.as_str());
        leads.is_some() && leads == at.as_ref().map(|at| at.address.as_str())
    });
    led.map(|(number, _)| number + 1).max().unwrap_or_default()
}

impl Item for RdsService {
    const RUNNER: &'static str = RUNNER;

    fn keepers(ctx: &Context) -> &Keepers<AwsKeeper<Self>> {
        &ctx.rds
    }

    fn spoken<'a>(platform: &'a LearningPlatform, id: &str) -> Option<(&'a AwsControl, AwsDeletionPolicy)> {
        let is_it = |database: &&Database| {
            database.renamed_from.as_ref().unwrap_or(&database.name) == id && database.rds.is_some()
        };
        let spec = platform.spec.databases.iter().find(is_it)?.rds.as_ref()?;
        Some((&spec.control, spec.deletion_policy.unwrap_or_default()))
    }

    fn deleted(words: Words<'_>) -> Result<Wish, String> {
        let Words { owner, generation, mode, approved, allow, deletion, record: _ } = words;
        Ok(Wish {
            owner,
            generation,
            mode,
            approved,
            allow,
            adopt: false,
            deleted: true,
            deletion_policy: control::deletion(deletion),
            spec: Spec::default(),
        })
    }
}

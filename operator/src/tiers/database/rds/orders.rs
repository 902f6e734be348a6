//! What is wanted of the keeper of a database at RDS.

use super::{OPERATOR_PASSWORD, RUNNER, Rds, Seen, wish};
use crate::{
    context::Context,
    keeper::{
        Keepers,
        aws::AwsKeeper,
        rds::{Inside, RdsOrders, RdsService},
    },
    naming::PlatformKey,
    tiers::{
        Children,
        aws::{
            account, control, recorded,
            released::{Item, Words},
        },
        database::login::login,
        store::auth,
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

/// What is wanted; None while nothing may be done for it.
pub fn orders(database: &Rds, generation: i64, seen: &Seen, children: &Children, acts: bool) -> Option<RdsOrders> {
    if seen.held.is_some() {
        return None;
    }
    // None that is not kept in the Secret: the servers must not know what the next pass does not.
    let passwords = auth::live(children, &database.object_name).filter(|_| seen.passwords.is_ok());
    let administrator = passwords.as_ref().and_then(|passwords| passwords.text(OPERATOR_PASSWORD));
    let inside = administrator.zip(passwords.as_ref()).zip(seen.authorities.as_ref().ok());
    let key = PlatformKey { namespace: database.namespace.clone(), name: database.identity.platform.clone() };
    Some(RdsOrders {
        item: database.name.clone(),
        wish: wish::wish(database, generation, administrator),
        account: account::settings(&key, &database.account),
        stored: recorded::stored(children, &database.object_name),
        inside: inside.map(|((administrator, passwords), authorities)| Inside {
            database: postgres::Database {
                name: database.database().to_owned(),
                owner: database.database().to_owned(),
                extensions: database.spec.extensions.clone(),
            },
            login: login(database.database(), passwords),
            administrator: postgres::Password::new(administrator),
            authorities: authorities.clone(),
        }),
        acts,
    })
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

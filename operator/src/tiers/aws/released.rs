//! What is wanted of the items at AWS of a platform that is deleted: of all that its records tell of, each as its policy says.

use super::{account, control, recorded::Recorded};
use crate::{
    context::Context,
    keeper::{
        Keepers, StoreKey,
        aws::{AwsKeeper, Orders, Service},
    },
    kinds::Kind,
    naming::PlatformKey,
    tiers::{
        Children,
        store::{
            made_for,
            record::{self, Record},
        },
    },
};
use aws::{Allow, Mode};
use crds::{
    LearningPlatform,
    tiers::aws::{AwsControl, AwsDeletionPolicy},
};
use std::collections::{BTreeMap, BTreeSet};

/// A service whose items are kept in records, by which they are seen to when their platform is deleted.
pub trait Item: Service {
    /// How the record says who runs it.
    const RUNNER: &'static str;

    /// Its keepers.
    fn keepers(ctx: &Context) -> &Keepers<AwsKeeper<Self>>;

    /// What the spec says of the item that has these data, where it is there still: what is allowed, and what becomes of the data.
    fn spoken<'a>(platform: &'a LearningPlatform, id: &str) -> Option<(&'a AwsControl, AwsDeletionPolicy)>;

    /// What is wished of one that is deleted.
    ///
    /// # Errors
    /// Why that cannot be told from its record.
    fn deleted(words: Words<'_>) -> Result<Self::Wish, String>;
}

/// What is said of an item that is deleted.
pub struct Words<'a> {
    /// Whose it is.
    pub owner: aws::Owner,
    /// Of the platform.
    pub generation: i64,
    /// What may be done.
    pub mode: Mode,
    /// Hash of the plan that the user approved.
    pub approved: Option<String>,
    /// Standing allowances.
    pub allow: BTreeSet<Allow>,
    /// What becomes of the data.
    pub deletion: AwsDeletionPolicy,
    /// Its record.
    pub record: &'a Record,
}

/// What is wanted of an item, and what is kept of it; or why that cannot be told.
pub type Released<S> = Result<(Orders<S>, Recorded<<S as Service>::Memory>), String>;

/// What is wanted where the platform is deleted. What a user allows for it is taken from the spec, if it is there.
pub fn released<S: Item>(
    platform: &LearningPlatform,
    owner: impl Fn(&str) -> Option<aws::Owner>,
    children: &Children,
) -> BTreeMap<StoreKey, Released<S>> {
    let key = PlatformKey::of(platform);
    let mut all = BTreeMap::new();
    for (id, map) in children.0.iter().filter(|(id, _)| id.kind == Kind::ConfigMap) {
        let Some(object_name) = id.name.strip_suffix(record::SUFFIX) else { continue };
        let record = record::of(children, object_name).unwrap_or_default();
        let is_ours = record.get(record::RUNNER).is_some_and(|runner| runner == S::RUNNER);
        if !is_ours || record.contains_key(record::ABANDONED) {
            continue;
        }
        let Some(item) = made_for(map) else { continue };
        let generation = platform.metadata.generation.unwrap_or_default();
        let owner = owner(item).ok_or_else(|| format!("{item} is no name at AWS"));
        let found = of_record::<S>(&key, generation, S::spoken(platform, item), owner, (item, &record));
        let store = StoreKey { platform: key.clone(), object_name: object_name.to_owned() };
        all.insert(store, found.map_err(|why| format!("ConfigMap {}: {why}", id.name)));
    }
    all
}

/// What is wanted of the item of a record. `said` is what the spec says of it, where it is there still.
///
/// # Errors
/// Why that cannot be told.
pub fn of_record<S: Item>(
    platform: &PlatformKey,
    generation: i64,
    said: Option<(&AwsControl, AwsDeletionPolicy)>,
    owner: Result<aws::Owner, String>,
    (item, record): (&str, &Record),
) -> Released<S> {
    let recorded = Recorded::<S::Memory>::of(record)?;
    let (control, policy) = said.unzip();
    let recorded = Recorded { deletion: policy.unwrap_or(recorded.deletion), ..recorded };
    let wish = S::deleted(Words {
        owner: owner?,
        generation,
        // The user's last word, which no pass may have written down.
        mode: control::mode(control.map_or(Some(recorded.mode), |control| control.mode)),
        approved: control.and_then(|control| control.approve.clone()),
        allow: control.map(control::allow).unwrap_or_default(),
        deletion: recorded.deletion,
        record,
    })?;
    let orders = Orders {
        item: item.to_owned(),
        wish,
        account: account::settings(platform, &recorded.account),
        stored: Some(recorded.memory.clone()),
        acts: true,
    };
    Ok((orders, recorded))
}

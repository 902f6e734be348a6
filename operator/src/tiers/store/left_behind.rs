//! Data that no item of the spec names any more: a store that was renamed, removed or given to another provider stays as it
//! is until the user says what is meant.

use super::{Identity, StoreTier, TIER, is_retained, made_for, record};
use crate::{
    kinds::{Kind, ObjectId},
    naming::COMPONENT,
    tiers::{Children, Plan, steps},
};
use crds::tiers::in_cluster::DeletionPolicy;
use kube::{ResourceExt, core::DynamicObject};
use std::collections::BTreeSet;

/// What there is of stores, against what the spec names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftBehind {
    /// Identities with data that no item has, and whose data nobody has abandoned.
    pub waiting: BTreeSet<String>,
    /// Identities whose data the user abandons.
    pub abandoned: BTreeSet<String>,
    /// Identities with data, of those in the spec.
    pub known: BTreeSet<String>,
    /// Identities whose data in the hands of somebody else the user abandons, each with who that is.
    pub abandoned_elsewhere: BTreeSet<(String, String)>,
}

/// Who runs the servers of a record, where that is not the operator itself.
fn runner(record: &DynamicObject) -> Option<&str> {
    record.data.pointer(&format!("/data/{}", record::RUNNER))?.as_str()
}

/// The stores of a room that have data: those with a record that is not abandoned.
fn with_data(children: &Children, tier: StoreTier) -> BTreeSet<String> {
    let is_record = |object: &DynamicObject| {
        let abandoned = object.data.pointer(&format!("/data/{}", record::ABANDONED)).is_some();
        object.labels().get(TIER).is_some_and(|label| label == tier.as_str()) && !abandoned && runner(object).is_none()
    };
    let maps = children.0.iter().filter(|(id, _)| id.kind == Kind::ConfigMap && id.name.ends_with(record::SUFFIX));
    maps.filter(|(_, map)| is_record(map)).filter_map(|(_, map)| made_for(map).map(str::to_owned)).collect()
}

/// Holds the stores of a room against the identities `named` by its in-cluster items.
pub fn left_behind(
    children: &Children,
    tier: StoreTier,
    named: &BTreeSet<String>,
    abandon: &BTreeSet<String>,
) -> LeftBehind {
    let mut found = LeftBehind::default();
    for id in with_data(children, tier) {
        let set = match (named.contains(&id), abandon.contains(&id)) {
            (true, _) => &mut found.known,
            (false, true) => &mut found.abandoned,
            (false, false) => &mut found.waiting,
        };
        set.insert(id);
    }
    found
}

/// The stores that `by` keeps data of: those with a record, unless it is abandoned, and those with an object of the kind by which
/// it keeps them.
fn elsewhere(children: &Children, by: &str, live: Option<Kind>) -> BTreeSet<String> {
    let records = children.0.iter().filter(|(id, map)| id.kind == Kind::ConfigMap && runner(map) == Some(by));
    let is_abandoned = |map: &DynamicObject| map.data.pointer(&format!("/data/{}", record::ABANDONED)).is_some();
    let (abandoned, recorded): (Vec<_>, Vec<_>) = records.map(|(_, map)| map).partition(|map| is_abandoned(map));
    let abandoned: BTreeSet<&str> = abandoned.into_iter().filter_map(made_for).collect();
    let live = children.0.iter().filter(|(id, _)| Some(id.kind) == live).map(|(_, object)| object);
    let found = recorded.into_iter().chain(live).filter_map(made_for);
    found.filter(|id| !abandoned.contains(id)).map(str::to_owned).collect()
}

impl LeftBehind {
    /// Holds the stores that somebody else keeps data of, as the record names it, against the identities `named` by its items, too.
    /// `live` is the kind of the objects by which it keeps them, if they are in the cluster. Data in other hands are other data,
    /// whatever their name.
    pub fn add(
        &mut self,
        children: &Children,
        (by, live): (&str, Option<Kind>),
        named: &BTreeSet<String>,
        abandon: &BTreeSet<String>,
    ) {
        for id in elsewhere(children, by, live) {
            match (named.contains(&id), abandon.contains(&id)) {
                (true, _) => drop(self.known.insert(id)),
                (false, true) => drop(self.abandoned_elsewhere.insert((by.to_owned(), id))),
                (false, false) => drop(self.waiting.insert(id)),
            }
        }
    }

    /// Whether an item must wait, because its data may be those of another name: it has none, and somebody else's wait.
    pub fn holds(&self, id: &str) -> bool {
        !self.waiting.is_empty() && !self.known.contains(id)
    }

    /// What to do about it.
    pub fn remedy(&self, tier: StoreTier) -> String {
        let names = self.waiting.iter().cloned().collect::<Vec<_>>().join(", ");
        format!(
            "the data of {tier} {names} would be left behind: set renamedFrom on the item that goes on with them, put the \
             item back, or name it in spec.abandonData"
        )
    }

    /// The objects of the stores that wait: they stay as they are.
    pub fn kept<'a>(&'a self, children: &'a Children) -> impl Iterator<Item = ObjectId> + 'a {
        let made_for =
            |object: &DynamicObject| object.labels().get(COMPONENT).is_some_and(|id| self.waiting.contains(id));
        children
            .0
            .iter()
            .filter(move |(_, object)| object.labels().contains_key(TIER) && made_for(object))
            .map(|(id, _)| id.clone())
    }
}

/// The records of abandoned stores, marked as such, so that the word need not stay in the spec. What goes with the platform
/// goes with its store, too.
pub fn marked(children: &Children, platform: &str, left: &LeftBehind, tier: StoreTier) -> Plan {
    let records = children.0.iter().filter(|(id, map)| id.kind == Kind::ConfigMap && is_retained(*map));
    let marked = records.filter_map(|(id, map)| {
        let is_abandoned = |store: &str| match runner(map) {
            Some(runner) => left.abandoned_elsewhere.contains(&(runner.to_owned(), store.to_owned())),
            None => left.abandoned.contains(store),
        };
        let store = made_for(map).filter(|store| is_abandoned(store))?;
        let object_name = id.name.strip_suffix(record::SUFFIX)?;
        let identity = Identity { platform: platform.to_owned(), id: store.to_owned(), tier };
        let mut record = record::of(children, object_name)?;
        record.insert(record::ABANDONED.to_owned(), "true".to_owned());
        Some(steps(store, [record::config_map(&identity, object_name, DeletionPolicy::Retain, &record)]))
    });
    marked.flatten().collect()
}

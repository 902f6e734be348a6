//! What is kept of an item at AWS from round to round, in its record: what a call may have done is written down before it is sent.
//! It is all that its deletion needs, so that neither a changed nor an invalid spec is in its way.

use super::account;
use crate::{
    apply::FINALIZER,
    context::Settings,
    naming::PlatformKey,
    tiers::{
        Children,
        store::{
            Identity,
            record::{self, Record},
        },
    },
    validate::Problem,
};
use crds::{
    status::Reason,
    tiers::{
        aws::{Aws, AwsDeletionPolicy, AwsMode},
        in_cluster::DeletionPolicy,
    },
};
use kube::core::DynamicObject;
use serde::{Serialize, de::DeserializeOwned};

/// Key of the record: the account and the region, as JSON. They are for good: elsewhere there are other data.
const ACCOUNT: &str = "AWS_ACCOUNT";
/// Key of the record: the name of the cluster that it was made under, which its names at AWS come from.
const CLUSTER: &str = "AWS_CLUSTER";
/// Key of the record: how far the operator goes.
const MODE: &str = "AWS_MODE";
/// Key of the record: what becomes of the data.
const DELETION: &str = "AWS_DELETION_POLICY";
/// Key of the record: what the plan remembers, as JSON.
const MEMORY: &str = "AWS_MEMORY";

/// What is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded<M> {
    /// Where it is.
    pub account: Aws,
    /// The name of the cluster that it was made under.
    pub cluster: String,
    /// How far the operator goes.
    pub mode: AwsMode,
    /// What becomes of the data.
    pub deletion: AwsDeletionPolicy,
    /// What the plan remembers.
    pub memory: M,
}

impl<M> Recorded<M> {
    /// Why nothing may be done about it from here: in another account, in another region, and under the name of another cluster
    /// there are other data.
    pub fn elsewhere(&self, account: &Aws, cluster: &str) -> Option<String> {
        let number = |account: &Aws| account.role_arn.as_ref().and_then(|arn| arn.split(':').nth(4).map(str::to_owned));
        let region = &self.account.region;
        if account.region != *region || number(account) != number(&self.account) {
            let whose = number(&self.account).unwrap_or_else(|| "the operator's own".to_owned());
            return Some(format!("its data are in region {region} of account {whose}: set spec.aws back to that"));
        }
        (cluster != self.cluster).then(|| {
            format!("it was made under --cluster-name={}, and the operator's is {cluster}: set it back", self.cluster)
        })
    }
}

/// The record as an object. It goes neither with the platform nor with the namespace: what is at AWS would be known to nobody.
/// `held` until that was seen to.
///
/// # Errors
/// It has no form in JSON: a defect.
pub fn map(
    identity: &Identity,
    object_name: &str,
    record: &Record,
    held: bool,
) -> Result<DynamicObject, serde_json::Error> {
    let mut map = record::config_map(identity, object_name, DeletionPolicy::Retain, record)?;
    map.metadata.finalizers = held.then(|| vec![FINALIZER.to_owned()]);
    Ok(map)
}

/// Why nothing may be made or changed for an item. All else of its platform goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// As conditions name it.
    pub reason: Reason,
    /// In words.
    pub why: String,
}

impl Held {
    /// Its data would be left behind, or are elsewhere.
    pub fn by_data(why: String) -> Self {
        Self { reason: Reason::DataWouldBeLeftBehind, why }
    }
}

/// What is kept of an item, as a pass finds it.
#[derive(Clone, Debug)]
pub struct Kept<M> {
    /// The record; None where nothing was done yet.
    pub record: Option<Record>,
    /// What is in it for AWS.
    pub recorded: Option<Recorded<M>>,
    /// Why nothing may be done about the item: the settings do not allow it, what was done is not known, or it is elsewhere.
    pub held: Option<Held>,
}

impl<M: Serialize + DeserializeOwned> Kept<M> {
    /// What is kept under this name of an item of a platform that is to be looked after in this account.
    pub fn of(
        children: &Children,
        object_name: &str,
        (platform, account): (&PlatformKey, &Aws),
        settings: &Settings,
    ) -> Self {
        let record = record::of(children, object_name).filter(|record| !record.contains_key(record::ABANDONED));
        let (recorded, unreadable) = match record.as_ref().map(Recorded::<M>::of).transpose() {
            Ok(recorded) => (recorded, None),
            Err(problem) => (None, Some(format!("ConfigMap {}: {problem}", record::name(object_name)))),
        };
        let refused = account::check(platform, account, settings).into_iter().next();
        let refused = refused.map(|Problem { field, problem }| format!("{field}: {problem}"));
        let data = unreadable.or_else(|| recorded.as_ref()?.elsewhere(account, &settings.cluster_name));
        let held = refused.map(|why| Held { reason: Reason::InvalidSpec, why }).or(data.map(Held::by_data));
        Self { record, recorded, held }
    }
}

/// What is written down of an item by now, unless it was abandoned.
pub fn stored<M: Serialize + DeserializeOwned>(children: &Children, object_name: &str) -> Option<M> {
    let record = record::of(children, object_name).filter(|record| !record.contains_key(record::ABANDONED))?;
    Recorded::of(&record).ok().map(|recorded| recorded.memory)
}

impl<M: Serialize + DeserializeOwned> Recorded<M> {
    /// From a record.
    ///
    /// # Errors
    /// Which key cannot be read. Then nothing is to be done: what was done is not known.
    pub fn of(record: &Record) -> Result<Self, String> {
        fn read<T: DeserializeOwned>(record: &Record, key: &str) -> Result<T, String> {
            let text = record.get(key).ok_or_else(|| format!("its key {key} is missing"))?;
            serde_json::from_str(text).map_err(|error| format!("its key {key} cannot be read: {error}"))
        }
        Ok(Self {
            account: read(record, ACCOUNT)?,
            cluster: read(record, CLUSTER)?,
            mode: read(record, MODE)?,
            deletion: read(record, DELETION)?,
            memory: read(record, MEMORY)?,
        })
    }

    /// Into a record, whose other keys stay.
    ///
    /// # Errors
    /// Something of it has no form in JSON: a defect.
    pub fn write(&self, record: &mut Record, runner: &str) -> Result<(), serde_json::Error> {
        record.insert(record::RUNNER.to_owned(), runner.to_owned());
        record.insert(ACCOUNT.to_owned(), serde_json::to_string(&self.account)?);
        record.insert(CLUSTER.to_owned(), serde_json::to_string(&self.cluster)?);
        record.insert(MODE.to_owned(), serde_json::to_string(&self.mode)?);
        record.insert(DELETION.to_owned(), serde_json::to_string(&self.deletion)?);
        record.insert(MEMORY.to_owned(), serde_json::to_string(&self.memory)?);
        Ok(())
    }
}

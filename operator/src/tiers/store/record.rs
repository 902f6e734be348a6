//! The record of a store: what the operator knows of its data. It is kept with them, and the pods read it at each start, so
//! that an empty volume where there were data is noticed before an empty server takes their place.

use super::Identity;
use crate::{kinds::Kind, tiers::Children};
use crds::tiers::in_cluster::DeletionPolicy;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::DynamicObject;
use serde_json::json;
use std::collections::BTreeMap;

/// Before the keys, in the environment of the pods.
pub const PREFIX: &str = "LP_RECORD_";
/// Key: set where the user has said that the data may be left behind.
pub const ABANDONED: &str = "ABANDONED";
/// Key: who runs the servers, where that is not the operator itself.
pub const RUNNER: &str = "RUNNER";
/// Key: set where the record went with its namespace and was made anew from the volumes. The passwords are gone, too, and may be
/// made anew, until there are some.
pub const RESTORED: &str = "RESTORED";
/// Value, for a pod of a cache: its volume held data.
pub const HELD: &str = "held";
/// Key: the system identifier of a PostgreSQL cluster.
pub const SYSTEM_IDENTIFIER: &str = "SYSTEM_IDENTIFIER";

/// What is known, by key; keys are made of capitals, digits and `_`.
pub type Record = BTreeMap<String, String>;

/// What the name of the ConfigMap ends with.
pub const SUFFIX: &str = "-record";

/// Name of the ConfigMap.
pub fn name(object_name: &str) -> String {
    format!("{object_name}{SUFFIX}")
}

/// The record of a store; None where it was never made.
pub fn of(children: &Children, object_name: &str) -> Option<Record> {
    let map = children.typed::<ConfigMap>(Kind::ConfigMap, &name(object_name))?;
    Some(map.data.unwrap_or_default())
}

/// Whether there are data whose servers know passwords that cannot be made anew.
pub fn has_passwords(record: Option<&Record>) -> bool {
    record.is_some_and(|record| !record.contains_key(RESTORED))
}

/// The ConfigMap.
pub fn config_map(
    identity: &Identity,
    object_name: &str,
    policy: DeletionPolicy,
    record: &Record,
) -> Result<DynamicObject, serde_json::Error> {
    Kind::ConfigMap.object(&json!({
        "metadata": { "name": name(object_name), "labels": identity.data_labels(policy) },
        "data": record,
    }))
}

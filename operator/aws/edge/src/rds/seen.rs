//! Answers, as plain values.

use aws::{
    Tags,
    rds::{Endpoint, Field, Instance, Settings, Snapshot, Value},
};
use aws_sdk_rds::types::{DbInstance, DbSnapshot, PendingModifiedValues, Tag};
use jiff::Timestamp;

/// `EngineLifecycleSupport` of an instance that goes on, and is charged, after the end of its version's standard support.
pub(super) const EXTENDED_SUPPORT: &str = "open-source-rds-extended-support";
/// Of one that does not.
pub(super) const NO_EXTENDED_SUPPORT: &str = "open-source-rds-extended-support-disabled";

pub(super) fn tags(tags: Option<Vec<Tag>>) -> Tags {
    let pair = |tag: Tag| Some((tag.key?, tag.value.unwrap_or_default()));
    tags.unwrap_or_default().into_iter().filter_map(pair).collect()
}

/// An empty word says the same as none.
fn text(text: Option<String>) -> Option<Value> {
    said(text).map(Value::Text)
}

fn said(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// Nothing that is counted is negative.
fn number(number: Option<i32>) -> Option<Value> {
    number.and_then(|number| u32::try_from(number).ok()).map(Value::Number)
}

fn set(fields: impl IntoIterator<Item = (Field, Option<Value>)>) -> Settings {
    fields.into_iter().filter_map(|(field, value)| Some((field, value?))).collect()
}

pub(super) fn instance(seen: DbInstance) -> Instance {
    let groups = seen.db_parameter_groups.unwrap_or_default();
    let pending_reboot = groups.iter().any(|group| group.parameter_apply_status() == Some("pending-reboot"));
    let security_groups = seen.vpc_security_groups.unwrap_or_default();
    let security_groups = security_groups.into_iter().filter_map(|group| group.vpc_security_group_id).collect();
    let port = seen.endpoint.as_ref().and_then(|endpoint| endpoint.port());
    let extended = match seen.engine_lifecycle_support.as_deref() {
        Some(EXTENDED_SUPPORT) => Some(Value::Flag(true)),
        Some(NO_EXTENDED_SUPPORT) => Some(Value::Flag(false)),
        _ => None,
    };
    let settings = set([
        (Field::EngineVersion, text(seen.engine_version)),
        (Field::Class, text(seen.db_instance_class)),
        (Field::Storage, number(seen.allocated_storage)),
        (Field::MaxStorage, number(seen.max_allocated_storage)),
        (Field::StorageType, text(seen.storage_type)),
        (Field::Iops, number(seen.iops)),
        (Field::Throughput, number(seen.storage_throughput)),
        (Field::MultiAz, seen.multi_az.map(Value::Flag)),
        (Field::ParameterGroup, text(groups.into_iter().next().and_then(|group| group.db_parameter_group_name))),
        (Field::SubnetGroup, text(seen.db_subnet_group.and_then(|group| group.db_subnet_group_name))),
        (Field::SecurityGroups, Some(Value::Names(security_groups))),
        (Field::Port, number(port)),
        (Field::Retention, number(seen.backup_retention_period)),
        (Field::BackupWindow, text(seen.preferred_backup_window)),
        (Field::MaintenanceWindow, text(seen.preferred_maintenance_window)),
        (Field::Ca, text(seen.ca_certificate_identifier)),
        (Field::AutoMinorUpgrade, seen.auto_minor_version_upgrade.map(Value::Flag)),
        (Field::DeletionProtection, seen.deletion_protection.map(Value::Flag)),
        (Field::CopyTags, seen.copy_tags_to_snapshot.map(Value::Flag)),
        (Field::ExtendedSupport, extended),
    ]);
    let pending = seen.pending_modified_values;
    let password_pending = pending.as_ref().is_some_and(|pending| pending.master_user_password.is_some());
    let endpoint = seen.endpoint.and_then(|endpoint| {
        let port = endpoint.port.and_then(|port| u32::try_from(port).ok())?;
        Some(Endpoint { address: said(endpoint.address)?, port })
    });
    Instance {
        id: seen.db_instance_identifier.unwrap_or_default(),
        status: seen.db_instance_status.unwrap_or_default(),
        tags: tags(seen.tag_list),
        settings,
        pending: pending.map(waiting).unwrap_or_default(),
        password_pending,
        pending_reboot,
        endpoint,
        source: said(seen.read_replica_source_db_instance_identifier),
        replicas: seen.read_replica_db_instance_identifiers.unwrap_or_default().into_iter().collect(),
        username: seen.master_username.unwrap_or_default(),
    }
}

fn waiting(pending: PendingModifiedValues) -> Settings {
    set([
        (Field::EngineVersion, text(pending.engine_version)),
        (Field::Class, text(pending.db_instance_class)),
        (Field::Storage, number(pending.allocated_storage)),
        (Field::StorageType, text(pending.storage_type)),
        (Field::Iops, number(pending.iops)),
        (Field::Throughput, number(pending.storage_throughput)),
        (Field::MultiAz, pending.multi_az.map(Value::Flag)),
        (Field::SubnetGroup, text(pending.db_subnet_group_name)),
        (Field::Port, number(pending.port)),
        (Field::Retention, number(pending.backup_retention_period)),
        (Field::Ca, text(pending.ca_certificate_identifier)),
    ])
}

pub(super) fn snapshot(seen: DbSnapshot) -> Snapshot {
    let time = seen.snapshot_create_time;
    Snapshot {
        id: seen.db_snapshot_identifier.unwrap_or_default(),
        instance: seen.db_instance_identifier.unwrap_or_default(),
        status: seen.status.unwrap_or_default(),
        tags: tags(seen.tag_list),
        created: time.and_then(|time| Timestamp::new(time.secs(), time.subsec_nanos().cast_signed()).ok()),
    }
}

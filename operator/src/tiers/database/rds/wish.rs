//! What the spec wishes of a database at RDS, as its plan takes it.

use super::Rds;
use crate::tiers::aws::control;
use aws::{
    Parameters, Password, When,
    rds::{ENGINE, Field, Spec, Wish, major},
};
use crds::tiers::rds::RdsField;
use std::collections::BTreeMap;

/// What is wished, with this many replicas. Without a password nothing is done about that.
pub(super) fn wish(database: &Rds, replicas: u32, generation: i64, password: Option<&str>) -> Wish {
    let control = &database.spec.control;
    Wish {
        owner: database.owner.clone(),
        generation,
        mode: control::mode(control.mode),
        approved: control.approve.clone(),
        allow: control::allow(control),
        adopt: control.adopt == Some(true),
        deleted: false,
        deletion_policy: control::deletion(database.spec.deletion_policy.unwrap_or_default()),
        spec: Spec { replicas, ..spec(database, password) },
    }
}

fn spec(database: &Rds, password: Option<&str>) -> Spec {
    let spec = &database.spec;
    let number = |number: i32| u32::try_from(number).unwrap_or_default();
    let family = format!("{ENGINE}{}", major(&spec.engine_version));
    let own = (!spec.parameters.is_empty()).then(|| Parameters::Own { family, values: spec.parameters.clone() });
    let when = |fields: &[RdsField], when: When| fields.iter().map(|it| (field(*it), when)).collect::<Vec<_>>();
    let mut apply: BTreeMap<Field, When> = when(&spec.apply_immediately, When::Immediate).into_iter().collect();
    apply.extend(when(&spec.apply_in_window, When::Window));
    Spec {
        engine_version: Some(spec.engine_version.clone()),
        instance_class: spec.instance_class.clone(),
        storage: number(spec.allocated_storage),
        max_storage: spec.max_allocated_storage.map(number),
        storage_type: spec.storage_type.clone(),
        iops: spec.iops.map(number),
        storage_throughput: spec.storage_throughput.map(number),
        multi_az: spec.multi_az,
        parameters: own.or_else(|| spec.parameter_group.clone().map(Parameters::Group)),
        subnet_group: spec.subnet_group.clone(),
        security_groups: spec.security_groups.iter().cloned().collect(),
        port: spec.port.map(number),
        backup_retention: spec.backup_retention_days.map(number),
        backup_window: spec.backup_window.clone(),
        maintenance_window: spec.maintenance_window.clone(),
        ca: spec.ca_certificate_identifier.clone(),
        auto_minor_upgrade: spec.auto_minor_version_upgrade,
        extended_support: spec.extended_support.unwrap_or_default(),
        kms_key: spec.kms_key.clone(),
        apply,
        restore_from: spec.restore_from.as_ref().map(|restore| restore.snapshot.clone()),
        // Made by the operator, as in the cluster, and closed to other roles.
        database: None,
        username: postgres::OPERATOR.to_owned(),
        password: password.map(Password::new),
        ..Spec::default()
    }
}

fn field(field: RdsField) -> Field {
    match field {
        RdsField::EngineVersion => Field::EngineVersion,
        RdsField::InstanceClass => Field::Class,
        RdsField::StorageType => Field::StorageType,
        RdsField::MultiAz => Field::MultiAz,
        RdsField::SubnetGroup => Field::SubnetGroup,
        RdsField::CaCertificateIdentifier => Field::Ca,
        RdsField::AllocatedStorage => Field::Storage,
        RdsField::Iops => Field::Iops,
        RdsField::StorageThroughput => Field::Throughput,
        RdsField::BackupRetentionDays => Field::Retention,
    }
}

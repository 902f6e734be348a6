//! Calls, as requests.

use super::{
    SdkRds,
    seen::{EXTENDED_SUPPORT, NO_EXTENDED_SUPPORT},
    tags_of,
};
use crate::told;
use aws::{
    Call as _, Error, Password, Tags,
    rds::{Call, ENGINE, Field, Settings, Value},
};
use aws_sdk_rds::types::{ApplyMethod, Parameter};

/// Sets what every request that speaks of an instance's settings takes, under the same names.
macro_rules! set_common {
    ($request:expr, $settings:expr) => {
        $request
            .set_db_instance_class(text($settings, Field::Class))
            .set_storage_type(text($settings, Field::StorageType))
            .set_iops(number($settings, Field::Iops))
            .set_storage_throughput(number($settings, Field::Throughput))
            .set_multi_az($settings.flag(Field::MultiAz))
            .set_db_parameter_group_name(text($settings, Field::ParameterGroup))
            .set_db_subnet_group_name(text($settings, Field::SubnetGroup))
            .set_vpc_security_group_ids(names($settings, Field::SecurityGroups))
            .set_ca_certificate_identifier(text($settings, Field::Ca))
            .set_auto_minor_version_upgrade($settings.flag(Field::AutoMinorUpgrade))
            .set_deletion_protection($settings.flag(Field::DeletionProtection))
            .set_copy_tags_to_snapshot($settings.flag(Field::CopyTags))
    };
}

fn text(settings: &Settings, field: Field) -> Option<String> {
    settings.text(field).map(str::to_owned)
}

fn number(settings: &Settings, field: Field) -> Option<i32> {
    settings.number(field).map(|number| i32::try_from(number).unwrap_or(i32::MAX))
}

fn names(settings: &Settings, field: Field) -> Option<Vec<String>> {
    match settings.get(field)? {
        Value::Names(names) => Some(names.iter().cloned().collect()),
        _ => None,
    }
}

fn extended_support(settings: &Settings) -> Option<String> {
    let support = settings.flag(Field::ExtendedSupport)?;
    Some(if support { EXTENDED_SUPPORT } else { NO_EXTENDED_SUPPORT }.to_owned())
}

/// What the request has no place for is not left out in silence.
fn without(operation: &'static str, settings: &Settings, fields: &[Field]) -> Result<(), Error> {
    let Some(field) = fields.iter().find(|field| settings.get(**field).is_some()) else { return Ok(()) };
    let message = format!("the call takes no {field:?}");
    Err(Error { operation, code: Some("InvalidParameterCombination".into()), status: None, message })
}

impl SdkRds {
    pub(super) async fn carry_out(&self, call: &Call) -> Result<(), Error> {
        let (client, operation) = (&self.client, call.operation());
        match call {
            Call::CreateInstance { id, settings, database, username, password, kms_key, tags } => {
                let (database, kms_key) = (database.clone(), kms_key.clone());
                return self.create(id, settings, database, username, password, kms_key, tags).await;
            }
            Call::RestoreInstance { id, snapshot, settings, tags } => {
                return self.restore(id, snapshot, settings, tags).await;
            }
            Call::CreateReplica { id, source, settings, tags } => {
                return self.replicate(id, source, settings, tags).await;
            }
            Call::ModifyInstance { id, change, immediately, major } => {
                return self.modify(id, change, *immediately, *major).await;
            }
            Call::SetPassword { id, password } => {
                let request = client.modify_db_instance().db_instance_identifier(id);
                // It is set as soon as AWS can, and what waits for the window goes on waiting.
                let request = request.master_user_password(password.reveal()).apply_immediately(false);
                request.send().await.map(drop).map_err(|error| told(operation, &error))
            }
            Call::DeleteInstance { id, snapshot, delete_backups } => client
                .delete_db_instance()
                .db_instance_identifier(id)
                .skip_final_snapshot(snapshot.is_none())
                .set_final_db_snapshot_identifier(snapshot.clone())
                .delete_automated_backups(*delete_backups)
                .send()
                .await
                .map(drop)
                .map_err(|error| told(operation, &error)),
            Call::Tag { resource, id, tags } => {
                let arn = self.arn(*resource, id).await?;
                let request = client.add_tags_to_resource().resource_name(arn).set_tags(Some(tags_of(tags)));
                request.send().await.map(drop).map_err(|error| told(operation, &error))
            }
            Call::CreateParameterGroup { name, family, tags } => client
                .create_db_parameter_group()
                .db_parameter_group_name(name)
                .db_parameter_group_family(family)
                .description("Of a LearningPlatform")
                .set_tags(Some(tags_of(tags)))
                .send()
                .await
                .map(drop)
                .map_err(|error| told(operation, &error)),
            Call::SetParameters { name, values } => {
                let parameters = values.iter().map(|(name, (value, at_reboot))| {
                    Parameter::builder()
                        .parameter_name(name)
                        .parameter_value(value)
                        .apply_method(method(*at_reboot))
                        .build()
                });
                let request = client.modify_db_parameter_group().db_parameter_group_name(name);
                let request = request.set_parameters(Some(parameters.collect()));
                request.send().await.map(drop).map_err(|error| told(operation, &error))
            }
            Call::ResetParameters { name, names } => {
                let parameters = names.iter().map(|(name, at_reboot)| {
                    Parameter::builder().parameter_name(name).apply_method(method(*at_reboot)).build()
                });
                let request = client.reset_db_parameter_group().db_parameter_group_name(name);
                let request = request.reset_all_parameters(false).set_parameters(Some(parameters.collect()));
                request.send().await.map(drop).map_err(|error| told(operation, &error))
            }
            Call::DeleteParameterGroup { name } => {
                let request = client.delete_db_parameter_group().db_parameter_group_name(name);
                request.send().await.map(drop).map_err(|error| told(operation, &error))
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what the call says")]
    async fn create(
        &self,
        id: &str,
        settings: &Settings,
        database: Option<String>,
        username: &str,
        password: &Password,
        kms_key: Option<String>,
        tags: &Tags,
    ) -> Result<(), Error> {
        let request = set_common!(self.client.create_db_instance(), settings)
            .db_instance_identifier(id)
            .engine(ENGINE)
            .set_engine_version(text(settings, Field::EngineVersion))
            .set_allocated_storage(number(settings, Field::Storage))
            .set_max_allocated_storage(number(settings, Field::MaxStorage))
            .set_port(number(settings, Field::Port))
            .set_backup_retention_period(number(settings, Field::Retention))
            .set_preferred_backup_window(text(settings, Field::BackupWindow))
            .set_preferred_maintenance_window(text(settings, Field::MaintenanceWindow))
            .set_engine_lifecycle_support(extended_support(settings))
            .set_db_name(database)
            .master_username(username)
            .master_user_password(password.reveal())
            .publicly_accessible(false)
            .storage_encrypted(true)
            .set_kms_key_id(kms_key)
            .set_tags(Some(tags_of(tags)));
        request.send().await.map(drop).map_err(|error| told("CreateDBInstance", &error))
    }

    async fn restore(&self, id: &str, snapshot: &str, settings: &Settings, tags: &Tags) -> Result<(), Error> {
        let operation = "RestoreDBInstanceFromDBSnapshot";
        without(
            operation,
            settings,
            &[Field::EngineVersion, Field::Storage, Field::MaxStorage, Field::MaintenanceWindow],
        )?;
        let request = set_common!(self.client.restore_db_instance_from_db_snapshot(), settings)
            .db_instance_identifier(id)
            .db_snapshot_identifier(snapshot)
            .engine(ENGINE)
            .set_port(number(settings, Field::Port))
            .set_backup_retention_period(number(settings, Field::Retention))
            .set_preferred_backup_window(text(settings, Field::BackupWindow))
            .set_engine_lifecycle_support(extended_support(settings))
            .publicly_accessible(false)
            .set_tags(Some(tags_of(tags)));
        request.send().await.map(drop).map_err(|error| told(operation, &error))
    }

    async fn replicate(&self, id: &str, source: &str, settings: &Settings, tags: &Tags) -> Result<(), Error> {
        let operation = "CreateDBInstanceReadReplica";
        use Field::{BackupWindow, EngineVersion, ExtendedSupport, MaintenanceWindow, Retention, Storage};
        let refused = [EngineVersion, Storage, Retention, BackupWindow, MaintenanceWindow, ExtendedSupport];
        without(operation, settings, &refused)?;
        let request = set_common!(self.client.create_db_instance_read_replica(), settings)
            .db_instance_identifier(id)
            .source_db_instance_identifier(source)
            .set_max_allocated_storage(number(settings, Field::MaxStorage))
            .set_port(number(settings, Field::Port))
            .publicly_accessible(false)
            .set_tags(Some(tags_of(tags)));
        request.send().await.map(drop).map_err(|error| told(operation, &error))
    }

    async fn modify(&self, id: &str, change: &Settings, immediately: bool, major: bool) -> Result<(), Error> {
        let request = set_common!(self.client.modify_db_instance(), change)
            .db_instance_identifier(id)
            .set_engine_version(text(change, Field::EngineVersion))
            .set_allocated_storage(number(change, Field::Storage))
            .set_max_allocated_storage(number(change, Field::MaxStorage))
            .set_db_port_number(number(change, Field::Port))
            .set_backup_retention_period(number(change, Field::Retention))
            .set_preferred_backup_window(text(change, Field::BackupWindow))
            .set_preferred_maintenance_window(text(change, Field::MaintenanceWindow))
            .set_engine_lifecycle_support(extended_support(change))
            .apply_immediately(immediately)
            .set_allow_major_version_upgrade(major.then_some(true));
        request.send().await.map(drop).map_err(|error| told("ModifyDBInstance", &error))
    }
}

fn method(at_reboot: bool) -> ApplyMethod {
    if at_reboot { ApplyMethod::PendingReboot } else { ApplyMethod::Immediate }
}

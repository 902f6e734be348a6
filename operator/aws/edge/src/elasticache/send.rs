//! Calls, as requests.

use super::SdkElastiCache;
use crate::told;
use aws::{
    Call as _, Error, Password, Tags, Value,
    elasticache::{Call, Field, Settings, Strategy},
};
use aws_sdk_elasticache::types::{AuthTokenUpdateStrategyType, ClusterMode, ConfigureShard, ParameterNameValue, Tag};
use std::collections::BTreeSet;

/// What is said of groups and parameter groups, which have to be described.
const DESCRIPTION: &str = "Of a LearningPlatform";

/// Sets what creation and change of a group take under the same names.
macro_rules! set_common {
    ($request:expr, $settings:expr) => {
        $request
            .set_engine(text($settings, Field::Engine))
            .set_engine_version(text($settings, Field::EngineVersion))
            .set_cache_node_type(text($settings, Field::NodeType))
            .set_cache_parameter_group_name(text($settings, Field::ParameterGroup))
            .set_security_group_ids(names($settings, Field::SecurityGroups))
            .set_snapshot_retention_limit(number($settings, Field::Retention))
            .set_snapshot_window(text($settings, Field::SnapshotWindow))
            .set_preferred_maintenance_window(text($settings, Field::MaintenanceWindow))
            .set_automatic_failover_enabled($settings.flag(Field::Failover))
            .set_multi_az_enabled($settings.flag(Field::MultiAz))
            .set_auto_minor_version_upgrade($settings.flag(Field::AutoMinorUpgrade))
    };
}

/// Sets the number of replicas, of all shards or of those that are named.
macro_rules! set_replicas {
    ($request:expr, $replicas:expr, $shards:expr) => {{
        let replicas = count($replicas);
        let shards: Vec<ConfigureShard> = $shards
            .iter()
            .map(|id| ConfigureShard::builder().node_group_id(id).new_replica_count(replicas).build())
            .collect();
        // AWS makes no such change later.
        let request = $request.apply_immediately(true);
        match shards.is_empty() {
            true => request.new_replica_count(replicas),
            false => request.set_replica_configuration(Some(shards)),
        }
    }};
}

fn text(settings: &Settings, field: Field) -> Option<String> {
    settings.text(field).map(str::to_owned)
}

fn count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn number(settings: &Settings, field: Field) -> Option<i32> {
    settings.number(field).map(count)
}

fn names(settings: &Settings, field: Field) -> Option<Vec<String>> {
    match settings.get(field)? {
        Value::Names(names) => Some(listed(names)),
        _ => None,
    }
}

fn listed(names: &BTreeSet<String>) -> Vec<String> {
    names.iter().cloned().collect()
}

fn tags_of(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

fn texts(passwords: &[Password]) -> Vec<String> {
    passwords.iter().map(|password| password.reveal().to_owned()).collect()
}

impl SdkElastiCache {
    pub(super) async fn carry_out(&self, call: &Call) -> Result<(), Error> {
        let (client, operation) = (&self.client, call.operation());
        match call {
            Call::CreateGroup { id, settings, shards, replicas, token, user_group, snapshot, kms_key, tags } => {
                let request = set_common!(client.create_replication_group(), settings)
                    .replication_group_id(id)
                    .replication_group_description(DESCRIPTION)
                    .set_cache_subnet_group_name(text(settings, Field::SubnetGroup))
                    .set_port(number(settings, Field::Port))
                    .set_transit_encryption_enabled(settings.flag(Field::Tls))
                    .set_at_rest_encryption_enabled(settings.flag(Field::AtRest))
                    .set_auth_token(token.as_ref().map(|token| token.reveal().to_owned()))
                    .set_user_group_ids(user_group.clone().map(|group| vec![group]))
                    .set_snapshot_name(snapshot.clone())
                    .set_kms_key_id(kms_key.clone())
                    .set_tags(Some(tags_of(tags)));
                // Without cluster mode AWS counts nodes, not shards and replicas.
                let request = match settings.flag(Field::ClusterMode) {
                    Some(true) => request
                        .cluster_mode(ClusterMode::Enabled)
                        .num_node_groups(count(*shards))
                        .replicas_per_node_group(count(*replicas)),
                    _ => request
                        .cluster_mode(ClusterMode::Disabled)
                        .num_cache_clusters(count(replicas.saturating_add(1))),
                };
                request.send().await.map(drop).map_err(|error| told(operation, &error))
            }
            Call::ModifyGroup { id, change, immediately } => self.modify(id, change, *immediately).await,
            Call::SetToken { id, token, strategy } => {
                let strategy = match strategy {
                    Strategy::Rotate => AuthTokenUpdateStrategyType::Rotate,
                    Strategy::Set => AuthTokenUpdateStrategyType::Set,
                };
                let request = client.modify_replication_group().replication_group_id(id).auth_token(token.reveal());
                let request = request.auth_token_update_strategy(strategy).apply_immediately(true);
                request.send().await.map(drop).map_err(|error| told(operation, &error))
            }
            Call::IncreaseReplicas { id, replicas, shards } => {
                let request = client.increase_replica_count().replication_group_id(id);
                let request = set_replicas!(request, *replicas, shards);
                request.send().await.map(drop).map_err(|error| told(operation, &error))
            }
            Call::DecreaseReplicas { id, replicas, shards } => {
                let request = client.decrease_replica_count().replication_group_id(id);
                let request = set_replicas!(request, *replicas, shards);
                request.send().await.map(drop).map_err(|error| told(operation, &error))
            }
            Call::Reshard { id, shards, remove } => {
                let request = client.modify_replication_group_shard_configuration().replication_group_id(id);
                let request = request.node_group_count(count(*shards)).apply_immediately(true);
                let remove = (!remove.is_empty()).then(|| listed(remove));
                let request = request.set_node_groups_to_remove(remove);
                request.send().await.map(drop).map_err(|error| told(operation, &error))
            }
            Call::DeleteGroup { id, snapshot } => {
                let request = client.delete_replication_group().replication_group_id(id).retain_primary_cluster(false);
                let request = request.set_final_snapshot_identifier(snapshot.clone());
                request.send().await.map(drop).map_err(|error| told(operation, &error))
            }
            Call::Tag { resource, id, tags } => {
                let arn = self.arn(*resource, id).await?;
                let request = client.add_tags_to_resource().resource_name(&arn).set_tags(Some(tags_of(tags)));
                let result = request.send().await.map(drop).map_err(|error| told(operation, &error));
                // Also where it failed: it may have been carried out.
                self.tags.forget(*resource, &arn);
                result
            }
            Call::CreateParameterGroup { name, family, tags } => {
                let request = client.create_cache_parameter_group().cache_parameter_group_name(name);
                let request = request.cache_parameter_group_family(family).description(DESCRIPTION);
                let request = request.set_tags(Some(tags_of(tags)));
                request.send().await.map(drop).map_err(|error| told(operation, &error))
            }
            Call::SetParameters { name, values } => {
                let value = |(name, value): (&String, &String)| {
                    ParameterNameValue::builder().parameter_name(name).parameter_value(value).build()
                };
                let request = client.modify_cache_parameter_group().cache_parameter_group_name(name);
                let request = request.set_parameter_name_values(Some(values.iter().map(value).collect()));
                request.send().await.map(drop).map_err(|error| told(operation, &error))
            }
            Call::ResetParameters { name, names } => {
                let of = |name: &String| ParameterNameValue::builder().parameter_name(name).build();
                let request = client.reset_cache_parameter_group().cache_parameter_group_name(name);
                let request = request.reset_all_parameters(false);
                let request = request.set_parameter_name_values(Some(names.iter().map(of).collect()));
                request.send().await.map(drop).map_err(|error| told(operation, &error))
            }
            Call::DeleteParameterGroup { name } => {
                let request = client.delete_cache_parameter_group().cache_parameter_group_name(name);
                request.send().await.map(drop).map_err(|error| told(operation, &error))
            }
            Call::CreateUser { id, name, engine, access, passwords, tags } => {
                let request = client.create_user().user_id(id).user_name(name).engine(engine).access_string(access);
                let request = request.set_tags(Some(tags_of(tags)));
                let request = match passwords.is_empty() {
                    true => request.no_password_required(true),
                    false => request.set_passwords(Some(texts(passwords))),
                };
                request.send().await.map(drop).map_err(|error| told(operation, &error))
            }
            Call::ModifyUser { id, access, passwords } => {
                let request = client.modify_user().user_id(id).set_access_string(access.clone());
                let request = request.set_passwords(passwords.as_deref().map(texts));
                request.send().await.map(drop).map_err(|error| told(operation, &error))
            }
            Call::DeleteUser { id } => {
                client.delete_user().user_id(id).send().await.map(drop).map_err(|error| told(operation, &error))
            }
            Call::CreateUserGroup { id, engine, users, tags } => {
                let request = client.create_user_group().user_group_id(id).engine(engine);
                let request = request.set_user_ids(Some(listed(users))).set_tags(Some(tags_of(tags)));
                request.send().await.map(drop).map_err(|error| told(operation, &error))
            }
            Call::ModifyUserGroup { id, add, remove } => {
                let some = |names: &BTreeSet<String>| (!names.is_empty()).then(|| listed(names));
                let request = client.modify_user_group().user_group_id(id);
                let request = request.set_user_ids_to_add(some(add)).set_user_ids_to_remove(some(remove));
                request.send().await.map(drop).map_err(|error| told(operation, &error))
            }
            Call::DeleteUserGroup { id } => {
                let request = client.delete_user_group().user_group_id(id);
                request.send().await.map(drop).map_err(|error| told(operation, &error))
            }
        }
    }

    async fn modify(&self, id: &str, change: &Settings, immediately: bool) -> Result<(), Error> {
        let operation = "ModifyReplicationGroup";
        // What the request has no place for is not left out in silence.
        if let Some((field, _)) = change.iter().find(|(field, _)| field.is_fixed()) {
            let message = format!("the call takes no {field:?}");
            return Err(Error { operation, code: Some("InvalidParameterCombination".into()), status: None, message });
        }
        let request = set_common!(self.client.modify_replication_group(), change)
            .replication_group_id(id)
            .apply_immediately(immediately);
        request.send().await.map(drop).map_err(|error| told(operation, &error))
    }
}

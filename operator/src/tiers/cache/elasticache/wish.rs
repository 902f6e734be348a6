//! What the spec wishes of a cache at ElastiCache, as its plan takes it.

use super::{ElastiCache, present, wished};
use crate::tiers::{aws::control, store::auth::Passwords};
use aws::{
    Parameters, Password, When,
    elasticache::{Access, Auth, Credential, Engine, Field, Spec, Wish},
    major,
};
use crds::tiers::elasticache::{ElastiCacheEngine, ElastiCacheField};
use std::collections::BTreeMap;

/// What a user may do where the spec says nothing.
const ALL: &str = "on ~* &* +@all";

/// What is wished. Without a password nothing is done about that.
pub(super) fn wish(cache: &ElastiCache, generation: i64, passwords: Option<&Passwords>, has_served: bool) -> Wish {
    let control = &cache.spec.control;
    Wish {
        owner: cache.owner.clone(),
        generation,
        mode: control::mode(control.mode),
        approved: control.approve.clone(),
        allow: control::allow(control),
        adopt: control.adopt == Some(true),
        deleted: false,
        deletion_policy: control::deletion(cache.spec.deletion_policy.unwrap_or_default()),
        spec: spec(cache, auth(cache, passwords, has_served)),
    }
}

/// What clients show. One that was never published may be any.
fn auth(cache: &ElastiCache, passwords: Option<&Passwords>, has_served: bool) -> Auth {
    if !cache.is_encrypted() {
        return Auth::Open;
    }
    let (next, taken) = passwords.map_or((None, false), wished);
    let credential = Credential {
        wished: next.map(Password::new),
        published: passwords.and_then(present).filter(|_| has_served).map(Password::new),
        taken,
    };
    match &cache.spec.user {
        None => Auth::Token(credential),
        Some(user) => {
            let rules = user.access.clone().unwrap_or_else(|| ALL.to_owned());
            Auth::Users(BTreeMap::from([(user.name.clone(), Access { rules, credential })]))
        }
    }
}

fn spec(cache: &ElastiCache, auth: Auth) -> Spec {
    let spec = &cache.spec;
    let number = |number: i32| u32::try_from(number).unwrap_or_default();
    let engine = match spec.engine.unwrap_or_default() {
        ElastiCacheEngine::Valkey => Engine::Valkey,
        ElastiCacheEngine::Redis => Engine::Redis,
    };
    let family = family(engine, &spec.engine_version);
    let own = (!spec.parameters.is_empty()).then(|| Parameters::Own { family, values: spec.parameters.clone() });
    Spec {
        engine,
        engine_version: Some(spec.engine_version.clone()),
        node_type: spec.node_type.clone(),
        cluster_mode: cache.is_clustered(),
        shards: cache.shards,
        replicas: cache.replicas,
        automatic_failover: spec.automatic_failover,
        multi_az: spec.multi_az,
        parameters: own.or_else(|| spec.parameter_group.clone().map(Parameters::Group)),
        subnet_group: spec.subnet_group.clone(),
        security_groups: spec.security_groups.iter().cloned().collect(),
        port: spec.port.map(number),
        tls: cache.is_encrypted(),
        at_rest_encryption: spec.at_rest_encryption.unwrap_or(true),
        kms_key: spec.kms_key.clone(),
        auth,
        snapshot_retention: spec.snapshot_retention_days.map(number),
        snapshot_window: spec.snapshot_window.clone(),
        maintenance_window: spec.maintenance_window.clone(),
        auto_minor_upgrade: spec.auto_minor_version_upgrade,
        apply: spec.apply_immediately.iter().map(|it| (field(*it), When::Immediate)).collect(),
        restore_from: spec.restore_from.as_ref().map(|restore| restore.snapshot.clone()),
    }
}

/// The family of parameter groups of a version, by AWS's documentation: `valkey8`, `redis7`, but `redis6.x`.
fn family(engine: Engine, version: &str) -> String {
    match (engine, major(version)) {
        (Engine::Redis, "6") => "redis6.x".to_owned(),
        (engine, major) => format!("{engine}{major}"),
    }
}

fn field(field: ElastiCacheField) -> Field {
    match field {
        ElastiCacheField::Engine => Field::Engine,
        ElastiCacheField::EngineVersion => Field::EngineVersion,
        ElastiCacheField::NodeType => Field::NodeType,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_named_as_aws_names_them() {
        for (engine, version, named) in
            [(Engine::Valkey, "8.0", "valkey8"), (Engine::Redis, "7.1", "redis7"), (Engine::Redis, "6", "redis6.x")]
        {
            assert_eq!(family(engine, version), named);
        }
    }
}

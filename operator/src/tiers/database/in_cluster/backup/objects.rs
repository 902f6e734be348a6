//! The objects of the backups of one primary: the receiver of the log, whose StatefulSet has the volume, and the CronJob beside it. Beside
//! dumps nothing is received: the pod only keeps the volume, and brings what is there to a bucket.

use super::{
    super::{BACKUP_PASSWORD, DEFAULT_IMAGE, InCluster, Server},
    bucket,
};
use crate::{
    kinds::Kind,
    tiers::{
        database::in_cluster::objects::{CONFIG, POD_NAME, ROLE, SECRETS},
        store::{
            RETAINED, SHARD, auth,
            pods::{self, claim, claim_retention, env, env_field},
            record, tls, with,
        },
    },
};
use crds::tiers::{
    backup::{Backup, BackupMethod, KEEP},
    in_cluster::DeletionPolicy,
};
use k8s_openapi::api::core::v1::EnvVar;
use kube::core::DynamicObject;
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Built = Result<DynamicObject, serde_json::Error>;

/// Value of [`ROLE`] of the receiver's pod, or of that which stands in its place beside dumps.
pub const ARCHIVE: &str = "archive";
/// Script of that pod beside dumps, where they are not brought to a bucket.
const HOLD: &str = "hold";
/// Value of [`ROLE`] of Jobs that take backups, and of their pods.
pub const BACKUP: &str = "backup";
/// Where the volume of the backups is mounted; of a database that is made of one, too.
const MOUNT: &str = "/var/lib/learningplatform/backup";
/// A failed run is tried again so often: the next one may be a week away.
const BACKOFF_LIMIT: i32 = 3;
/// Runs that are kept with their logs.
const HISTORY_LIMIT: i32 = 3;
/// The receiver has nothing to write out.
const GRACE_SECONDS: i64 = 30;

/// Everything for the backups of a server; nothing where none are wished.
pub fn objects(database: &InCluster, server: &Server) -> Vec<Built> {
    super::on_volume(database)
        .into_iter()
        .flat_map(|spec| [archive(database, server, spec), cron_job(database, server, spec)])
        .collect()
}

fn labels(database: &InCluster, server: &Server, role: &str) -> BTreeMap<String, String> {
    with(with(database.identity.labels(), SHARD, server.shard), ROLE, role)
}

fn selector(database: &InCluster, server: &Server, role: &str) -> BTreeMap<String, String> {
    with(with(database.identity.selector(), SHARD, server.shard), ROLE, role)
}

fn archive(database: &InCluster, server: &Server, spec: &Backup) -> Built {
    let labels = labels(database, server, ARCHIVE);
    let policy = database.spec.deletion_policy.unwrap_or_default();
    // Admission sees to it that base backups have one.
    let volume = spec.volume.clone().unwrap_or_default();
    let mut claim_labels = labels.clone();
    if policy == DeletionPolicy::Retain {
        claim_labels.insert(RETAINED.to_owned(), "true".to_owned());
    }
    Kind::StatefulSet.object(&json!({
        "metadata": { "name": server.backup(), "labels": labels },
        "spec": {
            "serviceName": server.pods_service(),
            "replicas": 1,
            "podManagementPolicy": "Parallel",
            "updateStrategy": { "type": "RollingUpdate" },
            "persistentVolumeClaimRetentionPolicy": claim_retention(policy, policy),
            "selector": { "matchLabels": selector(database, server, ARCHIVE) },
            "template": template(database, server, spec, ARCHIVE, None),
            // Jobs on the same node use it, too.
            "volumeClaimTemplates": [claim(&volume, "ReadWriteOnce", &claim_labels)],
        },
    }))
}

fn cron_job(database: &InCluster, server: &Server, spec: &Backup) -> Built {
    let labels = labels(database, server, BACKUP);
    Kind::CronJob.object(&json!({
        "metadata": { "name": server.backup(), "labels": labels },
        "spec": {
            "schedule": spec.schedule.cron,
            // Left out, it would be that of the machine which Kubernetes' controllers run on.
            "timeZone": spec.schedule.time_zone.as_deref().unwrap_or("Etc/UTC"),
            "concurrencyPolicy": "Forbid",
            "suspend": false,
            "successfulJobsHistoryLimit": HISTORY_LIMIT,
            "failedJobsHistoryLimit": HISTORY_LIMIT,
            "jobTemplate": {
                "metadata": { "labels": labels },
                "spec": {
                    "backoffLimit": BACKOFF_LIMIT,
                    "podReplacementPolicy": "Failed",
                    "podFailurePolicy": { "rules": [{
                        "action": "Ignore",
                        "onPodConditions": [{ "type": "DisruptionTarget", "status": "True" }],
                    }] },
                    "template": template(database, server, spec, BACKUP, Some(&server.backup_claim())),
                },
            },
        },
    }))
}

/// The pod of the receiver, or that of a backup, which shares its volume and with it its node.
fn template(database: &InCluster, server: &Server, spec: &Backup, role: &str, shared: Option<&str>) -> Value {
    let mut pods = database.spec.pods.clone();
    pods.resources.clone_from(&spec.resources);
    let mut pod =
        serde_json::to_value(pods::pod(&pods, &selector(database, server, role), GRACE_SECONDS)).unwrap_or_default();
    // One pod has nothing to be spread from.
    if let Some(fields) = pod.as_object_mut() {
        fields.remove("topologySpreadConstraints");
        fields.remove("affinity");
    }
    if shared.is_some() {
        pod["restartPolicy"] = json!("Never");
        pod["affinity"] = json!({ "podAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [{
            "topologyKey": "kubernetes.io/hostname",
            "labelSelector": { "matchLabels": selector(database, server, ARCHIVE) },
        }] } });
    }
    let keep = spec.keep.unwrap_or(KEEP);
    let mut environment = vec![
        env("LP_BACKUP_DIR", MOUNT),
        env("LP_KEEP", keep),
        env("LP_PRIMARY", format!("{}.{}.svc", server.primary_service(), database.namespace)),
        // There are no data in these pods; the scripts want a name for them.
        env("PGDATA", "/nonexistent"),
        env_field("POD_NAME", "metadata.name"),
    ];
    environment.extend(method(spec));
    let of_bucket = spec.s3.as_ref().filter(|_| shared.is_some());
    environment.extend(of_bucket.into_iter().flat_map(|to| bucket::waiting(database, server, to)));
    let name = if shared.is_none() && spec.method() == BackupMethod::Logical { HOLD } else { role };
    let container = json!({
        "name": name,
        "image": database.spec.image.as_deref().unwrap_or(DEFAULT_IMAGE),
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", format!("{CONFIG}/{name}.sh")],
        "env": environment,
        "envFrom": [{ "prefix": record::PREFIX, "configMapRef": { "name": record::name(&server.object_name), "optional": true } }],
        "resources": pods::resources(&pods),
        "securityContext": pods::security(),
        "volumeMounts": [
            { "name": pods::DATA, "mountPath": MOUNT },
            { "name": "config", "mountPath": CONFIG },
            { "name": "secrets", "mountPath": SECRETS },
            { "name": "run", "mountPath": "/var/run/postgresql" },
            { "name": "tmp", "mountPath": "/tmp" },
        ],
    });
    // What brings them to a bucket keeps the volume as well.
    pod["containers"] = if name == HOLD && spec.s3.is_some() { json!([]) } else { json!([container]) };
    let data = shared.map(|claim| json!({ "name": pods::DATA, "persistentVolumeClaim": { "claimName": claim } }));
    let volumes = [
        json!({ "name": "config", "configMap": { "name": format!("{}-config", database.object_name), "defaultMode": 0o444 } }),
        json!({ "name": "secrets", "secret": {
            "secretName": auth::name(&database.object_name), "defaultMode": 0o440,
            "items": [{ "key": BACKUP_PASSWORD, "path": "backup.password" }],
        } }),
        json!({ "name": "run", "emptyDir": {} }),
        json!({ "name": "tmp", "emptyDir": {} }),
    ];
    pod["volumes"] = data.into_iter().chain(volumes).collect();
    if shared.is_none() {
        bucket::upload(database, server, &pods, MOUNT, &mut pod);
    }
    tls::mount_authorities(&mut pod, tls::secret_name(database.spec.tls.as_ref(), &database.object_name));
    json!({ "metadata": { "labels": labels(database, server, role) }, "spec": pod })
}

/// What the scripts are told of the method, where it is not the one that they take by themselves.
pub(super) fn method(spec: &Backup) -> Option<EnvVar> {
    (spec.method() == BackupMethod::Logical).then(|| env("LP_METHOD", "Logical"))
}

/// Lets the primary's pod make its database of a backup: of its own volume, where that was made of a snapshot, of another, on the
/// node where that is read and written, or of what is first fetched from a bucket. Only for as long as the database has no data:
/// afterwards all are let go. The pod's own volume is mounted at `mount` and has the data in `data`.
pub fn restore(database: &InCluster, server: &Server, has_data: bool, (mount, data): (&str, &str), pod: &mut Value) {
    let Some(from) = database.spec.restore_from.as_ref().filter(|_| !has_data) else { return };
    let push = |list: Option<&mut Value>, values: Vec<Value>| {
        if let Some(list) = list.and_then(Value::as_array_mut) {
            list.extend(values);
        }
    };
    if let Some(snapshot) = &from.volume_snapshot {
        push(pod.pointer_mut("/containers/0/env"), vec![json!(env("LP_RESTORE_SNAPSHOT", snapshot))]);
        return;
    }
    let which: [EnvVar; 2] = [
        env("LP_RESTORE_BACKUP", from.backup.as_deref().unwrap_or("latest")),
        env("LP_RESTORE_TIME", super::target_time(from).unwrap_or_default()),
    ];
    let place = if from.s3.is_some() { format!("{data}.fetched") } else { MOUNT.to_owned() };
    let variables = [env("LP_RESTORE_DIR", place)].into_iter().chain(which.clone());
    push(pod.pointer_mut("/containers/0/env"), variables.map(|variable| json!(variable)).collect());
    if let Some(bucket) = &from.s3 {
        bucket::download(database, server, bucket, (mount, data), &which, pod);
    }
    let Some(claim) = &from.claim else { return };
    let mount = json!({ "name": "restore", "mountPath": MOUNT, "readOnly": true });
    push(pod.pointer_mut("/containers/0/volumeMounts"), vec![mount]);
    let volume = json!({ "name": "restore", "persistentVolumeClaim": { "claimName": claim } });
    push(pod.pointer_mut("/volumes"), vec![volume]);
    if let Some(holder) = claim.strip_prefix("data-") {
        pod["affinity"]["podAffinity"] = json!({ "preferredDuringSchedulingIgnoredDuringExecution": [{
            "weight": 100,
            "podAffinityTerm": {
                "topologyKey": "kubernetes.io/hostname",
                "labelSelector": { "matchLabels": { POD_NAME: holder } },
            },
        }] });
    }
}

//! The bucket that backups are brought to, or that a database is made of: rclone's containers, and what is seen of them.

use super::super::{InCluster, Server, objects::CONFIG};
use crate::tiers::store::{
    pods::{self, env, env_secret},
    record,
};
use crds::tiers::{backup::KEEP, bucket::Bucket, in_cluster::StorePods};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, EnvVar, Pod};
use serde_json::{Value, json};

/// rclone's image where the spec names none.
pub const IMAGE: &str = "docker.io/rclone/rclone:1.76.0";
/// Name of the container that brings backups to the bucket.
pub const UPLOADER: &str = "uploader";
/// Name of the container that fetches a backup before a database is made of it.
const DOWNLOADER: &str = "downloader";
/// Name of the volume with the authority of the bucket's server, and where it is mounted.
const AUTHORITY: &str = "bucket";
const AUTHORITY_DIRECTORY: &str = "/etc/learningplatform/bucket";
/// Seconds between two looks for what is to be brought (P): what the loss of the volume costs on top of what was received.
const INTERVAL: u32 = 30;
/// Seconds for which failures are tried again before they are told (P).
const PATIENCE: u32 = 300;

/// Bucket and folder of the backups of a server: `bucket/folder`.
pub fn folder(database: &InCluster, server: &Server, bucket: &Bucket) -> String {
    let folder = match &bucket.prefix {
        None => format!("{}/{}", database.namespace, server.object_name),
        Some(prefix) if database.servers.len() > 1 => format!("{prefix}/{}", server.shard),
        Some(prefix) => prefix.clone(),
    };
    format!("{}/{folder}", bucket.bucket)
}

/// Bucket and folder of the backups that a database is made of.
pub fn source(bucket: &Bucket) -> String {
    format!("{}/{}", bucket.bucket, bucket.prefix.as_deref().unwrap_or_default())
}

/// What a backup needs to know of the bucket, to wait for what is brought there.
pub fn waiting(database: &InCluster, server: &Server, bucket: &Bucket) -> [EnvVar; 2] {
    [env("LP_BUCKET", format!("lp:{}", folder(database, server, bucket))), env("LP_PATIENCE", PATIENCE)]
}

/// How rclone reaches a folder. Nothing of it stands in arguments.
fn access(bucket: &Bucket, folder: &str) -> Vec<EnvVar> {
    let config = |name: &str| format!("RCLONE_CONFIG_LP_{name}");
    let provider = if bucket.endpoint.is_some() { "Other" } else { "AWS" };
    let mut variables = vec![
        env("LP_BUCKET", format!("lp:{folder}")),
        env(&config("TYPE"), "s3"),
        env(&config("PROVIDER"), provider),
        env(&config("REGION"), bucket.region.as_deref().unwrap_or("us-east-1")),
        // The bucket is there; to make it needs rights that nobody has given.
        env(&config("NO_CHECK_BUCKET"), true),
    ];
    variables.extend(bucket.endpoint.as_ref().map(|endpoint| env(&config("ENDPOINT"), endpoint)));
    variables.extend(bucket.ca.as_ref().map(|_| env("RCLONE_CA_CERT", format!("{AUTHORITY_DIRECTORY}/ca.crt"))));
    match &bucket.credentials_secret {
        Some(secret) => variables.extend([
            env_secret(&config("ACCESS_KEY_ID"), &secret.name, secret.access_key_id()),
            env_secret(&config("SECRET_ACCESS_KEY"), &secret.name, secret.secret_access_key()),
        ]),
        None => variables.push(env(&config("ENV_AUTH"), true)),
    }
    // Nothing but /tmp can be written in the container.
    variables.extend([env("HOME", "/tmp"), env("LP_RUN_DIR", "/tmp"), pods::env_field("POD_NAME", "metadata.name")]);
    variables
}

fn container(name: &str, script: &str, bucket: &Bucket, pods: &StorePods, env: &[EnvVar], mount: &str) -> Value {
    let mut container = json!({
        "name": name,
        "image": bucket.image.as_deref().unwrap_or(IMAGE),
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", format!("{CONFIG}/{script}")],
        "env": env,
        "resources": pods::resources(pods),
        "securityContext": pods::security(),
        "volumeMounts": [
            { "name": pods::DATA, "mountPath": mount },
            { "name": "config", "mountPath": CONFIG },
            { "name": "tmp", "mountPath": "/tmp" },
        ],
    });
    if let (Some(mounts), Some(_)) = (container["volumeMounts"].as_array_mut(), &bucket.ca) {
        mounts.push(json!({ "name": AUTHORITY, "mountPath": AUTHORITY_DIRECTORY }));
    }
    container
}

/// Adds to the pod of the receiver what brings the backups to the bucket. It is ready while the bucket has had everything lately.
pub fn upload(database: &InCluster, server: &Server, pods: &StorePods, mount: &str, pod: &mut Value) {
    let Some(spec) = &database.spec.backup else { return };
    let Some(bucket) = &spec.s3 else { return };
    let mut variables = access(bucket, &folder(database, server, bucket));
    variables.extend([
        env("LP_BACKUP_DIR", mount),
        env("LP_OWNER", format!("{}/{}", database.namespace, server.object_name)),
        env("LP_KEEP", spec.keep.unwrap_or(KEEP)),
        env("LP_INTERVAL", INTERVAL),
        env("LP_PATIENCE", PATIENCE),
        // There are no data in this pod; the scripts want a name for them.
        env("PGDATA", "/nonexistent"),
    ]);
    variables.extend(super::objects::method(spec));
    let mut uploader = container(UPLOADER, "upload.sh", bucket, pods, &variables, mount);
    uploader["readinessProbe"] = json!({
        "exec": { "command": ["/bin/sh", format!("{CONFIG}/upload.sh"), "ready"] },
        "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 1, "successThreshold": 1,
    });
    if let Some(containers) = pod["containers"].as_array_mut() {
        containers.push(uploader);
    }
    finish(bucket, pod);
}

/// Lets a pod fetch a backup beside the data that are to be made of it; `variables` say which.
pub fn download(
    database: &InCluster,
    server: &Server,
    bucket: &Bucket,
    (mount, data): (&str, &str),
    variables: &[EnvVar],
    pod: &mut Value,
) {
    let mut environment = access(bucket, &source(bucket));
    environment.push(env("PGDATA", data));
    environment.extend_from_slice(variables);
    let mut downloader = container(DOWNLOADER, "download.sh", bucket, &database.spec.pods, &environment, mount);
    let record = record::name(&server.object_name);
    downloader["envFrom"] = json!([{ "prefix": record::PREFIX, "configMapRef": { "name": record, "optional": true } }]);
    pod["initContainers"] = json!([downloader]);
    finish(bucket, pod);
}

/// What the pod has for the container: the authority of the bucket's server, and by whose identity that is reached where there is no
/// key. Webhooks of the cluster add what an identity takes.
fn finish(bucket: &Bucket, pod: &mut Value) {
    if let (Some(volumes), Some(ca)) = (pod["volumes"].as_array_mut(), &bucket.ca) {
        let items = [json!({ "key": ca.key, "path": "ca.crt" })];
        volumes.push(
            json!({ "name": AUTHORITY, "secret": { "secretName": ca.name, "defaultMode": 0o440, "items": items } }),
        );
    }
    if let Some(name) = &bucket.service_account_name {
        pod["serviceAccountName"] = json!(name);
    }
}

/// How it stands with the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upload {
    /// It had everything within [`PATIENCE`].
    Done,
    /// Something is being brought there, or nobody can say.
    UnderWay,
    /// Nothing could be brought there for [`PATIENCE`].
    Failed {
        /// When it last had everything, if ever.
        last: Option<String>,
        /// Why, in the tool's words.
        error: String,
    },
}

/// What the container says that brings backups to the bucket; None where the pod has none.
pub fn upload_of(pod: &Pod) -> Option<Upload> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    let uploader = containers.iter().find(|container| container.name == UPLOADER)?;
    if uploader.ready {
        return Some(Upload::Done);
    }
    Some(last_words(uploader).map_or(Upload::UnderWay, |words| match words.split_once('\n') {
        Some((last, error)) => {
            let last = last.parse::<jiff::Timestamp>().is_ok().then(|| last.to_owned());
            Upload::Failed { last, error: error.trim().to_owned() }
        }
        None => Upload::Failed { last: None, error: words },
    }))
}

fn last_words(uploader: &ContainerStatus) -> Option<String> {
    let ended = |state: &Option<ContainerState>| state.as_ref()?.terminated.clone();
    let ended = ended(&uploader.state).or_else(|| ended(&uploader.last_state))?;
    let words = ended.message.unwrap_or_default().trim().to_owned();
    (ended.exit_code != 0 && !words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(ready: bool, last: &Value) -> Option<Upload> {
        let pod = serde_json::from_value(json!({"status": {"containerStatuses": [
            {"name": "archive", "image": "i", "imageID": "", "ready": true, "restartCount": 0},
            {"name": "uploader", "image": "i", "imageID": "", "ready": ready, "restartCount": 1, "state": {"running": {}}, "lastState": last},
        ]}}));
        upload_of(&pod.unwrap())
    }

    #[test]
    fn the_last_words_of_the_uploader_count_until_it_is_ready() {
        let ended = |words: &str, code: i32| json!({"terminated": {"exitCode": code, "message": words}});
        let failed = |last: Option<&str>, error: &str| {
            Some(Upload::Failed { last: last.map(str::to_owned), error: error.to_owned() })
        };
        assert_eq!(seen(false, &json!({})), Some(Upload::UnderWay));
        assert_eq!(seen(false, &ended("", 143)), Some(Upload::UnderWay), "it was only stopped");
        let words = "2026-11-02T04:00:00Z\nAccessDenied: Access Denied\n";
        assert_eq!(seen(false, &ended(words, 1)), failed(Some("2026-11-02T04:00:00Z"), "AccessDenied: Access Denied"));
        assert_eq!(seen(true, &ended(words, 1)), Some(Upload::Done));
        assert_eq!(seen(false, &ended("never\nno route", 1)), failed(None, "no route"));
        assert_eq!(seen(false, &ended("WrongCluster: not ours", 75)), failed(None, "WrongCluster: not ours"));
        assert_eq!(upload_of(&Pod::default()), None);
    }
}

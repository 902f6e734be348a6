//! The pods of a store as the watch has seen them, and how one of them is restarted.

use crate::{
    context::Context,
    keeper::StoreKey,
    naming::{COMPONENT, INSTANCE},
    tiers::{
        app::trouble,
        store::{SHARD, pods::SERVER, tls::TLS},
    },
};
use crds::status::Reason;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Preconditions},
};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

/// Exit code of a start script that refuses to start a server; its reason is in the termination message.
const REFUSED: i32 = 75;
/// What keeps a container from running, whatever its server does.
const STUCK: [Reason; 3] = [Reason::ImagePull, Reason::ContainerConfig, Reason::CrashLoop];
const REVISION: &str = "controller-revision-hash";
const ORDINAL: &str = "apps.kubernetes.io/pod-index";

/// A pod of a store.
#[derive(Clone, Debug)]
pub struct StorePod {
    /// The pod.
    pub pod: Arc<Pod>,
    /// Its name.
    pub name: String,
    /// Its number in the StatefulSet.
    pub ordinal: u32,
    /// Its shard.
    pub shard: u32,
    /// Where it listens; None before it has an address.
    pub address: Option<IpAddr>,
    /// By the readiness probe of its server, and all its other containers run: Services lead to it.
    pub ready: bool,
    /// It was made with certificates, so that its server speaks TLS.
    pub tls: bool,
    /// It has been told to stop.
    pub terminating: bool,
    /// It was never started on a node, so that no process of it runs.
    pub never_started: bool,
    /// Its container cannot run: it has no image or configuration, or ends again and again.
    pub stuck: bool,
    /// Whether its template is older than the StatefulSet's.
    pub outdated: bool,
    /// Why its start script, or one before it, refused to start the server.
    pub refused: Option<String>,
}

/// The pods of the store `id` of a platform; `revisions` has the newest revision of each StatefulSet.
pub fn of(ctx: &Context, key: &StoreKey, id: &str, revisions: &BTreeMap<String, String>) -> Vec<StorePod> {
    let ours = |pod: &Arc<Pod>| {
        pod.namespace().as_deref() == Some(&key.platform.namespace)
            && pod.labels().get(INSTANCE) == Some(&key.platform.name)
            && pod.labels().get(COMPONENT).is_some_and(|component| component == id)
    };
    let mut pods: Vec<_> =
        ctx.stores.pods.state().into_iter().filter(ours).filter_map(|pod| read(pod, revisions)).collect();
    pods.sort_by(|a, b| (a.shard, a.ordinal, &a.name).cmp(&(b.shard, b.ordinal, &b.name)));
    pods
}

fn read(pod: Arc<Pod>, revisions: &BTreeMap<String, String>) -> Option<StorePod> {
    let name = pod.name_any();
    let label = |name: &str| pod.labels().get(name);
    let set = name.rsplit_once('-').map(|(set, _)| set.to_owned())?;
    let containers = pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    let before = pod.status.as_ref().and_then(|status| status.init_container_statuses.as_deref()).unwrap_or_default();
    let server = containers.iter().find(|container| container.name == SERVER);
    let ready = server.is_some() && containers.iter().all(|container| container.ready);
    Some(StorePod {
        ordinal: label(ORDINAL)?.parse().ok()?,
        shard: label(SHARD)?.parse().ok()?,
        address: pod.status.as_ref().and_then(|s| s.pod_ip.as_ref()).and_then(|ip| ip.parse().ok()),
        ready,
        tls: pod.labels().contains_key(TLS),
        terminating: pod.metadata.deletion_timestamp.is_some(),
        // The kubelet says when it has taken the pod on.
        never_started: pod.status.as_ref().is_none_or(|status| status.start_time.is_none()),
        stuck: trouble::of(&pod).is_some_and(|trouble| STUCK.contains(&trouble.reason)),
        outdated: revisions.get(&set).is_some_and(|newest| label(REVISION).is_some_and(|own| own != newest)),
        refused: server.into_iter().chain(before).find_map(refused),
        name,
        pod,
    })
}

/// The reason of a start script that refused, of a container that does not run.
fn refused(server: &ContainerStatus) -> Option<String> {
    let state = server.state.as_ref()?;
    if state.running.is_some() {
        return None;
    }
    let ended = state.terminated.as_ref().or_else(|| server.last_state.as_ref()?.terminated.as_ref())?;
    (ended.exit_code == REFUSED).then(|| ended.message.clone().unwrap_or_default().trim().to_owned())
}

/// Deletes a pod, and only this very one: its StatefulSet makes it anew.
///
/// # Errors
/// What the API server answers; gone already is success.
pub async fn restart(ctx: &Context, pod: &Pod) -> Result<(), kube::Error> {
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), &pod.namespace().unwrap_or_default());
    let preconditions = Some(Preconditions { uid: pod.uid(), resource_version: None });
    match api.delete(&pod.name_any(), &DeleteParams { preconditions, ..DeleteParams::default() }).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn container(name: &str, ready: bool, state: &Value) -> Value {
        json!({"name": name, "image": "i", "imageID": "", "ready": ready, "restartCount": 0, "state": state})
    }

    /// A pod of two containers, by the names that sort them; `revision` 2 is the newest.
    fn pod(ordinal: u32, revision: &str, server: (bool, Value), exporter: bool) -> StorePod {
        let running = json!({"running": {}});
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": format!("story-main-pg-{ordinal}"), "labels": {
                ORDINAL: ordinal.to_string(), SHARD: "0", REVISION: revision,
            }},
            "status": {"startTime": "2026-09-01T08:00:00Z", "containerStatuses": [
                container("exporter", exporter, &running), container("server", server.0, &server.1),
            ]},
        }))
        .unwrap();
        read(Arc::new(pod), &BTreeMap::from([("story-main-pg".to_owned(), "2".to_owned())])).unwrap()
    }

    #[test]
    fn the_server_is_found_among_the_containers_and_all_of_them_make_a_pod_ready() {
        let running = || json!({"running": {}});
        let found = pod(0, "2", (true, running()), true);
        assert!(found.ready && !found.outdated);
        let found = pod(0, "2", (true, running()), false);
        assert!(!found.ready);
        let found = pod(0, "2", (false, running()), true);
        assert!(!found.ready);
        let ended = json!({"terminated": {"exitCode": REFUSED, "message": "DataMissing: where is it\n"}});
        let found = pod(0, "2", (false, ended), true);
        assert_eq!(found.refused.as_deref(), Some("DataMissing: where is it"));

        let ended = json!({"terminated": {"exitCode": REFUSED, "message": "RestoreRefused: no bucket"}});
        let pod = json!({
            "metadata": {"name": "story-main-pg-0", "labels": {ORDINAL: "0", SHARD: "0"}},
            "status": {
                "initContainerStatuses": [container("downloader", false, &ended)],
                "containerStatuses": [container("server", false, &json!({"waiting": {"reason": "PodInitializing"}}))],
            },
        });
        let found = read(Arc::new(serde_json::from_value(pod).unwrap()), &BTreeMap::new()).unwrap();
        assert_eq!(found.refused.as_deref(), Some("RestoreRefused: no bucket"));
    }

    #[test]
    fn a_label_says_which_pods_were_made_with_certificates() {
        let mut found = pod(0, "2", (true, json!({"running": {}})), true);
        assert!(!found.tls);
        Arc::make_mut(&mut found.pod).labels_mut().insert(TLS.to_owned(), "true".to_owned());
        assert!(read(found.pod, &BTreeMap::new()).unwrap().tls);
    }
}

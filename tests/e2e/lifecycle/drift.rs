//! What somebody changes by hand is changed back, leaf by leaf, within five seconds.

use super::{
    leaves::{Leaf, leaves, other, pointer, value, words},
    *,
};
use kube::core::ApiResource;
use learningplatform_tests::harness::{AuditLog, Need};
use operator::kinds::Kind;

/// From the event to the value that was.
const BACK: Duration = Duration::from_secs(5);
/// Platforms that share the leaves of the Deployment among them.
const SHARDS: usize = 4;

/// An app with every room and every field that makes an object.
fn everything() -> Value {
    with(
        pending("web"),
        json!({
            "replicas": 2,
            "health": {"path": "/api/health"},
            "metrics": {"path": "/metrics", "monitorLabels": {"team": "learning"}},
            "scratch": [{"name": "cache", "mountPath": "/cache", "sizeLimit": "16Mi"}],
            "security": {"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532},
            "podAnnotations": {"example.com/note": "kept"},
            "podLabels": {"team": "learning"},
            "tolerations": [{"key": "example.com/reserved", "operator": "Exists", "effect": "NoSchedule"}],
            "draining": {"delay": "1s", "gracePeriod": "5s"},
            "service": {"annotations": {"example.com/note": "kept"}},
            "exposure": {
                "gateway": {
                    "parentRefs": [{"name": "public"}], "hosts": ["school.example"],
                    "paths": [{"path": "/", "timeout": "30s"}], "annotations": {"example.com/note": "kept"},
                },
                "ingress": {"className": "none", "hosts": ["school.example"], "annotations": {"example.com/note": "kept"}},
            },
        }),
    )
}

fn scaled() -> Value {
    let autoscaling = json!({
        "minReplicas": 2, "maxReplicas": 4, "cpu": {"averageValue": "1"},
        "behavior": {
            "scaleUp": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]},
            "scaleDown": {"stabilizationWindowSeconds": 30, "policies": [{"type": "Percent", "value": 10, "periodSeconds": 60}]},
        },
    });
    with(pending("scaled"), json!({"replicas": null, "autoscaling": autoscaling}))
}

struct Object<'a> {
    ns: &'a TestNamespace,
    resource: ApiResource,
    name: String,
}

impl Object<'_> {
    fn api(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.ns.client.clone(), &self.ns.name, &self.resource)
    }

    async fn live(&self) -> Value {
        let found = self.api().get_opt(&self.name).await.expect("readable");
        serde_json::to_value(found).expect("JSON")
    }

    /// Edits the object as a person does. The refusal, if the API server has one.
    async fn edit(&self, operation: Value) -> Option<String> {
        let url = format!("{}/{}?fieldManager=kubectl-edit", self.api().resource_url(), self.name);
        let request = http::Request::patch(url)
            .header("content-type", "application/json-patch+json")
            .body(json!([operation]).to_string().into_bytes())
            .expect("a request");
        match self.ns.client.request::<Value>(request).await {
            Ok(_) => None,
            Err(kube::Error::Api(refusal)) => Some(refusal.message.clone()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Changes and removes one leaf. Whether the API server took either; how long the operator took at most.
    async fn shake(&self, leaf: &Leaf) -> Option<Duration> {
        let mut slowest = None;
        let before = self.live().await;
        let (was, place) = (value(&before, leaf), pointer(&before, leaf)?);
        let inside_list = place.rsplit('/').next().is_some_and(|last| last.parse::<usize>().is_ok());
        let mut edits = Vec::new();
        if let Some(other) = other(leaf, was.as_ref().unwrap_or(&Value::Null)) {
            let op = if inside_list { "replace" } else { "add" };
            edits.push(json!({"op": op, "path": place, "value": other}));
        }
        if was.is_some() {
            edits.push(json!({"op": "remove", "path": place}));
        }
        for edit in edits {
            let what = format!("{} {}: {} {}", self.resource.kind, self.name, edit["op"], words(leaf));
            let begin = Instant::now();
            if self.edit(edit).await.is_some() {
                continue;
            }
            let look = || async { value(&self.live().await, leaf) };
            eventually(&what, SOON, look, |now| *now == was).await;
            let took = begin.elapsed();
            assert!(took <= BACK, "{what}: back only after {took:?}");
            slowest = slowest.max(Some(took));
        }
        slowest
    }
}

/// Shakes a share of the leaves of an object; how many were changed, those that the API server guards itself, and the
/// longest time until one was back.
async fn shake_all(object: &Object<'_>, share: usize, of: usize) -> (usize, Vec<String>, Duration) {
    let (mut shaken, mut guarded, mut slowest) = (0, Vec::new(), Duration::ZERO);
    for leaf in leaves(&object.live().await).into_iter().skip(share).step_by(of) {
        match object.shake(&leaf).await {
            Some(took) => {
                shaken += 1;
                slowest = slowest.max(took);
            }
            None => guarded.push(format!("{} {}", object.resource.kind, words(&leaf))),
        }
    }
    (shaken, guarded, slowest)
}

#[tokio::test]
async fn every_leaf_that_is_changed_by_hand_is_back_within_five_seconds() {
    let (ns, _operator) = scene("drift").await;
    let mut objects = Vec::new();
    for shard in 0..SHARDS {
        let platform = format!("school-{shard}");
        ns.apply(&platform, json!({"apps": [everything(), scaled()]})).await;
        // Each kind is shaken in a platform of its own, as far as there are some: a pass mends one platform.
        let object =
            |kind: Kind, app: &str| Object { ns: &ns, resource: kind.resource(), name: format!("{platform}-{app}") };
        objects.push((object(Kind::Deployment, "web"), shard, SHARDS));
        let others = [
            (Kind::Service, "web"),
            (Kind::HttpRoute, "web"),
            (Kind::Ingress, "web"),
            (Kind::PodMonitor, "web"),
            (Kind::PodDisruptionBudget, "web"),
            (Kind::HorizontalPodAutoscaler, "scaled"),
        ];
        objects.extend(others.into_iter().skip(shard).step_by(SHARDS).map(|(kind, app)| (object(kind, app), 0, 1)));
    }
    let children = || async { children(&ns).await.len() };
    eventually("all objects are there", SOON, children, |count| *count == SHARDS * 10).await;

    let shaken =
        futures::future::join_all(objects.iter().map(|(object, share, of)| shake_all(object, *share, *of))).await;
    let count: usize = shaken.iter().map(|(count, ..)| count).sum();
    let slowest = shaken.iter().map(|(.., slowest)| slowest).max().expect("objects");
    let guarded: Vec<&String> = shaken.iter().flat_map(|(_, guarded, _)| guarded).collect();
    println!("{count} leaves, back after at most {slowest:?}; not to be changed by anybody: {guarded:#?}");
    assert!(count > 120, "only {count} leaves were changed");
    // What selects the pods is immutable, and a volume and its mount have to be of one name.
    let immutable = |leaf: &&&String| {
        leaf.contains("selector")
            || leaf.contains(".template.metadata.labels")
            || (leaf.to_lowercase().contains(".volume") && leaf.ends_with(".name"))
    };
    let rest: Vec<_> = guarded.iter().filter(|leaf| !immutable(leaf)).collect();
    assert!(rest.is_empty(), "the API server refused to change: {rest:#?}");
    ns.delete().await;
}

#[tokio::test]
async fn a_status_that_is_edited_by_hand_is_back_within_five_seconds() {
    let (ns, _operator) = scene("status").await;
    ns.apply("school", json!({"apps": [app("web")]})).await;
    ready(&ns, "school").await;
    let before = serde_json::to_value(ns.platform("school").await.status).expect("JSON");
    for place in ["/conditions/0/message", "/conditions/0/reason", "/summary/pods", "/apps/0/image"] {
        let mut edited = before.clone();
        *edited.pointer_mut(place).unwrap_or_else(|| panic!("no {place} in {before:#}")) = json!("edited");
        let begin = Instant::now();
        let patch = Patch::Merge(json!({"status": edited}));
        let platforms = ns.api::<crds::LearningPlatform>();
        let taken = platforms.patch_status("school", &PatchParams::default(), &patch).await.expect("edited");
        assert_eq!(serde_json::to_value(taken.status).expect("JSON"), edited, "the server took it");
        let status = || async { serde_json::to_value(ns.platform("school").await.status).expect("JSON") };
        eventually(&format!("{place} is back"), SOON, status, |now| *now == before).await;
        assert!(begin.elapsed() <= BACK, "{place}: back only after {:?}", begin.elapsed());
    }
    ns.delete().await;
}

#[tokio::test]
async fn a_child_that_is_deleted_by_hand_is_back_within_five_seconds() {
    let (ns, _operator) = scene("deleted").await;
    ns.apply("school", json!({"apps": [everything(), scaled()]})).await;
    let count = || async { children(&ns).await.len() };
    eventually("all objects are there", SOON, count, |count| *count == 10).await;
    for child in children(&ns).await {
        let (types, name) = (child.types.expect("types"), child.metadata.name.expect("a name"));
        let was = child.metadata.uid;
        let begin = Instant::now();
        remove(&ns, &types.api_version, &types.kind, &name).await;
        let api = dynamic(&ns, &types.api_version, &types.kind);
        let look = || async { api.get_opt(&name).await.expect("readable").and_then(|object| object.metadata.uid) };
        eventually(&format!("{} {name} is back", types.kind), SOON, look, |uid| uid.is_some() && *uid != was).await;
        assert!(begin.elapsed() <= BACK, "{} {name}: back only after {:?}", types.kind, begin.elapsed());
    }
    ns.delete().await;
}

#[tokio::test]
async fn what_others_add_stays() {
    if Need::AuditLog.is_missing() {
        return;
    }
    let (ns, operator) = scene("others").await;
    ns.apply("school", json!({"apps": [everything()]})).await;
    let count = || async { children(&ns).await.len() };
    eventually("all objects are there", SOON, count, |count| *count == 6).await;
    let service = Object { ns: &ns, resource: Kind::Service.resource(), name: "school-web".to_owned() };
    let add = json!({"op": "add", "path": "/metadata/annotations/example.com~1theirs", "value": "kept"});
    assert_eq!(service.edit(add).await, None);
    // The look at the object that the edit causes, made visible by an edit of a field of ours.
    let ours = json!({"op": "replace", "path": "/metadata/annotations/example.com~1note", "value": "changed"});
    assert_eq!(service.edit(ours).await, None);
    let annotations = || async { service.live().await["metadata"]["annotations"].clone() };
    let both = json!({"example.com/note": "kept", "example.com/theirs": "kept"});
    eventually("ours is back and theirs is there", SOON, annotations, |now| *now == both).await;
    let audit = AuditLog::from_now();
    let user = format!("system:serviceaccount:{}:operator", ns.name);
    let quiet =
        || async { audit.writes_of(&user).into_iter().filter(|w| w.contains(" services ")).collect::<Vec<_>>() };
    learningplatform_tests::harness::holds_for("no fight over it", Duration::from_secs(3), quiet, Vec::is_empty).await;
    drop(operator);
    ns.delete().await;
}

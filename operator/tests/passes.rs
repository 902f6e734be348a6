//! Passes against an API server in memory: a second pass writes nothing, a crash anywhere ends in the same state, what is
//! changed by hand comes back, what is no longer wanted goes, and what belongs to somebody else stays.

#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod api;

use api::{Api, Fault};
use crds::LearningPlatform;
use kube::{core::DeserializeGuard, runtime::controller::Action};
use learningplatform_operator::{
    apply::{Mode, Writer},
    capabilities::{Capabilities, Served},
    context::{Context, Settings},
    evaluate,
    events::Events,
    metrics::Metrics,
    naming::{FieldManager, PlatformKey},
    rbac, reconcile, shallow,
    stores::Stores,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const PLATFORM: &str = "/apis/learningplatform.dev/v1alpha1/namespaces/learning/learningplatforms/story";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/learning/deployments/story-web";
const SERVICE: &str = "/api/v1/namespaces/learning/services/story-web";
const HPA: &str = "/apis/autoscaling/v2/namespaces/learning/horizontalpodautoscalers/story-web";
const SECRET: &str = "/api/v1/namespaces/learning/secrets/db";
const ROUTE: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/learning/httproutes/story-web";
const GATEWAY: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/edge/gateways/public";

/// A platform with most of what an app can have.
fn spec() -> Value {
    json!({
        "prometheus": { "url": "http://prometheus.monitoring:9090" },
        "apps": [
            {
                "name": "web", "image": "registry.example/web:1", "port": 3000,
                "resources": { "requests": { "cpu": "250m", "memory": "512Mi" }, "limits": { "memory": "512Mi" } },
                "health": { "path": "/api/health" },
                "env": [
                    { "name": "URL", "valueFrom": { "secretKeyRef": { "name": "db", "key": "url" } } },
                    { "name": "EMPTY", "value": "" },
                ],
                "scratch": [{ "name": "tmp", "mountPath": "/tmp" }],
                "metrics": {},
                "exposure": {
                    "gateway": { "parentRefs": [{ "name": "public", "namespace": "edge" }], "hosts": ["story.example"] },
                    "ingress": { "hosts": ["story.example"] },
                },
                "autoscaling": {
                    "minReplicas": 3, "maxReplicas": 20, "cpu": { "utilization": 70 },
                    "requestRate": { "perPod": "100" },
                },
            },
            { "name": "worker", "image": "registry.example/worker:1", "replicas": 2 },
        ],
    })
}

/// When the next pass is due.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Only when the resource changes.
    OnChange,
    /// Within seconds: something is waited for.
    Soon,
    /// After the resync, or a backoff.
    Later,
}

struct World {
    api: Api,
}

impl World {
    fn new(spec: Value) -> Self {
        let api = Api::default();
        api.put(
            SECRET,
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "db", "namespace": "learning" } }),
        );
        api.put(GATEWAY, json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": { "name": "public", "namespace": "edge" } }));
        let world = Self { api };
        world.ask(spec, json!({}));
        world
    }

    fn ask(&self, spec: Value, annotations: Value) {
        self.api.put(
            PLATFORM,
            json!({
                "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
                "metadata": { "name": "story", "namespace": "learning", "uid": "uid-1", "annotations": annotations },
                "spec": spec,
            }),
        );
    }

    /// A new process: nothing remembered.
    async fn operator(&self) -> Arc<Context> {
        let client = shallow::client(self.api.client("learning"));
        let (stores, _) = Stores::new();
        let capabilities = Capabilities::new(Served::default());
        capabilities.discover(&client).await;
        Arc::new(Context {
            settings: Arc::new(Settings::default()),
            writer: Writer::new(client.clone(), Mode::Write),
            events: Events::new(client.clone(), None),
            metrics: Arc::new(Metrics::default()),
            stores,
            capabilities,
            scaling: Arc::default(),
            registry: evaluate::Registry::default(),
            backoff: Arc::default(),
            client,
        })
    }

    /// One pass, and when the next one is due.
    async fn pass(&self, operator: &Arc<Context>) -> Next {
        let Some(platform) = self.api.get(PLATFORM) else { return Next::OnChange };
        let guard: DeserializeGuard<LearningPlatform> = serde_json::from_value(platform).unwrap();
        match reconcile::reconcile(Arc::new(guard), operator.clone()).await {
            Ok(action) if action == Action::await_change() => Next::OnChange,
            Ok(action) if action == Action::requeue(operator.settings.waiting_requeue) => Next::Soon,
            Ok(_) => Next::Later,
            Err(_) => Next::Soon,
        }
    }

    /// Passes and the cluster's own controllers, until a pass changes nothing.
    async fn settle(&self, operator: &Arc<Context>) {
        for _ in 0..12 {
            self.pass(operator).await;
            self.api.run_deployments();
            let before = self.api.dump();
            self.pass(operator).await;
            if self.api.dump() == before {
                return;
            }
        }
        panic!("did not settle: {}", self.condition("Ready"));
    }

    /// Whether all apps are ready. Without an evaluation beside the passes, scaling itself waits for a decision.
    fn is_ready(&self) -> bool {
        self.condition("AppReady")["status"] == "True"
    }

    fn condition(&self, type_: &str) -> Value {
        let platform = self.api.get(PLATFORM).unwrap();
        find(&platform["status"]["conditions"], type_)
    }

    fn app_condition(&self, app: &str, type_: &str) -> Value {
        let platform = self.api.get(PLATFORM).unwrap();
        let apps = platform["status"]["apps"].as_array().cloned().unwrap_or_default();
        apps.iter().find(|a| a["name"] == app).map_or(Value::Null, |a| find(&a["conditions"], type_))
    }
}

fn find(conditions: &Value, type_: &str) -> Value {
    let all = conditions.as_array().cloned().unwrap_or_default();
    all.into_iter().find(|c| c["type"] == type_).unwrap_or(Value::Null)
}

#[tokio::test]
async fn a_platform_becomes_ready_and_then_no_pass_writes() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.settle(&operator).await;
    assert!(world.is_ready(), "{}", world.condition("AppReady"));
    let wrote = world.api.writes();
    assert!(wrote.len() >= 10, "{wrote:?}");

    world.pass(&operator).await;
    assert_eq!(world.api.writes(), [], "a second pass writes");
    let restarted = world.operator().await;
    world.pass(&restarted).await;
    assert_eq!(world.api.writes(), [], "a pass of a new process writes");
}

#[tokio::test]
async fn a_platform_without_scaling_is_ready_as_a_whole() {
    let mut fixed = spec();
    fixed["apps"][0].as_object_mut().unwrap().remove("autoscaling");
    let world = World::new(fixed);
    world.settle(&world.operator().await).await;
    assert_eq!(world.condition("Ready")["status"], "True", "{}", world.condition("Ready"));
    assert_eq!(world.condition("Reconciling"), Value::Null);
}

#[tokio::test]
async fn a_calendar_that_cannot_be_read_now_counts_as_it_was_read_last() {
    let mut planned = spec();
    let terms = json!({ "name": "terms", "key": "terms.ics" });
    planned["apps"][0]["autoscaling"]["schedules"] =
        json!([{ "name": "exams", "calendar": { "configMap": terms }, "minReplicas": 8 }]);
    let path = "/api/v1/namespaces/learning/configmaps/terms";
    let text = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260101\nRRULE:FREQ=DAILY\nEND:VEVENT\nEND:VCALENDAR\n";
    let world = World::new(planned);
    world.api.put(
        path,
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "terms" }, "data": { "terms.ics": text } }),
    );
    let operator = world.operator().await;
    world.settle(&operator).await;
    let key = PlatformKey { namespace: "learning".into(), name: "story".into() };
    let read = operator.registry.calendars(&key);
    assert_eq!(read.values().collect::<Vec<_>>(), [text]);

    world.api.deny("get", "configmaps");
    assert_eq!(world.pass(&operator).await, Next::Soon, "it is read again");
    assert_eq!(operator.registry.calendars(&key), read);
    let told = world.app_condition("web", "AutoscalingReady");
    let message = told["message"].as_str().unwrap();
    assert_eq!(told["reason"], "PermissionDenied", "{message}");
    assert!(message.contains("schedules[exams].calendar.configMap: get ConfigMap terms: "), "{message}");
    assert!(message.contains("cannot get resource") && message.contains("read last counts"), "{message}");
    assert!(!message.contains("create it"), "{message}");

    world.api.allow_all();
    world.api.remove(path);
    world.pass(&operator).await;
    assert!(operator.registry.calendars(&key).is_empty(), "it is gone, and known to be");
    assert_eq!(world.app_condition("web", "AutoscalingReady")["reason"], "NotFound");
}

#[tokio::test]
async fn the_first_status_comes_before_the_first_child() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.pass(&operator).await;
    let writes = world.api.writes();
    assert!(writes[0].path.ends_with("/status"), "{writes:?}");
}

/// The lines in which two objects differ.
fn differences(wanted: &Value, found: &Value) -> String {
    let [wanted, found] = [wanted, found].map(|object| serde_json::to_string_pretty(object).unwrap());
    let diff = similar::TextDiff::from_lines(&wanted, &found);
    let lines = diff.iter_all_changes().filter(|line| line.tag() != similar::ChangeTag::Equal);
    lines.map(|line| format!("{}{line}", line.tag())).collect()
}

#[tokio::test]
async fn a_crash_at_any_write_ends_in_the_same_state() {
    let perfect = World::new(spec());
    perfect.settle(&perfect.operator().await).await;
    let count = perfect.api.writes().len();
    let wanted = perfect.api.dump();
    for fault in [Fault::Before, Fault::AnswerLost, Fault::Conflict, Fault::Forbidden] {
        for nth in 0..count {
            let world = World::new(spec());
            world.api.fail(nth, fault);
            let first = world.operator().await;
            for _ in 0..2 {
                world.pass(&first).await;
                world.api.run_deployments();
            }
            world.settle(&world.operator().await).await;
            let found = world.api.dump();
            for (path, object) in &wanted {
                let differs =
                    found.get(path).map_or_else(|| "is missing".to_owned(), |found| differences(object, found));
                assert_eq!(differs, "", "{fault:?} at write {nth}: {path}");
            }
            assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>(), "{fault:?} at write {nth}");
        }
    }
}

#[tokio::test]
async fn a_pass_that_panics_is_told_without_its_words_and_tried_again() {
    let world = World::new(spec());
    let operator = world.operator().await;
    // The first write is the first status.
    world.api.fail(1, Fault::Panic);
    assert_eq!(world.pass(&operator).await, Next::Soon, "an error, which is tried again");
    let ready = world.condition("Ready");
    assert_eq!((&ready["status"], &ready["reason"]), (&json!("False"), &json!("ProviderError")), "{ready}");
    let message = ready["message"].as_str().unwrap();
    assert!(message.contains("defect") && !message.contains("secret"), "{message}");
    world.settle(&operator).await;
    assert!(world.is_ready());
}

/// Every leaf of an object that one manager owns, as JSON pointers.
fn leaves(set: &Value, object: &Value, pointer: &str, found: &mut Vec<String>) {
    for (name, inner) in set.as_object().into_iter().flatten() {
        let step = if let Some(field) = name.strip_prefix("f:") {
            field.to_owned()
        } else if let Some(keys) = name.strip_prefix("k:") {
            let keys: BTreeMap<String, Value> = serde_json::from_str(keys).unwrap();
            let items = object.as_array().unwrap();
            items.iter().position(|i| keys.iter().all(|(k, v)| i[k] == *v)).unwrap().to_string()
        } else {
            continue;
        };
        let escaped = step.replace('~', "~0").replace('/', "~1");
        let inside = format!("{pointer}/{escaped}");
        let value = if object.is_array() { &object[step.parse::<usize>().unwrap()] } else { &object[&step] };
        if inner.as_object().is_none_or(|i| i.keys().all(|k| k == ".")) {
            found.push(inside);
        } else {
            leaves(inner, value, &inside, found);
        }
    }
}

#[tokio::test]
async fn every_owned_leaf_changed_or_removed_by_hand_comes_back() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.settle(&operator).await;
    let settled = world.api.dump();
    let children: Vec<String> = settled.keys().filter(|p| p.contains("story-")).cloned().collect();
    assert!(children.len() >= 8, "{children:?}");
    let mut checked = 0;
    for path in children {
        let object = world.api.get(&path).unwrap();
        for entry in object["metadata"]["managedFields"].as_array().unwrap().clone() {
            // The number of pods is the HPA's once it has one.
            if entry["manager"] == FieldManager::Scale.as_str() && path == DEPLOYMENT {
                continue;
            }
            let mut pointers = Vec::new();
            leaves(&entry["fieldsV1"], &object, "", &mut pointers);
            for pointer in pointers {
                // Keys identify an item; ownership and selection of children are not a user's to edit.
                if [
                    "/ownerReferences",
                    "/name",
                    "/mountPath",
                    "/containerPort",
                    "/protocol",
                    "/topologyKey",
                    "/whenUnsatisfiable",
                    "/port",
                    "/managed-by",
                    "/instance",
                ]
                .iter()
                .any(|k| pointer.ends_with(k) || pointer.contains("/ownerReferences/"))
                {
                    continue;
                }
                // The bounds are the evaluation's, which is not running here.
                if path == HPA && pointer.ends_with("Replicas") {
                    continue;
                }
                // What was asked for as empty may be filled by others.
                if object.pointer(&pointer).and_then(Value::as_object).is_some_and(serde_json::Map::is_empty) {
                    continue;
                }
                for remove in [false, true] {
                    world.api.edit(&path, |live| {
                        if remove {
                            let (parent, field) = pointer.rsplit_once('/').unwrap();
                            let field = field.replace("~1", "/");
                            if let Some(fields) = live.pointer_mut(parent).and_then(Value::as_object_mut) {
                                fields.remove(&field);
                            }
                        } else if let Some(leaf) = live.pointer_mut(&pointer) {
                            *leaf = match leaf {
                                Value::Bool(b) => json!(!*b),
                                Value::Number(n) => json!(n.as_i64().unwrap_or(0) + 7),
                                Value::String(s) => json!(format!("{s}x")),
                                _ => json!({ "changed": "x" }),
                            };
                        }
                    });
                    world.pass(&operator).await;
                    let live = world.api.get(&path).unwrap();
                    assert_eq!(live.pointer(&pointer), object.pointer(&pointer), "{path} {pointer} removed={remove}");
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 100, "{checked}");
    world.settle(&operator).await;
}

#[tokio::test]
async fn fields_that_a_new_spec_leaves_out_go() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.settle(&operator).await;
    let mut smaller = spec();
    let web = smaller["apps"][0].as_object_mut().unwrap();
    for field in ["env", "scratch", "health", "resources", "autoscaling"] {
        web.remove(field);
    }
    web.insert("replicas".to_owned(), json!(4));
    world.ask(smaller, json!({}));
    world.settle(&operator).await;
    let live = world.api.get(DEPLOYMENT).unwrap();
    let container = &live["spec"]["template"]["spec"]["containers"][0];
    for field in ["env", "volumeMounts", "readinessProbe", "resources"] {
        assert!(
            container[field].is_null() || container[field].as_array().is_some_and(Vec::is_empty),
            "{field}: {container}"
        );
    }
    assert_eq!(live["spec"]["replicas"], 4);
    assert_eq!(world.api.get(HPA), None, "the HPA goes with autoscaling");
}

#[tokio::test]
async fn a_renamed_app_takes_its_objects_along() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.settle(&operator).await;
    let mut renamed = spec();
    renamed["apps"][0]["name"] = json!("shop");
    world.ask(renamed, json!({}));
    world.settle(&operator).await;
    let left: Vec<String> = world.api.dump().into_keys().filter(|p| p.contains("story-web")).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(world.api.get(&DEPLOYMENT.replace("web", "shop")).is_some());
}

#[tokio::test]
async fn an_object_of_somebody_else_is_never_taken_over() {
    let foreign = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "story-web", "namespace": "learning" },
        "spec": { "selector": { "app": "other" } },
    });
    let world = World::new(spec());
    world.api.put(SERVICE, foreign);
    let before = world.api.get(SERVICE);
    let operator = world.operator().await;
    assert_eq!(world.pass(&operator).await, Next::Soon, "it looks again soon");
    world.api.run_deployments();
    world.pass(&operator).await;
    assert_eq!(world.api.get(SERVICE), before);
    let condition = world.app_condition("web", "AppReady");
    assert_eq!(condition["reason"], "NameConflict", "{condition}");
    assert!(condition["message"].as_str().unwrap().contains("Service story-web"), "{condition}");
    assert_eq!(world.app_condition("worker", "AppReady")["status"], "True", "other apps are not held up");
    world.api.remove(SERVICE);
    world.settle(&operator).await;
    assert!(world.is_ready());
}

#[tokio::test]
async fn nothing_of_ours_scales_a_deployment_of_somebody_else() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.settle(&operator).await;
    assert!(world.api.get(HPA).is_some());
    let foreign = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "story-web", "namespace": "learning", "labels": {}, "managedFields": [] },
        "spec": { "replicas": 7, "selector": { "matchLabels": { "app": "other" } } },
    });
    world.api.remove(DEPLOYMENT);
    world.api.put(DEPLOYMENT, foreign);
    let before = world.api.get(DEPLOYMENT);
    for _ in 0..3 {
        assert_eq!(world.pass(&operator).await, Next::Soon);
    }
    assert_eq!(world.api.get(DEPLOYMENT), before);
    assert_eq!(world.api.get(HPA), None, "ours goes, and none is made");
    assert_eq!(world.app_condition("web", "AppReady")["reason"], "NameConflict");
    world.api.remove(DEPLOYMENT);
    world.settle(&operator).await;
    assert!(world.is_ready() && world.api.get(HPA).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_write_without_an_answer_holds_no_other_app_up() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.api.fail(3, Fault::Hang);
    world.pass(&operator).await;
    world.api.run_deployments();
    let failed = world.app_condition("web", "AppReady");
    assert_eq!((&failed["status"], &failed["reason"]), (&json!("False"), &json!("ProviderError")), "{failed}");
    assert_eq!(world.api.get(&DEPLOYMENT.replace("web", "worker")).unwrap()["spec"]["replicas"], 2);
    world.settle(&operator).await;
    assert!(world.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_runs_out_of_time_says_so() {
    let world = World::new(spec());
    let operator = world.operator().await;
    let settings = Settings { pass_timeout: Duration::from_secs(2), ..Settings::default() };
    let hurried = Arc::new(Context { settings: Arc::new(settings), ..Context::clone(&operator) });
    world.api.fail(3, Fault::Hang);
    assert_eq!(world.pass(&hurried).await, Next::Soon);
    let ready = world.condition("Ready");
    assert_eq!(ready["reason"], "ProviderError", "{ready}");
    world.settle(&operator).await;
    assert!(world.is_ready());
}

#[tokio::test]
async fn what_is_missing_is_named_and_heals() {
    let world = World::new(spec());
    world.api.remove(SECRET);
    world.api.install("gateway.networking.k8s.io/v1", false);
    let operator = world.operator().await;
    assert_eq!(world.pass(&operator).await, Next::Soon);
    world.api.run_deployments();
    world.pass(&operator).await;
    let condition = world.app_condition("web", "AppReady");
    assert_eq!(condition["reason"], "NotFound", "{condition}");
    assert!(condition["message"].as_str().unwrap().contains("gateway.networking.k8s.io/v1"), "{condition}");

    world.api.install("gateway.networking.k8s.io/v1", true);
    operator.capabilities.discover(&operator.client).await;
    assert_eq!(world.pass(&operator).await, Next::Soon);
    assert!(world.api.get(ROUTE).is_some());
    let condition = world.app_condition("web", "AppReady");
    assert!(condition["message"].as_str().unwrap().contains("Secret db, named by env[URL]"), "{condition}");
    assert_eq!(world.condition("Ready")["reason"], "DependencyNotReady");
    assert_eq!(world.condition("Reconciling")["status"], "True");

    world.api.put(
        SECRET,
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "db", "namespace": "learning" } }),
    );
    world.settle(&operator).await;
    assert!(world.is_ready());
}

#[tokio::test]
async fn a_refusal_names_verb_and_resource_and_heals() {
    for (verb, plural) in [
        ("patch", "deployments"),
        ("patch", "services"),
        ("list", "deployments"),
        ("patch", "horizontalpodautoscalers"),
    ] {
        let world = World::new(spec());
        world.api.deny(verb, plural);
        let operator = world.operator().await;
        assert_eq!(world.pass(&operator).await, Next::Soon, "{verb} {plural}");
        let ready = world.condition("Ready");
        assert_eq!(ready["reason"], "PermissionDenied", "{ready}");
        let message = ready["message"].as_str().unwrap();
        assert!(message.contains(verb) && message.contains(plural), "{message}");
        world.api.allow_all();
        world.settle(&operator).await;
        assert!(world.is_ready(), "{verb} {plural}");
    }
}

#[tokio::test]
async fn an_invalid_spec_stalls_and_touches_nothing() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.settle(&operator).await;
    let children =
        |world: &World| world.api.dump().into_iter().filter(|(p, _)| p.contains("story-")).collect::<Vec<_>>();
    let before = children(&world);
    let mut bad = spec();
    bad["apps"][0]["health"]["port"] = json!("admin");
    world.ask(bad, json!({}));
    assert_eq!(world.pass(&operator).await, Next::OnChange, "nothing changes until the spec does");
    let stalled = world.condition("Stalled");
    assert_eq!((&stalled["status"], &stalled["reason"]), (&json!("True"), &json!("InvalidSpec")), "{stalled}");
    assert!(stalled["message"].as_str().unwrap().contains("spec.apps[web].health.port"), "{stalled}");
    assert_eq!(world.condition("Ready")["status"], "False");
    assert_eq!(children(&world), before);

    world.ask(json!({ "apps": "none" }), json!({}));
    assert_eq!(world.pass(&operator).await, Next::OnChange);
    let stalled = world.condition("Stalled");
    assert_eq!(stalled["reason"], "InvalidSpec", "even what does not parse is answered");
    assert!(stalled["message"].as_str().unwrap().starts_with("spec.apps: "), "{stalled}");
    let mut bad = spec();
    bad["apps"][0]["rollout"] = json!({ "maxSurge": 3_000_000_000_i64 });
    world.ask(bad, json!({}));
    assert_eq!(world.pass(&operator).await, Next::OnChange);
    let stalled = world.condition("Stalled");
    assert!(stalled["message"].as_str().unwrap().starts_with("spec.apps[0].rollout.maxSurge: "), "{stalled}");

    world.ask(spec(), json!({}));
    world.settle(&operator).await;
    assert_eq!(world.condition("Stalled"), Value::Null);
    assert!(world.is_ready());
}

#[tokio::test]
async fn an_overlay_nested_without_measure_is_answered_in_the_status() {
    let world = World::new(spec());
    let operator = world.operator().await;
    let mut deep = spec();
    deep["apps"][0]["podTemplate"] = (0..300).fold(json!({}), |inner, _| json!({ "spec": inner }));
    world.ask(deep, json!({}));
    assert_eq!(world.pass(&operator).await, Next::OnChange);
    let stalled = world.condition("Stalled");
    assert!(stalled["message"].as_str().unwrap().contains("spec.apps[web].podTemplate"), "{stalled}");
}

#[tokio::test]
async fn a_suspended_platform_is_observed_and_not_written() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.settle(&operator).await;
    let mut changed = spec();
    changed["apps"][0]["image"] = json!("registry.example/web:2");
    world.ask(changed.clone(), json!({ "learningplatform.dev/suspend": "true" }));
    world.api.writes();
    world.pass(&operator).await;
    let writes = world.api.writes();
    assert!(writes.iter().all(|w| w.path.ends_with("learningplatforms/story/status")), "{writes:?}");
    let ready = world.condition("Ready");
    assert_eq!((&ready["status"], &ready["reason"]), (&json!("False"), &json!("Suspended")), "{ready}");
    world.ask(changed, json!({}));
    world.settle(&operator).await;
    let live = world.api.get(DEPLOYMENT).unwrap();
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], "registry.example/web:2");
}

#[tokio::test]
async fn replicas_are_set_once_under_autoscaling_and_kept_without_it() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.settle(&operator).await;
    assert_eq!(world.api.get(DEPLOYMENT).unwrap()["spec"]["replicas"], 3, "autoscaling begins at its least");
    world.api.edit(DEPLOYMENT, |d| d["spec"]["replicas"] = json!(11));
    world.settle(&operator).await;
    assert_eq!(world.api.get(DEPLOYMENT).unwrap()["spec"]["replicas"], 11, "the count is the HPA's");
    let worker = DEPLOYMENT.replace("web", "worker");
    world.api.edit(&worker, |d| d["spec"]["replicas"] = json!(9));
    world.settle(&operator).await;
    assert_eq!(world.api.get(&worker).unwrap()["spec"]["replicas"], 2, "a fixed count comes back");
}

#[tokio::test]
async fn a_resource_that_is_being_deleted_is_left_to_the_garbage_collector() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.settle(&operator).await;
    let mut platform = world.api.get(PLATFORM).unwrap();
    assert_eq!(platform["metadata"]["finalizers"], Value::Null);
    platform["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    world.api.put(PLATFORM, platform);
    world.api.remove(DEPLOYMENT);
    world.api.writes();
    world.pass(&operator).await;
    assert_eq!(world.api.writes(), []);
}

#[tokio::test]
async fn the_rbac_table_covers_every_request() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.settle(&operator).await;
    world.ask(json!({}), json!({}));
    world.settle(&operator).await;
    let rules = [rbac::rules(), rbac::cluster_rules(), rbac::leader_rules()].concat();
    for (verb, resource) in world.api.requests() {
        let allowed = rules
            .iter()
            .any(|r| r.verbs.contains(&verb) && r.resources.as_ref().is_some_and(|known| known.contains(&resource)));
        assert!(allowed || resource.is_empty(), "{verb} {resource} is in no rule");
    }
}

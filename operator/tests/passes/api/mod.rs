//! An API server in memory: objects under their paths, server-side apply with `managedFields`, label selectors, and
//! failures on demand. It records every write.

pub mod apply;

use http::{Method, Request, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// How a write fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An error before its effect.
    Before,
    /// The effect happens, the answer is lost.
    AnswerLost,
    /// 409.
    Conflict,
    /// 403.
    Forbidden,
    /// What asks panics.
    Panic,
    /// There is never an answer.
    Hang,
}

const PANIC: &str = "a secret of the spec";
const HANG: &str = "there is no answer";

/// A request that changed something, or tried to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub verb: String,
    pub path: String,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    writes: Vec<Write>,
    events: Vec<String>,
    version: u64,
    fault: Option<(usize, Fault)>,
    denied: Vec<(String, String)>,
    missing_apis: Vec<String>,
    requests: Vec<(String, String)>,
    /// The pod template that a Deployment's controller has seen last.
    templates: BTreeMap<String, Value>,
}

/// The server; clones share it.
#[derive(Clone, Default)]
pub struct Api(Arc<Mutex<State>>);

type Answer = Result<(u16, Value), String>;

impl Api {
    pub fn client(&self, namespace: &str) -> kube::Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
                let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
                let answer = api.answer(&parts.method, &parts.uri, body);
                assert!(answer != Err(PANIC.to_owned()), "{PANIC}");
                if answer == Err(HANG.to_owned()) {
                    std::future::pending::<()>().await;
                }
                let (code, answer) = answer?;
                let response = Response::builder().status(code).header("content-type", "application/json");
                response.body(http_body_util::Full::from(answer.to_string())).map_err(|e| e.to_string())
            }
        });
        kube::Client::new(service, namespace.to_owned())
    }

    /// Puts an object as the user would, spec changes counting as a new generation.
    pub fn put(&self, path: &str, mut object: Value) {
        let mut state = self.0.lock().unwrap();
        state.version += 1;
        let before = state.objects.get(path).cloned().unwrap_or(Value::Null);
        let same = before["spec"] == object["spec"];
        let generation = before["metadata"]["generation"].as_u64().unwrap_or(0) + u64::from(!same || before.is_null());
        object["metadata"]["generation"] = json!(generation);
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = json!(format!("uid-{path}"));
        }
        if !before["metadata"]["managedFields"].is_null() {
            object["metadata"]["managedFields"] = before["metadata"]["managedFields"].clone();
        }
        if object["status"].is_null() && !before["status"].is_null() {
            object["status"] = before["status"].clone();
        }
        state.objects.insert(path.to_owned(), object);
    }

    /// Changes an object by hand, as `kubectl edit` does.
    pub fn edit(&self, path: &str, edit: impl FnOnce(&mut Value)) {
        let mut state = self.0.lock().unwrap();
        let live = state.objects[path].clone();
        let mut updated = live.clone();
        edit(&mut updated);
        let kind = live["kind"].as_str().unwrap_or_default().to_owned();
        let mut object = apply::update(&kind, &live, &updated, "kubectl-edit");
        state.version += 1;
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        if object["spec"] != live["spec"] {
            let generation = live["metadata"]["generation"].as_u64().unwrap_or(1);
            object["metadata"]["generation"] = json!(generation + 1);
        }
        state.objects.insert(path.to_owned(), object);
    }

    pub fn remove(&self, path: &str) {
        self.0.lock().unwrap().objects.remove(path);
    }

    pub fn get(&self, path: &str) -> Option<Value> {
        self.0.lock().unwrap().objects.get(path).cloned()
    }

    /// Every object but events, without what differs from run to run.
    pub fn dump(&self) -> BTreeMap<String, Value> {
        let state = self.0.lock().unwrap();
        let objects = state.objects.iter().filter(|(path, _)| !path.contains("events.k8s.io"));
        let stripped = objects.map(|(path, object)| {
            let mut object = object.clone();
            for field in ["resourceVersion", "generation"] {
                object["metadata"].as_object_mut().unwrap().remove(field);
            }
            let mut text = object.to_string();
            // Times of transitions are the only clock in any object.
            while let Some(at) = text.find("\"lastTransitionTime\":\"2") {
                text.replace_range(at + 22..at + 42, "");
            }
            let mut object: Value = serde_json::from_str(&text).unwrap();
            strip_generations(&mut object);
            sort_managers(&mut object);
            (path.clone(), object)
        });
        stripped.collect()
    }

    /// Takes the writes recorded so far; events are no part of them.
    pub fn writes(&self) -> Vec<Write> {
        std::mem::take(&mut self.0.lock().unwrap().writes)
    }

    /// Takes the events written so far, as `condition reason type`.
    pub fn events(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().events)
    }

    /// Every (verb, plural) that was asked for, for a test of the RBAC table.
    pub fn requests(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap().requests.clone()
    }

    /// Lets the n-th write from now on fail, counted from 0.
    pub fn fail(&self, nth: usize, fault: Fault) {
        self.0.lock().unwrap().fault = Some((nth, fault));
    }

    /// Refuses a verb on a plural until further notice.
    pub fn deny(&self, verb: &str, plural: &str) {
        self.0.lock().unwrap().denied.push((verb.to_owned(), plural.to_owned()));
    }

    pub fn allow_all(&self) {
        self.0.lock().unwrap().denied.clear();
    }

    /// Whether an API group is installed.
    pub fn install(&self, group_version: &str, installed: bool) {
        let missing = &mut self.0.lock().unwrap().missing_apis;
        missing.retain(|g| g != group_version);
        if !installed {
            missing.push(group_version.to_owned());
        }
    }

    /// What the Job controller does: every Job that has not ended ends, well or not.
    pub fn run_jobs(&self, well: impl Fn(&str) -> bool) {
        self.0.lock().unwrap().version += 1;
        for path in self.paths("/jobs/") {
            let mut job = self.get(&path).unwrap();
            if job["status"]["conditions"].is_null() {
                let end = match well(job["metadata"]["name"].as_str().unwrap()) {
                    true => json!({ "type": "Complete", "status": "True" }),
                    false => json!({ "type": "Failed", "status": "True", "reason": "BackoffLimitExceeded" }),
                };
                job["status"] = json!({ "conditions": [end] });
                self.put(&path, job);
            }
        }
    }

    /// Sets the status of an object, as its controller does.
    pub fn set_status(&self, path: &str, status: Value) {
        let mut object = self.get(path).unwrap();
        object["status"] = status;
        self.put(path, object);
    }

    /// Paths of the objects of a kind, such as `/jobs/`.
    pub fn paths(&self, kind: &str) -> Vec<String> {
        self.0.lock().unwrap().objects.keys().filter(|path| path.contains(kind)).cloned().collect()
    }

    /// What the Deployment controller does: every Deployment is rolled out and ready at once.
    pub fn run_deployments(&self) {
        let mut state = self.0.lock().unwrap();
        state.version += 1;
        let version = state.version;
        let State { objects, templates, .. } = &mut *state;
        for (path, object) in objects.iter_mut().filter(|(_, o)| o["kind"] == "Deployment") {
            const REVISION: &str = "deployment.kubernetes.io/revision";
            let template = object["spec"]["template"].clone();
            if templates.insert(path.clone(), template.clone()).is_none_or(|seen| seen != template) {
                let revision =
                    object["metadata"]["annotations"][REVISION].as_str().and_then(|r| r.parse().ok()).unwrap_or(0);
                object["metadata"]["annotations"][REVISION] = json!((revision + 1).to_string());
            }
            let replicas = object["spec"]["replicas"].clone();
            let status = json!({
                "observedGeneration": object["metadata"]["generation"],
                "replicas": replicas, "updatedReplicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
                "conditions": [{ "type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable" }],
            });
            if object["status"] != status {
                object["status"] = status;
                object["metadata"]["resourceVersion"] = json!(version.to_string());
            }
        }
    }

    fn answer(&self, method: &Method, uri: &http::Uri, body: Value) -> Answer {
        let mut state = self.0.lock().unwrap();
        let query: BTreeMap<String, String> = form(uri.query().unwrap_or_default());
        let Path { plural, object, subresource, group_version } = parse(uri.path());
        let verb = match *method {
            Method::GET if object.is_none() => "list",
            Method::GET => "get",
            Method::POST => "create",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => "update",
        };
        let resource = if subresource.is_empty() { plural.clone() } else { format!("{plural}/{subresource}") };
        state.requests.push((verb.to_owned(), resource.clone()));
        if state.missing_apis.contains(&group_version) {
            return Ok((
                404,
                json!({ "kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": "the server could not find the requested resource" }),
            ));
        }
        if plural.is_empty() {
            return Ok((200, resources(&group_version)));
        }
        if state.denied.iter().any(|(v, p)| v == verb && *p == resource) {
            return Ok((
                403,
                failure(
                    403,
                    "Forbidden",
                    &format!("User \"operator\" cannot {verb} resource \"{plural}\" in API group"),
                ),
            ));
        }
        if verb == "list" {
            return Ok((200, list(&state, uri.path(), &query)));
        }
        let dry = query.contains_key("dryRun");
        let base = uri.path().trim_end_matches(&format!("/{subresource}")).to_owned();
        let path = if subresource.is_empty() { uri.path().to_owned() } else { base };
        if verb == "get" {
            return Ok(state.objects.get(&path).map_or_else(|| not_found(&path), |o| (200, o.clone())));
        }
        let mut lost = false;
        if group_version.starts_with("events") {
            let words = ["action", "reason", "type"].map(|field| body[field].as_str().unwrap_or_default());
            state.events.push(words.join(" "));
        } else if !dry {
            state.writes.push(Write { verb: verb.to_owned(), path: uri.path().to_owned() });
            match &mut state.fault {
                Some((0, fault)) => {
                    let fault = *fault;
                    state.fault = None;
                    match fault {
                        Fault::Before => return Ok((500, failure(500, "InternalError", "etcd is away"))),
                        Fault::Conflict => return Ok((409, failure(409, "Conflict", "the object has been modified"))),
                        Fault::Forbidden => {
                            return Ok((403, failure(403, "Forbidden", "User \"operator\" cannot patch resource")));
                        }
                        Fault::Panic => return Err(PANIC.to_owned()),
                        Fault::Hang => return Err(HANG.to_owned()),
                        Fault::AnswerLost => lost = true,
                    }
                }
                Some((n, _)) => *n -= 1,
                None => {}
            }
        }
        let answer = change(&mut state, verb, &path, &subresource, &query, body, dry);
        if lost { Err("connection reset by peer".to_owned()) } else { Ok(answer) }
    }
}

fn change(
    state: &mut State,
    verb: &str,
    path: &str,
    subresource: &str,
    query: &BTreeMap<String, String>,
    body: Value,
    dry: bool,
) -> (u16, Value) {
    state.version += 1;
    let version = json!(state.version.to_string());
    match verb {
        "create" => {
            let name = body["metadata"]["name"].as_str().unwrap_or_default();
            if path.ends_with("/persistentvolumeclaims") && state.objects.contains_key(&format!("{path}/{name}")) {
                return (409, failure(409, "AlreadyExists", &format!("{name} already exists")));
            }
            state.objects.insert(format!("{path}/{name}"), body.clone());
            (201, body)
        }
        "delete" => {
            let Some(object) = state.objects.get(path) else { return not_found(path) };
            let wanted = &body["preconditions"]["uid"];
            if !wanted.is_null() && *wanted != object["metadata"]["uid"] {
                return (409, failure(409, "Conflict", "the UID in the precondition does not match"));
            }
            let wanted = &body["preconditions"]["resourceVersion"];
            if !wanted.is_null() && *wanted != object["metadata"]["resourceVersion"] {
                return (409, failure(409, "Conflict", "the resource version in the precondition does not match"));
            }
            if !dry {
                state.objects.remove(path);
            }
            (200, json!({ "kind": "Status", "status": "Success" }))
        }
        _ => {
            let live = state.objects.get(path).cloned();
            if live.is_none() && !subresource.is_empty() {
                return not_found(path);
            }
            let kind = body["kind"].as_str().unwrap_or("Deployment").to_owned();
            let mut object = live.clone().unwrap_or_else(|| fresh(path));
            let before = object.clone();
            if let Some(manager) = query.get("fieldManager").filter(|_| query.contains_key("force")) {
                object = apply::apply(&kind, &object, &body, manager, subresource);
                for field in ["apiVersion", "kind"] {
                    object[field] = body[field].clone();
                }
            } else if path.contains("/persistentvolumes/") || path.contains("/learningplatforms/") {
                let version = &body["metadata"]["resourceVersion"];
                if !version.is_null() && *version != before["metadata"]["resourceVersion"] {
                    return (409, failure(409, "Conflict", "the object has been modified"));
                }
                merge(&mut object, &body);
            } else {
                object["spec"]["replicas"] = body["spec"]["replicas"].clone();
                object = apply::update(&kind, &before, &object, "scale");
            }
            if object["kind"] == "Job" && live.is_none() {
                let created = jiff::Timestamp::from_second(i64::try_from(state.version).unwrap()).unwrap();
                object["metadata"]["creationTimestamp"] = json!(created.to_string());
            }
            if object["kind"] == "Deployment" && object["spec"]["replicas"].is_null() {
                object["spec"]["replicas"] = json!(1);
            }
            let generation = before["metadata"]["generation"].as_u64().unwrap_or(0);
            object["metadata"]["generation"] = json!(generation + u64::from(object["spec"] != before["spec"]));
            if object != before {
                object["metadata"]["resourceVersion"] = version;
            }
            if !dry {
                state.objects.insert(path.to_owned(), object.clone());
            }
            (if live.is_some() { 200 } else { 201 }, object)
        }
    }
}

/// What a merge patch does.
fn merge(target: &mut Value, patch: &Value) {
    for (field, value) in patch.as_object().unwrap() {
        match value {
            Value::Null => drop(target.as_object_mut().unwrap().remove(field)),
            Value::Object(_) => {
                if !target[field].is_object() {
                    target[field] = json!({});
                }
                merge(&mut target[field], value);
            }
            other => target[field] = other.clone(),
        }
    }
}

fn fresh(path: &str) -> Value {
    let name = path.rsplit('/').next().unwrap_or_default();
    json!({ "metadata": { "name": name, "uid": format!("uid-{path}") } })
}

struct Path {
    plural: String,
    object: Option<String>,
    subresource: String,
    group_version: String,
}

/// `/apis/<group>/<version>/namespaces/<ns>/<plural>[/<name>[/<subresource>]]`, and `/api/v1/..` for the core group.
fn parse(path: &str) -> Path {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (group_version, rest) = match parts.split_first() {
        Some((&"api", rest)) => (rest[0].to_owned(), &rest[1..]),
        Some((&"apis", rest)) => (rest[..2].join("/"), &rest[2..]),
        _ => (String::new(), &[][..]),
    };
    let rest = if rest.first() == Some(&"namespaces") && rest.len() > 2 { &rest[2..] } else { rest };
    let part = |at: usize| rest.get(at).map(|p| (*p).to_owned());
    Path {
        plural: part(0).unwrap_or_default(),
        object: part(1),
        subresource: part(2).unwrap_or_default(),
        group_version,
    }
}

fn list(state: &State, path: &str, query: &BTreeMap<String, String>) -> Value {
    let selector: Vec<(String, String)> = query
        .get("labelSelector")
        .into_iter()
        .flat_map(|s| s.split(','))
        .filter_map(|term| term.split_once('='))
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
    let prefix = format!("{path}/");
    let items: Vec<Value> = state
        .objects
        .iter()
        .filter(|(p, _)| p.strip_prefix(&prefix).is_some_and(|name| !name.contains('/')))
        .filter(|(_, o)| selector.iter().all(|(k, v)| o["metadata"]["labels"][k] == *v.as_str()))
        .map(|(_, object)| {
            let mut item = object.clone();
            let fields = item.as_object_mut().unwrap();
            fields.remove("kind");
            fields.remove("apiVersion");
            item
        })
        .collect();
    json!({ "kind": "List", "apiVersion": "v1", "metadata": { "resourceVersion": state.version.to_string() }, "items": items })
}

fn resources(group_version: &str) -> Value {
    let plural = match group_version {
        "gateway.networking.k8s.io/v1" => "httproutes",
        "postgresql.cnpg.io/v1" => "clusters",
        "snapshot.storage.k8s.io/v1" => "volumesnapshots",
        _ => "podmonitors",
    };
    json!({ "kind": "APIResourceList", "groupVersion": group_version, "resources": [
        { "name": plural, "singularName": "", "namespaced": true, "kind": "K", "verbs": ["get", "list", "watch", "patch"] },
    ] })
}

fn not_found(path: &str) -> (u16, Value) {
    let mut status = failure(404, "NotFound", &format!("{path} not found"));
    status["details"] = json!({ "name": path.rsplit('/').next() });
    (404, status)
}

fn failure(code: u16, reason: &str, message: &str) -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message })
}

fn form(query: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| {
        text.replace('+', " ").replace("%2F", "/").replace("%3D", "=").replace("%2C", ",").replace("%3A", ":")
    };
    query.split('&').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (decode(k), decode(v))).collect()
}

fn strip_generations(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("observedGeneration");
            fields.values_mut().for_each(strip_generations);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_generations),
        _ => {}
    }
}

fn sort_managers(object: &mut Value) {
    if let Some(entries) = object["metadata"]["managedFields"].as_array_mut() {
        entries.sort_by_key(|e| e["manager"].to_string());
    }
}

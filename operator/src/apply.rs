//! The only writer. It compares before it writes, so that a pass over a settled platform sends no write at all.

mod compare;
mod delete;
mod fields;
mod finalizer;
mod moved;
mod quantity;
mod scale;
mod status;
mod volume;

pub use compare::{Difference, What, differences};
pub use finalizer::FINALIZER;
pub(crate) use quantity::nanos as quantity_nanos;

use crate::{
    error::{Error, Result},
    kinds::{Belongs, Kind, ObjectId, belongs},
    naming::{FieldManager, Owner, PlatformKey},
    tiers::store::{is_retained, made_for},
};
use crds::LearningPlatform;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
    core::DynamicObject,
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

/// What may be done to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// Write.
    #[default]
    Write,
    /// Ask the server what a write would do: `lpctl diff`.
    DryRun,
    /// Compare only, send nothing: a suspended platform.
    Observe,
}

/// What the caller knows of the live object.
#[derive(Clone, Copy, Debug)]
pub enum Live<'a> {
    /// Nothing; the writer reads it.
    Unknown,
    /// It was in a list or a watch.
    Known(&'a DynamicObject),
}

/// What an apply did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: the live object already carries every field, and carries none of ours that is no longer wanted.
    Unchanged,
    /// It made the object.
    Created,
    /// It changed the object.
    Configured,
    /// It would have written, but may not ([`Mode::Observe`]).
    Pending,
}

/// What an apply did, and the object afterwards.
#[derive(Clone, Debug)]
pub struct Applied {
    /// What was done.
    pub change: Change,
    /// The object as the server has it; as asked for where nothing may be written.
    pub object: DynamicObject,
}

/// An object of a platform, as one manager writes it.
type Key = (Kind, String, FieldManager);

/// What the last write of an object came to.
#[derive(Clone, Copy, Debug)]
struct Written {
    /// `metadata.resourceVersion` in the answer; an older object is out of date.
    version: u64,
    /// What was asked for.
    desired: u64,
    /// What the object then was, status and bookkeeping aside.
    outcome: u64,
}

/// The only writer of children.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    mode: Mode,
    written: Arc<Mutex<HashMap<PlatformKey, HashMap<Key, Written>>>>,
    statuses: Arc<Mutex<HashMap<String, status::StatusWritten>>>,
}

impl Writer {
    /// A writer.
    pub fn new(client: Client, mode: Mode) -> Self {
        Self { client, mode, written: Arc::default(), statuses: Arc::default() }
    }

    /// The same writer in another mode; it shares what it remembers.
    pub fn with_mode(&self, mode: Mode) -> Self {
        Self { mode, ..self.clone() }
    }

    /// What it may do.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    fn api(&self, kind: Kind, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &kind.resource())
    }

    /// Makes `desired` so, by forced server-side apply as `manager`, if it is not so already.
    ///
    /// `desired` must carry `apiVersion`, `kind` and a name; its namespace is the owner's, and the owner reference is
    /// added here unless the manager owns only single fields of another manager's object.
    ///
    /// # Errors
    /// [`Error::NameConflict`] where an object of that name belongs to somebody else: it is never taken over.
    pub async fn apply(
        &self,
        manager: FieldManager,
        owner: &Owner,
        desired: &DynamicObject,
        live: Live<'_>,
    ) -> Result<Applied> {
        let Some(ObjectId { kind, name }) = ObjectId::of(desired) else {
            return Err(Error::Serialize(
                "an object of an unknown kind",
                serde::ser::Error::custom(desired.name_any()),
            ));
        };
        let namespace = owner.key.namespace.as_str();
        let desired = complete(desired, owner, kind, manager);
        let wanted = serde_json::to_value(&desired).map_err(|e| Error::Serialize("an object to apply", e))?;
        let key = (kind, name.clone(), manager);
        let last = self.written.lock().get(&owner.key).and_then(|of_platform| of_platform.get(&key)).copied();

        let unlisted = matches!(live, Live::Unknown);
        let read;
        let live = match live {
            Live::Known(object) if !is_older(object, last) => Some(object),
            _ => {
                let api = self.api(kind, namespace);
                read = api.get_opt(&name).await.map_err(|e| self.explain("get", kind, &name, e))?;
                read.as_ref()
            }
        };
        if unlisted && live.is_some() && kind == Kind::Secret && made_for(&desired).is_some() {
            return Err(Error::Raced(name));
        }
        let mut differing = Vec::new();
        if let Some(object) = live {
            if let Belongs::Foreign(holder) = belongs(object, owner) {
                return Err(Error::NameConflict { kind: kind.to_string(), name, holder });
            }
            let present = serde_json::to_value(object).map_err(|e| Error::Serialize("a live object", e))?;
            differing = differences(&wanted, &present, manager);
            let settled = differing.is_empty()
                || last.is_some_and(|l| l.desired == digest(&wanted) && l.outcome == digest(&essence(&present)));
            if settled {
                return Ok(Applied { change: Change::Unchanged, object: object.clone() });
            }
        }
        let existed = live.is_some();
        // Who deletes a platform and leaves its objects (`--cascade=orphan`) has them let go of first: taken back, they would be
        // collected with it.
        if existed && differing.iter().any(|d| d.path == "metadata.ownerReferences") && self.goes(owner).await? {
            return Err(Error::Raced(name));
        }
        if self.mode == Mode::Observe {
            return Ok(Applied { change: Change::Pending, object: desired });
        }
        let object = match (self.write(kind, namespace, &name, manager, &wanted).await, live) {
            (Err(refused), Some(live)) if refused.code() == Some(422) && self.mode == Mode::Write => {
                if !self.put_back(kind, namespace, live, &wanted).await? {
                    return Err(refused);
                }
                self.write(kind, namespace, &name, manager, &wanted).await?
            }
            (written, _) => written?,
        };
        self.remember(&owner.key, key, &wanted, &object);
        let change = if existed { Change::Configured } else { Change::Created };
        let fields: Vec<_> = differing.iter().take(5).map(|d| d.path.as_str()).collect();
        tracing::info!(%kind, namespace, name, manager = manager.as_str(), ?change, ?fields, "applied");
        Ok(Applied { change, object })
    }

    /// Whether the owner is being deleted, or is gone, by now.
    async fn goes(&self, owner: &Owner) -> Result<bool> {
        let api: Api<LearningPlatform> = Api::namespaced(self.client.clone(), &owner.key.namespace);
        let read = api.get_metadata_opt(&owner.key.name).await;
        let live = read.map_err(|e| Error::api("get", "LearningPlatform", &owner.key.name, e))?;
        Ok(live
            .is_none_or(|live| live.uid().as_deref() != Some(&owner.uid) || live.metadata.deletion_timestamp.is_some()))
    }

    async fn write(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        manager: FieldManager,
        wanted: &serde_json::Value,
    ) -> Result<DynamicObject> {
        let mut params = PatchParams::apply(manager.as_str()).force();
        params.dry_run = self.mode == Mode::DryRun;
        self.api(kind, namespace)
            .patch(name, &params, &Patch::Apply(wanted))
            .await
            .map_err(|e| self.explain("patch", kind, name, e))
    }

    fn remember(&self, platform: &PlatformKey, key: Key, wanted: &serde_json::Value, object: &DynamicObject) {
        if self.mode != Mode::Write {
            return;
        }
        let outcome = serde_json::to_value(object).map(|v| digest(&essence(&v))).unwrap_or_default();
        let written = Written { version: version(object), desired: digest(wanted), outcome };
        self.written.lock().entry(platform.clone()).or_default().insert(key, written);
    }

    /// Forgets a platform that is gone, with its children.
    pub fn forget(&self, platform: &PlatformKey, uid: &str) {
        self.written.lock().remove(platform);
        self.statuses.lock().remove(uid);
    }

    /// Forgets a child that is gone.
    fn forget_child(&self, kind: Kind, object: &DynamicObject) {
        if let Some(platform) = PlatformKey::of_child(object)
            && let Some(of_platform) = self.written.lock().get_mut(&platform)
        {
            let gone = object.name_any();
            of_platform.retain(|(k, name, _), _| (*k, name) != (kind, &gone));
        }
    }

    /// A 404 for a whole kind means that its API is gone.
    fn explain(&self, verb: &'static str, kind: Kind, name: &str, error: kube::Error) -> Error {
        match &error {
            kube::Error::Api(status) if status.code == 404 && kind.optional() && status.details.is_none() => {
                let api = kind.resource().api_version;
                Error::ApiMissing { kind: kind.to_string(), name: name.to_owned(), api }
            }
            _ => Error::api(verb, kind.as_str(), name, error),
        }
    }
}

/// Whether the caller's object is from before our last write; a watch may lag behind.
fn is_older(object: &DynamicObject, last: Option<Written>) -> bool {
    last.is_some_and(|last| version(object) < last.version)
}

fn version(object: &DynamicObject) -> u64 {
    object.resource_version().and_then(|v| v.parse().ok()).unwrap_or_default()
}

/// The namespace and the owner reference; single fields of an object (a Deployment's `replicas`) bring neither.
fn complete(desired: &DynamicObject, owner: &Owner, kind: Kind, manager: FieldManager) -> DynamicObject {
    let mut object = desired.clone();
    object.metadata.namespace = Some(owner.key.namespace.clone());
    let partial = kind == Kind::Deployment && manager == FieldManager::Scale;
    if !partial
        && !is_retained(&object)
        && let Some(reference) = owner.reference()
    {
        object.metadata.owner_references = Some(vec![reference]);
    }
    object
}

/// What an object asks for, without what the server adds at every write.
fn essence(object: &serde_json::Value) -> serde_json::Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(meta) = object.get_mut("metadata").and_then(|m| m.as_object_mut()) {
        for field in ["resourceVersion", "managedFields", "generation"] {
            meta.remove(field);
        }
    }
    object
}

fn digest(value: &serde_json::Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::naming::{INSTANCE, labels};
    use kube::client::Body;
    use serde_json::json;

    /// A server to which every deletion is right.
    fn client() -> Client {
        let service = tower::service_fn(|_: http::Request<Body>| async {
            let answer = json!({ "kind": "Status", "status": "Success" }).to_string();
            Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::from(answer)))
        });
        Client::new(service, "learning")
    }

    #[tokio::test]
    async fn what_is_gone_is_forgotten() {
        let writer = Writer::new(client(), Mode::Write);
        let [story, tale] =
            ["story", "tale"].map(|name| PlatformKey { namespace: "learning".to_owned(), name: name.to_owned() });
        let service = |app: &str| -> DynamicObject {
            serde_json::from_value(json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": { "namespace": "learning", "name": format!("story-{app}"), "labels": labels("story", app) },
            }))
            .unwrap()
        };
        assert_eq!(service("web").labels().get(INSTANCE).map(String::as_str), Some("story"));
        for (platform, name) in [(&story, "story-web"), (&story, "story-worker"), (&tale, "tale-web")] {
            for manager in [FieldManager::Main, FieldManager::Scale] {
                let key = (Kind::Service, name.to_owned(), manager);
                writer.remember(platform, key, &json!({}), &service("web"));
            }
        }
        let remembered = || {
            let written = writer.written.lock();
            let mut names: Vec<String> = written.values().flat_map(|of| of.keys().map(|k| k.1.clone())).collect();
            names.sort();
            names.dedup();
            names
        };
        assert_eq!(remembered(), ["story-web", "story-worker", "tale-web"]);
        writer.delete(Kind::Service, &service("web")).await.unwrap();
        assert_eq!(remembered(), ["story-worker", "tale-web"]);
        writer.forget(&story, "uid");
        assert_eq!(remembered(), ["tale-web"]);
        assert!(!writer.written.lock().contains_key(&story));
    }
}

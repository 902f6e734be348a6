//! The finalizer of a platform: there as long as something of it outside of the cluster has to be seen to before it goes.

use super::{Mode, Writer};
use crate::{
    error::{Error, Result},
    naming::{FieldManager, Owner},
};
use crds::LearningPlatform;
use kube::{
    Api, Resource, ResourceExt,
    api::{ApiResource, Patch, PatchParams},
    core::DynamicObject,
};
use serde_json::json;

/// The finalizer.
pub const FINALIZER: &str = "learningplatform.dev/aws";

impl Writer {
    /// Sets the finalizer of a platform, or takes it away. One that is gone is no error.
    ///
    /// # Errors
    /// What the API server answers.
    pub async fn finalizer(&self, platform: &Owner, wanted: bool) -> Result<()> {
        if self.mode != Mode::Write {
            return Ok(());
        }
        let name = platform.key.name.clone();
        // Untyped: one whose spec is invalid is held back, and let go, all the same.
        let resource = ApiResource::erase::<LearningPlatform>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &platform.key.namespace, &resource);
        let manager = FieldManager::Finalizer.as_str();
        let done = if wanted {
            let body = json!({
                "apiVersion": LearningPlatform::api_version(&()),
                "kind": LearningPlatform::kind(&()),
                "metadata": { "name": name, "uid": platform.uid, "finalizers": [FINALIZER] },
            });
            api.patch(&name, &PatchParams::apply(manager).force(), &Patch::Apply(body)).await.map(drop)
        } else {
            // Not by what was applied: whoever has written the list, too, would hold ours there.
            let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
            match api.get(&name).await {
                Ok(live) if live.uid().as_ref() == Some(&platform.uid) => {
                    let others: Vec<&String> = live.finalizers().iter().filter(|other| *other != FINALIZER).collect();
                    let version = live.resource_version();
                    let body = json!({ "metadata": { "resourceVersion": version, "finalizers": others } });
                    api.patch(&name, &params, &Patch::Merge(body)).await.map(drop)
                }
                // Another one has taken the name.
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            }
        };
        match done {
            Err(kube::Error::Api(answer)) if answer.code == 404 && !wanted => Ok(()),
            done => done.map_err(|error| Error::api("patch", "LearningPlatform", name, error)),
        }
    }
}

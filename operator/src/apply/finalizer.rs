//! The finalizer of a platform: there as long as something of it outside of the cluster has to be seen to before it goes.

use super::{Mode, Writer};
use crate::{
    error::{Error, Result},
    naming::{FieldManager, Owner},
};
use crds::LearningPlatform;
use kube::{
    Api, Resource,
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
        let finalizers: &[&str] = if wanted { &[FINALIZER] } else { &[] };
        let body = json!({
            "apiVersion": LearningPlatform::api_version(&()),
            "kind": LearningPlatform::kind(&()),
            "metadata": { "name": name, "uid": platform.uid, "finalizers": finalizers },
        });
        let params = PatchParams::apply(FieldManager::Finalizer.as_str()).force();
        match api.patch(&name, &params, &Patch::Apply(body)).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(answer)) if answer.code == 404 && !wanted => Ok(()),
            Err(error) => Err(Error::api("patch", "LearningPlatform", name, error)),
        }
    }
}

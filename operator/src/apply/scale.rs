//! The one write past server-side apply: a Deployment's scale, to leave zero pods or to return to them, where the HPA is
//! switched off.

use super::{Mode, Writer};
use crate::{
    error::{Error, Result},
    kinds::Kind,
    naming::{FieldManager, Owner},
};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

impl Writer {
    /// Sets the number of pods of a Deployment of ours through its scale subresource.
    ///
    /// # Errors
    /// What the API server answers.
    pub async fn scale(&self, owner: &Owner, name: &str, replicas: i32) -> Result<()> {
        if self.mode == Mode::Observe {
            return Ok(());
        }
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), &owner.key.namespace);
        let params = PatchParams {
            dry_run: self.mode == Mode::DryRun,
            field_manager: Some(FieldManager::Scale.as_str().to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
        api.patch_scale(name, &params, &patch)
            .await
            .map_err(|e| Error::api("patch", format!("{}/scale", Kind::Deployment), name, e))?;
        tracing::info!(name, replicas, "scaled");
        Ok(())
    }
}

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

    /// Raises the number of pods of a Deployment of ours to at least `floor` at once, without waiting for the HPA, which
    /// looks at its bounds only every 15 seconds. Never lowers: the count is read first, and the write holds only for what
    /// was read. Returns whether it wrote; a lost race is left to the HPA.
    ///
    /// # Errors
    /// What the API server answers.
    pub async fn raise(&self, owner: &Owner, name: &str, floor: i32) -> Result<bool> {
        if self.mode != Mode::Write {
            return Ok(false);
        }
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), &owner.key.namespace);
        let kind = || format!("{}/scale", Kind::Deployment);
        let scale = api.get_scale(name).await.map_err(|e| Error::api("get", kind(), name, e))?;
        let running = scale.spec.and_then(|spec| spec.replicas).unwrap_or(0);
        if running == 0 || running >= floor {
            return Ok(false);
        }
        let params =
            PatchParams { field_manager: Some(FieldManager::Scale.as_str().to_owned()), ..PatchParams::default() };
        let version = scale.metadata.resource_version;
        let patch = Patch::Merge(json!({ "metadata": { "resourceVersion": version }, "spec": { "replicas": floor } }));
        match api.patch_scale(name, &params, &patch).await {
            Ok(_) => {
                tracing::info!(name, replicas = floor, "raised");
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(Error::api("patch", kind(), name, error)),
        }
    }
}

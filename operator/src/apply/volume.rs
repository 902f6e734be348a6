//! Writes past server-side apply, for volumes and claims: they belong to whoever made them, and only single fields of theirs
//! are the operator's.

use super::{Mode, Writer};
use crate::{
    error::{Error, Result},
    kinds::Kind,
    naming::FieldManager,
    tiers::store::volumes,
};
use k8s_openapi::api::core::v1::PersistentVolume;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    core::DynamicObject,
};
use serde_json::Value;

impl Writer {
    /// Changes a volume by a merge patch. Returns whether it was sent.
    ///
    /// # Errors
    /// What the API server answers.
    pub async fn volume(&self, name: &str, patch: &Value) -> Result<bool> {
        if self.mode == Mode::Observe {
            return Ok(false);
        }
        let params = PatchParams {
            dry_run: self.mode == Mode::DryRun,
            field_manager: Some(FieldManager::Main.as_str().to_owned()),
            ..PatchParams::default()
        };
        let api: Api<PersistentVolume> = Api::all(self.client.clone());
        api.patch(name, &params, &Patch::Merge(patch))
            .await
            .map_err(|error| Error::api("patch", volumes::KIND, name, error))?;
        tracing::info!(name, "changed a volume");
        Ok(true)
    }

    /// Makes a claim: for a volume that is there, or for one that is made of a snapshot. Not by server-side apply: its fields can
    /// never change, so the operator must not be asked for them when it later applies the size alone.
    ///
    /// # Errors
    /// What the API server answers.
    pub async fn claim(&self, claim: &DynamicObject) -> Result<DynamicObject> {
        if self.mode == Mode::Observe {
            return Ok(claim.clone());
        }
        let kind = Kind::PersistentVolumeClaim;
        let name = claim.name_any();
        let params = PostParams {
            dry_run: self.mode == Mode::DryRun,
            field_manager: Some(FieldManager::Main.as_str().to_owned()),
        };
        let api = self.api(kind, &claim.namespace().unwrap_or_default());
        let made =
            api.create(&params, claim).await.map_err(|error| Error::api("create", kind.as_str(), &name, error))?;
        tracing::info!(name, "made a claim");
        Ok(made)
    }
}

//! Removal of what is no longer wanted.

use super::{Mode, Writer};
use crate::{
    error::{Error, Result},
    kinds::Kind,
};
use kube::{
    ResourceExt,
    api::{DeleteParams, Preconditions, PropagationPolicy},
    core::DynamicObject,
};

impl Writer {
    /// Deletes an object of ours, its dependants after it. Only this very object: one of the same name that replaced it
    /// meanwhile stays. Gone already is success. Returns whether a deletion was sent.
    ///
    /// # Errors
    /// What the API server answers.
    pub async fn delete(&self, kind: Kind, object: &DynamicObject) -> Result<bool> {
        if self.mode == Mode::Observe || object.metadata.deletion_timestamp.is_some() {
            return Ok(false);
        }
        let name = object.name_any();
        let params = DeleteParams {
            dry_run: self.mode == Mode::DryRun,
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(Preconditions { uid: object.uid(), resource_version: None }),
            ..DeleteParams::default()
        };
        match self.api(kind, &object.namespace().unwrap_or_default()).delete(&name, &params).await {
            Ok(_) => {
                if self.mode == Mode::Write {
                    self.forget_child(kind, object);
                }
                tracing::info!(%kind, name, "deleted: no longer wanted");
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.code == 404 => {
                self.forget_child(kind, object);
                Ok(false)
            }
            Err(error) => Err(Error::api("delete", kind.as_str(), name, error)),
        }
    }
}

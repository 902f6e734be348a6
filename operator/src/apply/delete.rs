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
    /// meanwhile stays, and so does a Job of which a pod may have begun meanwhile. Gone already is success. Returns whether
    /// a deletion was sent.
    ///
    /// # Errors
    /// What the API server answers.
    pub async fn delete(&self, kind: Kind, object: &DynamicObject) -> Result<bool> {
        self.remove(kind, object, PropagationPolicy::Background).await
    }

    /// Deletes an object of ours and leaves its dependants: the pods and volumes of a StatefulSet.
    ///
    /// # Errors
    /// What the API server answers.
    pub async fn delete_alone(&self, kind: Kind, object: &DynamicObject) -> Result<bool> {
        self.remove(kind, object, PropagationPolicy::Orphan).await
    }

    async fn remove(&self, kind: Kind, object: &DynamicObject, dependants: PropagationPolicy) -> Result<bool> {
        if self.mode == Mode::Observe || object.metadata.deletion_timestamp.is_some() {
            return Ok(false);
        }
        let name = object.name_any();
        let params = DeleteParams {
            dry_run: self.mode == Mode::DryRun,
            propagation_policy: Some(dependants.clone()),
            preconditions: Some(Preconditions {
                uid: object.uid(),
                resource_version: object.resource_version().filter(|_| kind == Kind::Job),
            }),
            ..DeleteParams::default()
        };
        match self.api(kind, &object.namespace().unwrap_or_default()).delete(&name, &params).await {
            Ok(_) => {
                if self.mode == Mode::Write {
                    self.forget_child(kind, object);
                }
                tracing::info!(%kind, name, ?dependants, "deleted");
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

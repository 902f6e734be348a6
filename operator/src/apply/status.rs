//! The status of a platform: written whole, by one manager, and only where it differs.

use super::{Mode, Writer};
use crate::{
    error::{Error, Result},
    naming::FieldManager,
};
use crds::{LearningPlatform, status::LearningPlatformStatus};
use kube::{
    Api, Resource, ResourceExt,
    api::{ApiResource, Patch, PatchParams},
    core::DynamicObject,
};
use serde_json::json;

/// The last status written to a platform.
#[derive(Clone, Debug)]
pub(super) struct StatusWritten {
    version: u64,
    /// What was asked for.
    asked: LearningPlatformStatus,
    /// What the server made of it: conditions of others stay.
    status: LearningPlatformStatus,
}

impl Writer {
    /// The status that a platform carries: the one last written, where the watch has not caught up with it yet.
    pub fn latest_status(&self, platform: &LearningPlatform) -> LearningPlatformStatus {
        let statuses = self.statuses.lock();
        match statuses.get(&platform.uid().unwrap_or_default()) {
            Some(written) if resource_version(platform) < written.version => written.status.clone(),
            _ => platform.status.clone().unwrap_or_default(),
        }
    }

    /// Whether somebody else has changed the status since it was last written.
    pub fn status_was_changed(&self, platform: &LearningPlatform) -> bool {
        let statuses = self.statuses.lock();
        statuses.get(&platform.uid().unwrap_or_default()).is_some_and(|written| {
            resource_version(platform) > written.version
                && !same(&platform.status.clone().unwrap_or_default(), &written.status)
        })
    }

    /// Writes the status, if the platform does not carry it already. A platform that is gone is no error. Returns whether
    /// a write was sent.
    ///
    /// # Errors
    /// What the API server answers.
    pub async fn status(&self, platform: &LearningPlatform, status: &LearningPlatformStatus) -> Result<bool> {
        let uid = platform.uid().unwrap_or_default();
        let carried = self.latest_status(platform);
        let settled = same(&carried, status)
            || self.statuses.lock().get(&uid).is_some_and(|w| w.asked == *status && same(&carried, &w.status));
        if self.mode == Mode::DryRun || settled {
            return Ok(false);
        }
        let name = platform.name_any();
        // Untyped: the answer carries the spec too, and one that is invalid must not hide that the status was written.
        let resource = ApiResource::erase::<LearningPlatform>(&());
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &platform.namespace().unwrap_or_default(), &resource);
        let body = json!({
            "apiVersion": LearningPlatform::api_version(&()),
            "kind": LearningPlatform::kind(&()),
            // Not of another platform that took the name meanwhile.
            "metadata": { "name": name, "uid": platform.uid() },
            "status": status,
        });
        let params = PatchParams::apply(FieldManager::Status.as_str()).force();
        match api.patch_status(&name, &params, &Patch::Apply(body)).await {
            Ok(written) => {
                let entry = StatusWritten {
                    version: super::version(&written),
                    asked: status.clone(),
                    status: serde_json::from_value(written.data["status"].clone()).unwrap_or_default(),
                };
                self.statuses.lock().insert(uid, entry);
                Ok(true)
            }
            Err(kube::Error::Api(answer)) if answer.code == 404 => Ok(false),
            Err(error) => Err(Error::api("patch", "LearningPlatform/status", name, error)),
        }
    }
}

/// Equal, but for the order of what is a map in the API: the server keeps its own.
fn same(a: &LearningPlatformStatus, b: &LearningPlatformStatus) -> bool {
    let sorted = |status: &LearningPlatformStatus| {
        let mut status = status.clone();
        status.conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
        status.apps.sort_by(|a, b| a.name.cmp(&b.name));
        for app in &mut status.apps {
            app.conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
        }
        status
    };
    sorted(a) == sorted(b)
}

fn resource_version(platform: &LearningPlatform) -> u64 {
    platform.resource_version().and_then(|v| v.parse().ok()).unwrap_or_default()
}

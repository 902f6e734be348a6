//! How an app's connections to its stores get into its pods: the Secret that carries the variables, and what of it stands in
//! the pod template.

use super::{
    pod::some_list,
    variables::{AUTHORITIES, Authority, Variables, known, variables},
};
use crate::{kinds::Kind, naming::labels, tiers::binding::Bindings, validate::ValidApp};
use aws_lc_rs::hmac;
use k8s_openapi::{
    ByteString,
    api::{
        apps::v1::Deployment,
        core::v1::{EnvFromSource, KeyToPath, Secret, SecretEnvSource, SecretVolumeSource, Volume, VolumeMount},
    },
};
use kube::core::DynamicObject;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Annotation of the pod template: changes with the connections, so that the pods are replaced when they do.
pub const REVISION: &str = "learningplatform.dev/connections";
const VOLUME: &str = "learningplatform-authorities";

/// What is known of an app's connections.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Connections {
    /// It uses no store.
    #[default]
    Unused,
    /// All of them.
    Known {
        /// What its Secret is to hold.
        variables: Variables,
        /// What the pod template is to carry; none before the Secret is there.
        revision: Option<String>,
    },
    /// Not all, just now: what its Secret holds stays.
    Kept {
        /// What the pod template carries.
        revision: String,
    },
    /// Not all, and there is no Secret from before: the app stays as it is.
    Unknown,
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unused => "Unused",
            Self::Known { .. } => "Known",
            Self::Kept { .. } => "Kept",
            Self::Unknown => "Unknown",
        })
    }
}

impl Connections {
    /// What the pod template carries.
    pub fn revision(&self) -> Option<&str> {
        match self {
            Self::Known { revision, .. } => revision.as_deref(),
            Self::Kept { revision } => Some(revision),
            Self::Unused | Self::Unknown => None,
        }
    }
}

/// Name of the Secret.
pub fn secret_name(app: &ValidApp) -> String {
    format!("{}-connections", app.object_name)
}

/// The connections of an app, and what is lacking for them: `live` is its Secret as it is.
pub fn connections(app: &ValidApp, bindings: &Bindings, live: Option<&Secret>) -> (Connections, Vec<String>) {
    if app.spec.uses.as_ref().is_none_or(|uses| uses.databases.is_empty() && uses.caches.is_empty()) {
        return (Connections::Unused, Vec::new());
    }
    let uid = live.and_then(|live| live.metadata.uid.as_deref());
    match variables(app, bindings) {
        Ok(variables) => {
            let revision = uid.map(|uid| revision(uid, &variables));
            (Connections::Known { variables, revision }, Vec::new())
        }
        Err(lacking) => {
            let data = live.and_then(|live| live.data.clone()).unwrap_or_default();
            let kept: Variables = data.into_iter().map(|(name, value)| (name, value.0)).collect();
            let kept = uid.map(|uid| Connections::Kept { revision: revision(uid, &kept) });
            (kept.unwrap_or(Connections::Unknown), lacking)
        }
    }
}

/// Whether the pods that a Deployment makes get what `bindings` say: the app's Secret carries it, and the pod template is that of
/// this Secret. Of stores that `bindings` do not know nothing is asked.
pub(crate) fn carries(app: &ValidApp, bindings: &Bindings, secret: &Secret, deployment: &Deployment) -> bool {
    let held: Variables = secret.data.iter().flatten().map(|(name, value)| (name.clone(), value.0.clone())).collect();
    let template = deployment.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref()?.annotations.as_ref());
    let made_of = template.and_then(|annotations| annotations.get(REVISION));
    let known = known(app, bindings);
    let newest = secret.metadata.uid.as_deref().map(|uid| revision(uid, &held));
    known.iter().all(|(name, value)| held.get(name) == Some(value)) && made_of == newest.as_ref()
}

/// The connections without a cluster: `bindings` are placeholders, and so is the revision.
pub fn offline(app: &ValidApp, bindings: &Bindings) -> Connections {
    match connections(app, bindings, None).0 {
        Connections::Known { variables, .. } => Connections::Known { variables, revision: Some(String::new()) },
        other => other,
    }
}

/// A word that changes with the variables and tells nothing of them: keyed by the Secret's UID, which is random and known
/// only to who may read the Secret, because a plain hash of a poor password could be guessed from the pod template.
fn revision(uid: &str, variables: &Variables) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, uid.as_bytes()));
    for (name, value) in variables {
        context.update(&(name.len() as u64).to_be_bytes());
        context.update(name.as_bytes());
        context.update(&(value.len() as u64).to_be_bytes());
        context.update(value);
    }
    let tag = context.sign();
    tag.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The Secret that carries the variables.
pub(super) fn secret(app: &ValidApp, variables: &Variables) -> Result<DynamicObject, serde_json::Error> {
    let data: BTreeMap<_, _> = variables.iter().map(|(name, value)| (name, ByteString(value.clone()))).collect();
    Kind::Secret.object(&json!({
        "metadata": { "name": secret_name(app), "labels": labels(&app.key.platform, &app.key.app) },
        "type": "Opaque",
        "data": data,
    }))
}

/// How the variables get into the container: before the user's own, which win.
pub(super) fn env_from(app: &ValidApp) -> Option<EnvFromSource> {
    let uses = app.spec.uses.as_ref()?;
    (!uses.databases.is_empty() || !uses.caches.is_empty()).then(|| EnvFromSource {
        secret_ref: Some(SecretEnvSource { name: secret_name(app), optional: None }),
        ..EnvFromSource::default()
    })
}

/// The volume with the certificate authorities, and where it is mounted.
pub(super) fn authorities(app: &ValidApp) -> Option<(Volume, VolumeMount)> {
    let file = |at: &Authority| KeyToPath { key: at.variable.clone(), path: format!("{}.crt", at.item), mode: None };
    let items = some_list(app.authorities.iter().map(file).collect::<Vec<_>>())?;
    let secret_name = Some(secret_name(app));
    let source = SecretVolumeSource { secret_name, items: Some(items), ..SecretVolumeSource::default() };
    let volume = Volume { name: VOLUME.to_owned(), secret: Some(source), ..Volume::default() };
    let mount = VolumeMount {
        name: VOLUME.to_owned(),
        mount_path: AUTHORITIES.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    };
    Some((volume, mount))
}

/// The certificate authorities that a Deployment's pods mount.
pub(super) fn mounted(deployment: &DynamicObject) -> Vec<Authority> {
    let volumes = deployment.data.pointer("/spec/template/spec/volumes").and_then(Value::as_array);
    let volume = volumes.into_iter().flatten().find(|volume| volume["name"] == VOLUME);
    let items = volume.and_then(|volume| volume.pointer("/secret/items")?.as_array()).into_iter().flatten();
    let authority = |item: &Value| {
        let file = item["path"].as_str()?.strip_suffix(".crt")?;
        Some(Authority { item: file.to_owned(), variable: item["key"].as_str()?.to_owned() })
    };
    items.filter_map(authority).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_changes_with_each_part_and_with_the_secret() {
        let variables = |pairs: &[(&str, &str)]| -> Variables {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), v.as_bytes().to_vec())).collect()
        };
        let all = [
            revision("u", &variables(&[("A", "1"), ("B", "2")])),
            revision("u", &variables(&[("A", "1"), ("B", "3")])),
            revision("u", &variables(&[("A", "1B"), ("", "2")])),
            revision("u", &variables(&[("A", "1")])),
            revision("v", &variables(&[("A", "1"), ("B", "2")])),
        ];
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len(), "{all:?}");
        assert_eq!(all[0], revision("u", &variables(&[("B", "2"), ("A", "1")])));
    }
}

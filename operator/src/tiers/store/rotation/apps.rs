//! Whether the apps have changed over: what a change of passwords waits for before the former one goes.

use super::{Facts, Logins, Phase};
use crate::{
    context::Context,
    freeze,
    kinds::Kind,
    naming::{COMPONENT, INSTANCE},
    tiers::{
        Children,
        app::connections,
        binding::Bindings,
        store::{
            auth::{self, Passwords},
            rotation,
        },
    },
    validate::{ValidApp, ValidPlatform},
};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{Pod, Secret},
    },
    jiff::Timestamp,
};
use kube::ResourceExt;
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// Label of a Deployment's pods: of which of its templates they were made.
const TEMPLATE: &str = "pod-template-hash";

/// A store whose password may change, as a pass knows it.
pub struct Store<'a> {
    /// Name of the item.
    pub name: &'a str,
    /// What it knows clients by.
    pub logins: Logins<'a>,
    /// Time from one change to the next.
    pub every: Option<Duration>,
    /// The password that a Secret of the user's own gives.
    pub given: Option<&'a str>,
    /// Whether it has served.
    pub has_served: bool,
    /// Whether the next password works on every server.
    pub works: bool,
    /// How it is reached now, and nothing of other items.
    pub binding: Bindings,
}

/// Takes the next step of a change of passwords, if there is one to take; and what is told of it.
pub fn advance(
    ctx: &Context,
    lp: &ValidPlatform,
    children: &Children,
    store: &Store<'_>,
    before: &Passwords,
) -> (Passwords, Option<String>) {
    let now = Timestamp::now();
    let waiting = match rotation::phase(store.logins, before) {
        Phase::Published => {
            let since = rotation::changed(before).unwrap_or(now);
            waiting(lp, children, &ctx.stores.pods.state(), store.name, &store.binding, since)
        }
        Phase::Settled | Phase::Spreading => Vec::new(),
    };
    let annotation = lp.annotations.get(crds::ROTATE_PASSWORDS_ANNOTATION);
    let facts = Facts {
        now,
        request: annotation.and_then(|words| rotation::request(words, store.name)),
        every: store.every,
        given: store.given,
        may_begin: may_begin(lp, now),
        has_served: store.has_served,
        works: store.works,
        waiting: &waiting,
    };
    let after = rotation::step(store.logins, before, &facts, || auth::random().ok());
    let (from, to) = (rotation::phase(store.logins, before), rotation::phase(store.logins, &after));
    if from != to {
        tracing::info!(platform = %lp.key, store = store.name, ?from, ?to, "the change of its password goes on");
    }
    let told = rotation::told(store.logins, &after, &facts);
    (after, told)
}

/// Whether a change of passwords may begin, and replace the apps' pods, now.
fn may_begin(lp: &ValidPlatform, now: Timestamp) -> bool {
    !lp.suspended() && freeze::in_force(&lp.freezes, now.into()).is_none()
}

/// The apps that use `item` and may have pods with what it was reached by before `since`. `binding` says how it is reached now,
/// and nothing of other items.
pub fn waiting(
    lp: &ValidPlatform,
    children: &Children,
    pods: &[Arc<Pod>],
    item: &str,
    binding: &Bindings,
    since: Timestamp,
) -> Vec<String> {
    let users =
        lp.apps.iter().filter(|app| app.spec.uses.iter().flat_map(|uses| uses.items()).any(|used| used == item));
    let behind = users.filter(|app| {
        let of_app = |pod: &&Arc<Pod>| {
            pod.namespace().as_deref() == Some(&lp.key.namespace)
                && pod.labels().get(INSTANCE) == Some(&lp.key.name)
                // A job's component is `<app>.<job>`.
                && pod.labels().get(COMPONENT).and_then(|name| name.split('.').next()) == Some(&app.key.app)
        };
        let pods: Vec<&Pod> = pods.iter().filter(of_app).map(AsRef::as_ref).collect();
        !(is_rolled_out(app, children, binding) && are_new(&pods, since))
    });
    behind.map(|app| app.key.app.clone()).collect()
}

/// Whether the app's Deployment, if it has one, gives what `binding` says, and has no pods of another template but such as are
/// ending.
fn is_rolled_out(app: &ValidApp, children: &Children, binding: &Bindings) -> bool {
    let Some(deployment) = children.typed::<Deployment>(Kind::Deployment, &app.object_name) else { return true };
    let secret: Option<Secret> = children.typed(Kind::Secret, &connections::secret_name(app));
    let Some(secret) = secret else { return false };
    let status = deployment.status.clone().unwrap_or_default();
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let updated = status.updated_replicas.unwrap_or_default();
    connections::carries(app, binding, &secret, &deployment)
        && status.observed_generation == deployment.metadata.generation
        && (updated, status.replicas.unwrap_or_default()) == (wanted, wanted)
}

/// Whether none of an app's pods is from before: its Deployment's newest template is that of the pods that stay.
fn are_new(pods: &[&Pod], since: Timestamp) -> bool {
    let runs = |pod: &&&Pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        !matches!(phase, Some("Succeeded" | "Failed"))
    };
    let (ending, staying): (Vec<&Pod>, Vec<&Pod>) =
        pods.iter().filter(runs).partition(|pod| pod.metadata.deletion_timestamp.is_some());
    let template = |pod: &&Pod| pod.labels().get(TEMPLATE).cloned();
    let newest: BTreeSet<String> = staying.iter().filter_map(template).collect();
    let is_new = |pod: &&Pod| match template(pod) {
        Some(template) => newest.contains(&template),
        // A job's, say: it has what there was when it was made.
        None => pod.metadata.creation_timestamp.as_ref().is_some_and(|made| made.0 > since),
    };
    newest.len() <= 1 && ending.iter().chain(&staying).all(is_new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(template: Option<&str>, ending: bool, phase: &str) -> Pod {
        let mut pod = json!({
            "metadata": { "name": "p", "creationTimestamp": "2026-01-01T00:00:10Z" }, "status": { "phase": phase },
        });
        if let Some(template) = template {
            pod["metadata"]["labels"] = json!({ TEMPLATE: template });
        }
        if ending {
            pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:01:00Z");
        }
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn an_old_pod_counts_until_it_is_gone() {
        let (new, old) = (Some("new"), Some("old"));
        let (before, after) = ("2026-01-01T00:00:00Z".parse().unwrap(), "2026-01-01T00:00:30Z".parse().unwrap());
        for (pods, since, expected) in [
            (vec![], after, true),
            (vec![pod(new, false, "Running"), pod(new, false, "Pending")], after, true),
            (vec![pod(new, false, "Running"), pod(new, true, "Running")], after, true),
            (vec![pod(new, false, "Running"), pod(old, true, "Running")], after, false),
            (vec![pod(new, false, "Running"), pod(old, true, "Succeeded")], after, true),
            // What is seen of the pods is older than what is known of the Deployment.
            (vec![pod(new, false, "Running"), pod(old, false, "Running")], after, false),
            (vec![pod(old, true, "Running")], after, false),
            // A job's.
            (vec![pod(None, false, "Running")], after, false),
            (vec![pod(None, false, "Running")], before, true),
            (vec![pod(None, false, "Failed")], after, true),
        ] {
            let all: Vec<&Pod> = pods.iter().collect();
            assert_eq!(are_new(&all, since), expected, "{pods:?}");
        }
    }
}

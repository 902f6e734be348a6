//! What a promotion depends on, as it is seen in the cluster.

use super::{Facts, NODE, Node, OUT_OF_SERVICE, PodThere, Promotion, SPENT, decide, durability, text, word};
use crate::{
    context::Context,
    kinds::Kind,
    tiers::{
        Children,
        database::in_cluster::{InCluster, SeenServer, Server, key},
        store::pods,
    },
    validate::ValidPlatform,
};
use k8s_openapi::{
    api::core::v1,
    jiff::{SignedDuration, Timestamp},
};
use kube::{Api, ResourceExt};
use serde_json::Value;

/// How long a node must have been ready again (P): until then its kubelet may not have ended what was deleted meanwhile.
const BACK: SignedDuration = SignedDuration::from_secs(60);

/// Looks at what a promotion depends on, and decides.
pub async fn look(
    ctx: &Context,
    lp: &ValidPlatform,
    children: &Children,
    database: &InCluster,
    server: &Server,
    seen: &SeenServer,
) -> Promotion {
    let word = lp.annotations.get(crds::PROMOTE_ANNOTATION).and_then(|text| word(text, database, server));
    let record = seen.record.as_ref();
    let asked = word.as_ref().is_some_and(|word| text(record, SPENT) != Some(&word.word));
    // View and orders of the same look: what was seen before the proof elects nobody.
    let answer = ctx.databases.answer(&key(lp, server));
    let seen_after = answer.as_ref().is_some_and(|(_, orders)| {
        orders.proven.is_some() && orders.proven.as_ref() == word.as_ref().map(|word| &word.word)
    });
    let view = answer.as_ref().map(|(view, _)| view.as_ref());
    let serves = view.is_some_and(|view| view.accepts_writes);
    let node = match text(record, NODE).filter(|_| asked && !serves) {
        Some(name) => node(ctx, name).await,
        None => Node::Unknown("it was not looked for".to_owned()),
    };
    let pod = pod(ctx, lp, &format!("{}-0", server.primary_set()));
    let facts = Facts {
        word: word.as_ref(),
        record,
        view,
        seen_after,
        pod: pod.as_ref(),
        stopped: is_stopped(children, &server.primary_set()),
        claim: seen.claim.as_deref(),
        node: &node,
        wished: durability(database),
    };
    let promotion = decide(server, facts);
    if asked {
        tracing::info!(platform = %lp.key, server = server.object_name, state = ?promotion.state, "a promotion is asked for");
    }
    promotion
}

fn pod(ctx: &Context, lp: &ValidPlatform, name: &str) -> Option<PodThere> {
    let pods = ctx.stores.pods.state();
    let pod = pods.iter().find(|pod| pod.name_any() == name && pod.namespace().as_ref() == Some(&lp.key.namespace))?;
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    Some(PodThere { node, terminating: pod.metadata.deletion_timestamp.is_some() })
}

/// Whether a StatefulSet is to have no pods, and its controller has seen that and knows of none.
fn is_stopped(children: &Children, set: &str) -> bool {
    let Some(set) = children.get(Kind::StatefulSet, set) else { return false };
    let number = |at: &str| set.data.pointer(at).and_then(Value::as_i64);
    number("/spec/replicas") == Some(0)
        && number("/status/replicas").unwrap_or_default() == 0
        && set.metadata.generation.is_some()
        && number("/status/observedGeneration") == set.metadata.generation
}

/// The volume of the primary's claim; empty where it has none yet.
pub fn claim(children: &Children, server: &Server) -> Option<String> {
    let name = format!("{}-{}-0", pods::DATA, server.primary_set());
    let claim = children.get(Kind::PersistentVolumeClaim, &name)?;
    Some(claim.data.pointer("/spec/volumeName").and_then(Value::as_str).unwrap_or_default().to_owned())
}

async fn node(ctx: &Context, name: &str) -> Node {
    let api: Api<v1::Node> = Api::all(ctx.client.clone());
    match api.get_opt(name).await {
        Ok(None) => Node::Gone,
        Ok(Some(node)) => state_of(&node, Timestamp::now()),
        Err(kube::Error::Api(answer)) if answer.code == 403 => Node::Forbidden,
        Err(error) => Node::Unknown(error.to_string()),
    }
}

/// What a node's object says of it.
fn state_of(node: &v1::Node, now: Timestamp) -> Node {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    if taints.into_iter().any(|taint| taint.key == OUT_OF_SERVICE) {
        return Node::Fenced;
    }
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready" && condition.status == "True");
    let since = ready.and_then(|ready| ready.last_transition_time.as_ref());
    match since {
        Some(since) if now.duration_since(since.0) >= BACK => Node::Ready,
        _ => Node::NotReady,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_is_what_its_object_says() {
        let now: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
        let node = |status: &str, since: &str, taints: Value| -> Node {
            let conditions = json!([
                {"type": "MemoryPressure", "status": "False", "lastTransitionTime": "2026-11-22T07:00:00Z"},
                {"type": "Ready", "status": status, "lastTransitionTime": since},
            ]);
            let node = json!({"spec": {"taints": taints}, "status": {"conditions": conditions}});
            state_of(&serde_json::from_value(node).unwrap(), now)
        };
        let off = json!([{"key": OUT_OF_SERVICE, "value": "nodeshutdown", "effect": "NoExecute"}]);
        let unreachable = json!([{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}]);
        assert_eq!(node("True", "2026-11-22T07:00:00Z", json!([])), Node::Ready);
        assert_eq!(node("True", "2026-11-22T07:59:30Z", json!([])), Node::NotReady);
        assert_eq!(node("Unknown", "2026-11-22T07:00:00Z", unreachable), Node::NotReady);
        assert_eq!(node("False", "2026-11-22T07:00:00Z", json!([])), Node::NotReady);
        assert_eq!(node("Unknown", "2026-11-22T07:00:00Z", off), Node::Fenced);
        assert_eq!(state_of(&v1::Node::default(), now), Node::NotReady);
    }
}

//! What the operator may do: exactly the verbs it uses. Charts, `lpctl install` and tests read this table.

use crate::{kinds::Kind, references::Referred};
use k8s_openapi::api::rbac::v1::PolicyRule;

/// What it may do in the namespaces it watches.
pub fn rules() -> Vec<PolicyRule> {
    let mut rules = vec![
        // A platform with items at AWS is held back, by a finalizer, until those have gone as their policy says.
        rule(crds::GROUP, &["learningplatforms"], &["get", "list", "patch", "watch"]),
        // Owner references that block deletion need this where that admission plugin is on.
        rule(crds::GROUP, &["learningplatforms/finalizers"], &["update"]),
        rule(crds::GROUP, &["learningplatforms/status"], &["patch"]),
        // Stores are restarted pod by pod, each when its turn has come.
        rule("", &["pods"], &["delete", "list", "watch"]),
        rule("events.k8s.io", &["events"], &["create", "patch"]),
        rule("apps", &["deployments/scale"], &["get", "patch"]),
        // Other autoscalers of the same Deployment; most clusters have no such API.
        rule("keda.sh", &["scaledobjects"], &["list"]),
    ];
    for kind in Kind::ALL {
        if kind == Kind::PersistentVolumeClaim {
            rules.push(rule(kind.group(), &[kind.plural()], &["create", "get", "list", "patch", "watch"]));
            continue;
        }
        // Server-side apply of an object that does not exist is checked as create, too.
        rules.push(rule(kind.group(), &[kind.plural()], &["create", "delete", "get", "list", "patch", "watch"]));
    }
    for referred in Referred::ALL {
        // Secrets and ConfigMaps are written, too.
        if !matches!(referred, Referred::IngressClass | Referred::Secret | Referred::ConfigMap) {
            let resource = referred.resource();
            rules.push(rule(&resource.group, &[&resource.plural], &["get"]));
        }
    }
    sorted(rules)
}

/// What it may do of objects without a namespace. Where the operator serves single namespaces these rights may be missing:
/// what cannot be read is taken to be there.
pub fn cluster_rules() -> Vec<PolicyRule> {
    let class = Referred::IngressClass.resource();
    sorted(vec![
        rule(&class.group, &[&class.plural], &["get"]),
        // Whether the node of a lost primary is off: proof without which no replica takes its place.
        rule("", &["nodes"], &["get"]),
        // Without it a namespace that is deleted takes the data of its stores along, and the status says so.
        rule("", &["persistentvolumes"], &["get", "list", "patch"]),
        PolicyRule {
            resource_names: Some(vec!["httproutes.gateway.networking.k8s.io".to_owned()]),
            ..rule("apiextensions.k8s.io", &["customresourcedefinitions"], &["get"])
        },
    ])
}

/// What it may do in its own namespace: elect a leader.
pub fn leader_rules() -> Vec<PolicyRule> {
    vec![rule("coordination.k8s.io", &["leases"], &["create", "get", "update"])]
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> PolicyRule {
    let owned = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    PolicyRule {
        api_groups: Some(owned(&[group])),
        resources: Some(owned(resources)),
        verbs: owned(verbs),
        ..PolicyRule::default()
    }
}

fn sorted(mut rules: Vec<PolicyRule>) -> Vec<PolicyRule> {
    rules.sort_by(|a, b| (&a.api_groups, &a.resources).cmp(&(&b.api_groups, &b.resources)));
    rules
}

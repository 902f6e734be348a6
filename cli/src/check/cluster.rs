//! Whether the operator is there and works: the first half of `lpctl check`.

use super::{Category, Check, Topic, Verdict, compare, unknown};
use crate::{cluster::Cluster, commands::version::VERSION, install::NAME, installed, output::age};
use jiff::Timestamp;
use k8s_openapi::{
    api::{apps::v1::Deployment, coordination::v1::Lease},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{Api, Client, ResourceExt};

/// Name of the CRD.
pub const CRD: &str = "learningplatforms.learningplatform.dev";

/// The CRD is there, established, and the one that this program knows.
pub fn crds(cluster: &Cluster) -> Category {
    let get = |client: Client| async move { Api::<CustomResourceDefinition>::all(client).get_opt(CRD).await };
    let client = cluster.client.clone();
    let there = Check::new("the cluster knows LearningPlatform", Topic::CrdMissing, move || {
        let found = get(client.clone());
        async move { found.await.map_or_else(|e| unknown(&e), |crd| established(crd.as_ref())) }
    });
    let client = cluster.client.clone();
    let same = Check::new("its schema is the one that this lpctl knows", Topic::CrdOutdated, move || {
        let found = get(client.clone());
        async move {
            match found.await {
                Ok(Some(crd)) => same_schema(&crd),
                Ok(None) => Verdict::Unknown("it is gone".into()),
                Err(error) => unknown(&error),
            }
        }
    });
    Category { name: "crd".into(), checks: vec![there.fatal().retry(), same], essential: true }
}

fn established(crd: Option<&CustomResourceDefinition>) -> Verdict {
    let Some(crd) = crd else {
        return Verdict::bad(format!("there is no CustomResourceDefinition {CRD}"), "lpctl install");
    };
    let conditions = crd.status.as_ref().and_then(|s| s.conditions.as_ref());
    let established = conditions.into_iter().flatten().any(|c| c.type_ == "Established" && c.status == "True");
    if established {
        Verdict::Good(format!("{}/{}", crds::GROUP, crds::VERSION))
    } else {
        Verdict::bad("the API server has not established it yet", format!("kubectl describe crd {CRD}"))
    }
}

fn same_schema(installed: &CustomResourceDefinition) -> Verdict {
    let Some(difference) = compare(&crds::crd(), installed) else { return Verdict::Good(String::new()) };
    let some = |fields: &[String]| {
        let shown = fields.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        if fields.len() > 5 { format!("{shown} and {} more", fields.len() - 5) } else { shown }
    };
    if !difference.missing.is_empty() {
        let what = format!("it lacks {}, which the API server drops in silence", some(&difference.missing));
        return Verdict::bad(what, "lpctl install   # upgrades CRD and operator");
    }
    if !difference.unknown.is_empty() {
        let what = format!("it has {}, which this lpctl {VERSION} does not know", some(&difference.unknown));
        return Verdict::bad(what, "lpctl version   # use the lpctl of the operator's version");
    }
    Verdict::bad("its rules are other ones", "lpctl install   # upgrades CRD and operator")
}

/// The Deployment, its version, its lease, and its own opinion.
pub fn operator(cluster: &Cluster, namespace: &str, url: Option<&str>) -> Category {
    let mut checks = Vec::new();
    // An operator at an address of its own, in development, has no Deployment.
    if url.is_none() {
        let target = |check: fn(&Deployment, &str) -> Verdict| {
            let (client, namespace) = (cluster.client.clone(), namespace.to_owned());
            move || {
                let (client, namespace) = (client.clone(), namespace.clone());
                async move {
                    match installed::deployment(&client, &namespace).await {
                        Ok(Some(deployment)) => check(&deployment, &namespace),
                        Ok(None) => Verdict::bad(
                            format!("namespace {namespace} has no operator"),
                            "lpctl install   # or name its namespace with --operator-namespace",
                        ),
                        Err(error) => unknown(&error),
                    }
                }
            }
        };
        checks.push(Check::new("the operator runs", Topic::Operator, target(runs)).retry().fatal());
        checks.push(
            Check::new("its version is that of this lpctl", Topic::OperatorVersion, target(same_version)).warning(),
        );
        let (client, space) = (cluster.client.clone(), namespace.to_owned());
        checks.push(
            Check::new("one replica holds the lease", Topic::Lease, move || {
                let (client, space) = (client.clone(), space.clone());
                async move { lease(&client, &space).await }
            })
            .retry(),
        );
    }
    let (client, namespace, url) = (cluster.client.clone(), namespace.to_owned(), url.map(str::to_owned));
    checks.push(
        Check::new("the operator says it is ready (/readyz)", Topic::OperatorNotReady, move || {
            let (client, namespace, url) = (client.clone(), namespace.clone(), url.clone());
            async move {
                let asked = async {
                    installed::Endpoint::find(&client, url.as_deref(), Some(&namespace)).await?.get("/readyz").await
                };
                match asked.await {
                    Ok(answer) if answer.status == 200 => Verdict::Good(String::new()),
                    Ok(answer) => Verdict::bad(
                        format!("it answers {}: {}", answer.status, answer.body.trim()),
                        format!("kubectl -n {namespace} logs deployment/{NAME}"),
                    ),
                    Err(error) => Verdict::Unknown(format!("{error:#}")),
                }
            }
        })
        .retry(),
    );
    Category { name: "operator".into(), checks, essential: false }
}

fn runs(deployment: &Deployment, namespace: &str) -> Verdict {
    let wanted = deployment.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
    let status = deployment.status.clone().unwrap_or_default();
    let ready = status.ready_replicas.unwrap_or(0);
    let name = deployment.name_any();
    let current =
        status.observed_generation >= deployment.metadata.generation && status.updated_replicas.unwrap_or(0) >= wanted;
    if ready >= wanted && wanted > 0 && current {
        return Verdict::Good(format!("{namespace}/{name}, {ready} of {wanted} ready"));
    }
    let why = if wanted == 0 {
        "it is scaled to 0".to_owned()
    } else if current {
        format!("{ready} of {wanted} pods of {namespace}/{name} are ready")
    } else {
        format!("{namespace}/{name} is being rolled out")
    };
    Verdict::bad(why, format!("kubectl -n {namespace} describe pods -l app.kubernetes.io/name={NAME}"))
}

fn same_version(deployment: &Deployment, _: &str) -> Verdict {
    match installed::version(deployment) {
        Some(version) if version == VERSION => Verdict::Good(version),
        Some(version) => Verdict::bad(
            format!("the operator is {version}, this lpctl {VERSION}: what they know may differ"),
            "lpctl install   # or use the lpctl of the operator's version",
        ),
        None => Verdict::Unknown("the Deployment has no label app.kubernetes.io/version".into()),
    }
}

async fn lease(client: &Client, namespace: &str) -> Verdict {
    let deployment = match installed::deployment(client, namespace).await {
        Ok(Some(deployment)) => deployment,
        Ok(None) => return Verdict::Unknown("there is no operator".into()),
        Err(error) => return unknown(&error),
    };
    if installed::flag(&deployment, "leader-election").as_deref() == Some("false") {
        return Verdict::Note("leader election is off".into());
    }
    let name = installed::flag(&deployment, "lease-name").unwrap_or_else(|| NAME.to_owned());
    match installed::lease(client, namespace, &name).await {
        Ok(lease) => held(lease.as_ref(), namespace, &name, Timestamp::now()),
        Err(error) => unknown(&error),
    }
}

fn held(lease: Option<&Lease>, namespace: &str, name: &str, now: Timestamp) -> Verdict {
    let fix = format!("kubectl -n {namespace} logs deployment/{NAME}");
    let spec = lease.and_then(|l| l.spec.as_ref());
    let holder = spec.and_then(|s| s.holder_identity.as_deref()).unwrap_or_default();
    let Some(renewed) = spec.and_then(|s| s.renew_time.as_ref()).map(|t| t.0).filter(|_| !holder.is_empty()) else {
        return Verdict::bad(format!("nobody holds lease {namespace}/{name}, so nobody acts"), fix);
    };
    let lasts = spec.and_then(|s| s.lease_duration_seconds).unwrap_or(15);
    // The clocks of a cluster and of this machine differ a little.
    if now.as_second() - renewed.as_second() > i64::from(lasts) + 5 {
        let age = age(renewed, now);
        return Verdict::bad(format!("{holder} last renewed lease {namespace}/{name} {age} ago, so nobody acts"), fix);
    }
    Verdict::Good(holder.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_lease_must_be_fresh() {
        let now: Timestamp = "2026-12-01T10:00:30Z".parse().unwrap();
        let lease = |holder: &str, renewed: &str| {
            serde_json::from_value::<Lease>(json!({"metadata": {"name": "l"}, "spec": {
                "holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed,
            }}))
            .unwrap()
        };
        let fresh = lease("pod-a", "2026-12-01T10:00:20.000000Z");
        assert_eq!(held(Some(&fresh), "ns", "l", now), Verdict::Good("pod-a".into()));
        for bad in
            [None, Some(lease("", "2026-12-01T10:00:20.000000Z")), Some(lease("pod-a", "2026-12-01T09:58:20.000000Z"))]
        {
            let Verdict::Bad(finding) = held(bad.as_ref(), "ns", "l", now) else { panic!("accepted {bad:?}") };
            assert!(finding.what.contains("so nobody acts"), "{finding:?}");
        }
    }

    #[test]
    fn a_rollout_is_not_done_before_its_pods_are_new() {
        let deployment = |status: serde_json::Value| {
            serde_json::from_value::<Deployment>(json!({
                "metadata": {"name": "op", "generation": 2},
                "spec": {"replicas": 1, "selector": {}, "template": {}}, "status": status,
            }))
            .unwrap()
        };
        let new = json!({"observedGeneration": 2, "readyReplicas": 1, "updatedReplicas": 1});
        assert_eq!(runs(&deployment(new), "ns"), Verdict::Good("ns/op, 1 of 1 ready".into()));
        for (status, why) in [
            (json!({"observedGeneration": 1, "readyReplicas": 1, "updatedReplicas": 1}), "rolled out"),
            (json!({"observedGeneration": 2, "readyReplicas": 1, "updatedReplicas": 0}), "rolled out"),
            (json!({"observedGeneration": 2, "updatedReplicas": 1}), "0 of 1 pods"),
        ] {
            let Verdict::Bad(finding) = runs(&deployment(status), "ns") else { panic!("accepted") };
            assert!(finding.what.contains(why), "{finding:?}");
        }
    }

    #[test]
    fn a_crd_without_a_field_is_named() {
        let mut old = serde_json::to_value(crds::crd()).unwrap();
        let app =
            old.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/apps/items/properties");
        app.unwrap().as_object_mut().unwrap().remove("draining");
        let Verdict::Bad(finding) = same_schema(&serde_json::from_value(old).unwrap()) else { panic!("accepted") };
        assert!(finding.what.contains("spec.apps[].draining"), "{finding:?}");
        assert_eq!(same_schema(&crds::crd()), Verdict::Good(String::new()));
    }
}

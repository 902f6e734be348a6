//! `make bench`: seconds from the first word of a platform to its Ready, with a primary and two replicas of ours and of
//! CloudNativePG, in turns. It prints figures, and passes where both become Ready.

use super::*;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;

#[tokio::test]
async fn a_platform_is_ready_beside_one_of_cloud_native_pg() {
    let turns = std::env::var("BENCH_READY_TURNS").ok().and_then(|turns| turns.parse().ok()).unwrap_or(3);
    let (ns, _operator) = scene("beside").await;
    assert!(!operator::is_somebody_elses(&ns).await, "the cluster has a CloudNativePG of its own");
    operator::remove(&ns).await;
    operator::install(&ns).await;
    let changes = json!({"readReplicas": 2, "deletionPolicy": "Delete"});
    let ways = [("ours", super::super::database("main", changes.clone())), ("cloudnativepg", database(changes))];
    let mut times = [Vec::new(), Vec::new()];
    for turn in 1..=turns {
        for ((way, database), times) in ways.iter().zip(&mut times) {
            let name = format!("{way}-{turn}");
            ns.apply(&name, json!({"databases": [database]})).await;
            let took = ready(&ns, &name).await.as_secs_f64();
            println!("{way:14} {took:6.1} s to Ready");
            times.push(took);
            clear(&ns, &name).await;
        }
    }
    let medians = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    });
    for ((way, _), median) in ways.iter().zip(medians) {
        println!("{way:14} {median:6.1} s to Ready   median of {turns}");
    }
    println!("ratio {:.2}", medians[0] / medians[1]);
    operator::remove(&ns).await;
    ns.delete().await;
}

/// Removes a platform with its data, so that the next has the node for itself.
async fn clear(ns: &TestNamespace, name: &str) {
    ns.api::<crds::LearningPlatform>().delete(name, &DeleteParams::background()).await.expect("a deletion");
    let left = || async {
        let pods = ns.api::<Pod>().list(&ListParams::default()).await.expect("pods").items;
        let names = pods.into_iter().filter_map(|pod| pod.metadata.name);
        let pods = names.filter(|pod| pod.starts_with(name)).count();
        let claims = ns.api::<PersistentVolumeClaim>().list(&ListParams::default()).await.expect("claims").items.len();
        pods + claims
    };
    eventually("its pods and claims are gone", MADE, left, |left| *left == 0).await;
}

//! Two replicas: one acts, and when it dies the other goes on where it was.

use super::{SOON, Scene, app, behavior, by_rate, never_falls, never_rises, with};
use learningplatform_tests::harness::{Operator, eventually, holds_for};
use serde_json::json;
use std::time::{Duration, Instant};

/// With the default lease of 15 s and attempts every 2 s: the last renewal may be seen 2 s late, and the lease found to have
/// ended as late again. The rest is a busy machine's.
const HANDOVER: Duration = Duration::from_secs(30);

async fn metric(operator: &Operator, name: &str) -> Option<f64> {
    let text = operator.get("/metrics").await?;
    let values = text
        .lines()
        .filter(|line| line.starts_with(name))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.reduce(|a, b| a + b)
}

async fn leads(operator: &Operator) -> bool {
    metric(operator, "learningplatform_operator_leader").await == Some(1.0)
}

/// SIGKILL of the leader; asserts that the other takes over in time.
async fn hand_over(from: &mut Operator, to: &Operator) {
    assert!(!leads(to).await, "two lead");
    from.kill();
    eventually("the other leads", HANDOVER, || leads(to), |leads| *leads).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_replaced_in_the_midst_of_scaling() {
    let mut scene = Scene::with("leader", None, &[]).await;
    eventually("the first leads", SOON, || leads(&scene.operator), |leads| *leads).await;
    let second = scene.another_operator(&[]);
    eventually("the second stands by", SOON, || metric(&second, "learningplatform_operator_leader"), Option::is_some)
        .await;

    let scaling = with(by_rate(1, 8), json!({"behavior": behavior((0, "Pods", 1, 3), (3, "Pods", 2, 6))}));
    scene.pods_worth("web", 0.5);
    scene.apply(&[app("web", scaling)]).await;
    let web = scene.record("web").await;
    web.until("one pod is ready", SOON, |seen| seen.settled_at(1)).await;
    holds_for("one leads", Duration::from_secs(3), || leads(&second), |leads| !leads).await;
    let wrote = metric(&second, "learningplatform_operator_writes_total").await;
    assert_eq!(wrote.unwrap_or(0.0), 0.0, "the one that stands by writes nothing");

    let out = Instant::now();
    scene.pods_worth("web", 7.5);
    web.until("it is on its way up", SOON, |seen| seen.floor() >= Some(3)).await;
    hand_over(&mut scene.operator, &second).await;
    web.until("the right count", Duration::from_secs(180), |seen| seen.settled_at(8)).await;
    let (replicas, ready) = (web.replicas(out), web.ready(out));
    assert!(never_falls(&replicas) && replicas.iter().all(|count| *count <= 8), "{replicas:?}");
    assert!(never_falls(&ready), "{ready:?}");

    scene.operator = second;
    let third = scene.another_operator(&[]);
    eventually("the third stands by", SOON, || metric(&third, "learningplatform_operator_leader"), Option::is_some)
        .await;
    let back = Instant::now();
    scene.pods_worth("web", 1.5);
    web.until("it is on its way down", SOON, |seen| seen.floor() <= Some(6)).await;
    hand_over(&mut scene.operator, &third).await;
    web.until("the right count", Duration::from_secs(180), |seen| seen.settled_at(2)).await;
    let replicas = web.replicas(back);
    assert!(never_rises(&replicas) && replicas.iter().all(|count| *count >= 2), "{replicas:?}");
    drop(third);
    scene.end().await;
}

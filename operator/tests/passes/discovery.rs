//! How Prometheus finds the pods while the API of PodMonitors comes and goes.

use crate::world::*;
use serde_json::Value;

const MONITORING: &str = "monitoring.coreos.com/v1";
const MONITOR: &str = "/apis/monitoring.coreos.com/v1/namespaces/learning/podmonitors/story-web";

fn template(world: &World) -> Value {
    world.api.get(DEPLOYMENT).unwrap()["spec"]["template"].clone()
}

#[tokio::test]
async fn an_api_that_appears_changes_no_pod() {
    let world = World::new(spec());
    world.api.install(MONITORING, false);
    let operator = world.operator().await;
    world.settle(&operator).await;
    let before = template(&world);
    assert_eq!(before["metadata"]["annotations"]["prometheus.io/scrape"], "true");
    assert_eq!(world.api.get(MONITOR), None);

    world.api.install(MONITORING, true);
    operator.capabilities.discover(&operator.client).await;
    world.settle(&operator).await;
    assert_eq!(template(&world), before);
    assert!(world.api.get(MONITOR).is_some());
}

#[tokio::test]
async fn pods_under_a_monitor_get_annotations_when_its_api_goes() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.settle(&operator).await;
    assert_eq!(template(&world)["metadata"]["annotations"], Value::Null);
    world.api.install(MONITORING, false);
    operator.capabilities.discover(&operator.client).await;
    world.settle(&operator).await;
    assert_eq!(template(&world)["metadata"]["annotations"]["prometheus.io/scrape"], "true");
}

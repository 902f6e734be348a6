//! Events: one for each turn of a condition, and none while it stays as it is.

use crate::{support::cluster::Memory, world::*};
use decide::{SourceErrorKind, Time};
use futures::{FutureExt, future::BoxFuture};
use learningplatform_operator::{
    context::Context,
    evaluate::{Deps, EvaluationMetrics},
    naming::PlatformKey,
    prometheus::{PromApi, QueryError, Series, SourceKey, Vector},
};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[tokio::test]
async fn a_condition_that_turns_is_one_event_and_one_that_stays_is_none() {
    let mut fixed = spec();
    fixed["apps"][0].as_object_mut().unwrap().remove("autoscaling");
    let world = World::new(fixed);
    let operator = world.operator().await;
    world.settle(&operator).await;
    assert_eq!(world.condition("Ready")["status"], "True");
    world.api.events();

    let secret = world.api.get(SECRET).unwrap();
    world.api.remove(SECRET);
    world.pass(&operator).await;
    let turned = ["Ready DependencyNotReady Warning", "AppReady NotFound Warning"];
    assert_eq!(world.api.events(), turned);
    world.pass(&operator).await;
    assert_eq!(world.condition("Ready")["status"], "False");
    assert_eq!(world.api.events(), [""; 0], "a second pass over the same condition");
    let gateway = world.api.get(GATEWAY).unwrap();
    world.api.remove(GATEWAY);
    world.pass(&operator).await;
    let message = world.condition("Ready")["message"].to_string();
    assert!(message.contains("Secret db") && message.contains("Gateway public"), "{message}");
    assert_eq!(world.api.events(), [""; 0], "the same condition in other words");
    let restarted = world.operator().await;
    world.pass(&restarted).await;
    assert_eq!(world.api.events(), [""; 0], "a pass of a new process");

    world.api.put(GATEWAY, gateway);
    world.api.put(SECRET, secret);
    world.settle(&restarted).await;
    assert_eq!(world.api.events(), ["Ready Succeeded Normal", "AppReady Succeeded Normal"]);
}

/// A server that knows the rate of `web`, until it is gone.
#[derive(Default)]
struct Server {
    gone: AtomicBool,
}

impl PromApi for Server {
    fn query<'a>(&'a self, expression: &'a str, at: Time) -> BoxFuture<'a, Result<Vector, QueryError>> {
        async move {
            if self.gone.load(Ordering::Relaxed) {
                return Err(QueryError::new(SourceErrorKind::Connect, "connection refused"));
            }
            let seconds = at.as_millis() as f64 / 1000.0;
            let value = if expression.contains("timestamp(") { seconds - 1.0 } else { 250.0 };
            Ok(vec![Series::new([("namespace", "learning"), ("workload", "story-web")], value)].into())
        }
        .boxed()
    }

    fn started(&self) -> BoxFuture<'_, Option<Time>> {
        async { Some(Time::from_secs(1)) }.boxed()
    }
}

/// The evaluation beside the passes of `operator`, and the platforms of which it has something new to tell.
fn evaluate(operator: &Context, server: &Arc<Server>) -> mpsc::Receiver<PlatformKey> {
    let cluster = Memory::default();
    cluster.run("story-web", 3);
    let server = server.clone();
    let (began, start) = (Instant::now(), Time::from_secs(1_800_000_000));
    let (wake, wakes) = mpsc::channel(100);
    let deps = Deps {
        cluster: Arc::new(cluster),
        sources: Arc::new(move |_: &SourceKey| -> Arc<dyn PromApi> { server.clone() }),
        clock: Arc::new(move || start.plus(began.elapsed().into())),
        interval: operator.settings.evaluation_interval,
        glance: Duration::ZERO,
        scaling: operator.scaling.clone(),
        metrics: EvaluationMetrics::registered(&operator.metrics),
        wake,
        writes: Semaphore::new(1),
        tasks: TaskTracker::new(),
        lost: CancellationToken::new(),
    };
    operator.registry.start(Arc::new(deps), CancellationToken::new());
    wakes
}

/// Passes whenever the evaluation has news, until it has had none for some minutes.
async fn follow(world: &World, operator: &Arc<Context>, news: &mut mpsc::Receiver<PlatformKey>) {
    for _ in 0..20 {
        if timeout(Duration::from_secs(300), news.recv()).await.is_err() {
            return;
        }
        world.pass(operator).await;
    }
    panic!("there is always news: {}", world.condition("MetricsAvailable"));
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_metrics_source_is_one_event() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.settle(&operator).await;
    let server = Arc::new(Server::default());
    let mut news = evaluate(&operator, &server);
    follow(&world, &operator, &mut news).await;
    let told = world.app_condition("web", "MetricsAvailable");
    assert_eq!((&told["status"], &told["reason"]), (&json!("True"), &json!("Succeeded")), "{told}");
    world.api.events();

    server.gone.store(true, Ordering::Relaxed);
    follow(&world, &operator, &mut news).await;
    assert_eq!(world.api.events(), ["MetricsAvailable SourceUnavailable Warning"]);
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(60)).await;
        world.pass(&operator).await;
    }
    assert_eq!(world.app_condition("web", "MetricsAvailable")["status"], "False");
    assert_eq!(world.api.events(), [""; 0], "the outage goes on");

    server.gone.store(false, Ordering::Relaxed);
    follow(&world, &operator, &mut news).await;
    let back = world.api.events();
    assert_eq!(back.last().map(String::as_str), Some("MetricsAvailable Succeeded Normal"), "{back:?}");
    assert!(back.iter().all(|event| event.ends_with("Normal")), "{back:?}");
}

//! Scaling, seen on the real API server with the real HPA, Deployments and pods.

mod conflicts;
mod deletion;
mod edits;
mod gitops;
mod kill;
mod leader;
mod outage;
mod overload;
mod pause;
mod rollout;
mod schedule;
mod signals;
mod story;

use learningplatform_tests::harness::{
    Load, Operator, Pods, Prometheus, Recorder, SAMPLE_APP_IMAGE, TestNamespace, account,
};
use serde_json::{Value, json};
use std::{path::PathBuf, time::Duration};

/// The platform of most tests.
const PLATFORM: &str = "school";
/// How long anything may take that takes a few seconds on an idle machine.
const SOON: Duration = Duration::from_secs(90);
/// Flags that shorten what every test waits for; others are set where they are tested.
const FLAGS: &[&str] = &["--evaluation-interval=1s", "--debounce=100ms", "--waiting-requeue=2s"];
/// One operator, no election.
const ALONE: &str = "--leader-election=false";

/// Whether the long forms run: `make soak`.
fn soak() -> bool {
    std::env::var_os("LP_SOAK").is_some_and(|value| !value.is_empty() && value != "0")
}

/// A namespace with a load, a Prometheus that scrapes it, and an operator.
struct Scene {
    // Dropped first, while its log is still there to be shown.
    operator: Operator,
    prometheus: Prometheus,
    load: Load,
    kubeconfig: PathBuf,
    ns: TestNamespace,
}

impl Scene {
    async fn start(test: &str) -> Self {
        Self::with(test, None, &[ALONE]).await
    }

    async fn with(test: &str, pods: Option<(u16, &str)>, flags: &[&str]) -> Self {
        let ns = TestNamespace::create(test).await;
        let load = Load::start_stamped().await;
        let pods = pods.map(|(port, path)| Pods { namespace: &ns, port, path });
        let prometheus = Prometheus::start_with(ns.dir.path(), &load, pods).await;
        let kubeconfig = account(&ns).await;
        let operator = Operator::spawn(&ns, &kubeconfig, &[FLAGS, flags].concat());
        Self { ns, load, prometheus, operator, kubeconfig }
    }

    /// Applies the platform [`PLATFORM`] with these apps.
    async fn apply(&self, apps: &[Value]) {
        self.ns.apply(PLATFORM, self.spec(apps)).await;
    }

    fn spec(&self, apps: &[Value]) -> Value {
        json!({"prometheus": {"url": self.prometheus.url, "scrapeInterval": "1s"}, "apps": apps})
    }

    /// What the app receives, in pods' worth of the 100 requests per second of [`by_rate`].
    fn pods_worth(&self, app: &str, pods: f64) {
        self.load.set(&self.ns.name, &object(app), pods * 100.0, 0.05);
    }

    async fn record(&self, app: &str) -> Recorder {
        Recorder::start(&self.ns, &object(app)).await
    }

    /// SIGKILL, and a new process under the same account.
    fn restart_operator(&mut self) {
        self.operator.kill();
        self.operator = self.another_operator(&[ALONE]);
    }

    fn another_operator(&self, flags: &[&str]) -> Operator {
        Operator::spawn(&self.ns, &self.kubeconfig, &[FLAGS, flags].concat())
    }

    /// The end of a test that has passed.
    async fn end(self) {
        drop(self.operator);
        self.ns.delete().await;
    }
}

/// Name of an app's objects.
fn object(app: &str) -> String {
    format!("{PLATFORM}-{app}")
}

/// An app of pods that cost next to nothing, are ready at once and stop at once.
fn app(name: &str, autoscaling: Value) -> Value {
    json!({
        "name": name,
        "image": SAMPLE_APP_IMAGE,
        "env": [{"name": "DRAIN_SECONDS", "value": "0"}],
        "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}},
        "disruptionBudget": {"disabled": true},
        "autoscaling": autoscaling,
    })
}

/// The same with pods that no node takes: for what needs many of them and none ready.
fn pending(name: &str, autoscaling: Value) -> Value {
    let mut app = app(name, autoscaling);
    app["nodeSelector"] = json!({"learningplatform.dev/no-such-node": "true"});
    app
}

/// Scaling by 100 requests per second and pod, as fast as the HPA's type can say it.
fn by_rate(min: i32, max: i32) -> Value {
    json!({
        "minReplicas": min, "maxReplicas": max, "requestRate": {"perPod": 100}, "collapseHold": "0s",
        "behavior": behavior((0, "Percent", 1000, 1), (3, "Percent", 100, 1)),
    })
}

/// `behavior` of one policy each way: stabilisation window, type, value, period.
fn behavior(up: (i32, &str, i32, i32), down: (i32, &str, i32, i32)) -> Value {
    let rules = |(window, kind, value, period): (i32, &str, i32, i32)| json!({"stabilizationWindowSeconds": window, "policies": [{"type": kind, "value": value, "periodSeconds": period}]});
    json!({"scaleUp": rules(up), "scaleDown": rules(down)})
}

/// `base` with some fields replaced, or removed where null.
fn with(base: Value, changes: Value) -> Value {
    let mut base = base;
    for (field, value) in changes.as_object().expect("an object") {
        if value.is_null() {
            base.as_object_mut().expect("an object").remove(field);
        } else {
            base[field] = value.clone();
        }
    }
    base
}

/// The values of `recorded` without their times.
fn numbers<T: Copy>(recorded: &[(std::time::Instant, T)]) -> Vec<T> {
    recorded.iter().map(|(_, value)| *value).collect()
}

/// Whether no value is below the one before it.
fn never_falls(values: &[i32]) -> bool {
    values.windows(2).all(|pair| pair[1] >= pair[0])
}

/// Whether no value is above the one before it.
fn never_rises(values: &[i32]) -> bool {
    values.windows(2).all(|pair| pair[1] <= pair[0])
}

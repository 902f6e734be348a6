//! Everything that happened to one app's HPA and Deployment, by watches: polling would miss what lasts a moment.

use super::TestNamespace;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler};
use kube::{
    Api,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde_json::Value;
use std::{
    fmt::Debug,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinSet};

/// What is known of an app at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// The HPA's `minReplicas` and `maxReplicas`.
    pub bounds: Option<(i32, i32)>,
    /// The HPA's `spec`.
    pub hpa: Value,
    /// The Deployment's `spec.replicas`.
    pub replicas: Option<i32>,
    /// The Deployment's `status.readyReplicas`.
    pub ready: i32,
    /// The Deployment's `status.updatedReplicas`.
    pub updated: i32,
}

impl Seen {
    /// The HPA's `minReplicas`.
    pub fn floor(&self) -> Option<i32> {
        Some(self.bounds?.0)
    }

    /// Whether floor, replicas and ready pods are all `count`.
    pub fn settled_at(&self, count: i32) -> bool {
        self.floor() == Some(count) && self.replicas == Some(count) && self.ready == count
    }
}

/// Records an app's HPA and Deployment until it is dropped.
pub struct Recorder {
    name: String,
    history: Arc<Mutex<Vec<(Instant, Seen)>>>,
    current: watch::Receiver<Seen>,
    _tasks: JoinSet<()>,
}

impl Recorder {
    /// Watches the objects called `name` (`<platform>-<app>`). What happens after this call is recorded without a gap.
    pub async fn start(namespace: &TestNamespace, name: &str) -> Self {
        let history: Arc<Mutex<Vec<(Instant, Seen)>>> = Arc::default();
        let (sender, current) = watch::channel(Seen::default());
        let (listed, mut ready) = tokio::sync::mpsc::channel(2);
        let record = {
            let history = history.clone();
            move |change: &dyn Fn(&mut Seen)| {
                sender.send_if_modified(|seen| {
                    let before = seen.clone();
                    change(seen);
                    if *seen != before {
                        history.lock().expect("no poisoned lock").push((Instant::now(), seen.clone()));
                    }
                    *seen != before
                });
            }
        };
        let mut tasks = JoinSet::new();
        let hpa = {
            let record = record.clone();
            move |object: Option<HorizontalPodAutoscaler>| {
                let spec = object.and_then(|hpa| hpa.spec);
                record(&|seen| {
                    seen.bounds = spec.as_ref().map(|s| (s.min_replicas.unwrap_or(1), s.max_replicas));
                    seen.hpa = serde_json::to_value(&spec).expect("JSON");
                });
            }
        };
        let deployment = move |object: Option<Deployment>| {
            let status = object.as_ref().and_then(|d| d.status.clone()).unwrap_or_default();
            let replicas = object.and_then(|d| d.spec).map(|spec| spec.replicas.unwrap_or(1));
            record(&|seen| {
                seen.replicas = replicas;
                seen.ready = status.ready_replicas.unwrap_or(0);
                seen.updated = status.updated_replicas.unwrap_or(0);
            });
        };
        tasks.spawn(follow(namespace.api::<HorizontalPodAutoscaler>(), name.to_owned(), listed.clone(), hpa));
        tasks.spawn(follow(namespace.api::<Deployment>(), name.to_owned(), listed, deployment));
        for _ in 0..2 {
            ready.recv().await.expect("both watches list");
        }
        Self { name: name.to_owned(), history, current, _tasks: tasks }
    }

    /// What is so now.
    pub fn now(&self) -> Seen {
        self.current.borrow().clone()
    }

    /// Waits until `good` holds, and returns the time at which it did first.
    ///
    /// # Panics
    /// When `deadline` passes first; the message carries what was recorded last.
    pub async fn until(&self, what: &str, deadline: Duration, good: impl Fn(&Seen) -> bool) -> Instant {
        let mut current = self.current.clone();
        let reached = tokio::time::timeout(deadline, current.wait_for(|seen| good(seen))).await;
        assert!(
            matches!(reached, Ok(Ok(_))),
            "{}: not within {deadline:?}: {what}; now {:?}; floors {:?}, replicas {:?}, ready {:?}",
            self.name,
            self.now(),
            self.last(Seen::floor),
            self.last(|seen| seen.replicas),
            self.last(|seen| Some(seen.ready)),
        );
        Instant::now()
    }

    /// The values that `of` had from `since` on, the one that held then included, equal neighbours once.
    pub fn values<T: PartialEq>(&self, since: Instant, of: impl Fn(&Seen) -> Option<T>) -> Vec<(Instant, T)> {
        let history = self.history.lock().expect("no poisoned lock");
        let before = history.iter().rposition(|(at, _)| *at <= since).unwrap_or(0);
        let mut values: Vec<(Instant, T)> = Vec::new();
        for (at, seen) in &history[before..] {
            if let Some(value) = of(seen)
                && values.last().is_none_or(|(_, last)| *last != value)
            {
                values.push(((*at).max(since), value));
            }
        }
        values
    }

    /// The floors from `since` on; see [`Self::values`].
    pub fn floors(&self, since: Instant) -> Vec<(Instant, i32)> {
        self.values(since, Seen::floor)
    }

    /// The numbers of wanted pods from `since` on; see [`Self::values`].
    pub fn replicas(&self, since: Instant) -> Vec<i32> {
        self.values(since, |seen| seen.replicas).into_iter().map(|(_, count)| count).collect()
    }

    /// The numbers of ready pods from `since` on; see [`Self::values`].
    pub fn ready(&self, since: Instant) -> Vec<i32> {
        self.values(since, |seen| Some(seen.ready)).into_iter().map(|(_, count)| count).collect()
    }

    fn last<T: PartialEq + Debug>(&self, of: impl Fn(&Seen) -> Option<T>) -> Vec<T> {
        let history = self.history.lock().expect("no poisoned lock");
        let mut values: Vec<T> = history.iter().filter_map(|(_, seen)| of(seen)).collect();
        values.dedup();
        values
    }
}

async fn follow<K>(
    api: Api<K>,
    name: String,
    listed: tokio::sync::mpsc::Sender<()>,
    record: impl Fn(Option<K>) + Send + 'static,
) where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + Debug + Send + 'static,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = watcher(api, config).default_backoff().into_stream().boxed();
    let mut found = false;
    loop {
        match events.try_next().await {
            Ok(Some(Event::Apply(object) | Event::InitApply(object))) => {
                found = true;
                record(Some(object));
            }
            Ok(Some(Event::Delete(_))) => record(None),
            Ok(Some(Event::Init)) => found = false,
            Ok(Some(Event::InitDone)) => {
                if !found {
                    record(None);
                }
                let _ = listed.try_send(());
            }
            Ok(None) => return,
            // The backoff starts it again where it was.
            Err(_) => {}
        }
    }
}

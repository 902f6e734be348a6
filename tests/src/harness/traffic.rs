//! Requests to real pods in a closed loop: who waits for an answer asks for nothing else.

use super::TestNamespace;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::ListParams};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};

/// Users that send requests to the ready pods of an app in turn, until it is dropped.
pub struct Traffic {
    _tasks: JoinSet<()>,
}

impl Traffic {
    /// Each of `users` sends one request per `cycle`, or as many as it gets answers. Every request is a connection of its
    /// own to the next pod, as an L7 proxy spreads them.
    pub fn start(
        namespace: &TestNamespace,
        app: &str,
        port: u16,
        path: &'static str,
        users: u32,
        cycle: Duration,
    ) -> Self {
        let ready: Arc<Mutex<Vec<String>>> = Arc::default();
        let next = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        tasks.spawn(endpoints(namespace.api(), app.to_owned(), port, ready.clone()));
        for user in 0..users {
            let (ready, next) = (ready.clone(), next.clone());
            tasks.spawn(async move {
                // Spread over the cycle, so that the load is even.
                tokio::time::sleep(cycle * user / users).await;
                loop {
                    let start = Instant::now();
                    let address = {
                        let ready = ready.lock().expect("no poisoned lock");
                        let turn = next.fetch_add(1, Ordering::Relaxed);
                        (!ready.is_empty()).then(|| ready[turn % ready.len()].clone())
                    };
                    if let Some(address) = address {
                        let _ = super::get(&address, path).await;
                    }
                    tokio::time::sleep_until(start + cycle).await;
                }
            });
        }
        Self { _tasks: tasks }
    }
}

async fn endpoints(api: Api<Pod>, app: String, port: u16, ready: Arc<Mutex<Vec<String>>>) {
    let selector = ListParams::default().labels(&format!("app.kubernetes.io/component={app}"));
    loop {
        if let Ok(pods) = api.list(&selector).await {
            let addresses = pods.items.iter().filter_map(|pod| {
                let status = pod.status.as_ref()?;
                let ready = status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
                let stays = pod.metadata.deletion_timestamp.is_none();
                (ready && stays).then(|| Some(format!("{}:{port}", status.pod_ip.as_ref()?)))?
            });
            *ready.lock().expect("no poisoned lock") = addresses.collect();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

//! Kubernetes events: once per distinct note and transition, never in the way of a pass.

use crate::conditions::truncate;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use std::time::Duration;

/// The API refuses notes of more than 1 kB.
const NOTE: usize = 1000;
/// An event is worth no more waiting than this.
const PATIENCE: Duration = Duration::from_secs(5);

/// Publishes events; failures are log lines.
#[derive(Clone)]
pub struct Events {
    client: Client,
    reporter: Reporter,
    enabled: bool,
}

impl Events {
    /// Events in the name of the operator; `instance` is the pod.
    pub fn new(client: Client, instance: Option<String>) -> Self {
        Self { client, reporter: Reporter { controller: "learningplatform-operator".into(), instance }, enabled: true }
    }

    /// Publishes nothing.
    pub fn silent(client: Client) -> Self {
        Self { enabled: false, ..Self::new(client, None) }
    }

    /// Publishes an event about `regarding`. The caller sees to it that it is a transition.
    pub async fn publish(&self, regarding: &ObjectReference, warning: bool, reason: &str, action: &str, note: &str) {
        if !self.enabled {
            return;
        }
        let event = Event {
            type_: if warning { EventType::Warning } else { EventType::Normal },
            reason: reason.to_owned(),
            note: Some(truncate(note, NOTE)),
            action: action.to_owned(),
            secondary: None,
        };
        // A recorder's cache knows events by reason alone and would repeat an old note, so none is kept.
        let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
        match tokio::time::timeout(PATIENCE, recorder.publish(&event, regarding)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, reason, "an event could not be published"),
            Err(_) => tracing::warn!(reason, "an event could not be published in time"),
        }
    }
}

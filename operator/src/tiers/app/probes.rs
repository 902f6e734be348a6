//! How a pod is known to be ready, alive and started.

use crate::validate::ValidApp;
use crds::tiers::pod::Health;
use k8s_openapi::{
    api::core::v1::{HTTPGetAction, Probe, TCPSocketAction},
    apimachinery::pkg::util::intstr::IntOrString,
};
use std::time::Duration;

/// Seconds between two attempts at start: pods of a scale-out are to serve soon.
const STARTUP_PERIOD: i32 = 2;
/// Longest start by default.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(300);

/// The probes of the app's container.
pub(super) struct Probes {
    pub readiness: Option<Probe>,
    pub liveness: Option<Probe>,
    pub startup: Option<Probe>,
}

pub(super) fn probes(app: &ValidApp) -> Probes {
    let Some(health) = &app.spec.health else {
        return Probes { readiness: None, liveness: None, startup: None };
    };
    let short = short_form(app, health);
    Probes {
        readiness: health.readiness.clone().or(short.readiness),
        liveness: health.liveness.clone().or(short.liveness),
        startup: health.startup.clone().or(short.startup),
    }
}

fn short_form(app: &ValidApp, health: &Health) -> Probes {
    let (Some(path), Some(port)) = (&health.path, app.port(health.port.as_deref())) else {
        return Probes { readiness: None, liveness: None, startup: None };
    };
    let port = IntOrString::String(port.name.clone());
    let open = || Some(TCPSocketAction { port: port.clone(), host: None });
    let startup_timeout: Duration = health.startup_timeout.map_or(STARTUP_TIMEOUT, Duration::from);
    let attempts = startup_timeout.as_secs_f64() / f64::from(STARTUP_PERIOD);
    Probes {
        readiness: Some(Probe {
            http_get: Some(HTTPGetAction { path: Some(path.clone()), port: port.clone(), ..HTTPGetAction::default() }),
            period_seconds: Some(5),
            timeout_seconds: Some(3),
            failure_threshold: Some(3),
            ..Probe::default()
        }),
        // Whether the port opens, not whether dependencies answer: restarting every pod heals no database.
        liveness: Some(Probe {
            tcp_socket: open(),
            period_seconds: Some(10),
            timeout_seconds: Some(3),
            failure_threshold: Some(3),
            ..Probe::default()
        }),
        startup: Some(Probe {
            tcp_socket: open(),
            period_seconds: Some(STARTUP_PERIOD),
            timeout_seconds: Some(3),
            #[allow(clippy::cast_possible_truncation)]
            failure_threshold: Some(attempts.ceil() as i32),
            ..Probe::default()
        }),
    }
}

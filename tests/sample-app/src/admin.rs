//! The admin port: tests change the running app through it. It has no authentication.

use std::str::FromStr;
use std::sync::Arc;

use clap::ValueEnum;
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::api::{Answer, error, json_answer, millis};
use crate::app::{App, Settings};
use crate::config::{self, HealthMode, MAX_HEAP_MIB, MetricsMode};

/// Answers one request on the admin port:
/// `GET /admin/state`, `POST /admin/set?name=value&...`, `POST /admin/heap?mib=N`.
pub fn handle<B>(app: &Arc<App>, request: &Request<B>) -> Answer {
    let query = request.uri().query().unwrap_or_default();
    let done = match (request.method(), request.uri().path()) {
        (&Method::GET, "/admin/state") => Ok(()),
        (&Method::POST, "/admin/set") => change(app.settings(), query).map(|s| app.set(s)),
        (&Method::POST, "/admin/heap") => heap(app, query),
        _ => {
            let known = "GET /admin/state, POST /admin/set?name=value, POST /admin/heap?mib=N";
            return error(StatusCode::NOT_FOUND, known);
        }
    };
    match done {
        Ok(()) => json_answer(StatusCode::OK, &state(app)),
        Err(what) => error(StatusCode::BAD_REQUEST, &what),
    }
}

fn state(app: &App) -> Value {
    let settings = app.settings();
    json!({
        "capacity_rps": settings.capacity_rps,
        "extra_latency_ms": millis(settings.extra_latency),
        "cpu_ms_per_request": millis(settings.cpu_per_request),
        "health": name(settings.health),
        "metrics": name(settings.metrics),
        "heap_mib": app.heap_mib(),
        "in_flight": app.metrics().in_flight(),
        "draining": app.draining(),
    })
}

/// The settings after all changes of the query; none is made where one is wrong.
fn change(mut settings: Settings, query: &str) -> Result<Settings, String> {
    for (name, value) in pairs(query)? {
        match name {
            "capacity_rps" => config::rate(value).map(|v| settings.capacity_rps = v),
            "extra_latency_ms" => config::millis(value).map(|v| settings.extra_latency = v),
            "cpu_ms_per_request" => config::cpu_millis(value).map(|v| settings.cpu_per_request = v),
            "health" => HealthMode::from_str(value, false)
                .map(|v| settings.health = v)
                .map_err(|_| "must be ok or fail".to_owned()),
            "metrics" => MetricsMode::from_str(value, false)
                .map(|v| settings.metrics = v)
                .map_err(|_| "must be ok, nan, absent or error".to_owned()),
            _ => {
                Err("is not known; take capacity_rps, extra_latency_ms, cpu_ms_per_request, health or metrics"
                    .to_owned())
            }
        }
        .map_err(|what| format!("{name} {what}"))?;
    }
    Ok(settings)
}

fn heap(app: &App, query: &str) -> Result<(), String> {
    let [("mib", value)] = pairs(query)?[..] else {
        return Err("say how much: /admin/heap?mib=64".to_owned());
    };
    u32::from_str(value)
        .ok()
        .and_then(|mib| app.grow_heap(mib))
        .map(|_| ())
        .ok_or_else(|| format!("mib must be a whole number; the sum may be at most {MAX_HEAP_MIB}"))
}

fn pairs(query: &str) -> Result<Vec<(&str, &str)>, String> {
    query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').ok_or_else(|| format!("{part} has no value; write {part}=...")))
        .collect()
}

fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default()
}

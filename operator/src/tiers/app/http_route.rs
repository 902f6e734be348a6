//! The HTTPRoute of the Gateway API.

use crate::{capabilities::Served, kinds::Kind, naming::labels, validate::ValidApp};
use crds::tiers::exposure::{PathMatch, RoutePath};
use kube::core::DynamicObject;
use serde_json::{Value, json};
use std::time::Duration;

/// The route, if the app is exposed by a Gateway. Session persistence is a field of the API's experimental channel: where
/// the cluster lacks it, it is left out, because the server would drop it in silence.
pub(super) fn http_route(app: &ValidApp, served: Served) -> Option<Result<DynamicObject, serde_json::Error>> {
    let gateway = app.spec.exposure.as_ref()?.gateway.as_ref()?;
    let everything = [RoutePath { path: "/".to_owned(), ..RoutePath::default() }];
    let paths = if gateway.paths.is_empty() { &everything[..] } else { &gateway.paths[..] };
    let parents: Vec<_> = gateway
        .parent_refs
        .iter()
        .map(|p| {
            json!({
                "group": Kind::HttpRoute.group(), "kind": "Gateway",
                "name": p.name, "namespace": p.namespace, "sectionName": p.section_name,
            })
        })
        .collect();
    Some(Kind::HttpRoute.object(&json!({
        "metadata": {
            "name": app.object_name,
            "labels": labels(&app.key.platform, &app.key.app),
            "annotations": super::pod::some_map(gateway.annotations.clone()),
        },
        "spec": {
            "parentRefs": parents,
            "hostnames": super::pod::some_list(gateway.hosts.clone()),
            "rules": paths.iter().map(|path| rule(app, path, served)).collect::<Vec<_>>(),
        },
    })))
}

fn rule(app: &ValidApp, path: &RoutePath, served: Served) -> Value {
    let kind = match path.match_type {
        Some(PathMatch::Exact) => "Exact",
        Some(PathMatch::Prefix) | None => "PathPrefix",
    };
    let timeout = match path.web_socket {
        Some(true) => Some("0s".to_owned()),
        _ => path.timeout.map(|t| gateway_duration(t.into())),
    };
    let cookie = path.affinity_cookie.as_ref().filter(|_| served.session_persistence);
    json!({
        "matches": [{ "path": { "type": kind, "value": path.path } }],
        "backendRefs": [{
            "group": "", "kind": "Service", "name": app.object_name,
            "port": app.port(path.port.as_deref()).map(|p| p.service), "weight": 1,
        }],
        "timeouts": timeout.map(|t| json!({ "request": t })),
        "sessionPersistence": cookie.map(|name| json!({ "sessionName": name, "type": "Cookie" })),
    })
}

/// A duration as the Gateway API writes it (GEP-2257): up to four parts of up to five digits, in h, m, s and ms.
fn gateway_duration(duration: Duration) -> String {
    // Rounded up: 0 means no limit.
    let millis = duration.as_nanos().div_ceil(1_000_000);
    let parts =
        [(millis / 3_600_000, "h"), (millis / 60_000 % 60, "m"), (millis / 1000 % 60, "s"), (millis % 1000, "ms")];
    let text: String = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_the_gateway_api_writes_them() {
        for (duration, text) in [
            (Duration::ZERO, "0s"),
            (Duration::from_micros(500), "1ms"),
            (Duration::from_millis(1500), "1s500ms"),
            (Duration::from_secs(3600), "1h"),
            (Duration::from_secs(86_399), "23h59m59s"),
        ] {
            assert_eq!(gateway_duration(duration), text);
        }
    }
}

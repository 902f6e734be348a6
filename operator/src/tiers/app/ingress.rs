//! The Ingress.

use crate::{kinds::Kind, naming::labels, validate::ValidApp};
use crds::tiers::exposure::{IngressPath, PathMatch};
use kube::core::DynamicObject;
use serde_json::{Value, json};

/// The Ingress, if the app is exposed by one.
pub(super) fn ingress(app: &ValidApp) -> Option<Result<DynamicObject, serde_json::Error>> {
    let ingress = app.spec.exposure.as_ref()?.ingress.as_ref()?;
    let everything = [IngressPath { path: "/".to_owned(), ..IngressPath::default() }];
    let paths = if ingress.paths.is_empty() { &everything[..] } else { &ingress.paths[..] };
    let http = json!({ "paths": paths.iter().map(|p| route(app, p)).collect::<Vec<_>>() });
    let rules: Vec<_> = if ingress.hosts.is_empty() {
        vec![json!({ "http": http })]
    } else {
        ingress.hosts.iter().map(|host| json!({ "host": host, "http": http })).collect()
    };
    let tls = ingress
        .tls_secret
        .as_ref()
        .map(|secret| json!([{ "hosts": super::pod::some_list(ingress.hosts.clone()), "secretName": secret }]));
    Some(Kind::Ingress.object(&json!({
        "metadata": {
            "name": app.object_name,
            "labels": labels(&app.key.platform, &app.key.app),
            "annotations": super::pod::some_map(ingress.annotations.clone()),
        },
        "spec": { "ingressClassName": ingress.class_name, "rules": rules, "tls": tls },
    })))
}

fn route(app: &ValidApp, path: &IngressPath) -> Value {
    let kind = match path.match_type {
        Some(PathMatch::Exact) => "Exact",
        Some(PathMatch::Prefix) | None => "Prefix",
    };
    json!({
        "path": path.path,
        "pathType": kind,
        "backend": { "service": {
            "name": app.object_name,
            "port": { "name": app.port(path.port.as_deref()).map(|p| p.name.clone()) },
        } },
    })
}

//! The app room: what fields of an app come to, where an example would not show it, and what validation says.

#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

use crds::LearningPlatform;
use learningplatform_operator::{
    capabilities::Served,
    context::Settings,
    error::Error,
    reconcile,
    references::references,
    tiers::app::{SeenApp, desired, keep_annotations},
    validate::{ValidApp, validate},
};
use serde_json::{Value, json};

fn platform(app: Value) -> LearningPlatform {
    let mut app = app;
    for (field, default) in [("name", json!("web")), ("image", json!("registry.example/web:1"))] {
        if app[field].is_null() {
            app[field] = default;
        }
    }
    serde_json::from_value(json!({
        "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
        "metadata": { "name": "story", "namespace": "learning", "uid": "u", "generation": 1 },
        "spec": { "apps": [app] },
    }))
    .unwrap()
}

fn objects(app: Value, served: Served) -> Vec<Value> {
    let valid = validate(&platform(app), &Settings::default()).unwrap();
    reconcile::render(&valid, served).into_iter().map(|s| serde_json::to_value(s.object).unwrap()).collect()
}

fn object(app: Value, kind: &str) -> Value {
    let all = objects(app, Served::ALL);
    all.into_iter()
        .find(|o| o["kind"] == kind && o["spec"].get("template").is_some() == (kind == "Deployment"))
        .unwrap_or(Value::Null)
}

fn pod(app: Value) -> Value {
    object(app, "Deployment")["spec"]["template"]["spec"].clone()
}

fn container(app: Value) -> Value {
    pod(app)["containers"][0].clone()
}

/// A cluster without PodMonitors.
const UNMONITORED: Served = Served { pod_monitor: false, ..Served::ALL };

/// The annotations of an app's pods, of which those that run carry the annotations `live`.
fn annotations(app: &Value, served: Served, live: Option<&Value>) -> Value {
    let valid = validate(&platform(app.clone()), &Settings::default()).unwrap();
    let names = |live: &Value| live.as_object().unwrap().keys().cloned().collect();
    let seen = SeenApp { annotations: live.map(names), ..SeenApp::default() };
    let deployment = desired(&valid.apps[0], &seen, served).into_iter().next().unwrap().object;
    deployment.data["spec"]["template"]["metadata"]["annotations"].clone()
}

fn problem(app: Value) -> String {
    match validate(&platform(app), &Settings::default()) {
        Err(error @ Error::InvalidSpec { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_pull_policy_is_kubernetes_own_default_written_out() {
    for (image, policy) in [
        ("web", "Always"),
        ("web:latest", "Always"),
        ("registry.example:5000/web", "Always"),
        ("registry.example:5000/web:1.2", "IfNotPresent"),
        ("web@sha256:0000000000000000000000000000000000000000000000000000000000000000", "IfNotPresent"),
    ] {
        assert_eq!(container(json!({ "image": image }))["imagePullPolicy"], policy, "{image}");
    }
    assert_eq!(container(json!({ "image": "web", "imagePullPolicy": "Never" }))["imagePullPolicy"], "Never");
}

#[test]
fn draining_gives_routers_time_unless_told_otherwise() {
    let sleep = |app: Value| container(app)["lifecycle"]["preStop"]["sleep"]["seconds"].clone();
    assert_eq!(sleep(json!({ "port": 80 })), 5);
    assert_eq!(sleep(json!({})), Value::Null, "nothing is routed to an app without a port");
    assert_eq!(sleep(json!({ "port": 80, "draining": { "delay": "12s" } })), 12);
    assert_eq!(sleep(json!({ "port": 80, "draining": { "delay": "1500ms" } })), 2, "rounded up");
    assert_eq!(sleep(json!({ "port": 80, "draining": { "delay": "0s" } })), Value::Null);
    assert_eq!(
        sleep(json!({ "port": 80, "draining": { "gracePeriod": "3s" } })),
        Value::Null,
        "longer than the grace period"
    );
    let hook = json!({ "port": 80, "draining": { "lifecycle": { "preStop": { "exec": { "command": ["/stop"] } } } } });
    assert_eq!(container(hook)["lifecycle"]["preStop"], json!({ "exec": { "command": ["/stop"] } }));
}

#[test]
fn root_is_possible_and_never_the_default() {
    assert_eq!(pod(json!({}))["securityContext"]["runAsNonRoot"], true);
    let root = pod(json!({ "security": { "runAsUser": 0 } }));
    assert_eq!(root["securityContext"]["runAsNonRoot"], false);
    assert_eq!(root["securityContext"]["runAsUser"], 0);
}

#[test]
fn full_probes_replace_the_one_they_name() {
    let own = json!({ "exec": { "command": ["/alive"] } });
    let found = container(json!({ "port": 80, "health": { "path": "/up", "liveness": own } }));
    assert_eq!(found["livenessProbe"]["exec"]["command"], json!(["/alive"]));
    assert_eq!(found["readinessProbe"]["httpGet"]["path"], "/up");
    assert_eq!(found["startupProbe"]["failureThreshold"], 150, "five minutes in steps of two seconds");
    let only = container(json!({ "health": { "liveness": own } }));
    assert_eq!(only["readinessProbe"], Value::Null);
}

#[test]
fn spread_can_be_replaced_and_switched_off() {
    let default = pod(json!({}));
    assert!(
        default["topologySpreadConstraints"]
            .as_array()
            .unwrap()
            .iter()
            .all(|c| c["whenUnsatisfiable"] == "ScheduleAnyway")
    );
    let off = pod(json!({ "spread": { "disabled": true } }));
    assert_eq!((&off["topologySpreadConstraints"], &off["affinity"]), (&Value::Null, &Value::Null));
    let own = json!({ "spread": { "constraints": [{ "maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule" }] } });
    let own = pod(own);
    assert_eq!(own["topologySpreadConstraints"].as_array().unwrap().len(), 1);
    assert!(
        own["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"].is_object(),
        "the app's own pods by default"
    );
}

#[test]
fn budgets() {
    assert_eq!(object(json!({}), "PodDisruptionBudget")["spec"]["maxUnavailable"], 1);
    let least = object(json!({ "disruptionBudget": { "minAvailable": "50%" } }), "PodDisruptionBudget");
    assert_eq!((&least["spec"]["minAvailable"], &least["spec"]["maxUnavailable"]), (&json!("50%"), &Value::Null));
    assert_eq!(object(json!({ "disruptionBudget": { "disabled": true } }), "PodDisruptionBudget"), Value::Null);
}

#[test]
fn routes_by_gateway() {
    let app = json!({ "ports": [{ "name": "http", "port": 3000, "servicePort": 80 }, { "name": "ws", "port": 3001 }],
        "exposure": { "gateway": { "parentRefs": [{ "name": "public" }], "paths": [
            { "path": "/", "timeout": "90s", "affinityCookie": "pin" },
            { "path": "/live", "port": "ws", "webSocket": true },
            { "path": "/exact", "matchType": "Exact" },
        ] } } });
    let rules = object(app.clone(), "HTTPRoute")["spec"]["rules"].clone();
    assert_eq!(rules[0]["backendRefs"][0]["port"], 80);
    assert_eq!(rules[0]["timeouts"]["request"], "1m30s");
    assert_eq!(rules[0]["sessionPersistence"], json!({ "sessionName": "pin", "type": "Cookie" }));
    assert_eq!((&rules[1]["timeouts"]["request"], &rules[1]["backendRefs"][0]["port"]), (&json!("0s"), &json!(3001)));
    assert_eq!(rules[2]["matches"][0]["path"], json!({ "type": "Exact", "value": "/exact" }));
    let standard = Served { session_persistence: false, ..Served::ALL };
    let route = objects(app, standard).into_iter().find(|o| o["kind"] == "HTTPRoute").unwrap();
    assert!(!route.to_string().contains("sessionPersistence"), "the server would drop it in silence");
}

#[test]
fn metrics_on_a_port_of_their_own() {
    let app = json!({ "port": 80, "metrics": { "port": 9100, "path": "/m", "interval": "30s", "monitorLabels": { "release": "x" } } });
    let ports = container(app.clone())["ports"].clone();
    assert_eq!(ports[1], json!({ "name": "metrics", "containerPort": 9100, "protocol": "TCP" }));
    let monitor = object(app.clone(), "PodMonitor");
    assert_eq!(monitor["spec"]["podMetricsEndpoints"][0]["port"], "metrics");
    assert_eq!(monitor["spec"]["podMetricsEndpoints"][0]["interval"], "30s");
    assert_eq!(monitor["metadata"]["labels"]["release"], "x");
    let annotated = json!({ "prometheus.io/scrape": "true", "prometheus.io/path": "/m", "prometheus.io/port": "9100" });
    assert_eq!(annotations(&app, UNMONITORED, None), annotated);
    assert!(object(app, "Service")["spec"]["ports"].as_array().unwrap().len() == 1, "not a port of the Service");
}

#[test]
fn pods_are_told_of_in_one_way_where_one_is_named() {
    for (discovery, served, annotated, monitored) in [
        (Value::Null, Served::ALL, false, true),
        (Value::Null, UNMONITORED, true, false),
        (json!("PodMonitor"), Served::ALL, false, true),
        (json!("PodMonitor"), UNMONITORED, false, false),
        (json!("Annotations"), Served::ALL, true, false),
    ] {
        let app = json!({ "port": 80, "metrics": { "discovery": discovery } });
        let objects = objects(app.clone(), served);
        assert_eq!(annotations(&app, served, None).is_object(), annotated, "{discovery}");
        assert_eq!(objects.iter().any(|o| o["kind"] == "PodMonitor"), monitored, "{discovery}");
    }
}

#[test]
fn pods_that_carry_annotations_keep_them_and_others_get_them_when_the_api_is_gone() {
    let plain = json!({ "port": 80, "metrics": {} });
    let (told, none) = (annotations(&plain, UNMONITORED, None), json!({}));
    assert_eq!(told["prometheus.io/scrape"], "true");
    assert_eq!(annotations(&plain, Served::ALL, Some(&told)), told, "an API that appears restarts no pod");
    assert_eq!(annotations(&plain, Served::ALL, Some(&none)), Value::Null);
    assert_eq!(annotations(&plain, UNMONITORED, Some(&none)), told, "else nobody would find them");
    assert_eq!(annotations(&plain, Served::default(), Some(&none)), Value::Null, "nobody has said that it is gone");

    let named = |way: &str| json!({ "port": 80, "metrics": { "discovery": way } });
    assert_eq!(annotations(&named("PodMonitor"), Served::ALL, Some(&told)), Value::Null);
    assert_eq!(annotations(&named("Annotations"), Served::ALL, Some(&none)), told);

    // What the user writes by hand under such a name says nothing of how the pods are found.
    let own = json!({ "prometheus.io/port": "9" });
    for app in [
        json!({ "port": 80, "metrics": {}, "podAnnotations": own }),
        json!({ "port": 80, "metrics": {}, "podTemplate": { "metadata": { "annotations": own } } }),
    ] {
        assert_eq!(annotations(&app, Served::ALL, Some(&own)), own, "{app}");
        let told = annotations(&app, UNMONITORED, None);
        assert_eq!((&told["prometheus.io/port"], &told["prometheus.io/scrape"]), (&json!("9"), &json!("true")));
        assert_eq!(annotations(&app, Served::ALL, Some(&told)), told, "{app}");
    }
}

#[test]
fn what_is_rendered_offline_keeps_annotations_as_a_pass_would() {
    let deployment = |app: &ValidApp, served| desired(app, &SeenApp::default(), served).remove(0).object;
    for (discovery, keeps) in [(Value::Null, true), (json!("PodMonitor"), false)] {
        let app = json!({ "port": 80, "metrics": { "discovery": discovery } });
        let app = validate(&platform(app), &Settings::default()).unwrap().apps.remove(0);
        let without_way = validate(&platform(json!({ "port": 80, "metrics": {} })), &Settings::default()).unwrap();
        let live = deployment(&without_way.apps[0], UNMONITORED);
        let mut rendered = deployment(&app, Served::ALL);
        keep_annotations(&app, &mut rendered, &live);
        assert_eq!(rendered.data["spec"]["template"] == live.data["spec"]["template"], keeps, "{discovery}");
        let mut fresh = deployment(&app, Served::ALL);
        let before = fresh.data.clone();
        keep_annotations(&app, &mut fresh, &deployment(&app, Served::ALL));
        assert_eq!(fresh.data, before, "{discovery}");
    }
}

#[test]
fn an_overlay_merges_by_key_and_cannot_break_the_selector() {
    let app = json!({ "port": 80, "env": [{ "name": "A", "value": "1" }], "podTemplate": {
        "metadata": { "labels": { "team": "x", "app.kubernetes.io/instance": "mine" } },
        "spec": {
            "priorityClassName": "high", "enableServiceLinks": null,
            "containers": [
                { "name": "web", "env": [{ "name": "B", "value": "2" }, { "name": "A", "value": "9" }], "tty": true },
                { "name": "proxy", "image": "proxy:1" },
            ],
        },
    } });
    let template = object(app, "Deployment")["spec"]["template"].clone();
    assert_eq!(template["metadata"]["labels"]["team"], "x");
    assert_eq!(template["metadata"]["labels"]["app.kubernetes.io/instance"], "story");
    assert_eq!(template["spec"]["priorityClassName"], "high");
    assert_eq!(template["spec"].get("enableServiceLinks"), None, "null takes a field away");
    let web = &template["spec"]["containers"][0];
    assert_eq!(web["image"], "registry.example/web:1");
    assert_eq!(web["env"], json!([{ "name": "A", "value": "9" }, { "name": "B", "value": "2" }]));
    assert_eq!(template["spec"]["containers"][1]["name"], "proxy");
}

/// An object nested so many levels deep.
fn nested(levels: usize) -> Value {
    (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }))
}

#[test]
fn what_only_the_whole_spec_can_tell_is_refused_with_field_and_remedy() {
    for (app, field, part) in [
        (json!({ "port": 80, "health": { "path": "/", "port": "admin" } }), "spec.apps[web].health.port", "http"),
        (
            json!({ "port": 80, "exposure": { "ingress": { "paths": [{ "path": "/a", "port": "x" }] } } }),
            "spec.apps[web].exposure.ingress.paths[/a].port",
            "name one of them",
        ),
        (
            json!({ "ports": [{ "name": "a", "port": 80 }, { "name": "b", "port": 81, "servicePort": 80 }] }),
            "spec.apps[web].ports[b]",
            "servicePort",
        ),
        (json!({ "podTemplate": { "status": {} } }), "spec.apps[web].podTemplate", "metadata and spec"),
        (json!({ "podTemplate": { "metadata": { "name": "x" } } }), "spec.apps[web].podTemplate", "metadata.name"),
        (
            json!({ "podTemplate": { "spec": { "containers": [{ "image": "x" }] } } }),
            "spec.apps[web].podTemplate",
            "no name",
        ),
        (
            json!({ "podTemplate": { "spec": { "containers": [{ "name": "side" }] } } }),
            "spec.apps[web].podTemplate",
            "called web",
        ),
        (json!({ "podTemplate": { "spec": { "hostNetwork": "yes" } } }), "spec.apps[web].podTemplate", "Pod API"),
        (json!({ "podTemplate": { "spec": [] } }), "spec.apps[web].podTemplate", "object"),
        (json!({ "podTemplate": { "metadata": { "labels": nested(30) } } }), "spec.apps[web].podTemplate", "Pod API"),
        (
            json!({ "podTemplate": { "metadata": { "labels": nested(31) } } }),
            "spec.apps[web].podTemplate",
            "levels deep",
        ),
        (json!({ "podTemplate": { "metadata": [] } }), "spec.apps[web].podTemplate", "object"),
        (json!({ "podTemplate": { "metadata": { "labels": "x" } } }), "spec.apps[web].podTemplate", "metadata.labels"),
        (json!({ "podTemplate": { "metadata": { "labels": 1 } } }), "spec.apps[web].podTemplate", "metadata.labels"),
        (
            json!({ "podTemplate": { "metadata": { "annotations": [] } } }),
            "spec.apps[web].podTemplate",
            "metadata.annotations",
        ),
    ] {
        let found = problem(app.clone());
        assert!(found.starts_with(field) && found.contains(part), "{app}: {found}");
    }
}

#[test]
fn two_apps_of_one_name_and_several_problems() {
    let mut twice = platform(json!({ "podTemplate": { "x": 1 } }));
    twice.spec.apps.push(twice.spec.apps[0].clone());
    let error = validate(&twice, &Settings::default()).unwrap_err().to_string();
    assert!(error.contains("(and 2 more problems)"), "{error}");
}

#[test]
fn everything_referred_to_is_found_and_the_optional_is_not_asked_for() {
    let app = json!({
        "port": 80,
        "env": [
            { "name": "A", "valueFrom": { "secretKeyRef": { "name": "s1", "key": "k" } } },
            { "name": "B", "valueFrom": { "configMapKeyRef": { "name": "c1", "key": "k" } } },
            { "name": "C", "valueFrom": { "secretKeyRef": { "name": "maybe", "key": "k", "optional": true } } },
        ],
        "envFrom": [{ "secretRef": { "name": "s2" } }, { "configMapRef": { "name": "c2" } }, { "secretRef": { "name": "maybe", "optional": true } }],
        "imagePullSecrets": [{ "name": "pull" }],
        "serviceAccount": { "name": "robot" },
        "exposure": {
            "ingress": { "className": "nginx", "tlsSecret": "tls", "hosts": ["a.example"] },
            "gateway": { "parentRefs": [{ "name": "public", "namespace": "edge" }] },
        },
    });
    let valid = validate(&platform(app), &Settings::default()).unwrap();
    let found: Vec<String> = references(&valid.apps[0])
        .into_iter()
        .map(|(r, field)| format!("{} {}/{} {field}", r.kind.resource().kind, r.namespace, r.name))
        .collect();
    assert_eq!(
        found,
        [
            "Secret learning/pull imagePullSecrets",
            "Secret learning/s1 env[A]",
            "Secret learning/s2 envFrom",
            "Secret learning/tls exposure.ingress.tlsSecret",
            "ConfigMap learning/c1 env[B]",
            "ConfigMap learning/c2 envFrom",
            "ServiceAccount learning/robot serviceAccount.name",
            "IngressClass /nginx exposure.ingress.className",
            "Gateway edge/public exposure.gateway.parentRefs",
        ]
    );
}

#[test]
fn a_container_has_each_port_once() {
    let twice = json!([{ "name": "http", "port": 8080, "servicePort": 80 }, { "name": "admin", "port": 8080 }]);
    let said = problem(json!({ "ports": twice }));
    assert!(said.contains("spec.apps[web].ports[admin]") && said.contains("8080/TCP"), "{said}");
    let two = json!([{ "name": "dns", "port": 53 }, { "name": "dns-udp", "port": 53, "protocol": "UDP" }]);
    assert_eq!(container(json!({ "ports": two }))["ports"].as_array().unwrap().len(), 2);
}

#[test]
fn http_goes_to_the_first_port_that_speaks_tcp() {
    let ports = json!([{ "name": "dns", "port": 53, "protocol": "UDP" }, { "name": "http", "port": 8080 }]);
    let app = json!({
        "ports": ports, "health": { "path": "/" }, "metrics": { "discovery": "Annotations" },
        "exposure": { "gateway": { "parentRefs": [{ "name": "public" }], "hosts": ["a.example"] } },
    });
    assert_eq!(container(app.clone())["readinessProbe"]["httpGet"]["port"], "http");
    let annotations = object(app.clone(), "Deployment")["spec"]["template"]["metadata"]["annotations"].clone();
    assert_eq!(annotations["prometheus.io/port"], "8080");
    assert_eq!(object(app, "HTTPRoute")["spec"]["rules"][0]["backendRefs"][0]["port"], 8080);

    let udp = json!([{ "name": "dns", "port": 53, "protocol": "UDP" }]);
    let said = problem(json!({ "ports": udp, "health": { "path": "/" } }));
    assert!(said.contains("spec.apps[web].health.port") && said.contains("no TCP port"), "{said}");
    let said = problem(json!({ "ports": udp, "health": { "path": "/", "port": "dns" } }));
    assert!(said.contains("port dns speaks UDP"), "{said}");
}

#[test]
fn an_overlay_without_the_pods_form_names_the_field() {
    let said = problem(json!({ "podTemplate": { "spec": { "hostNetwork": "yes" } } }));
    assert!(said.contains("spec.apps[web].podTemplate") && said.contains("spec.hostNetwork"), "{said}");
}

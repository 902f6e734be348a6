//! Jobs of an app: what their pods take from the app's and what not, what they are called, and what validation says.

#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

use crds::LearningPlatform;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use kube::{ResourceExt, core::DynamicObject};
use learningplatform_operator::{
    capabilities::Served,
    context::Settings,
    naming::selector,
    reconcile,
    references::references,
    tiers::app::rollout_jobs,
    validate::{ValidApp, validate},
};
use serde_json::{Value, json};

fn platform(name: &str, spec: Value) -> LearningPlatform {
    serde_json::from_value(json!({
        "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
        "metadata": { "name": name, "namespace": "learning", "uid": "u", "generation": 1 }, "spec": spec,
    }))
    .unwrap()
}

/// An app with a migration, in which some fields are others.
fn app(changes: Value) -> Value {
    let mut app = json!({
        "name": "web", "image": "registry.example/web:1", "port": 3000,
        "jobs": [{ "name": "migrate", "beforeRollout": {}, "command": ["migrate"] }],
    });
    for (field, value) in changes.as_object().unwrap() {
        app[field] = value.clone();
    }
    app
}

fn job(changes: Value) -> Value {
    let mut job = json!({ "name": "migrate", "beforeRollout": {}, "command": ["migrate"] });
    for (field, value) in changes.as_object().unwrap() {
        job[field] = value.clone();
    }
    json!({ "jobs": [job] })
}

fn rendered(app: Value) -> (ValidApp, Vec<DynamicObject>) {
    let valid = validate(&platform("story", json!({ "apps": [app] })), &Settings::default()).unwrap();
    let objects = reconcile::render(&valid, Served { pod_monitor: false, ..Served::ALL });
    (valid.apps[0].clone(), objects.into_iter().map(|step| step.object).collect())
}

fn of_kind(objects: &[DynamicObject], kind: &str) -> Vec<DynamicObject> {
    objects.iter().filter(|object| object.types.as_ref().unwrap().kind == kind).cloned().collect()
}

/// The migration's pod template.
fn pod(app: Value) -> Value {
    let (_, objects) = rendered(app);
    of_kind(&objects, "Job")[0].data["spec"]["template"].clone()
}

fn container(app: Value) -> Value {
    let containers = pod(app)["spec"]["containers"].clone();
    assert_eq!(containers.as_array().unwrap().len(), 1, "{containers}");
    containers[0].clone()
}

#[test]
fn no_selector_of_the_app_finds_a_pod_of_a_job() {
    let own = selector("story", "web");
    let labels = json!({ "app.kubernetes.io/component": "web", "team": "campus" });
    for app in [
        app(json!({})),
        app(json!({ "podLabels": { "team": "campus" } })),
        app(job(json!({ "podLabels": labels }))),
        app(json!({ "podTemplate": { "metadata": { "labels": labels } } })),
    ] {
        let pod = pod(app.clone());
        let found = pod["metadata"]["labels"].as_object().unwrap();
        assert!(own.iter().any(|(name, value)| found.get(name) != Some(&json!(value))), "{found:?}");
        assert_ne!(found["app.kubernetes.io/name"], "web");
        let wanted = app["jobs"][0]["podLabels"]["team"].clone();
        assert_eq!(found.get("team").cloned().unwrap_or_default(), wanted, "the app's own labels stay with the app");
    }
}

#[test]
fn a_job_has_what_the_app_has_but_for_serving() {
    let full = app(json!({
        "env": [{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }],
        "envFrom": [{ "configMapRef": { "name": "settings" } }],
        "args": ["serve"], "command": ["web"],
        "health": { "path": "/up" }, "metrics": { "path": "/m" },
        "resources": { "requests": { "cpu": "1" } },
        "scratch": [{ "name": "tmp", "mountPath": "/tmp" }],
        "security": { "runAsUser": 1001 },
        "serviceAccount": { "name": "robot" },
        "imagePullSecrets": [{ "name": "pull" }],
        "nodeSelector": { "pool": "web" },
        "podAnnotations": { "example.com/owner": "campus" },
        "jobs": [{ "name": "migrate", "beforeRollout": {}, "args": ["migrate"],
            "env": [{ "name": "B", "value": "3" }, { "name": "C", "value": "4" }] }],
    }));
    let spec = pod(full.clone())["spec"].clone();
    let (_, objects) = rendered(full.clone());
    let served = of_kind(&objects, "Deployment")[0].data["spec"]["template"].clone();
    for field in [
        "securityContext",
        "serviceAccountName",
        "automountServiceAccountToken",
        "imagePullSecrets",
        "nodeSelector",
        "volumes",
        "terminationGracePeriodSeconds",
    ] {
        assert!(!spec[field].is_null() && spec[field] == served["spec"][field], "{field}: {spec}");
    }
    assert_eq!(spec["restartPolicy"], "Never");
    for field in ["topologySpreadConstraints", "affinity"] {
        assert!(spec[field].is_null() && !served["spec"][field].is_null(), "{field}");
    }
    let (found, of_app) = (container(full.clone()), &served["spec"]["containers"][0]);
    for field in ["image", "envFrom", "securityContext", "volumeMounts", "resources", "imagePullPolicy"] {
        assert!(!found[field].is_null() && found[field] == of_app[field], "{field}: {found}");
    }
    for field in ["ports", "readinessProbe", "livenessProbe", "startupProbe", "lifecycle"] {
        assert!(found[field].is_null() && !of_app[field].is_null(), "{field}: {found}");
    }
    assert_eq!((&found["command"], &found["args"]), (&Value::Null, &json!(["migrate"])), "the app's would serve");
    let env = json!([{ "name": "A", "value": "1" }, { "name": "B", "value": "3" }, { "name": "C", "value": "4" }]);
    assert_eq!(found["env"], env);
    let annotations = pod(full)["metadata"]["annotations"].clone();
    assert_eq!(annotations, json!({ "example.com/owner": "campus" }), "nothing scrapes a job");
    assert_eq!(served["metadata"]["annotations"]["prometheus.io/scrape"], "true");
}

#[test]
fn an_overlay_counts_for_jobs_but_for_its_further_containers() {
    let overlay = json!({ "spec": {
        "priorityClassName": "lessons",
        "containers": [
            { "name": "web", "args": ["serve"], "volumeMounts": [{ "name": "ca", "mountPath": "/ca" }] },
            { "name": "sidecar", "image": "sidecar:1" },
        ],
        "volumes": [{ "name": "ca", "configMap": { "name": "ca" } }],
        "affinity": { "nodeAffinity": {}, "podAntiAffinity": {} },
    } });
    let wrapped = app(json!({ "podTemplate": overlay }));
    let spec = pod(wrapped.clone())["spec"].clone();
    assert_eq!((&spec["priorityClassName"], &spec["volumes"][0]["name"]), (&json!("lessons"), &json!("ca")));
    assert_eq!(spec["affinity"], json!({ "nodeAffinity": {} }));
    let found = container(wrapped);
    assert_eq!((&found["volumeMounts"][0]["name"], &found["args"]), (&json!("ca"), &Value::Null));
}

#[test]
fn an_image_of_its_own_has_a_pull_policy_of_its_own() {
    let of = |app: Value| {
        let found = container(app);
        (found["image"].clone(), found["imagePullPolicy"].clone())
    };
    assert_eq!(of(app(job(json!({ "image": "tools" })))), (json!("tools"), json!("Always")));
    let mut never = app(job(json!({ "image": "tools" })));
    never["imagePullPolicy"] = json!("Never");
    assert_eq!(of(never), (json!("tools"), json!("Never")));
    let resources = json!({ "limits": { "memory": "1Gi" } });
    let mut small = app(job(json!({ "resources": resources })));
    small["resources"] = json!({ "requests": { "cpu": "1" } });
    assert_eq!(container(small)["resources"], resources, "instead of the app's");
}

#[test]
fn the_objects_have_the_form_that_kubernetes_knows() {
    let limits = json!({ "backoffLimit": 0, "activeDeadline": "90s", "historyLimit": 2 });
    let (_, objects) = rendered(app(job(limits.clone())));
    let job: Job = of_kind(&objects, "Job")[0].clone().try_parse().unwrap();
    let spec = job.spec.unwrap();
    assert_eq!((spec.backoff_limit, spec.active_deadline_seconds), (Some(0), Some(90)));
    assert_eq!(spec.ttl_seconds_after_finished, None, "what it was for is remembered by it");

    let schedule = json!({ "cron": "0 3 * * *" });
    let mut by_clock = json!({ "name": "refresh", "schedule": schedule, "command": ["refresh"] });
    let cron_job = |job: &Value| -> CronJob {
        let (_, objects) = rendered(app(json!({ "jobs": [job] })));
        of_kind(&objects, "CronJob")[0].clone().try_parse().unwrap()
    };
    let found = cron_job(&by_clock).spec.unwrap();
    assert_eq!((found.schedule.as_str(), found.time_zone.as_deref()), ("0 3 * * *", Some("Etc/UTC")));
    assert_eq!((found.concurrency_policy.as_deref(), found.suspend), (Some("Forbid"), Some(false)));
    assert_eq!((found.successful_jobs_history_limit, found.failed_jobs_history_limit), (Some(3), Some(3)));
    assert_eq!(found.job_template.spec.unwrap().backoff_limit, Some(3));
    by_clock["historyLimit"] = json!(1);
    by_clock["schedule"] = json!({
        "cron": "@daily", "timeZone": "Asia/Tokyo", "concurrencyPolicy": "Replace", "startingDeadline": "10s", "suspend": true,
    });
    let found = cron_job(&by_clock).spec.unwrap();
    assert_eq!((found.schedule.as_str(), found.time_zone.as_deref()), ("@daily", Some("Asia/Tokyo")));
    assert_eq!((found.concurrency_policy.as_deref(), found.suspend), (Some("Replace"), Some(true)));
    assert_eq!((found.starting_deadline_seconds, found.failed_jobs_history_limit), (Some(10), Some(1)));
}

#[test]
fn the_name_tells_one_rollout_from_another_and_nothing_else() {
    let name = |app: Value| {
        let (_, objects) = rendered(app);
        of_kind(&objects, "Job")[0].name_any()
    };
    let first = name(app(json!({})));
    assert_eq!(first, name(app(json!({}))));
    for same in [
        app(json!({ "replicas": 7 })),
        app(json!({ "rollout": { "maxSurge": 2 } })),
        app(json!({ "disruptionBudget": { "maxUnavailable": 2 } })),
        app(job(json!({ "historyLimit": 9 }))),
    ] {
        assert_eq!(name(same.clone()), first, "{same}");
    }
    let mut names = vec![first];
    for other in [
        app(json!({ "image": "registry.example/web:2" })),
        app(json!({ "env": [{ "name": "A", "value": "1" }] })),
        app(json!({ "podTemplate": { "spec": { "priorityClassName": "x" } } })),
        app(job(json!({ "image": "tools:2" }))),
        app(job(json!({ "args": ["--all"] }))),
        app(job(json!({ "env": [{ "name": "A", "value": "1" }] }))),
        app(job(json!({ "backoffLimit": 1 }))),
    ] {
        names.push(name(other));
    }
    let (valid, objects) = rendered(app(json!({})));
    let wanted = of_kind(&objects, "Deployment")[0].clone();
    let live = |revision: &str| {
        let mut live = wanted.clone();
        live.data["spec"]["template"]["spec"]["containers"][0]["image"] = json!("registry.example/web:0");
        live.annotations_mut().insert("deployment.kubernetes.io/revision".to_owned(), revision.to_owned());
        live
    };
    for revision in ["1", "2"] {
        let jobs = rollout_jobs(&valid, &wanted, Some(&live(revision)));
        assert_eq!(jobs.len(), 1);
        names.push(jobs[0].name_any());
    }
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "{names:?}");
}

#[test]
fn a_rollout_that_changes_no_pod_has_no_jobs() {
    let (valid, objects) = rendered(app(json!({})));
    let wanted = of_kind(&objects, "Deployment")[0].clone();
    assert_eq!(rollout_jobs(&valid, &wanted, None).len(), 1);
    // Nobody owns the fields, but they are as they should be.
    assert_eq!(rollout_jobs(&valid, &wanted, Some(&wanted)).len(), 0);
}

#[test]
fn the_longest_names_that_admission_takes_fit() {
    let (platform_name, app_name, job_name) = ("p".repeat(5), "a".repeat(5), "j".repeat(40));
    let schedule = json!({ "cron": "@daily" });
    let spec = json!({ "apps": [{ "name": app_name, "image": "i", "jobs": [
        { "name": job_name, "beforeRollout": {}, "command": ["x"] },
        { "name": format!("k{}", "j".repeat(39)), "schedule": schedule, "command": ["x"] },
    ] }] });
    let mut resource = serde_json::to_value(platform(&platform_name, spec)).unwrap();
    crds::validate(&resource).unwrap();
    let valid = validate(&serde_json::from_value(resource.clone()).unwrap(), &Settings::default()).unwrap();
    for step in reconcile::render(&valid, Served::ALL) {
        let (kind, name) = (step.object.types.as_ref().unwrap().kind.clone(), step.object.name_any());
        // A CronJob's Jobs carry eleven characters more, and no Job may have more than 63.
        let most = if kind == "CronJob" { 52 } else { 63 };
        assert!(name.len() <= most, "{kind} {name}: {}", name.len());
        if kind == "Job" {
            assert_eq!(name.len(), 63, "a character more is one too many");
        }
    }
    resource["metadata"]["name"] = json!("p".repeat(6));
    assert!(crds::validate(&resource).is_err());
}

fn problem(spec: Value) -> String {
    validate(&platform("story", spec), &Settings::default()).unwrap_err().to_string()
}

#[test]
fn what_admission_cannot_know_is_refused_with_its_field() {
    let with = |job: Value| json!({ "apps": [app(json!({ "jobs": [job] }))] });
    let cron = |cron: &str| with(json!({ "name": "x", "schedule": { "cron": cron }, "command": ["x"] }));
    let said = problem(cron("0 17-8 * * *"));
    assert!(said.starts_with("spec.apps[web].jobs[x].schedule.cron: the range 17-8"), "{said}");
    let said = problem(with(json!({ "name": "x", "command": ["x"] })));
    assert!(said.starts_with("spec.apps[web].jobs[x]: set exactly one"), "{said}");

    let by_clock = |name: &str| json!([{ "name": name, "schedule": { "cron": "@daily" }, "command": ["x"] }]);
    let said = problem(json!({ "apps": [
        { "name": "web", "image": "i", "jobs": by_clock("a-b") }, { "name": "web-a", "image": "i", "jobs": by_clock("b") },
    ] }));
    assert!(said.starts_with("spec.apps[web-a].jobs[b].name: another CronJob is called story-web-a-b, too"), "{said}");

    let freeze = |end: &str, zone: &str| {
        let freeze = json!({ "name": "exams", "start": "2026-12-07T07:30", "end": end, "timeZone": zone });
        json!({ "freezes": [freeze], "apps": [] })
    };
    let said = problem(freeze("2026-12-01T00:00", "UTC"));
    assert!(said.starts_with("spec.freezes[exams]: end 2026-12-01T00:00 is not after start"), "{said}");
    let said = problem(freeze("2026-12-11T00:00", "Europe/Atlantis"));
    assert!(said.contains("Europe/Atlantis"), "{said}");
}

#[test]
fn what_a_jobs_environment_refers_to_must_exist() {
    let secret = |name: &str| json!([{ "name": "A", "valueFrom": { "secretKeyRef": { "name": name, "key": "k" } } }]);
    let mut app = app(job(json!({ "env": secret("admin") })));
    app["env"] = secret("own");
    let found: Vec<_> =
        references(&rendered(app).0).into_iter().map(|(reference, field)| (reference.name, field)).collect();
    let expected = [("admin", "jobs[migrate].env[A]"), ("own", "env[A]")];
    assert_eq!(found, expected.map(|(name, field)| (name.to_owned(), field.to_owned())));
}

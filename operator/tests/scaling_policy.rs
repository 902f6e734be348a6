//! From the spec to the policy of the decision core, and to what is asked of which server.

#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

use crds::LearningPlatform;
use decide::{Bound, Duration, Pause, PolicyType, SelectPolicy, Time, Tunables, When};
use learningplatform_operator::{
    evaluate::plan::{AppPlan, Part, ServerSettings, plan},
    naming::AppKey,
    prometheus::{
        CredentialsKey,
        batch::{Ask, batches},
        query::Begun,
    },
    tiers::{
        autoscaling::{Calendars, policy},
        aws::account::AllowedRole,
    },
};
use serde_json::{Value, json};
use std::path::PathBuf;

fn platform(prometheus: Value, autoscaling: Value) -> LearningPlatform {
    serde_json::from_value(json!({
        "metadata": {"name": "story", "namespace": "learning"},
        "spec": {"prometheus": prometheus, "apps": [{"name": "web", "image": "x", "autoscaling": autoscaling}]},
    }))
    .unwrap()
}

fn mapped(prometheus: Value, autoscaling: Value, calendars: &Calendars) -> Result<decide::Policy, Vec<String>> {
    let platform = platform(prometheus, autoscaling);
    let now = Time::from("2026-11-21T10:00:00Z".parse::<jiff::Timestamp>().unwrap());
    policy(&platform.spec, &platform.spec.apps[0], &Tunables::default(), calendars, now)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

fn planned(prometheus: Value, autoscaling: Value, settings: &ServerSettings) -> Result<AppPlan, Vec<String>> {
    let platform = platform(prometheus, autoscaling);
    let key = AppKey { namespace: "learning".into(), platform: "story".into(), app: "web".into() };
    let spec = platform.spec.apps[0].autoscaling.as_ref().unwrap();
    plan(&key, spec, platform.spec.prometheus.as_ref(), settings, &Tunables::default())
        .map_err(|problems| problems.iter().map(|p| format!("{}: {}", p.field, p.problem)).collect())
}

#[test]
fn every_field_reaches_the_policy() {
    let policy = mapped(
        json!({"scrapeInterval": "5s", "servers": [{"name": "slow", "url": "http://slow", "scrapeInterval": "1m"}]}),
        json!({
            "minReplicas": 2, "maxReplicas": 30, "pause": "ScaleIn", "collapseHold": "90s", "fallback": {"replicas": 6},
            "requestRate": {"perPod": "500m", "utilization": 80, "activation": 3},
            "concurrency": {"perPod": 1000, "server": "slow", "constant": "2k"},
            "latency": {"percentile": 95, "budget": "250ms"},
            "behavior": {"scaleDown": {"selectPolicy": "Min", "policies": [{"type": "Pods", "value": 2, "periodSeconds": 30}]}},
        }),
        &Calendars::new(),
    )
    .unwrap();
    assert_eq!((policy.min_replicas, policy.max_replicas, policy.fallback_replicas), (2, 30, Some(6)));
    assert_eq!(policy.pause, Pause::ScaleIn);
    assert_eq!(policy.tunables.collapse_hold, Duration::from_secs(90));
    assert_eq!((policy.scrape_interval, policy.longest_range), (Duration::from_secs(60), Duration::from_secs(240)));
    let rate = &policy.demand[0];
    assert_eq!((rate.per_pod, rate.utilization_percent, rate.activation), (0.5, 80, 3.0));
    assert_eq!((policy.demand[1].per_pod, policy.demand[1].constant, rate.constant), (1000.0, Some(2000.0), None));
    let latency = policy.latency.unwrap();
    assert_eq!((&*latency.name, latency.budget), ("latency p95", 0.25));
    let down = &policy.behavior.down;
    assert_eq!((down.select, down.policies[0].kind, down.policies[0].value), (SelectPolicy::Min, PolicyType::Pods, 2));
    assert_eq!(down.stabilization_window, Duration::from_secs(300), "the default where the spec is silent");
    assert_eq!(policy.behavior.up, decide::ScalingRules::up_default());
}

#[test]
fn errors_name_the_field_and_the_remedy() {
    let all = mapped(
        json!({}),
        json!({"minReplicas": 1, "maxReplicas": 3, "requestRate": {"perPod": "0", "activation": "many"},
            "concurrency": {"perPod": "1", "server": "gone"},
            "schedules": [{"name": "exam", "start": "2026-12-07T07:30", "end": "2026-12-07T07:00", "timeZone": "Europe/Berlin", "minReplicas": 2},
                          {"name": "nowhere", "start": "2026-12-07T07:30", "end": "2026-12-07T08:00", "timeZone": "Mars/Base", "minReplicas": 2}]}),
        &Calendars::new(),
    )
    .unwrap_err()
    .join("\n");
    for part in [
        "spec.apps[web].autoscaling.requestRate.perPod: must be above 0",
        "spec.apps[web].autoscaling.requestRate.activation: \"many\" is not a quantity",
        "spec.apps[web].autoscaling.concurrency.server: \"gone\" is not in spec.prometheus.servers",
        "spec.apps[web].autoscaling.schedules[exam]: end",
        "spec.apps[web].autoscaling.schedules[nowhere]: timeZone \"Mars/Base\"",
    ] {
        assert!(all.contains(part), "{part} is missing in\n{all}");
    }
}

#[test]
fn schedules_of_every_kind() {
    let ics = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20261101T000000Z\r\nSUMMARY:Final exam\r\n\
               DTSTART:20261123T080000Z\r\nDTEND:20261123T120000Z\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nUID:2\r\nDTSTAMP:20261101T000000Z\r\n\
               SUMMARY:Holiday\r\nDTSTART:20261125T080000Z\r\nDTEND:20261125T120000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    let calendars = Calendars::from([(("terms".to_owned(), "exams.ics".to_owned()), ics.to_owned())]);
    let spec = json!({"minReplicas": 1, "maxReplicas": 40, "requestRate": {"perPod": 10}, "schedules": [
        {"name": "once", "start": "2026-12-07T07:30", "end": "2026-12-07T18:00", "timeZone": "Europe/Berlin", "minReplicas": 12, "maxReplicas": 20, "ramp": "20m"},
        {"name": "school", "weekly": {"days": ["Mon", "Fri"], "start": "07:30", "end": "24:00"}, "timeZone": "Europe/Berlin",
            "expected": {"students": 2000, "requestsPerStudent": "50m"}},
        {"name": "exams", "calendar": {"configMap": {"name": "terms", "key": "exams.ics"}, "summaryContains": "exam"}, "minReplicas": 8,
            "expected": {"requestsPerSecond": 300}},
    ]});
    let policy = mapped(json!({}), spec.clone(), &calendars).unwrap();
    let names: Vec<_> = policy.schedules.iter().map(|schedule| schedule.name.to_string()).collect();
    assert_eq!(names, ["once", "school", "exams", "exams"], "pods and a demand are two bounds of one plan");
    let bounds: Vec<_> = policy.schedules.iter().map(|schedule| (schedule.floor, schedule.cap)).collect();
    assert_eq!(
        bounds,
        [
            (Some(Bound::Replicas(12)), Some(Bound::Replicas(20))),
            (Some(Bound::Demand(100.0)), None),
            (Some(Bound::Replicas(8)), None),
            (Some(Bound::Demand(300.0)), None),
        ]
    );
    assert_eq!(policy.schedules[0].ramp, Some(Duration::from_mins(20)));
    let When::Windows(windows) = &policy.schedules[2].when else { panic!("a calendar gives windows") };
    assert_eq!(windows.len(), 1, "only the exam");
    let errors = mapped(json!({}), spec, &Calendars::new()).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0]
            .contains("schedules[exams].calendar.configMap: the ConfigMap terms with the key exams.ics does not exist"),
        "{errors:?}"
    );
}

#[test]
fn what_a_calendar_says_otherwise_than_it_counts_is_told() {
    let event = |summary: &str, lines: &str| format!("BEGIN:VEVENT\nSUMMARY:{summary}\n{lines}\nEND:VEVENT\n");
    let elsewhere = event("Exam", "DTSTART;TZID=Campus:20261123T080000\nDURATION:PT2H");
    let told = |events: &[&str], zone: Value| {
        let ics = format!("BEGIN:VCALENDAR\nX-WR-TIMEZONE:Asia/Tokyo\n{}END:VCALENDAR\n", events.concat());
        let calendars = Calendars::from([(("terms".to_owned(), "exams.ics".to_owned()), ics)]);
        let mut exams = json!({"name": "exams", "calendar": {"configMap": {"name": "terms", "key": "exams.ics"}}, "minReplicas": 8});
        exams["timeZone"] = zone;
        let spec = json!({"minReplicas": 1, "maxReplicas": 40, "requestRate": {"perPod": 10}, "schedules": [exams]});
        mapped(json!({}), spec, &calendars).unwrap_err().remove(0)
    };
    let said = told(&[&elsewhere], json!("Europe/Berlin"));
    assert!(
        said.contains("\"Campus\"") && said.contains("Europe/Berlin counts") && !said.contains("other events"),
        "{said}"
    );
    let said = told(&[&elsewhere], Value::Null);
    assert!(said.contains("Asia/Tokyo counts") && !said.contains("other events"), "the calendar's own default: {said}");
    let said = told(&[&elsewhere, &event("Lost", "DURATION:PT1H")], Value::Null);
    assert!(said.contains("\"Lost\": it has no DTSTART"), "{said}");
    assert!(said.ends_with("(and 1 more); the other events count"), "{said}");
}

fn rate_at(source: Value) -> Value {
    let mut rate = json!({"perPod": 10});
    for (name, value) in source.as_object().unwrap() {
        rate[name] = value.clone();
    }
    json!({"minReplicas": 1, "maxReplicas": 9, "requestRate": rate})
}

#[test]
fn the_server_is_the_resources_or_else_the_operators() {
    let operators = ServerSettings {
        default_url: Some("http://default:9090/".into()),
        default_auth_dir: Some(PathBuf::from("/auth")),
        allowed: vec!["http://team".into()],
        ..ServerSettings::default()
    };
    let server = |prometheus: Value, source: Value, settings: &ServerSettings| {
        planned(prometheus, rate_at(source), settings).unwrap().sources[0].server.clone()
    };
    let default = server(json!({"headers": {"X-Scope-OrgID": "a"}}), json!({}), &operators).unwrap();
    assert_eq!(default.url, "http://default:9090");
    assert_eq!(default.credentials, CredentialsKey::Operator(Some(PathBuf::from("/auth"))));
    assert!(default.headers.is_empty(), "with the operator's credentials a header could choose another tenant's data");

    let named = json!({"url": "http://team/prometheus", "headers": {"X-Scope-OrgID": "a"}});
    let named = server(named, json!({}), &operators).unwrap();
    assert_eq!(named.headers["X-Scope-OrgID"], "a");
    assert_eq!(
        named.credentials,
        CredentialsKey::Anonymous,
        "the operator's credentials go to the operator's server alone"
    );
    let auth = json!({"url": "http://team", "auth": {"bearerToken": {"name": "s", "key": "k"}}});
    let secret = server(auth, json!({}), &operators).unwrap();
    let CredentialsKey::Secrets(secrets) = &secret.credentials else { panic!("{secret:?}") };
    assert_eq!((secrets.namespace.as_str(), secrets.token.clone()), ("learning", Some(("s".into(), "k".into()))));

    let called = |prometheus: Value, source: Value| {
        planned(prometheus, rate_at(source), &operators).unwrap().sources[0].called.to_string()
    };
    assert_eq!(called(json!({}), json!({})), "the operator's default server");
    assert_eq!(called(json!({"url": "http://team:80/secret-path"}), json!({})), "http://team");
    let thanos = json!({"servers": [{"name": "thanos", "url": "http://team:9090/thanos"}]});
    assert_eq!(called(thanos, json!({"server": "thanos"})), "thanos (http://team:9090)");

    let refused = server(json!({"url": "http://other"}), json!({}), &operators).unwrap_err();
    assert!(refused.contains("--allowed-prometheus-url"), "{refused}");
    let none = server(json!({}), json!({}), &ServerSettings::default()).unwrap_err();
    assert!(none.contains("spec.prometheus.url") && none.contains("--default-prometheus-url"), "{none}");
    let managed = ServerSettings { default_region: Some("eu-central-1".into()), ..operators.clone() };
    let managed = server(json!({}), json!({}), &managed).unwrap();
    assert_eq!(managed.credentials, CredentialsKey::OperatorAtAws("eu-central-1".into()));
    let arn = "arn:aws:iam::123456789012:role/metrics";
    let role = json!({"url": "http://team", "auth": {"sigV4": {"region": "eu-central-1", "roleArn": arn}}});
    let refused = server(role.clone(), json!({}), &operators).unwrap_err();
    assert!(refused.contains(&format!("--allowed-aws-role=learning={arn}")), "{refused}");
    let allowing = ServerSettings {
        allowed_roles: vec![AllowedRole::parse(&format!("learning={arn}")).unwrap()],
        ..operators.clone()
    };
    let signing = server(role, json!({}), &allowing).unwrap();
    let CredentialsKey::Secrets(key) = &signing.credentials else { panic!("{signing:?}") };
    assert_eq!(key.role.as_ref().map(|role| (role.arn.as_str(), role.session.as_str())), Some((arn, "lp-learning")));
    let servers = json!({"servers": [{"name": "thanos", "url": "http://team/thanos", "matchers": {"cluster": "eu"}}]});
    assert_eq!(server(servers, json!({"server": "thanos"}), &operators).unwrap().url, "http://team/thanos");
}

#[test]
fn what_is_asked_follows_the_source() {
    let parts = |source: Value| {
        let plan = planned(json!({"url": "http://p"}), rate_at(source), &ServerSettings::default()).unwrap();
        plan.sources[0].always.iter().map(|(part, _)| *part).collect::<Vec<_>>()
    };
    assert_eq!(parts(json!({})), [Part::Long, Part::Short, Part::Freshness, Part::Errors]);
    assert_eq!(
        parts(json!({"absentMeans": "Zero"})),
        [Part::Long, Part::Short, Part::Freshness, Part::Live, Part::Errors]
    );
    assert_eq!(parts(json!({"query": "sum(x)"})), [Part::Long], "without a freshness selector there is no stale test");
    assert_eq!(parts(json!({"query": "sum(x)", "freshness": "x"})), [Part::Long, Part::Freshness]);
    assert_eq!(parts(json!({"query": "sum(x)", "absentMeans": "Zero"})), [Part::Long, Part::Live]);
    assert_eq!(
        parts(json!({"query": "sum(x)", "absentMeans": "Zero", "measuredAt": "Gateway"})),
        [Part::Long],
        "nothing proves that a gateway is up, so nothing is zero"
    );
    let gateway = planned(
        json!({"url": "http://p"}),
        rate_at(json!({"query": "sum(x)", "freshness": "x", "absentMeans": "Zero", "measuredAt": "Gateway"})),
        &ServerSettings::default(),
    );
    assert!(gateway.unwrap().sources[0].always.contains(&(Part::Live, Ask::Own("count(x)".into()))));
    let errors = planned(
        json!({"url": "http://p"}),
        json!({"minReplicas": 1, "maxReplicas": 2, "concurrency": {"perPod": 1, "preset": "Istio"}}),
        &ServerSettings::default(),
    );
    assert!(errors.unwrap_err()[0].starts_with("concurrency.preset: Istio exports no such metric"));
}

#[test]
fn every_default_query_carries_the_servers_matchers() {
    let prometheus = json!({"url": "http://p", "matchers": {"cluster": "eu"}});
    let own = json!({"query": "sum(x)", "freshness": "x", "absentMeans": "Zero"});
    let mut spec = rate_at(json!({"absentMeans": "Zero", "alternatives": [own]}));
    spec["concurrency"] = json!({"perPod": 10, "preset": "EnvoyGateway", "absentMeans": "Zero"});
    spec["latency"] = json!({"percentile": 95, "budget": "1s"});
    let plan = planned(prometheus, spec, &ServerSettings::default()).unwrap();
    let now = Time::from_secs(1_800_000_000);
    let begun = [Begun { name: "story-web-1".into(), at: now }];
    let (mut matched, mut others) = (0, Vec::new());
    for source in &plan.sources {
        let always = source.always.iter().map(|(_, ask)| ask);
        let seldom = source.seen.iter().chain(&source.bounds).cloned().chain(source.ask_begun("learning", &begun, now));
        let asks: Vec<Ask> = always.cloned().chain(seldom).collect();
        for batch in batches(&asks, 1) {
            match batch.expression() {
                matching if matching.contains(r#"cluster="eu""#) => matched += 1,
                other => others.push(other.to_string()),
            }
        }
    }
    others.sort();
    let own = ["count(present_over_time(x[1h]))", "max(timestamp(x))", "sum(x)"];
    assert_eq!(others, own, "a user's own expressions are not touched");
    // Of the rate 7, of its alternative whether pods are up, of the concurrency 4, of the latency 4.
    assert_eq!(matched, 16);
}

#[test]
fn alternatives_are_asked_in_order_and_the_primary_owns_the_app() {
    let mut spec =
        rate_at(json!({"server": "a", "alternatives": [{"server": "b"}, {"query": "sum(x)", "server": "a"}]}));
    spec["latency"] = json!({"mean": true, "budget": "1s", "server": "b"});
    let servers = json!({"servers": [{"name": "a", "url": "http://a"}, {"name": "b", "url": "http://b"}]});
    let plan = planned(servers, spec, &ServerSettings::default()).unwrap();
    let urls: Vec<_> = plan.servers().map(|server| server.url.clone()).collect();
    assert_eq!(urls, ["http://a", "http://b", "http://a", "http://b"]);
    assert_eq!(plan.owner().unwrap().url, "http://a");
}

#[test]
fn ranges_derive_from_the_scrape_interval() {
    let plan =
        planned(json!({"url": "http://p", "scrapeInterval": "5s"}), rate_at(json!({})), &ServerSettings::default())
            .unwrap();
    let texts: Vec<String> =
        batches(&plan.sources[0].always.iter().map(|(_, ask)| ask.clone()).collect::<Vec<_>>(), 200)
            .iter()
            .map(|batch| batch.expression().to_string())
            .collect();
    assert!(
        texts.iter().any(|text| text.contains("[20s]")) && texts.iter().any(|text| text.contains("[10s]")),
        "{texts:?}"
    );
}

#[test]
fn the_schema_knows_which_presets_export_requests_in_flight() {
    for preset in ["App", "EnvoyGateway", "IngressNginx", "Istio", "Linkerd", "Traefik"] {
        let scaling = json!({"minReplicas": 1, "maxReplicas": 3, "concurrency": {"perPod": 10, "preset": preset}});
        let resource = serde_json::to_value(platform(json!({}), scaling.clone())).unwrap();
        let planned = planned(json!({}), scaling, &ServerSettings::default());
        assert_eq!(crds::validate(&resource).is_ok(), planned.is_ok(), "{preset}");
    }
}

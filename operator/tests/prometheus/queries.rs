//! The default queries on a real Prometheus: each is one, and finds what it should.

use crate::support::{
    cluster::{Lab, Vault, accounts, quick},
    server::Prometheus,
    until,
    web::{Mode, Proxy, Target},
};
use crds::tiers::autoscaling::{Histogram, Preset};
use decide::{Duration, SourceErrorKind, Time};
use learningplatform_operator::prometheus::{
    PromApi, Source, SourceKey,
    batch::{Ask, batches},
    preset::Workload,
    query::{Begun, Question, Signal, Template, default_metric, latency_signal},
    source::CredentialsKey,
};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};

fn open(url: String) -> Source {
    let key = SourceKey { url, headers: BTreeMap::new(), credentials: CredentialsKey::Anonymous };
    Source::new(key, Arc::new(Vault::default()), accounts(), std::time::Duration::from_secs(5))
}

fn now() -> Time {
    Time::from(jiff::Timestamp::now())
}

fn template(preset: Preset, signal: Signal) -> Option<Arc<Template>> {
    let metric = default_metric(preset, signal)?.to_owned();
    Some(Arc::new(Template { signal, preset, metric, matchers: BTreeMap::new() }))
}

fn workload(namespace: &str, name: &str) -> Workload {
    Workload { namespace: namespace.into(), name: name.into() }
}

/// Within a fifth: scrapes of a busy machine are not quite regular.
fn is_near(found: f64, wanted: f64) -> bool {
    (found - wanted).abs() <= wanted / 5.0
}

const LONG: Duration = Duration::from_secs(4);

fn questions() -> [Question; 6] {
    let short = Duration::from_secs(2);
    [
        Question::Value(LONG),
        Question::Raise { short, long: LONG },
        Question::Freshness,
        Question::Live,
        Question::Seen(Duration::from_mins(60)),
        Question::Bounds,
    ]
}

#[tokio::test]
async fn every_default_query_is_promql() {
    let target = Target::start("x 1\n", 0.0).await;
    let prometheus = Prometheus::start(&[(&target, &[])], None).await;
    let source = open(prometheus.url());
    let presets =
        [Preset::App, Preset::EnvoyGateway, Preset::IngressNginx, Preset::Istio, Preset::Linkerd, Preset::Traefik];
    let mut asked = 0;
    for preset in presets {
        let latencies = [Some(95), None].into_iter().flat_map(|percentile| {
            [Histogram::Classic, Histogram::Native].map(|kind| latency_signal(preset, percentile, Some(kind), None))
        });
        for signal in [Signal::Rate, Signal::InFlight, Signal::Errors].into_iter().chain(latencies) {
            let Some(template) = template(preset, signal) else { continue };
            let asks: Vec<Ask> = questions()
                .into_iter()
                .filter(|question| template.answers(*question))
                .flat_map(|question| {
                    [workload("lab", "story-web"), workload("labs", &"long".repeat(13))]
                        .map(|workload| Ask::Workload(template.clone(), question, workload))
                })
                .collect();
            for batch in batches(&asks, 200) {
                let expression = batch.expression();
                source.query(&expression, now()).await.unwrap_or_else(|error| panic!("{expression}: {error:?}"));
                asked += 1;
            }
        }
    }
    assert!(asked > 100, "{asked}");
}

#[tokio::test]
async fn apps_are_told_apart_in_one_answer() {
    let text = "http_requests_total{path=\"/a\",status=\"200\"} {count}\nhttp_requests_total{path=\"/b\",status=\"500\"} {count}\n\
                http_request_duration_seconds_bucket{le=\"0.1\"} {count}\nhttp_request_duration_seconds_bucket{le=\"0.2\"} {count}\n\
                http_request_duration_seconds_bucket{le=\"+Inf\"} {count}\nhttp_request_duration_seconds_sum {count}\nhttp_request_duration_seconds_count {count}\n";
    let (slow, fast) = (Target::start(text, 10.0).await, Target::start(text, 40.0).await);
    let labels = |pod: &'static str| [("namespace", "lab"), ("pod", pod)];
    // Cut at 58 characters, in the midst of the hash.
    let cut = format!("story-{}-7c85556nft", "x".repeat(46));
    let prometheus = Prometheus::start(
        &[
            (&slow, &labels("story-web-7c855ffc44-56nft")),
            (&slow, &labels("story-web-7c855ffc44-zz249")),
            (&fast, &labels("story-web-admin-7c855ffc44-56nft")),
            (&fast, &[("namespace", "other"), ("pod", "story-web-7c855ffc44-56nft")]),
            (&slow, &[("namespace", "lab"), ("pod", &cut)]),
            // Of a StatefulSet and of a Job.
            (&fast, &labels("story-web-redis-0")),
            (&fast, &labels("story-web-migrate-x7k2p")),
        ],
        None,
    )
    .await;
    let source = open(prometheus.url());
    let web = [workload("lab", "story-web"), workload("lab", "story-web-admin"), workload("other", "story-web")];
    let workloads: Vec<Workload> = web
        .into_iter()
        .chain([workload("lab", "story-none"), workload("lab", &format!("story-{}", "x".repeat(46)))])
        .collect();
    let rate = template(Preset::App, Signal::Rate).unwrap();
    let asks: Vec<Ask> =
        workloads.iter().map(|w| Ask::Workload(rate.clone(), Question::Value(LONG), w.clone())).collect();
    let wanted = [Some(40.0), Some(80.0), Some(80.0), None, Some(20.0)];
    until("each app has its own rate", std::time::Duration::from_secs(60), || async {
        let mut found: Vec<Option<f64>> = vec![None; workloads.len()];
        for batch in batches(&asks, 200) {
            for (member, reply) in batch.replies(source.query(&batch.expression(), now()).await) {
                found[member] = reply.unwrap().series.first().map(|series| series.value);
            }
        }
        let near = |(found, wanted): (&Option<f64>, &Option<f64>)| match (found, wanted) {
            (Some(found), Some(wanted)) => is_near(*found, *wanted),
            (found, wanted) => found.is_none() && wanted.is_none(),
        };
        found.iter().zip(&wanted).all(near).then_some(())
    })
    .await;

    let value = async |signal: Signal, question: Question| {
        let ask = Ask::Workload(template(Preset::App, signal).unwrap(), question, workload("lab", "story-web"));
        let batch = batches(&[ask], 200).remove(0);
        let reply = batch.replies(source.query(&batch.expression(), now()).await).remove(0).1;
        reply.unwrap().series
    };
    assert!(is_near(value(Signal::Errors, Question::Value(LONG)).await[0].value, 20.0), "half of it fails");
    let raised = value(Signal::Rate, Question::Raise { short: Duration::from_secs(2), long: LONG }).await;
    assert!(is_near(raised[0].value, 40.0), "the short range sees the same: {raised:?}");
    let age = now().as_millis() as f64 / 1000.0 - value(Signal::Rate, Question::Freshness).await[0].value;
    assert!((-1.0..10.0).contains(&age), "the newest raw sample is {age} s old");
    assert_eq!(value(Signal::Rate, Question::Live).await[0].value, 2.0, "two pods are up");
    let p95 = latency_signal(Preset::App, Some(95), None, None);
    assert!(value(p95, Question::Value(LONG)).await[0].value <= 0.1);
    let bounds: Vec<_> = value(p95, Question::Bounds).await.iter().map(|series| series.labels["le"].clone()).collect();
    assert_eq!(bounds.len(), 3, "{bounds:?}");
    let mean = latency_signal(Preset::App, None, None, None);
    assert_eq!(value(mean, Question::Value(LONG)).await[0].value, 1.0);
}

#[tokio::test]
async fn a_seldom_counter_is_no_evidence_for_raising() {
    let target = Target::start("http_requests_total 100\n", 0.0).await;
    let prometheus =
        Prometheus::start(&[(&target, &[("namespace", "lab"), ("pod", "story-web-7c855ffc44-56nft")])], None).await;
    let source = open(prometheus.url());
    let rate = template(Preset::App, Signal::Rate).unwrap();
    let ask = |question| {
        batches(&[Ask::Workload(rate.clone(), question, workload("lab", "story-web"))], 1).remove(0).expression()
    };
    let full = || async {
        let seen = source.query(&ask(Question::Value(LONG)), now()).await.ok()?;
        (!seen.series.is_empty()).then_some(())
    };
    until("there are samples", std::time::Duration::from_secs(30), full).await;
    target.expose("http_requests_total 10000\n");
    let (raise, value) =
        (ask(Question::Raise { short: Duration::from_secs(2), long: LONG }), ask(Question::Value(LONG)));
    let jump = || async {
        let at = now();
        let raised = source.query(&raise, at).await.ok()?;
        assert!(raised.series.iter().all(|series| series.value < 100.0), "{raised:?}");
        source.query(&value, at).await.ok()?.series.first().filter(|series| series.value > 100.0).map(drop)
    };
    until("the jump is seen over the long range", std::time::Duration::from_secs(30), jump).await;
}

#[tokio::test]
async fn a_pod_that_has_just_begun_counts_until_it_has_a_rate() {
    let (ours, others) = (
        Target::start("http_requests_total{path=\"/a\"} 300\nhttp_requests_total{path=\"/b\"} 200\n", 0.0).await,
        Target::start("http_requests_total 9000\n", 0.0).await,
    );
    let labels = |namespace: &'static str, pod: &'static str| [("namespace", namespace), ("pod", pod)];
    let prometheus = Prometheus::start(
        &[
            (&ours, &labels("lab", "story-web-a")),
            (&others, &labels("lab", "story-web-old")),
            (&others, &labels("other", "story-web-a")),
        ],
        None,
    )
    .await;
    let source = open(prometheus.url());
    let rate = template(Preset::App, Signal::Rate).unwrap();
    let at = now().minus(Duration::from_secs(100));
    let pods = ["story-web-a", "story-web-gone"].map(|name| Begun { name: name.into(), at });
    // No counter has two samples in so short a range.
    let expression = rate.begun("lab", &pods, Duration::from_millis(1));
    let found = until("there are samples", std::time::Duration::from_secs(30), || async {
        let series = source.query(&expression, now()).await.ok()?.series;
        (!series.is_empty()).then_some(series)
    })
    .await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].labels["pod"], "story-web-a");
    assert!((500.0 / 160.0..=5.0).contains(&found[0].value), "500 requests in a little over 100 s: {found:?}");
    let expression = rate.begun("lab", &pods, LONG);
    until("it has a rate", std::time::Duration::from_secs(30), || async {
        source.query(&expression, now()).await.ok()?.series.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn errors_of_a_real_server_are_classified() {
    let target = Target::start("x{a=\"1\"} 1\nx{a=\"2\"} 1\n", 0.0).await;
    let prometheus = Prometheus::start(&[(&target, &[])], None).await;
    let source = open(prometheus.url());
    let error = source.query("sum(rate(", now()).await.unwrap_err().error;
    assert_eq!(error.kind, SourceErrorKind::Query);
    assert!(error.message.contains("1:"), "has the position: {}", error.message);
    assert_eq!(source.query("up[1m]", now()).await.unwrap_err().error.kind, SourceErrorKind::Query, "a range");
    assert_eq!(source.query("vector(1) / 0", now()).await.unwrap().series[0].value, f64::INFINITY);
    let started = source.started().await.expect("Prometheus says when it started");
    assert!(now().since(started) < Duration::from_secs(120), "{started}");

    let nowhere = open(format!("{}/nowhere", prometheus.url()));
    let missing = nowhere.query("up", now()).await.unwrap_err().error;
    assert_eq!(missing.kind, SourceErrorKind::Http(404));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refused = open(format!("http://127.0.0.1:{free}")).query("up", now()).await.unwrap_err().error;
    assert_eq!(refused.kind, SourceErrorKind::Connect);
    assert!(refused.message.to_lowercase().contains("refused"), "{}", refused.message);
}

#[tokio::test]
async fn headers_and_matchers_reach_the_server() {
    let counter = "http_requests_total {count}\n";
    let (ours, others) = (Target::start(counter, 75.0).await, Target::start(counter, 400.0).await);
    let labels =
        |cluster: &'static str| [("cluster", cluster), ("namespace", "lab"), ("pod", "story-web-7c855ffc44-56nft")];
    let prometheus = Prometheus::start(&[(&ours, &labels("eu")), (&others, &labels("us"))], None).await;
    let proxy = Proxy::start(prometheus.port).await;
    let lab = Lab::start();
    lab.cluster.run("story-web", 3);
    let server = json!({
        "url": proxy.url(), "scrapeInterval": "1s",
        "headers": {"X-Scope-OrgID": "school-7"}, "matchers": {"cluster": "eu"},
    });
    lab.apply(server, &[("web", quick(90, json!({"requestRate": {"perPod": 10}})))]);
    lab.floor("web", 8).await;
    let seen = proxy.seen.lock().unwrap().clone();
    let (mut queries, mut starts) = (0, 0);
    for request in &seen {
        assert_eq!(request.header("X-Scope-OrgID"), Some("school-7"), "{request:?}");
        match request.query() {
            Some(query) => {
                assert!(query.contains(r#"cluster="eu""#), "{query}");
                queries += 1;
            }
            None => starts += 1,
        }
    }
    assert!(queries > 0 && starts > 0, "{seen:?}");

    let headers = BTreeMap::from([("X-Scope-OrgID".to_owned(), "two\nlines".to_owned())]);
    let key = SourceKey { url: proxy.url(), headers, credentials: CredentialsKey::Anonymous };
    let source = Source::new(key, Arc::new(Vault::default()), accounts(), std::time::Duration::from_secs(5));
    let refused = source.query("up", now()).await.unwrap_err().error;
    assert_eq!(refused.kind, SourceErrorKind::Setup);
    assert!(refused.message.contains("X-Scope-OrgID") && !refused.message.contains("two"), "{}", refused.message);
}

#[tokio::test]
async fn faults_between_are_classified() {
    let proxy = Proxy::start(1).await;
    let key = SourceKey { url: proxy.url(), headers: BTreeMap::new(), credentials: CredentialsKey::Anonymous };
    let patient_for = |time| {
        let patience = std::time::Duration::from_millis(time);
        Source::new(key.clone(), Arc::new(Vault::default()), accounts(), patience)
    };
    // A busy machine takes its time for a large answer; one that never comes is waited for in vain.
    let (source, hasty) = (patient_for(60_000), patient_for(500));
    let huge = format!("{{\"status\":\"success\",\"data\":\"{}\"}}", "x".repeat(9 << 20));
    let table = [
        (Mode::Status(500), SourceErrorKind::Http(500), false),
        (Mode::Status(429), SourceErrorKind::RateLimited, false),
        (Mode::Status(302), SourceErrorKind::Setup, false),
        (Mode::Status(413), SourceErrorKind::Http(413), true),
        (Mode::Hang, SourceErrorKind::Timeout, false),
        (Mode::Body("<html>".into()), SourceErrorKind::Parse, false),
        (Mode::Body(huge), SourceErrorKind::Query, true),
    ];
    for (mode, kind, too_large) in table {
        let source = if matches!(mode, Mode::Hang) { &hasty } else { &source };
        proxy.answer(mode);
        let error = source.query("up", now()).await.unwrap_err();
        assert_eq!((error.error.kind, error.too_large), (kind, too_large));
    }
    let partial =
        r#"{"status":"success","data":{"resultType":"vector","result":[]},"warnings":["a store did not answer"]}"#;
    proxy.answer(Mode::Body(partial.into()));
    assert!(source.query("up", now()).await.unwrap().partial);
}

//! Absence of data is never zero load: against a real Prometheus.

use crate::support::{
    cluster::{Lab, quick},
    server::Prometheus,
    web::{Mode, Proxy, Target},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const POD: &[(&str, &str)] = &[("namespace", "lab"), ("pod", "story-web-7c855ffc44-56nft")];
const COUNTER: &str = "# TYPE http_requests_total counter\nhttp_requests_total{path=\"/\"} {count}\n";

fn at(url: &str) -> Value {
    json!({"url": url, "scrapeInterval": "1s"})
}

fn rate() -> Value {
    quick(20, json!({"requestRate": {"perPod": 10}}))
}

#[tokio::test]
async fn a_series_that_ends_holds_the_floor() {
    let target = Target::start(COUNTER, 75.0).await;
    let prometheus = Prometheus::start(&[(&target, POD)], None).await;
    let lab = Lab::start();
    lab.cluster.run("story-web", 3);
    lab.apply(at(&prometheus.url()), &[("web", rate())]);
    lab.floor("web", 8).await;

    target.expose("other 1\n");
    lab.settles("web", "NoSeries").await;
    lab.never_below("web", 8, Duration::from_secs(1)).await;
    assert!(lab.wakes() > 0, "a pass is woken to tell it");
    lab.never_below("web", 8, Duration::from_secs(7)).await;
    assert_eq!(lab.cluster.replicas("story-web"), 8);
    assert_eq!(lab.wakes(), 0, "told once, not again and again: {:?}", lab.view("web").map(|view| view.published));
}

#[tokio::test]
async fn what_is_no_number_holds_the_floor() {
    let gauge = |value: &str| format!("# TYPE http_requests_in_flight gauge\nhttp_requests_in_flight {value}\n");
    let target = Target::start(&gauge("79"), 0.0).await;
    let prometheus = Prometheus::start(&[(&target, POD)], None).await;
    let lab = Lab::start();
    lab.cluster.run("story-web", 3);
    lab.apply(at(&prometheus.url()), &[("web", quick(20, json!({"concurrency": {"perPod": 10}})))]);
    lab.floor("web", 8).await;
    for (value, named) in [("NaN", "NaN"), ("+Inf", "+Inf"), ("-Inf", "-Inf"), ("-1", "below zero")] {
        target.expose(&gauge(value));
        lab.settles("web", "NotANumber").await;
        crate::support::until(named, Duration::from_secs(20), || async {
            let message = lab.view("web")?.live.metrics.as_ref()?.to_string();
            message.contains(named).then_some(())
        })
        .await;
        lab.never_below("web", 8, Duration::from_secs(3)).await;
    }
}

#[tokio::test]
async fn two_series_where_one_is_expected_name_the_label_that_differs() {
    let target = Target::start("load{zone=\"a\"} 25\nload{zone=\"b\"} 30\n", 0.0).await;
    let prometheus = Prometheus::start(&[(&target, POD)], None).await;
    let lab = Lab::start();
    lab.cluster.run("story-web", 8);
    lab.apply(
        at(&prometheus.url()),
        &[("web", quick(20, json!({"requestRate": {"perPod": 10, "query": "load", "freshness": "load"}})))],
    );
    let decision = lab.settles("web", "AmbiguousResult").await;
    let message = decision.metrics.as_ref().unwrap().to_string();
    assert!(message.contains("zone"), "{message}");
    lab.never_below("web", 8, Duration::from_secs(5)).await;
    // The same, aggregated, is a value.
    lab.apply(
        at(&prometheus.url()),
        &[("web", quick(20, json!({"requestRate": {"perPod": 10, "query": "sum(load)", "freshness": "load"}})))],
    );
    // 55 need 6, and with the dead band downward 7.
    lab.floor("web", 7).await;
}

#[tokio::test]
async fn a_source_that_fails_in_any_way_leads_to_fallback_and_back() {
    let target = Target::start(COUNTER, 45.0).await;
    let prometheus = Prometheus::start(&[(&target, POD)], None).await;
    let proxy = Proxy::start(prometheus.port).await;
    let lab = Lab::start();
    lab.cluster.run("story-web", 3);
    let mut spec = rate();
    spec["fallback"] = json!({"replicas": 9});
    // The HPA's cap is the floor here, so what runs never exceeds it.
    lab.apply(at(&proxy.url()), &[("web", spec)]);
    lab.floor("web", 5).await;
    for fault in [Some(Mode::Status(500)), Some(Mode::Status(429)), Some(Mode::Hang), None] {
        lab.settles("web", "Available").await;
        let before = lab.view("web").unwrap().live.write.floor;
        match &fault {
            Some(mode) => proxy.answer(mode.clone()),
            None => proxy.refuse(),
        }
        let decision = lab.settles("web", "SourceUnavailable").await;
        let message = decision.metrics.as_ref().unwrap().to_string();
        assert!(message.contains(&proxy.url()), "{fault:?}: {message}");
        assert!(lab.view("web").unwrap().live.write.floor >= before, "{fault:?}: held at first");
        lab.floor("web", 9).await;
        proxy.answer(Mode::Pass(String::new()));
        if fault.is_none() {
            proxy.listen().await;
        }
        lab.settles("web", "Available").await;
        lab.floor("web", 5).await;
    }
}

#[tokio::test]
async fn one_good_sample_resets_the_count_of_failures() {
    let target = Target::start(COUNTER, 45.0).await;
    let prometheus = Prometheus::start(&[(&target, POD)], None).await;
    let proxy = Proxy::start(prometheus.port).await;
    let lab = Lab::start();
    lab.cluster.run("story-web", 3);
    let mut spec = rate();
    spec["fallback"] = json!({"replicas": 9});
    lab.apply(at(&proxy.url()), &[("web", spec)]);
    lab.floor("web", 5).await;
    for _ in 0..4 {
        proxy.answer(Mode::Status(503));
        lab.settles("web", "SourceUnavailable").await;
        proxy.answer(Mode::Pass(String::new()));
        crate::support::until("a value", Duration::from_secs(20), || async {
            lab.view("web")?.live.signals[0].value.map(drop)
        })
        .await;
        assert!(
            lab.view("web").unwrap().live.write.floor < 9,
            "no fallback: the failures were never three in a row for long"
        );
    }
}

#[tokio::test]
async fn a_source_that_never_answers_leads_to_fallback() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let lab = Lab::start();
    lab.cluster.run("story-web", 1);
    let mut spec = rate();
    spec["fallback"] = json!({"replicas": 6});
    let dead = format!("http://127.0.0.1:{free}");
    lab.apply(at(&dead), &[("web", spec)]);
    let message = lab.settles("web", "SourceUnavailable").await.metrics.as_ref().unwrap().to_string();
    assert!(message.contains(&dead), "{message}");
    lab.floor("web", 6).await;
    assert_eq!(lab.cluster.replicas("story-web"), 6);
}

#[tokio::test]
async fn samples_that_stopped_are_stale_and_hold() {
    let now = jiff::Timestamp::now().as_millisecond();
    let fixed = format!("# TYPE http_requests_in_flight gauge\nhttp_requests_in_flight 79 {now}\n");
    let target = Target::start(&fixed, 0.0).await;
    let prometheus = Prometheus::start(&[(&target, POD)], None).await;
    let lab = Lab::start();
    lab.cluster.run("story-web", 8);
    lab.apply(at(&prometheus.url()), &[("web", quick(20, json!({"concurrency": {"perPod": 100}})))]);
    lab.settles("web", "StaleSample").await;
    lab.never_below("web", 8, Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_restarted_source_lowers_nothing_for_one_range() {
    let target = Target::start(COUNTER, 75.0).await;
    let mut prometheus = Prometheus::start(&[(&target, POD)], None).await;
    // Ticks so seldom that the restart falls between them: failures in a row have a grace of their own.
    let lab = Lab::ticking(Duration::from_secs(3));
    lab.cluster.run("story-web", 3);
    // Scraped five times as often as this says: rates over 10 s and 20 s need that long to fill up, and are low until then.
    lab.apply(json!({"url": prometheus.url(), "scrapeInterval": "5s"}), &[("web", rate())]);
    lab.floor("web", 8).await;
    lab.settles("web", "Available").await;
    prometheus.restart().await;
    let (end, mut least) = (Instant::now() + Duration::from_secs(15), f64::INFINITY);
    while Instant::now() < end {
        lab.never_below("web", 8, Duration::from_millis(200)).await;
        least = least.min(lab.view("web").unwrap().live.signals[0].raise_value.unwrap_or(f64::INFINITY));
    }
    assert!(least < 60.0, "without the grace it would have fallen: the least rate was {least}");
    lab.settles("web", "Available").await;
}

#[tokio::test]
async fn a_series_that_never_was_is_told_at_once() {
    let target = Target::start(COUNTER, 75.0).await;
    let prometheus = Prometheus::start(&[(&target, POD)], None).await;
    let lab = Lab::start();
    lab.cluster.run("story-web", 4);
    lab.apply(
        at(&prometheus.url()),
        &[("web", quick(20, json!({"requestRate": {"perPod": 10, "metric": "http_request_totals"}})))],
    );
    crate::support::until("a first decision", Duration::from_secs(20), || async { lab.view("web") }).await;
    assert_eq!(lab.reason("web"), "SeriesNeverSeen", "at the first evaluation");
    lab.never_below("web", 4, Duration::from_secs(3)).await;
}

#[tokio::test]
async fn a_scrape_interval_that_is_too_short_is_told_with_its_remedy() {
    let target = Target::start(COUNTER, 75.0).await;
    let prometheus = Prometheus::start(&[(&target, POD)], None).await;
    let lab = Lab::start();
    lab.cluster.run("story-web", 4);
    lab.cluster.run("story-zero", 4);
    let zero = quick(
        20,
        json!({"requestRate": {"perPod": 10, "metric": "http_requests_total", "labels": {"namespace": "lab"}, "absentMeans": "Zero"}}),
    );
    // The server scrapes once a second, of which four intervals hold one sample.
    let hasty = json!({"url": prometheus.url(), "scrapeInterval": "250ms"});
    lab.apply(hasty, &[("web", rate()), ("zero", zero)]);
    for app in ["web", "zero"] {
        crate::support::until("the remedy", Duration::from_secs(20), || async {
            let message = lab.view(app)?.live.metrics.as_ref()?.to_string();
            message.contains("fewer than two samples in 1s: if that lasts, set prometheus.scrapeInterval").then_some(())
        })
        .await;
        assert_eq!(lab.reason(app), "NoSeries");
        lab.never_below(app, 4, Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn absence_is_zero_only_if_asked_for_and_targets_are_live() {
    let target = Target::start("other 1\n", 0.0).await;
    let prometheus = Prometheus::start(&[(&target, POD)], None).await;
    let lab = Lab::start();
    lab.cluster.run("story-web", 4);
    let zero = quick(20, json!({"requestRate": {"perPod": 10, "absentMeans": "Zero"}}));
    lab.cluster.run("story-ghost", 4);
    lab.apply(at(&prometheus.url()), &[("web", zero.clone()), ("ghost", zero)]);
    lab.settles("web", "Available").await;
    lab.floor("web", 1).await;
    assert_eq!(lab.reason("ghost"), "NoSeries", "no target of its own is up");
    assert_eq!(lab.view("ghost").unwrap().live.write.floor, 4);
}

#[tokio::test]
async fn a_broken_neighbour_delays_nobody() {
    let target = Target::start(COUNTER, 75.0).await;
    let prometheus = Prometheus::start(&[(&target, POD)], None).await;
    let proxy = Proxy::start(prometheus.port).await;
    proxy.answer(Mode::Hang);
    let lab = Lab::start();
    lab.cluster.run("story-web", 3);
    lab.cluster.run("story-bad", 3);
    let mut servers = at(&prometheus.url());
    servers["servers"] = json!([{"name": "bad", "url": proxy.url(), "scrapeInterval": "1s"}]);
    let bad = quick(20, json!({"requestRate": {"perPod": 10, "server": "bad"}}));
    let typo = quick(20, json!({"requestRate": {"perPod": 10, "query": "sum(rate("}}));
    lab.cluster.run("story-typo", 3);
    lab.apply(servers, &[("web", rate()), ("bad", bad), ("typo", typo)]);
    lab.floor("web", 8).await;
    let bad = lab.settles("bad", "SourceUnavailable").await.metrics.as_ref().unwrap().to_string();
    assert!(bad.contains(&format!("bad ({})", proxy.url())), "{bad}");
    let typo = lab.settles("typo", "SourceMisconfigured").await;
    let message = typo.metrics.as_ref().unwrap().to_string();
    assert!(message.contains("parse error"), "tells what the server said: {message}");
    // Twenty ticks are due in this time.
    let mut decided = std::collections::BTreeSet::new();
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        decided.insert(lab.view("web").unwrap().live.at);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(decided.len() >= 15, "only {} decisions beside a server that hangs", decided.len());
}

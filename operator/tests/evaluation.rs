//! The evaluation on scripted servers and a clock that only tests advance.

#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod support;

use decide::Time;
use learningplatform_operator::{naming::AppKey, prometheus::query::Begun};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use support::{
    cluster::{Lab, Memory, NAMESPACE, PLATFORM, quick},
    script::{Script, Scripts, lab, ticking},
};

fn at(url: &str) -> Value {
    json!({"url": url, "scrapeInterval": "1s"})
}

fn rate() -> Value {
    quick(50, json!({"requestRate": {"perPod": 10}}))
}

fn one(script: &Arc<Script>) -> Scripts {
    Scripts::from([("http://one".to_owned(), script.clone())])
}

fn floor(lab: &Lab, app: &str) -> u32 {
    lab.view(app).map_or(0, |view| view.live.write.floor)
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_spec_is_evaluated_at_once() {
    let script = Arc::new(Script::default());
    script.rate("story-web", 75.0);
    let cluster = Arc::new(Memory::default());
    cluster.run("story-web", 1);
    let lab = lab(one(&script), cluster.clone());
    lab.apply(at("http://one"), &[("web", rate())]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(floor(&lab, "web"), 8);
    assert_eq!(cluster.bounds("story-web"), Some((8, 8)));
    assert_eq!(cluster.replicas("story-web"), 8);
    // Past the period in which the behavior allows no more.
    pass(3).await;
    // Another target: one write, and no reset of the count.
    lab.apply(at("http://one"), &[("web", quick(50, json!({"requestRate": {"perPod": 5}})))]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(floor(&lab, "web"), 15);
    assert_eq!(cluster.writes.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_steady_app_causes_no_write_and_no_wake() {
    let script = Arc::new(Script::default());
    script.rate("story-web", 25.0);
    let cluster = Arc::new(Memory::default());
    cluster.run("story-web", 3);
    let lab = lab(one(&script), cluster.clone());
    lab.apply(at("http://one"), &[("web", rate())]);
    pass(30).await;
    let (writes, _) = (cluster.writes.lock().unwrap().len(), lab.wakes());
    for noise in 0..100 {
        script.rate("story-web", 25.0 + f64::from(noise % 9) - 4.0);
        pass(3).await;
    }
    assert_eq!(cluster.writes.lock().unwrap().len(), writes, "{:?}", cluster.writes.lock().unwrap());
    assert_eq!(lab.wakes(), 0);
    assert_eq!(floor(&lab, "web"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_rise_is_seen_before_the_next_tick_and_a_fall_is_not() {
    let script = Arc::new(Script::default());
    script.rate("story-web", 25.0);
    let cluster = Arc::new(Memory::default());
    cluster.run("story-web", 3);
    let lab = ticking(Duration::from_secs(600), one(&script), cluster);
    lab.apply(at("http://one"), &[("web", rate())]);
    pass(10).await;
    assert_eq!(floor(&lab, "web"), 3);
    let decided = lab.view("web").unwrap().live.at;
    script.asked.lock().unwrap().clear();
    script.rate("story-web", 29.0);
    pass(10).await;
    assert_eq!(lab.view("web").unwrap().live.at, decided, "what changes no count is left to the next tick");
    let asked = script.asked.lock().unwrap().len();
    assert!((9..=11).contains(&asked), "one query a second: {asked}");

    script.rate("story-web", 75.0);
    pass(2).await;
    assert_eq!(floor(&lab, "web"), 8);
    let decided = lab.view("web").unwrap().live.at;
    script.rate("story-web", 25.0);
    pass(30).await;
    assert_eq!(lab.view("web").unwrap().live.at, decided);
}

#[tokio::test(start_paused = true)]
async fn load_that_moves_to_pods_without_a_rate_is_not_lost() {
    let script = Arc::new(Script::default());
    script.rate("story-web", 40.0);
    let cluster = Arc::new(Memory::default());
    cluster.run("story-web", 1);
    let lab = lab(one(&script), cluster.clone());
    lab.apply(at("http://one"), &[("web", rate())]);
    pass(10).await;
    assert_eq!(floor(&lab, "web"), 4);
    // The old pod shows 40, the first of three new ones more than that, the second little, the third nothing.
    *script.begun.lock().unwrap() = vec![100.0, 5.0, f64::NAN];
    let key = AppKey { namespace: NAMESPACE.into(), platform: PLATFORM.into(), app: "web".into() };
    let at = Time::from_secs(1_800_000_010);
    let pods = ["a", "b", "c"].map(|name| Begun { name: name.into(), at });
    cluster.begun.lock().unwrap().insert(key, pods.into());
    pass(2).await;
    assert_eq!(floor(&lab, "web"), 9, "40 and 5 and, of the first, as much as the old pod: 85");
    script.asked.lock().unwrap().clear();
    pass(10).await;
    let last = script.asked.lock().unwrap().iter().rev().take(4).any(|asked| asked.contains("clamp_min("));
    assert!(!last, "after two ranges they have rates, or never will");
}

#[tokio::test(start_paused = true)]
async fn pods_in_the_place_of_others_count_once() {
    let script = Arc::new(Script::default());
    script.rate("story-web", 40.0);
    let cluster = Arc::new(Memory::default());
    cluster.run("story-web", 4);
    let lab = lab(one(&script), cluster.clone());
    lab.apply(at("http://one"), &[("web", rate())]);
    pass(10).await;
    // What the pod before showed is part of the 40 for a while.
    *script.begun.lock().unwrap() = vec![10.0];
    let key = AppKey { namespace: NAMESPACE.into(), platform: PLATFORM.into(), app: "web".into() };
    let began = Begun { name: "a".into(), at: Time::from_secs(1_800_000_010) };
    cluster.begun.lock().unwrap().insert(key, vec![began]);
    for _ in 0..4 {
        pass(1).await;
        assert_eq!(floor(&lab, "web"), 4);
    }
    assert!(script.asked.lock().unwrap().iter().any(|asked| asked.contains("clamp_min(")), "it was asked for");
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_ends_what_is_under_way() {
    let script = Arc::new(Script::default());
    script.rate("story-web", 75.0);
    let cluster = Arc::new(Memory::default());
    cluster.run("story-web", 1);
    *cluster.hangs.lock().unwrap() = true;
    let lab = lab(one(&script), cluster.clone());
    lab.apply(at("http://one"), &[("web", rate())]);
    pass(2).await;
    lab.stop();
    lab.tasks.close();
    let waited = tokio::time::timeout(Duration::from_secs(1), lab.tasks.wait()).await;
    assert!(waited.is_err(), "a write is under way");
    lab.lost.cancel();
    tokio::time::timeout(Duration::from_millis(1), lab.tasks.wait()).await.expect("it ends at once");
    assert_eq!(cluster.bounds("story-web"), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_decided_on_has_no_time_of_a_decision() {
    let script = Arc::new(Script::default());
    script.rate("story-web", 25.0);
    let cluster = Arc::new(Memory::default());
    cluster.run("story-web", 3);
    let lab = lab(one(&script), cluster.clone());
    lab.apply(at("http://one"), &[("web", rate())]);
    pass(10).await;
    let evaluated = || lab.metrics.render().unwrap().contains("app_evaluated_timestamp_seconds{");
    assert!(evaluated());
    lab.conflict(Some("web"));
    pass(10).await;
    assert!(!evaluated(), "blocked, as a suspended one is");
    lab.conflict(None);
    pass(10).await;
    assert!(evaluated());
    cluster.delete("story-web");
    pass(10).await;
    assert!(!evaluated(), "without a Deployment");
}

#[tokio::test(start_paused = true)]
async fn many_apps_share_queries_and_too_large_ones_are_halved() {
    let script = Arc::new(Script::default());
    let cluster = Arc::new(Memory::default());
    let names: Vec<String> = (0..49).map(|n| format!("app{n:02}")).collect();
    for name in &names {
        script.rate(&format!("story-{name}"), 75.0);
        cluster.run(&format!("story-{name}"), 1);
    }
    let lab = lab(one(&script), cluster.clone());
    let apps: Vec<(&str, Value)> = names.iter().map(|name| (name.as_str(), rate())).collect();
    lab.apply(at("http://one"), &apps);
    pass(5).await;
    assert!(names.iter().all(|name| floor(&lab, name) == 8));
    script.asked.lock().unwrap().clear();
    pass(10).await;
    let asked = script.asked.lock().unwrap().len();
    assert!((36..=44).contains(&asked), "four queries a tick for all apps: {asked}");

    *script.most.lock().unwrap() = Some(10);
    for name in &names {
        script.rate(&format!("story-{name}"), 115.0);
    }
    script.rates.lock().unwrap().remove("story-app07");
    pass(3).await;
    assert!(names.iter().filter(|name| *name != "app07").all(|name| floor(&lab, name) == 12), "halves answer");
    assert_eq!((floor(&lab, "app07"), lab.reason("app07").as_str()), (8, "NoSeries"), "one app's absence is its own");
}

#[tokio::test(start_paused = true)]
async fn a_slow_server_delays_only_its_own_apps() {
    let (slow, fast) = (Arc::new(Script::default()), Arc::new(Script::default()));
    *slow.delay.lock().unwrap() = Duration::from_secs(3600);
    fast.rate("story-web", 75.0);
    let cluster = Arc::new(Memory::default());
    for name in ["story-web", "story-bad"] {
        cluster.run(name, 1);
    }
    let scripts = Scripts::from([("http://fast".to_owned(), fast.clone()), ("http://slow".to_owned(), slow)]);
    let lab = lab(scripts, cluster);
    let mut servers = at("http://fast");
    servers["servers"] = json!([{"name": "slow", "url": "http://slow", "scrapeInterval": "1s"}]);
    lab.apply(servers, &[("web", rate()), ("bad", quick(9, json!({"requestRate": {"perPod": 10, "server": "slow"}})))]);
    let mut decided = std::collections::BTreeSet::new();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        decided.extend(lab.view("web").map(|view| view.live.at));
    }
    assert!(decided.len() >= 9, "{}", decided.len());
    assert_eq!(lab.reason("bad"), "SourceUnavailable", "decided on all the same, within its own tick");
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_written_was_not_decided() {
    let script = Arc::new(Script::default());
    script.rate("story-web", 195.0);
    let cluster = Arc::new(Memory::default());
    cluster.run("story-web", 1);
    let lab = lab(one(&script), cluster.clone());
    let mut spec = rate();
    spec["behavior"]["scaleDown"]["policies"] = json!([{"type": "Pods", "value": 1, "periodSeconds": 10}]);
    lab.apply(at("http://one"), &[("web", spec)]);
    pass(20).await;
    assert_eq!(cluster.bounds("story-web"), Some((20, 20)));
    script.rate("story-web", 5.0);
    *cluster.broken.lock().unwrap() = true;
    pass(60).await;
    let failure = lab.view("web").unwrap().failure;
    assert!(failure.is_some(), "the failure is told");
    *cluster.broken.lock().unwrap() = false;
    let before = cluster.writes.lock().unwrap().len();
    pass(30).await;
    let writes = cluster.writes.lock().unwrap()[before..].to_vec();
    let steps: Vec<i32> = writes.iter().map(|(_, min, _)| *min).collect();
    assert!(steps.first().is_none_or(|first| *first >= 19), "no leap after the outage: {steps:?}");
    assert!(lab.view("web").unwrap().failure.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_restart_adopts_what_is_there_and_lowers_nothing_for_a_window() {
    let script = Arc::new(Script::default());
    script.rate("story-web", 195.0);
    let cluster = Arc::new(Memory::default());
    cluster.run("story-web", 1);
    let first = lab(one(&script), cluster.clone());
    let mut spec = rate();
    spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] = json!(60);
    first.apply(at("http://one"), &[("web", spec.clone())]);
    pass(5).await;
    assert_eq!(cluster.bounds("story-web"), Some((20, 20)));
    first.stop();
    script.rate("story-web", 5.0);
    let second = lab(one(&script), cluster.clone());
    second.apply(at("http://one"), &[("web", spec)]);
    for _ in 0..55 {
        pass(1).await;
        assert_eq!(cluster.bounds("story-web"), Some((20, 20)));
    }
    pass(60).await;
    assert_eq!(floor(&second, "web"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_partial_answer_raises_but_does_not_lower() {
    let script = Arc::new(Script::default());
    script.rate("story-web", 75.0);
    let cluster = Arc::new(Memory::default());
    cluster.run("story-web", 1);
    let lab = lab(one(&script), cluster);
    lab.apply(at("http://one"), &[("web", rate())]);
    pass(10).await;
    assert_eq!(floor(&lab, "web"), 8);
    *script.partial.lock().unwrap() = true;
    script.rate("story-web", 15.0);
    pass(60).await;
    assert_eq!(floor(&lab, "web"), 8);
    script.rate("story-web", 95.0);
    pass(5).await;
    assert_eq!(floor(&lab, "web"), 10);
    *script.partial.lock().unwrap() = false;
    script.rate("story-web", 15.0);
    pass(60).await;
    assert_eq!(floor(&lab, "web"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_restarted_source_lowers_nothing_for_its_longest_range_though_it_never_failed() {
    // Whose source restarts, of the rate's and the latency's: either may have too little to lower by.
    for (restarted, grace) in [("http://rate", 19), ("http://latency", 19), ("neither", 0)] {
        let scripts = ["http://rate", "http://latency"].map(|url| (url.to_owned(), Arc::new(Script::default())));
        let scripts = Scripts::from(scripts);
        scripts["http://rate"].rate("story-web", 75.0);
        scripts["http://latency"].rate("story-web", 0.05);
        let cluster = Arc::new(Memory::default());
        cluster.run("story-web", 8);
        let lab = lab(scripts.clone(), cluster);
        let prometheus = json!({"url": "http://rate", "scrapeInterval": "5s",
            "servers": [{"name": "latency", "url": "http://latency", "scrapeInterval": "5s"}]});
        let signals =
            json!({"requestRate": {"perPod": 10}, "latency": {"mean": true, "budget": "1s", "server": "latency"}});
        lab.apply(prometheus, &[("web", quick(50, signals))]);
        pass(30).await;
        assert_eq!((floor(&lab, "web"), lab.reason("web").as_str()), (8, "Available"));

        scripts["http://rate"].rate("story-web", 15.0);
        if let Some(script) = scripts.get(restarted) {
            *script.started.lock().unwrap() = Time::from_secs(1_800_000_000);
        }
        for second in 0..grace {
            pass(1).await;
            assert_eq!(floor(&lab, "web"), 8, "{second} s after a restart of {restarted}");
        }
        assert_eq!(lab.reason("web"), if grace == 0 { "Available" } else { "Settling" });
        pass(10).await;
        assert_eq!((floor(&lab, "web"), lab.reason("web").as_str()), (2, "Available"), "{restarted}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_condition_names_the_server_that_fails_now() {
    let scripts = ["http://one", "http://two"].map(|url| (url.to_owned(), Arc::new(Script::default())));
    let scripts = Scripts::from(scripts);
    for (url, script) in &scripts {
        *script.down.lock().unwrap() = Some(format!("{url} refuses"));
    }
    let cluster = Arc::new(Memory::default());
    cluster.run("story-web", 3);
    let lab = lab(scripts.clone(), cluster);
    let told = || lab.view("web").unwrap().published.metrics.as_ref().unwrap().to_string();
    lab.apply(at("http://one"), &[("web", rate())]);
    pass(20).await;
    assert!(told().contains("the query to http://one failed"), "{}", told());
    lab.wakes();
    for port in 0..20 {
        *scripts["http://one"].down.lock().unwrap() = Some(format!("no answer at port {port}"));
        pass(1).await;
    }
    assert_eq!(lab.wakes(), 0, "other words of the same server are no news");
    lab.apply(at("http://two"), &[("web", rate())]);
    pass(1).await;
    assert!(told().contains("the query to http://two failed"), "{}", told());
}

#[tokio::test(start_paused = true)]
async fn neighbours_in_the_same_queries_change_nothing() {
    let apps = ["none", "odd", "own", "web-admin", "web"];
    let life = async |names: &[&str]| {
        let script = Arc::new(Script::default());
        let cluster = Arc::new(Memory::default());
        names.iter().for_each(|name| cluster.run(&format!("story-{name}"), 3));
        let lab = lab(one(&script), cluster);
        let spec = |name: &str| match name {
            "own" => quick(50, json!({"requestRate": {"perPod": 10, "query": "broken("}})),
            _ => rate(),
        };
        let specs: Vec<(&str, Value)> = names.iter().map(|name| (*name, spec(name))).collect();
        lab.apply(at("http://one"), &specs);
        let mut decided = Vec::new();
        for second in 0..60 {
            // Up, down, and a gap.
            let load = [75.0, 195.0, 35.0, f64::NAN, 55.0, 15.0][second / 10];
            script.rate("story-web", load);
            for (name, rate) in [("odd", f64::NAN), ("own", 5.0), ("web-admin", 900.0 - load)] {
                if names.contains(&name) {
                    script.rate(&format!("story-{name}"), rate);
                }
            }
            // All queries but those about one app are too large for a while.
            *script.most.lock().unwrap() = (second % 7 == 3).then_some(1);
            pass(1).await;
            let live = lab.view("web").unwrap().live;
            decided.push((live.write, live.stages.clone(), live.metrics.clone()));
        }
        decided
    };
    let (alone, together) = (life(&["web"]).await, life(&apps).await);
    assert!(alone.iter().any(|(write, ..)| write.floor == 20) && alone.iter().any(|(write, ..)| write.floor == 2));
    for (second, (alone, together)) in alone.iter().zip(&together).enumerate() {
        assert_eq!(alone, together, "second {second}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_that_is_gone_is_forgotten() {
    let script = Arc::new(Script::default());
    script.rate("story-web", 75.0);
    let cluster = Arc::new(Memory::default());
    cluster.run("story-web", 1);
    cluster.run("story-api", 1);
    let lab = lab(one(&script), cluster);
    lab.apply(at("http://one"), &[("web", rate()), ("api", rate())]);
    pass(3).await;
    assert!(lab.view("web").is_some() && lab.view("api").is_some());
    lab.apply(at("http://one"), &[("web", rate())]);
    pass(3).await;
    assert!(lab.view("web").is_some() && lab.view("api").is_none());
    script.asked.lock().unwrap().clear();
    pass(3).await;
    assert!(script.asked.lock().unwrap().iter().all(|expression| !expression.contains("story-api")));
}

#[tokio::test(start_paused = true)]
async fn an_app_without_any_source_is_decided_too() {
    let cluster = Arc::new(Memory::default());
    cluster.run("story-web", 2);
    let lab = lab(Scripts::new(), cluster.clone());
    let scheduled = json!({"minReplicas": 2, "maxReplicas": 9, "cpu": {"averageValue": "100m"}, "schedules": [
        {"name": "always", "weekly": {"days": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], "start": "00:00", "end": "24:00"},
         "timeZone": "UTC", "minReplicas": 5}]});
    lab.apply(json!({}), &[("web", scheduled)]);
    pass(20).await;
    assert_eq!(cluster.bounds("story-web"), Some((5, 9)));
}

#[tokio::test(start_paused = true)]
async fn nobody_names_a_server_the_operator_does_not_permit() {
    let cluster = Arc::new(Memory::default());
    cluster.run("story-web", 2);
    let lab = lab(Scripts::new(), cluster);
    lab.apply(json!({}), &[("web", rate())]);
    pass(3).await;
    let message = lab.view("web").unwrap().live.metrics.as_ref().unwrap().to_string();
    assert_eq!(lab.reason("web"), "SourceMisconfigured");
    assert!(message.contains("--default-prometheus-url"), "{message}");
}

//! A real server on loopback, and the real binary for signals.

#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use clap::{CommandFactory as _, FromArgMatches as _};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use sample_app::app::App;
use sample_app::config::Config;
use sample_app::server::{Stopped, run};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

const DEADLINE: Duration = Duration::from_secs(60);

struct Server {
    address: SocketAddr,
    admin: SocketAddr,
    app: Arc<App>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Stopped>,
}

async fn server(flags: &[&str]) -> Server {
    let defaults = ["sample-app", "--warmup-seconds=0", "--drain-seconds=0", "--cpu-ms-per-request=0"];
    let command = Config::command().args_override_self(true);
    let matches = command.get_matches_from(defaults.iter().chain(flags));
    let config = Config::from_arg_matches(&matches).unwrap();
    let app = Arc::new(App::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let admin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (stop, stopped) = oneshot::channel();
    Server {
        address: listener.local_addr().unwrap(),
        admin: admin.local_addr().unwrap(),
        task: tokio::spawn(run(Arc::clone(&app), listener, Some(admin), async { drop(stopped.await) })),
        app,
        stop,
    }
}

async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &'static str,
) -> Result<Response<Bytes>, hyper::Error> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "test")
        .body(Full::new(Bytes::from_static(body.as_bytes())))
        .unwrap();
    let (parts, body) = sender.send_request(request).await?.into_parts();
    Ok(Response::from_parts(parts, body.collect().await?.to_bytes()))
}

async fn ask(address: SocketAddr, method: &str, path: &str) -> Response<Bytes> {
    timeout(DEADLINE, send(address, method, path, "")).await.unwrap().unwrap()
}

async fn text(address: SocketAddr, path: &str) -> String {
    String::from_utf8(ask(address, "GET", path).await.into_body().to_vec()).unwrap()
}

async fn json(address: SocketAddr, path: &str) -> serde_json::Value {
    serde_json::from_str(&text(address, path).await).unwrap()
}

/// All samples of an exposition as (series, value); fails on any line that is neither comment nor sample.
fn samples(exposition: &str) -> Vec<(&str, f64)> {
    assert!(exposition.ends_with("# EOF\n"), "{exposition}");
    exposition
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(!series.contains(' ') && !series.is_empty(), "{line}");
            (series, value.parse().unwrap())
        })
        .collect()
}

fn value(exposition: &str, series: &str) -> f64 {
    samples(exposition).iter().find(|(s, _)| *s == series).unwrap_or_else(|| panic!("no {series} in\n{exposition}")).1
}

#[tokio::test]
async fn every_path_of_the_guides_answers_and_is_counted_by_its_template() {
    let server = server(&["--latency-ms=0", "--latency-jitter-ms=0"]).await;
    let routes = [
        ("GET", "/", "/"),
        ("GET", "/api/stories", "/api/stories"),
        ("GET", "/api/stories/17", "/api/stories/{id}"),
        ("POST", "/api/progress/update", "/api/progress/update"),
        ("GET", "/api/learning/exercises/story/17?page=2", "/api/learning/exercises/story/{id}"),
        ("GET", "/api/vocabulary/recommendations", "/api/vocabulary/recommendations"),
        ("POST", "/api/vocabulary/progress", "/api/vocabulary/progress"),
        ("GET", "/api/me/progress", "/api/me/progress"),
        ("GET", "/api/me/analytics", "/api/me/analytics"),
        ("GET", "/lessons/daily", "/lessons/daily"),
        ("POST", "/projects/submit", "/projects/submit"),
        ("GET", "/api/courses", "/api/courses"),
        ("POST", "/api/compile", "/api/compile"),
    ];
    let before = text(server.address, "/api/metrics").await;
    for (method, path, _) in routes {
        let answer = ask(server.address, method, path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{method} {path}");
        serde_json::from_slice::<serde_json::Value>(answer.body()).unwrap();
    }
    let after = text(server.address, "/api/metrics").await;
    for (method, _, template) in routes {
        let labels = format!("{{method=\"{method}\",path=\"{template}\",status=\"200\"}}");
        for name in ["http_requests_total", "http_request_duration_seconds_count"] {
            let series = format!("{name}{labels}");
            assert_eq!(value(&before, &series), 0.0, "{series}");
            assert_eq!(value(&after, &series), 1.0, "{series}");
        }
    }
    // Neither the scrapes nor this probe are load.
    assert_eq!(ask(server.address, "GET", "/api/health").await.status(), 200);
    let last = text(server.address, "/api/metrics").await;
    let total: f64 = samples(&last).iter().filter(|(s, _)| s.starts_with("http_requests_total")).map(|(_, v)| v).sum();
    assert_eq!(total, routes.len() as f64);
    assert_eq!(value(&last, "http_requests_in_flight"), 0.0);
    assert!(last.contains("# TYPE http_requests counter"), "{last}");
    assert!(last.contains("# TYPE http_request_duration_seconds histogram"), "{last}");
    assert!(last.contains("le=\"0.2\""), "{last}");
    // Nothing is told of stores where none is wired.
    assert!(!last.contains("store_"), "{last}");
    assert_eq!(json(server.address, "/api/health").await["services"], serde_json::json!({"app": "up"}));
}

#[tokio::test]
async fn bad_requests_get_their_status_and_bounded_labels() {
    let server = server(&["--latency-ms=0", "--latency-jitter-ms=0"]).await;
    let at = server.address;
    assert_eq!(ask(at, "GET", "/api/storys").await.status(), 404);
    assert_eq!(ask(at, "GET", "/api/stories/1/2").await.status(), 404);
    assert_eq!(ask(at, "GET", "/api/stories/").await.status(), 404);
    let wrong = ask(at, "BREW", "/api/progress/update").await;
    assert_eq!(wrong.status(), 405);
    assert_eq!(wrong.headers()["allow"], "POST");
    let bad = send(at, "POST", "/api/progress/update", "{story").await.unwrap();
    assert_eq!(bad.status(), 400);
    let good = send(at, "POST", "/api/progress/update", "{\"story\": 1}").await.unwrap();
    assert_eq!(good.status(), 200);
    let long = "[\"".to_owned() + &"x".repeat(sample_app::api::MAX_BODY) + "\"]";
    let long = send(at, "POST", "/api/compile", long.leak()).await.unwrap();
    assert_eq!(long.status(), 413);

    let metrics = text(at, "/api/metrics").await;
    let unmatched = "http_requests_total{method=\"GET\",path=\"unmatched\",status=\"404\"}";
    assert_eq!(value(&metrics, unmatched), 3.0);
    let other = "http_requests_total{method=\"other\",path=\"/api/progress/update\",status=\"405\"}";
    assert_eq!(value(&metrics, other), 1.0);
}

#[tokio::test]
async fn above_capacity_requests_wait_their_turn_and_then_are_refused() {
    let server = server(&["--capacity-rps=20", "--queue-limit=30", "--latency-ms=1"]).await;
    let begun = Instant::now();
    let all: Vec<_> = (0..60)
        .map(|_| {
            tokio::spawn(async move {
                let answer = ask(server.address, "GET", "/api/stories").await;
                (answer, begun.elapsed())
            })
        })
        .collect();
    let mut served = Vec::new();
    let mut refused = 0;
    for one in all {
        let (answer, took) = one.await.unwrap();
        if answer.status() == 503 {
            let seconds: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert!(seconds >= 1);
            refused += 1;
        } else {
            assert_eq!(answer.status(), 200);
            served.push(took);
        }
    }
    // Sleeping is never too short, so that the lower bound holds on any machine: at most 6 start at once
    // (a burst of 0.25 s), the others one every 50 ms.
    served.sort();
    let least = Duration::from_millis(50) * u32::try_from(served.len() - 6).unwrap();
    assert!(*served.last().unwrap() >= least, "{served:?}");
    assert!(served.len() >= 31, "{}", served.len());
    assert_eq!(refused + served.len(), 60);
    assert!(refused > 0, "60 requests at once were all taken");

    let metrics = text(server.address, "/api/metrics").await;
    let labels = |status| format!("{{method=\"GET\",path=\"/api/stories\",status=\"{status}\"}}");
    let count = |status| value(&metrics, &format!("http_requests_total{}", labels(status)));
    assert_eq!(count(503), refused as f64);
    assert_eq!(count(200), served.len() as f64);
}

#[tokio::test]
async fn the_admin_port_changes_the_running_app() {
    let server = server(&[]).await;
    let (at, admin) = (server.address, server.admin);
    assert_eq!(ask(at, "POST", "/admin/set?health=fail").await.status(), 404);

    assert_eq!(ask(admin, "POST", "/admin/set?health=fail").await.status(), 200);
    assert_eq!(ask(at, "GET", "/api/health").await.status(), 503);
    assert_eq!(ask(at, "GET", "/api/stories").await.status(), 200);
    assert_eq!(ask(admin, "POST", "/admin/set?health=ok").await.status(), 200);
    assert_eq!(ask(at, "GET", "/api/health").await.status(), 200);

    assert_eq!(ask(admin, "POST", "/admin/set?metrics=nan").await.status(), 200);
    let nan = text(at, "/api/metrics").await;
    assert!(samples(&nan).len() > 100);
    assert!(samples(&nan).iter().all(|(_, v)| v.is_nan()), "{nan}");
    assert_eq!(ask(admin, "POST", "/admin/set?metrics=absent").await.status(), 200);
    assert_eq!(samples(&text(at, "/api/metrics").await), []);
    assert_eq!(ask(admin, "POST", "/admin/set?metrics=error").await.status(), 200);
    assert_eq!(ask(at, "GET", "/api/metrics").await.status(), 500);
    assert_eq!(ask(admin, "POST", "/admin/set?metrics=ok").await.status(), 200);
    assert_eq!(value(&text(at, "/api/metrics").await, "http_requests_in_flight"), 0.0);

    let set = "/admin/set?capacity_rps=60&extra_latency_ms=150&cpu_ms_per_request=0.5";
    assert_eq!(ask(admin, "POST", set).await.status(), 200);
    let begun = Instant::now();
    assert_eq!(ask(at, "GET", "/").await.status(), 200);
    assert!(begun.elapsed() >= Duration::from_millis(150));

    assert_eq!(ask(admin, "POST", "/admin/heap?mib=3").await.status(), 200);
    assert_eq!(ask(admin, "POST", "/admin/heap?mib=2").await.status(), 200);
    let state = json(admin, "/admin/state").await;
    assert_eq!(
        state,
        serde_json::json!({
            "capacity_rps": 60.0, "extra_latency_ms": 150.0, "cpu_ms_per_request": 0.5, "health": "ok",
            "metrics": "ok", "heap_mib": 5, "in_flight": 0, "draining": false,
        })
    );

    for (path, named) in [
        ("/admin/set?capacity_rps=0", "capacity_rps must be"),
        ("/admin/set?capacity_rps=70&health=maybe", "health must be ok or fail"),
        ("/admin/set?metrics=none", "metrics must be ok, nan, absent or error"),
        ("/admin/set?speed=1", "speed is not known"),
        ("/admin/set?health", "health has no value"),
        ("/admin/heap?mib=9999", "at most 4096"),
        ("/admin/heap", "/admin/heap?mib=64"),
    ] {
        let answer = ask(admin, "POST", path).await;
        assert_eq!(answer.status(), 400, "{path}");
        let body = String::from_utf8_lossy(answer.body()).into_owned();
        assert!(body.contains(named), "{path}: {body}");
    }
    assert_eq!(json(admin, "/admin/state").await, state);
}

#[tokio::test]
async fn readiness_waits_for_the_warm_up_and_ends_with_the_drain() {
    let server = server(&["--warmup-seconds=3600", "--drain-seconds=3600"]).await;
    let at = server.address;
    let body = json(at, "/api/health").await;
    assert_eq!(body["services"]["app"], "warming");
    assert_eq!(ask(at, "GET", "/api/health").await.status(), 503);

    server.stop.send(()).unwrap();
    timeout(DEADLINE, async {
        while json(at, "/api/health").await["services"]["app"] != "draining" {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let answer = ask(at, "GET", "/api/health").await;
    assert_eq!(answer.status(), 503);
    let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(body["status"], "unhealthy");
    assert!(body["timestamp"].as_str().unwrap().ends_with('Z'));
    assert!(body["responseTimes"]["app"].is_number());
    // Still serving, while the endpoints are told; but no connection is kept.
    let answer = ask(at, "GET", "/api/stories").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["connection"], "close");
    server.task.abort();
}

#[tokio::test]
async fn a_request_that_takes_too_long_does_not_keep_the_app_from_stopping() {
    let server = server(&["--latency-ms=3600000", "--stop-seconds=0.1"]).await;
    let request = tokio::spawn(send(server.address, "GET", "/api/stories", ""));
    in_flight(&server.app, 1).await;
    server.stop.send(()).unwrap();
    let stopped = timeout(DEADLINE, server.task).await.unwrap().unwrap();
    assert_eq!(stopped, Stopped::CutOff(1));
    request.abort();
}

async fn in_flight(app: &App, n: i64) {
    timeout(DEADLINE, async {
        while app.metrics().in_flight() != n {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}

struct Binary {
    child: Child,
    address: SocketAddr,
    log: tokio::io::Lines<BufReader<tokio::process::ChildStderr>>,
}

async fn binary(environment: &[(&str, &str)]) -> Binary {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sample-app"))
        .env_clear()
        .envs([("HOST", "127.0.0.1"), ("PORT", "0"), ("WARMUP_SECONDS", "0")])
        .envs(environment.iter().copied())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = timeout(DEADLINE, log.next_line()).await.unwrap().unwrap().unwrap();
    let address = line.strip_prefix("listening on ").unwrap().parse().unwrap();
    Binary { child, address, log }
}

fn terminate(child: &Child) {
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}

#[tokio::test]
async fn sigterm_finishes_what_is_in_flight_and_exits_with_0() {
    let mut app = binary(&[("DRAIN_SECONDS", "0"), ("LATENCY_MS", "1500")]).await;
    let request = tokio::spawn(send(app.address, "GET", "/api/stories", ""));
    timeout(DEADLINE, async {
        while value(&text(app.address, "/api/metrics").await, "http_requests_in_flight") != 1.0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    terminate(&app.child);
    let status = timeout(DEADLINE, app.child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
    let answer = timeout(DEADLINE, request).await.unwrap().unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert!(TcpStream::connect(app.address).await.is_err());
    assert_eq!(app.log.next_line().await.unwrap().unwrap(), "draining");
    assert_eq!(app.log.next_line().await.unwrap().unwrap(), "stopped");
}

#[tokio::test]
async fn bad_environment_stops_the_start_with_the_remedy() {
    for (name, value, remedy) in [
        ("CAPACITY_RPS", "many", "0.001 to 1000000"),
        ("PORT", "70000", "0..=65535"),
        ("HEALTH", "fine", "possible values: ok, fail"),
        ("HOST", "192.0.2.1", "choose a free port by PORT"),
    ] {
        let run = Command::new(env!("CARGO_BIN_EXE_sample-app")).env_clear().env("PORT", "0").env(name, value).output();
        let output = timeout(DEADLINE, run).await.unwrap().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{name}={value} was accepted");
        assert!(error.contains(remedy), "{name}={value}: {error}");
        assert!(error.contains(value), "{name}={value}: {error}");
    }
}

#[tokio::test]
async fn a_bad_url_of_a_store_stops_the_start_without_its_password() {
    for (name, value) in
        [("DATABASE_URL", "postgresql://app:s3cret@pg:many/app"), ("REDIS_URL", "redis://:s3cret@redis:many")]
    {
        let run = Command::new(env!("CARGO_BIN_EXE_sample-app")).env_clear().env("PORT", "0").env(name, value).output();
        let output = timeout(DEADLINE, run).await.unwrap().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(error.contains(name) && !error.contains("s3cret"), "{error}");
    }
}

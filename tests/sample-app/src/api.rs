//! The public port: the learning API, health and metrics.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::app::{App, Readiness, Work};
use crate::content::{self, Source};
use crate::cpu;
use crate::health::{self, Check};
use crate::metrics::{CONTENT_TYPE, Labels};

/// An answer, body in memory.
pub type Answer = Response<Full<Bytes>>;

/// Most bytes of a request's body.
pub const MAX_BODY: usize = 64 * 1024;

/// One route of users; an `{id}` segment takes any text.
struct Route {
    method: Method,
    template: &'static str,
    /// The answer without stores, and of what uses none.
    answer: fn(&str) -> Value,
    stored: Stored,
}

/// What a route does with the stores that are wired.
#[derive(Clone, Copy)]
enum Stored {
    Nothing,
    Story,
    Progress,
    Vocabulary,
}

const fn get(template: &'static str, answer: fn(&str) -> Value) -> Route {
    Route { method: Method::GET, template, answer, stored: Stored::Nothing }
}

const fn post(template: &'static str, stored: Stored, answer: fn(&str) -> Value) -> Route {
    Route { method: Method::POST, template, answer, stored }
}

/// The paths that the platform guides' load tests ask for.
static ROUTES: [Route; 13] = [
    get("/", |_| json!({"app": "sample learning app"})),
    get(
        "/api/stories",
        |_| json!({"stories": (1..=5).map(|id| json!({"id": id, "title": format!("Story {id}")})).collect::<Vec<_>>()}),
    ),
    Route {
        method: Method::GET,
        template: "/api/stories/{id}",
        answer: |id| json!({"id": id, "title": format!("Story {id}"), "text": "Once upon a time."}),
        stored: Stored::Story,
    },
    post("/api/progress/update", Stored::Progress, |_| json!({"saved": true})),
    get("/api/learning/exercises/story/{id}", |id| json!({"story": id, "exercises": [{"id": 1, "kind": "gap"}]})),
    get("/api/vocabulary/recommendations", |_| json!({"words": ["tree", "river"]})),
    post("/api/vocabulary/progress", Stored::Vocabulary, |_| json!({"saved": true})),
    get("/api/me/progress", |_| json!({"storiesRead": 7})),
    get("/api/me/analytics", |_| json!({"minutesThisWeek": 42})),
    get("/lessons/daily", |_| json!({"lesson": "prompts"})),
    post("/projects/submit", Stored::Nothing, |_| json!({"accepted": true})),
    get("/api/courses", |_| json!({"courses": ["solidity"]})),
    post("/api/compile", Stored::Nothing, |_| json!({"bytecode": "0x00"})),
];

/// Label of requests to a path that no route has.
const UNMATCHED: &str = "unmatched";

/// The label sets that exist from the start.
pub fn known_labels() -> impl Iterator<Item = Labels> {
    ROUTES.iter().map(|route| Labels { method: method_label(&route.method), path: route.template, status: 200 })
}

/// Answers one request on the public port.
pub async fn handle<B>(app: Arc<App>, request: Request<B>) -> Answer
where
    B: Body<Error: std::error::Error + Send + Sync + 'static> + Send,
    B::Data: Send,
{
    let mut answer = match request.uri().path() {
        "/api/health" => health(&app).await,
        "/api/metrics" => metrics(&app),
        _ => user(&app, request).await,
    };
    if app.draining() {
        // A kept connection would go on bringing requests to a pod that is about to leave.
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

async fn user<B>(app: &App, request: Request<B>) -> Answer
where
    B: Body<Error: std::error::Error + Send + Sync + 'static>,
{
    let begun = Instant::now();
    let in_flight = app.metrics().begin();
    let method = method_label(request.method());
    let (path, answer) = match find(request.method(), request.uri().path()) {
        Ok((route, id)) => (route.template, serve(app, route, &id, request).await),
        Err(Missing::Path) => (UNMATCHED, error(StatusCode::NOT_FOUND, "no such path; /api/stories is one")),
        Err(Missing::Method(allowed, template)) => {
            let mut answer =
                error(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method; see the Allow header");
            if let Ok(value) = HeaderValue::from_str(allowed.as_str()) {
                answer.headers_mut().insert(header::ALLOW, value);
            }
            (template, answer)
        }
    };
    let labels = Labels { method, path, status: u32::from(answer.status().as_u16()) };
    app.metrics().answered(&labels, begun.elapsed());
    drop(in_flight);
    answer
}

async fn serve<B>(app: &App, route: &Route, id: &str, request: Request<B>) -> Answer
where
    B: Body<Error: std::error::Error + Send + Sync + 'static>,
{
    let body = match Limited::new(request.into_body(), MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(e) if e.is::<http_body_util::LengthLimitError>() => {
            return error(StatusCode::PAYLOAD_TOO_LARGE, "the body has more than 65536 bytes; send less");
        }
        Err(_) => return error(StatusCode::BAD_REQUEST, "the body could not be read"),
    };
    if !body.is_empty() && serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_err() {
        return error(StatusCode::BAD_REQUEST, "the body is not JSON");
    }
    match app.admit() {
        Work::Serve { latency, cpu } => {
            tokio::time::sleep(latency).await;
            cpu::burn(cpu);
            answer(app, route, id, &body).await
        }
        Work::Refuse(after) => {
            let mut answer = error(StatusCode::SERVICE_UNAVAILABLE, "too many requests wait");
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
            answer
        }
    }
}

/// The answer of a route, with what the stores have to do with it.
async fn answer(app: &App, route: &Route, id: &str, body: &[u8]) -> Answer {
    let stores = app.stores();
    if stores.is_empty() {
        return json_answer(StatusCode::OK, &(route.answer)(id));
    }
    let done = match route.stored {
        Stored::Nothing => Ok(()),
        Stored::Progress => content::progress(stores, body).await,
        Stored::Vocabulary => content::vocabulary(stores, body).await,
        Stored::Story => match content::story(stores, id, route.answer).await {
            Ok(Some((story, source))) => {
                let mut answer = json_answer(StatusCode::OK, &story);
                let hit = if source == Source::Cache { "hit" } else { "miss" };
                answer.headers_mut().insert("x-cache", HeaderValue::from_static(hit));
                return answer;
            }
            Ok(None) => return error(StatusCode::NOT_FOUND, "no such story"),
            Err(e) => Err(e),
        },
    };
    match done {
        Ok(()) => json_answer(StatusCode::OK, &(route.answer)(id)),
        Err(e) => {
            let mut answer = error(StatusCode::SERVICE_UNAVAILABLE, &format!("the database does not do it: {e}"));
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            answer
        }
    }
}

enum Missing {
    Path,
    Method(Method, &'static str),
}

fn find(method: &Method, path: &str) -> Result<(&'static Route, String), Missing> {
    let mut other = None;
    for route in &ROUTES {
        if let Some(id) = matches(route.template, path) {
            if route.method == *method {
                return Ok((route, id.to_owned()));
            }
            other = Some((route.method.clone(), route.template));
        }
    }
    Err(other.map_or(Missing::Path, |(m, t)| Missing::Method(m, t)))
}

/// The id in `path`, empty where the template has none; `None` where it does not match.
fn matches<'p>(template: &str, path: &'p str) -> Option<&'p str> {
    match template.strip_suffix("{id}") {
        Some(prefix) => path.strip_prefix(prefix).filter(|id| !id.is_empty() && !id.contains('/')),
        None => (template == path).then_some(""),
    }
}

// Clients may send any method: a bounded set of labels.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        _ => "other",
    }
}

async fn health(app: &App) -> Answer {
    let (word, mut up) = match app.readiness() {
        Readiness::Up => ("up", true),
        Readiness::Warming => ("warming", false),
        Readiness::Draining => ("draining", false),
        Readiness::Failing => ("down", false),
    };
    let mut body = json!({
        "timestamp": jiff::Timestamp::now().to_string(),
        "services": {"app": word},
        "responseTimes": {"app": millis(app.expected_latency())},
    });
    let (database, cache) = health::check(app.uncounted(), app.instance()).await;
    for (name, check) in [("database", database), ("redis", cache)] {
        let Some(Check { result, took }) = check else { continue };
        body["services"][name] = if result.is_ok() { "up" } else { "down" }.into();
        body["responseTimes"][name] = millis(took).into();
        if let Err(e) = result {
            up = false;
            body["errors"][name] = e.to_string().into();
        }
    }
    let (status, code) = if up { ("healthy", StatusCode::OK) } else { ("unhealthy", StatusCode::SERVICE_UNAVAILABLE) };
    body["status"] = status.into();
    json_answer(code, &body)
}

fn metrics(app: &App) -> Answer {
    let Ok(Some(text)) = app.metrics().expose(app.settings().metrics) else {
        return error(StatusCode::INTERNAL_SERVER_ERROR, "no metrics");
    };
    let mut answer = Response::new(Full::from(text));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    answer
}

/// Milliseconds as a JSON number.
pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// An answer that says what is wrong.
pub(crate) fn error(status: StatusCode, what: &str) -> Answer {
    json_answer(status, &json!({"error": what}))
}

/// An answer of JSON.
pub(crate) fn json_answer(status: StatusCode, body: &Value) -> Answer {
    let mut answer = Response::new(Full::from(body.to_string()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

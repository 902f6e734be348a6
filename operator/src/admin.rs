//! The operator's own HTTP endpoints: health, metrics, why an app has as many pods as it has, and the log filter.

use crate::{context::Context, evaluate, naming::AppKey, telemetry::LogControl};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::CONTENT_TYPE,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use std::{convert::Infallible, net::SocketAddr, time::Duration};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

/// A client that sends its request slower than this is cut off.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A log filter is a line.
const BODY: usize = 4096;
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether the operator can do its work, or what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The CRD is not installed.
    WaitingForCrd,
    /// Some kind has not been listed yet.
    WaitingForLists,
    /// It works, or stands by with full stores.
    Ready,
    /// It was told to stop.
    Stopping,
}

impl Readiness {
    fn answer(self) -> (StatusCode, &'static str) {
        match self {
            Self::Ready => (StatusCode::OK, "ready\n"),
            Self::WaitingForCrd => (StatusCode::SERVICE_UNAVAILABLE, "the CustomResourceDefinition is not installed\n"),
            Self::WaitingForLists => (StatusCode::SERVICE_UNAVAILABLE, "the first lists are not complete\n"),
            Self::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        }
    }
}

/// What the endpoints answer from.
#[derive(Clone)]
pub struct Admin {
    /// Metrics and decisions.
    pub ctx: Context,
    /// The log filter.
    pub log: LogControl,
    /// Readiness.
    pub ready: watch::Receiver<Readiness>,
}

/// Serves until `stop`, then lets running requests end.
pub async fn serve(listener: TcpListener, admin: Admin, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    // Out of file handles, most likely: asking again at once would spin.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let admin = admin.clone();
        let service = service_fn(move |request| {
            let admin = admin.clone();
            async move { Ok::<_, Infallible>(answer(request, peer, &admin).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    graceful.shutdown().await;
}

async fn answer(request: Request<Incoming>, peer: SocketAddr, admin: &Admin) -> Response<Full<Bytes>> {
    let path = request.uri().path().trim_end_matches('/').to_owned();
    match (request.method(), path.as_str()) {
        (&Method::GET, "/healthz") => text(StatusCode::OK, "ok\n"),
        (&Method::GET, "/readyz") => {
            let (status, words) = admin.ready.borrow().answer();
            text(status, words)
        }
        (&Method::GET, "/metrics") => match admin.ctx.metrics.render() {
            Ok(metrics) => respond(StatusCode::OK, OPENMETRICS, metrics),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        },
        // Whoever may reach the metrics may not turn the log off: a port-forward comes from inside of the pod.
        (&Method::PUT, "/v1/log") if !peer.ip().to_canonical().is_loopback() => text(
            StatusCode::FORBIDDEN,
            "the log is set from inside of the pod only: kubectl port-forward to it, and send this to localhost\n",
        ),
        (&Method::PUT, "/v1/log") => set_log(request, admin).await,
        (&Method::GET, path) => match path.strip_prefix("/v1/explain/").and_then(app_key) {
            Some(key) => match evaluate::explain(&admin.ctx, &key) {
                Some(explanation) => respond(StatusCode::OK, "application/json", explanation.to_string()),
                None => text(StatusCode::NOT_FOUND, format!("{key} is not evaluated by this replica\n")),
            },
            None => text(
                StatusCode::NOT_FOUND,
                "there is /healthz, /readyz, /metrics and /v1/explain/<namespace>/<platform>/<app>\n",
            ),
        },
        _ => text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n"),
    }
}

async fn set_log(request: Request<Incoming>, admin: &Admin) -> Response<Full<Bytes>> {
    let body = match Limited::new(request.into_body(), BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return text(StatusCode::BAD_REQUEST, "the body must be a filter of at most 4096 bytes\n"),
    };
    match std::str::from_utf8(&body).map_err(|e| e.to_string()).and_then(|filter| admin.log.set(filter.trim())) {
        Ok(()) => text(StatusCode::OK, "ok\n"),
        Err(problem) => text(StatusCode::BAD_REQUEST, format!("{problem}\n")),
    }
}

fn app_key(path: &str) -> Option<AppKey> {
    let mut parts = path.split('/');
    let (namespace, platform, app) = (parts.next()?, parts.next()?, parts.next()?);
    let rest = parts.next();
    (rest.is_none() && !app.is_empty()).then(|| AppKey {
        namespace: namespace.to_owned(),
        platform: platform.to_owned(),
        app: app.to_owned(),
    })
}

fn text(status: StatusCode, words: impl Into<String>) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", words.into())
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content_type));
    response
}

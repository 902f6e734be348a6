//! A proxy in front of the API server that fails, delays, hangs or hides what a test asks it to.

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{CONNECTION, CONTENT_TYPE, HOST},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use kube::{
    Client, Config,
    client::Body,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

/// How a write fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends before the API server has heard of it.
    BeforeEffect,
    /// It is done, and the answer is lost.
    AfterEffect,
    /// 409: somebody else was faster.
    Conflict,
    /// 403: the right is missing.
    Forbidden,
}

impl Fault {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::BeforeEffect, Self::AfterEffect, Self::Conflict, Self::Forbidden];
}

/// What happens to requests.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The write of this number, counted from 1, fails; all later ones never arrive, as if the operator had died.
    pub fail: Option<(usize, Fault)>,
    /// The first write to each path fails so; the next ones pass.
    pub fail_each: Option<Fault>,
    /// Paths that contain this are unknown to the API server.
    pub hidden: Option<String>,
    /// Requests to paths that contain this are never answered.
    pub hang: Option<String>,
    /// Every answer but that of a watch comes so much later.
    pub delay: Duration,
}

#[derive(Default)]
struct Seen {
    writes: Vec<String>,
    failed: BTreeSet<String>,
}

struct State {
    upstream: Client,
    rules: watch::Sender<Rules>,
    seen: watch::Sender<Seen>,
}

/// A running proxy, until it is dropped. A write is whatever is no GET; leases are none.
pub struct FaultProxy {
    address: String,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

impl FaultProxy {
    /// Starts one that speaks to the API server of a kubeconfig with its credentials.
    pub async fn start(kubeconfig: &Path, rules: Rules) -> Self {
        let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("a readable kubeconfig");
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .expect("a usable kubeconfig");
        config.default_retry = false;
        let upstream = Client::try_from(config).expect("a client");
        let state =
            Arc::new(State { upstream, rules: watch::Sender::new(rules), seen: watch::Sender::new(Seen::default()) });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, state.clone()));
        Self { address, state, _tasks: tasks }
    }

    /// A kubeconfig that leads through the proxy.
    pub fn kubeconfig(&self, dir: &Path) -> PathBuf {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": format!("http://{}", self.address)}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
            "users": [{"name": "proxy", "user": {}}],
        });
        let path = dir.join(format!("proxy-{}.kubeconfig", self.address.replace(':', "-")));
        std::fs::write(&path, config.to_string()).expect("a kubeconfig");
        path
    }

    /// Changes the rules for requests to come.
    pub fn set(&self, change: impl FnOnce(&mut Rules)) {
        self.state.rules.send_modify(change);
    }

    /// Waits until the write that was to fail has come.
    pub async fn failed(&self) {
        let mut seen = self.state.seen.subscribe();
        // The sender lives as long as the proxy.
        let _ = seen.wait_for(|seen| !seen.failed.is_empty()).await;
    }

    /// The writes so far, as `PATCH /apis/…`, without leases.
    pub fn writes(&self) -> Vec<String> {
        self.state.seen.borrow().writes.clone()
    }
}

type Answer = Response<Either<Body, Full<Bytes>>>;

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = state.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, state.clone()));
            // An error is a fault that was asked for, or the operator's end.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// An error closes the connection without an answer.
async fn answer(request: Request<Incoming>, state: Arc<State>) -> Result<Answer, std::io::Error> {
    let (mut head, body) = request.into_parts();
    head.headers.remove(HOST);
    head.headers.remove(CONNECTION);
    let path = head.uri.path().to_owned();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let rules = state.rules.borrow().clone();
    if rules.hang.as_ref().is_some_and(|part| path.contains(part)) {
        std::future::pending::<()>().await;
    }
    if rules.hidden.as_ref().is_some_and(|part| path.contains(part)) {
        return Ok(plain(StatusCode::NOT_FOUND, "text/plain", "404 page not found\n".to_owned()));
    }
    let watches = head.uri.query().is_some_and(|query| query.contains("watch="));
    if !watches {
        tokio::time::sleep(rules.delay).await;
    }
    let write = head.method != "GET" && !path.contains("/leases");
    let fault = if write { state.fault(&rules, &format!("{} {path}", head.method)) } else { None };
    let forward = async |state: &State| {
        state.upstream.send(Request::from_parts(head, Body::from(body))).await.map_err(std::io::Error::other)
    };
    match fault {
        None => Ok(forward(&state).await?.map(Either::Left)),
        Some(Fault::BeforeEffect) => Err(std::io::ErrorKind::ConnectionReset.into()),
        Some(Fault::AfterEffect) => {
            let answer = forward(&state).await?;
            let _ = answer.into_body().collect().await;
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
        Some(Fault::Conflict) => {
            Ok(status(409, "Conflict", "the object has been modified; please apply your changes again"))
        }
        Some(Fault::Forbidden) => {
            Ok(status(403, "Forbidden", "objects is forbidden: User \"operator\" cannot patch resource \"objects\""))
        }
    }
}

impl State {
    fn fault(&self, rules: &Rules, write: &str) -> Option<Fault> {
        let mut fault = None;
        self.seen.send_modify(|seen| {
            seen.writes.push(write.to_owned());
            let number = seen.writes.len();
            fault = match (rules.fail, rules.fail_each) {
                (Some((at, how)), _) if number == at => Some(how),
                (Some((at, _)), _) if number > at => Some(Fault::BeforeEffect),
                (_, Some(how)) if !seen.failed.contains(write) => Some(how),
                _ => None,
            };
            if fault.is_some() {
                seen.failed.insert(write.to_owned());
            }
        });
        fault
    }
}

fn status(code: u16, reason: &str, message: &str) -> Answer {
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message,
    });
    plain(StatusCode::from_u16(code).expect("a status"), "application/json", status.to_string())
}

fn plain(code: StatusCode, content: &'static str, text: String) -> Answer {
    let mut answer = Response::new(Either::Right(Full::new(Bytes::from(text))));
    *answer.status_mut() = code;
    answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(content));
    answer
}

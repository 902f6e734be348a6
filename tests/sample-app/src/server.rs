//! Listening, and stopping without losing a request.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};

use crate::app::App;
use crate::{admin, api, content};

/// A client that needs longer for its request's head is cut off.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Pause after a failed accept (no file descriptor left, as a rule), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Pause after a failed attempt to create the tables.
const PREPARE_PAUSE: Duration = Duration::from_secs(1);

/// How often connections that nobody uses are looked for.
const IDLE_CHECK: Duration = Duration::from_secs(10);

/// How the serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Every request in flight was answered.
    Clean,
    /// So many requests were cut off after the time for them.
    CutOff(i64),
}

/// Serves until `stop` is done, then: says that it is not ready and serves on for `drain_seconds`, accepts no more, and
/// gives what is in flight `stop_seconds`.
pub async fn run(
    app: Arc<App>,
    listener: TcpListener,
    admin: Option<TcpListener>,
    stop: impl Future<Output = ()>,
) -> Stopped {
    let admin = admin.map(|listener| tokio::spawn(serve_admin(Arc::clone(&app), listener)));
    let tending = tokio::spawn(tend(Arc::clone(&app)));
    let mut stop = pin!(async {
        stop.await;
        app.start_draining();
        tokio::time::sleep(app.config().drain_seconds).await;
    });
    let graceful = GracefulShutdown::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => serve_connection(&app, stream, &graceful),
                Err(e) => {
                    eprintln!("accepting a connection failed: {e}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            () = &mut stop => break,
        }
    }
    drop(listener);
    let finished = tokio::time::timeout(app.config().stop_seconds, graceful.shutdown()).await;
    tending.abort();
    if let Some(task) = admin {
        task.abort();
    }
    match finished {
        Ok(()) => Stopped::Clean,
        Err(_) => Stopped::CutOff(app.metrics().in_flight()),
    }
}

/// Creates the database's tables as soon as it answers, then closes connections that nobody uses.
async fn tend(app: Arc<App>) {
    let Some(database) = &app.uncounted().database else { return };
    while let Err(e) = content::prepare(database).await {
        eprintln!("creating the tables failed, once more in a second: {e}");
        tokio::time::sleep(PREPARE_PAUSE).await;
    }
    app.set_prepared();
    loop {
        tokio::time::sleep(IDLE_CHECK).await;
        database.close_idle();
    }
}

fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder
}

fn serve_connection(app: &Arc<App>, stream: TcpStream, graceful: &GracefulShutdown) {
    // Small answers: waiting for more to send would only add latency.
    let _ = stream.set_nodelay(true);
    let app = Arc::clone(app);
    let service = service_fn(move |request: Request<Incoming>| {
        let app = Arc::clone(&app);
        async move { Ok::<_, Infallible>(api::handle(app, request).await) }
    });
    let connection = graceful.watch(builder().serve_connection(TokioIo::new(stream), service));
    // A broken connection is the client's affair.
    tokio::spawn(async move { drop(connection.await) });
}

async fn serve_admin(app: Arc<App>, listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let app = Arc::clone(&app);
        let service = service_fn(move |request: Request<Incoming>| {
            let answer: Response<_> = admin::handle(&app, &request);
            async move { Ok::<_, Infallible>(answer) }
        });
        let connection = builder().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move { drop(connection.await) });
    }
}

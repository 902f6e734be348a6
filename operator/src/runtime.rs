//! From start to stop: client, CRDs, watches, lease, servers, signals.

use crate::{
    admin::{self, Admin, Readiness},
    apply::{Mode, Writer},
    args::Args,
    backoff::Backoff,
    capabilities::{Capabilities, Served},
    context::{Context, Settings},
    controller, evaluate,
    events::Events,
    lease::{self, Election, Lost},
    metrics::Metrics,
    platform_metrics::PlatformMetrics,
    shallow,
    store_metrics::StoreMetrics,
    stores::Stores,
    telemetry::LogControl,
    wake::Wake,
};
use anyhow::Context as _;
use crds::LearningPlatform;
use kube::{Api, Client, Config, Resource, api::ListParams};
use std::{sync::Arc, time::Duration};
use tokio::{net::TcpListener, signal::unix, sync::watch};
use tokio_util::sync::CancellationToken;

/// Time between two looks for the CRD.
const CRD_POLL: Duration = Duration::from_secs(2);
/// Longest time between two bytes of an answer; the watches send bookmarks at least that often. Without it a connection
/// that died in silence would hold a pass until its deadline.
const READ_TIMEOUT: Duration = Duration::from_secs(295);

/// Runs the operator until it is told to stop.
///
/// # Errors
/// What keeps it from starting, and a lost lease: another replica may act then, so the process must end.
pub async fn run(args: Args, settings: Settings, log: LogControl) -> anyhow::Result<()> {
    // One TLS provider for the API server and for Prometheus. An error means that one is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let stop = stop_signal().context("cannot listen for signals")?;
    let mut config =
        Config::infer().await.context("cannot find the Kubernetes API server: run in a pod, or set KUBECONFIG")?;
    config.read_timeout = Some(READ_TIMEOUT);
    let client = Client::try_from(config).context("cannot build a client for the Kubernetes API server")?;
    let client = shallow::client(client);
    let identity = lease::identity(&args);

    let (stores, writers) = Stores::new();
    let metrics = Arc::new(Metrics::default());
    let told = metrics.clone();
    let limits = Arc::new(aws_edge::Limits::new(settings.aws_rate).telling(move |request| told.aws(&request)));
    let windows = aws_edge::Windows::looking_every(settings.aws_recheck);
    let aws = Arc::new(aws_edge::Accounts::new(limits, windows, None));
    metrics.register(|r| r.register_collector(Box::new(PlatformMetrics::new(stores.clone()))));
    let ctx = Context {
        writer: Writer::new(client.clone(), Mode::Write),
        events: Events::new(client.clone(), Some(identity.clone())),
        capabilities: Capabilities::new(Served::default()),
        settings: Arc::new(settings),
        metrics: metrics.clone(),
        stores: stores.clone(),
        scaling: Arc::default(),
        registry: evaluate::Registry::default(),
        caches: Arc::default(),
        databases: Arc::default(),
        rds: Arc::default(),
        rds_servers: Arc::default(),
        elasticache: Arc::default(),
        elasticache_servers: Arc::default(),
        cloudfront: Arc::default(),
        aws,
        backoff: Arc::new(Backoff::default()),
        client: client.clone(),
    };
    let of_stores = StoreMetrics::new(
        (ctx.caches.clone(), ctx.elasticache_servers.clone()),
        (ctx.databases.clone(), ctx.rds_servers.clone()),
    );
    metrics.register(|r| r.register_collector(Box::new(of_stores)));
    let (readiness, ready) = watch::channel(Readiness::WaitingForCrd);
    let listener = TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    tracing::info!(listen = %listener.local_addr()?, identity, "started");
    let drained = CancellationToken::new();
    let server = tokio::spawn(admin::serve(listener, Admin { ctx: ctx.clone(), log, ready }, drained.clone()));

    let outcome = tokio::select! {
        outcome = operate(&args, &identity, ctx, writers, &readiness, stop.clone()) => outcome,
        // A second chance for what ignores the stop: the lease runs out by itself.
        () = async { stop.cancelled().await; tokio::time::sleep(args.pass_timeout + lease::DRAIN).await } => {
            tracing::warn!("did not end in time");
            Ok(())
        }
    };
    // Another replica may be acting already: nobody's open connection keeps this process.
    outcome?;
    readiness.send_replace(Readiness::Stopping);
    drained.cancel();
    let _ = tokio::time::timeout(lease::DRAIN, server).await;
    Ok(())
}

/// Waits for the CRD, keeps the stores filled, and acts while this replica leads.
async fn operate(
    args: &Args,
    identity: &str,
    ctx: Context,
    writers: crate::stores::StoreWriters,
    readiness: &watch::Sender<Readiness>,
    stop: CancellationToken,
) -> Result<(), Lost> {
    let found = tokio::select! {
        () = stop.cancelled() => false,
        () = wait_for_crd(&ctx) => true,
    };
    if !found {
        return Ok(());
    }
    ctx.capabilities.discover(&ctx.client).await;
    readiness.send_replace(Readiness::WaitingForLists);
    let (wake, queue) = Wake::new();
    let _watches = controller::watch_all(&ctx, writers, &wake);
    let election = Election::new(&ctx.client, args, identity);
    let ctx = Arc::new(ctx);
    let listed = async {
        let Stores { platforms, deployments, hpas, pods } = &ctx.stores;
        let lists = futures::try_join!(
            platforms.wait_until_ready(),
            deployments.wait_until_ready(),
            hpas.wait_until_ready(),
            pods.wait_until_ready(),
        );
        if lists.is_ok() {
            readiness.send_replace(Readiness::Ready);
        }
    };
    let lead = election.lead(async {
        ctx.metrics.leads(true);
        act(ctx.clone(), wake, queue, stop.clone()).await;
        ctx.metrics.leads(false);
    });
    tokio::pin!(lead);
    // The lists go on while another replica leads, so that a takeover begins with full stores.
    let lead = futures::future::join(lead, listed);
    let standing_by = async {
        stop.cancelled().await;
        // While leading, the passes end first and the lease is given back after them.
        if ctx.metrics.is_leader() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        (outcome, ()) = lead => outcome,
        () = standing_by => {
            election.release().await;
            Ok(())
        }
    }
}

/// Passes and evaluation, until `stop`. Dropped with a lost lease, it ends the tasks that it has spawned.
async fn act(
    ctx: Arc<Context>,
    wake: Wake,
    queue: tokio::sync::mpsc::Receiver<crate::naming::PlatformKey>,
    stop: CancellationToken,
) {
    ctx.caches.lead(wake.sender());
    ctx.databases.lead(wake.sender());
    ctx.rds.lead(wake.sender());
    ctx.rds_servers.lead(wake.sender());
    ctx.elasticache.lead(wake.sender());
    ctx.elasticache_servers.lead(wake.sender());
    ctx.cloudfront.lead(wake.sender());
    let _keepers = Keeping(ctx.clone());
    let evaluation = evaluate::run(ctx.clone(), wake.sender(), stop.clone());
    let passes = controller::run(ctx, wake, queue, stop.clone());
    futures::join!(evaluation, passes);
}

/// Ends the keepers when it goes, in whatever way.
struct Keeping(Arc<Context>);

impl Drop for Keeping {
    fn drop(&mut self) {
        self.0.caches.stop();
        self.0.databases.stop();
        self.0.rds.stop();
        self.0.rds_servers.stop();
        self.0.elasticache.stop();
        self.0.elasticache_servers.stop();
        self.0.cloudfront.stop();
    }
}

/// The signal future of its own: SIGTERM from the kubelet, SIGINT from a terminal.
fn stop_signal() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = unix::signal(unix::SignalKind::terminate())?;
    let mut interrupt = unix::signal(unix::SignalKind::interrupt())?;
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        token.cancel();
    });
    Ok(stop)
}

/// An operator that starts before its CRD is no failure; it says in `/readyz` what it waits for.
async fn wait_for_crd(ctx: &Context) {
    loop {
        let api: Api<LearningPlatform> = match ctx.settings.watch_namespaces.first() {
            Some(namespace) => Api::namespaced(ctx.client.clone(), namespace),
            None => Api::all(ctx.client.clone()),
        };
        match api.list_metadata(&ListParams::default().limit(1)).await {
            Ok(_) => {
                ctx.metrics.crd_missing(false);
                return;
            }
            Err(kube::Error::Api(answer)) if answer.code == 404 => {
                ctx.metrics.crd_missing(true);
                tracing::warn!(crd = %LearningPlatform::plural(&()), "the CustomResourceDefinition is not installed yet");
            }
            Err(error) => tracing::warn!(%error, "the API server does not list platforms yet"),
        }
        tokio::time::sleep(CRD_POLL).await;
    }
}

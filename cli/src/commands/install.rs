//! `lpctl install`: CRDs and operator by server-side apply. Run again it upgrades, or says that all is unchanged.

use crate::{
    args::Global,
    check::{self, Engine, cluster as checks},
    cluster::Cluster,
    exit::Exit,
    install::{self, NAMESPACE, Options},
    output::{self, Structured, Style},
};
use anyhow::Context;
use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client,
    api::PostParams,
    core::DynamicObject,
    runtime::wait::{await_condition, conditions},
};
use std::{str::FromStr, time::Duration};

/// Arguments of `install`.
#[derive(clap::Args, Debug)]
#[command(before_help = "Examples:
  lpctl install --wait
  lpctl install --set-arg default-prometheus-url=http://prometheus.monitoring:9090
  lpctl install --registry registry.example/mirror --dry-run
  lpctl install -n platform-system -o yaml > operator.yaml")]
pub struct Args {
    /// Image of the operator in place of the default one
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,

    /// Registry in place of the image's own
    #[arg(long, value_name = "HOST")]
    pub registry: Option<String>,

    /// Flag of the operator; repeat it for several
    #[arg(long = "set-arg", value_name = "NAME=VALUE")]
    pub flags: Vec<String>,

    /// Ask the server what would change, but write nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Wait until the operator works, at most so long
    #[arg(long, value_name = "DURATION", value_parser = duration, default_missing_value = "300s", num_args = 0..=1, conflicts_with = "dry_run")]
    pub wait: Option<Duration>,

    /// Print the objects instead of installing them
    #[arg(short, long, value_enum)]
    pub output: Option<Structured>,
}

/// Runs the command.
///
/// # Errors
/// When the API server refuses an object: those before it are applied, and running it again goes on from there.
pub async fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let namespace = global.namespace.clone().unwrap_or_else(|| NAMESPACE.to_owned());
    let options = Options {
        namespace: Some(namespace.clone()),
        image: args.image.clone(),
        registry: args.registry.clone(),
        flags: args.flags.clone(),
    };
    let (crds, objects) = (install::crds()?, install::operator(&options)?);
    if let Some(form) = args.output {
        let all: Vec<_> = crds.into_iter().chain(objects).collect();
        output::emit(&output::stream(form, &all)?)?;
        output::tell(&format!("Before applying them: kubectl create namespace {namespace}"));
        return Ok(Exit::Good);
    }
    let cluster = Cluster::connect(global).await?;
    let there = namespace_is_there(&cluster, &namespace, args.dry_run).await?;
    for crd in &crds {
        put(&cluster, crd, args.dry_run).await?;
        if !args.dry_run {
            established(&cluster.client, crd).await?;
        }
    }
    for object in &objects {
        // A dry run makes no namespace, so the server would refuse what is in it.
        if !there && object.metadata.namespace.is_some() {
            say(object, "created", true)?;
            continue;
        }
        put(&cluster, object, args.dry_run).await?;
    }
    match args.wait {
        Some(wait) => until_it_works(&cluster, &namespace, wait).await,
        None => {
            if !args.dry_run {
                output::tell("Does it work?  lpctl check --wait 300s");
            }
            Ok(Exit::Good)
        }
    }
}

/// Makes the namespace, if it is not there; whether it is there now.
async fn namespace_is_there(cluster: &Cluster, name: &str, dry_run: bool) -> anyhow::Result<bool> {
    let api: Api<Namespace> = Api::all(cluster.client.clone());
    // Whoever may not look may still write into it.
    let there = api.get_opt(name).await.map_or(true, |found| found.is_some());
    if !there {
        let namespace = Namespace {
            metadata: kube::api::ObjectMeta { name: Some(name.to_owned()), ..Default::default() },
            ..Namespace::default()
        };
        let params = PostParams { dry_run, field_manager: Some(install::MANAGER.into()) };
        match api.create(&params, &namespace).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            made => drop(made.map_err(|e| refused(cluster, &format!("Namespace {name}"), e))?),
        }
        output::emit(&format!("Namespace {name} created{}\n", if dry_run { " (dry run)" } else { "" }))?;
    }
    Ok(there || !dry_run)
}

async fn put(cluster: &Cluster, object: &DynamicObject, dry_run: bool) -> anyhow::Result<()> {
    let change = install::apply(&cluster.client, object, dry_run).await;
    say(object, change.map_err(|e| refused(cluster, &install::title(object), e))?, dry_run)
}

fn say(object: &DynamicObject, change: &str, dry_run: bool) -> anyhow::Result<()> {
    output::emit(&format!("{} {change}{}\n", install::title(object), if dry_run { " (dry run)" } else { "" }))
}

fn refused(cluster: &Cluster, what: &str, error: kube::Error) -> anyhow::Error {
    let what = format!("{what} cannot be applied");
    match error {
        kube::Error::Api(status) if status.code == 403 => anyhow::Error::new(kube::Error::Api(status))
            .context("install as a cluster administrator; `lpctl check --pre` lists what is needed")
            .context(what),
        kube::Error::Api(status) => anyhow::Error::new(kube::Error::Api(status)).context(what),
        other => cluster.explain(&what, other),
    }
}

/// Waits until the API server serves a new CRD: what follows may need it.
async fn established(client: &Client, crd: &DynamicObject) -> anyhow::Result<()> {
    let name = crd.metadata.name.clone().unwrap_or_default();
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let wait = await_condition(api, &name, conditions::is_crd_established());
    tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .with_context(|| {
            format!("the API server has not established {name} within 60 s: see `kubectl describe crd {name}`")
        })?
        .with_context(|| format!("{name} cannot be watched"))?;
    Ok(())
}

async fn until_it_works(cluster: &Cluster, namespace: &str, wait: Duration) -> anyhow::Result<Exit> {
    let mut engine = Engine::new(wait, output::tell);
    engine.run(checks::crds(cluster)).await;
    engine.run(checks::operator(cluster, namespace, None)).await;
    output::emit(&check::short(&engine.reports, &Style::of_stdout()))?;
    Ok(engine.exit())
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = kube::core::Duration::from_str(text).map_err(|_| "write it as 90s or 5m".to_owned())?;
    if parsed.is_negative() { Err("must not be negative".into()) } else { Ok(parsed.into()) }
}

//! `lpctl check`.

use crate::{
    args::Global,
    check::{self, Category, Check, Engine, Topic, Verdict, cluster, platforms, pre, stores},
    cluster::Cluster,
    exit::Exit,
    install::NAMESPACE,
    output::{self, Style},
};
use kube::api::ListParams;
use std::{str::FromStr, time::Duration};

/// Arguments of `check`.
#[derive(clap::Args, Debug)]
#[command(before_help = "Examples:
  lpctl check --pre           # before the installation
  lpctl check --wait 300s     # after it
  lpctl check -A -o short
  lpctl check -n learning -o json")]
pub struct Args {
    /// Check whether the cluster is fit for the operator, before it is installed
    #[arg(long)]
    pub pre: bool,

    /// Try what fails again for so long: 90s, 5m
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "0s", default_missing_value = "300s", num_args = 0..=1)]
    pub wait: Duration,

    /// Platforms of all namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,

    /// Namespace of the operator
    #[arg(long, default_value = NAMESPACE, value_name = "NAME")]
    pub operator_namespace: String,

    /// Address of the operator's HTTP server, in place of its pods
    #[arg(long, value_name = "URL")]
    pub operator_url: Option<String>,

    /// Form of the result
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Form,
}

/// Form of the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// For people.
    #[default]
    Table,
    /// For people, only what is not good.
    Short,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// Runs the command.
///
/// # Errors
/// When there is no configuration of a cluster.
pub async fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let cluster = Cluster::connect(global).await?;
    let mut engine = Engine::new(args.wait, output::tell);
    engine.run(pre::kubernetes(&cluster)).await;
    if args.pre {
        engine.run(pre::permissions(&cluster, &args.operator_namespace)).await;
        engine.run(pre::optional_apis(&cluster)).await;
        engine.run(pre::earlier(&cluster, &args.operator_namespace)).await;
    } else {
        engine.run(cluster::crds(&cluster)).await;
        engine.run(cluster::operator(&cluster, &args.operator_namespace, args.operator_url.as_deref())).await;
        all_platforms(&mut engine, &cluster, args.all_namespaces).await;
    }
    let style = Style::of_stdout();
    let text = match args.output {
        Form::Table => check::table(&engine.reports, &style),
        Form::Short => check::short(&engine.reports, &style),
        Form::Json => output::json(&engine.reports)?,
        Form::Yaml => output::yaml(&engine.reports)?,
    };
    output::emit(&text)?;
    Ok(engine.exit())
}

async fn all_platforms(engine: &mut Engine, cluster: &Cluster, all: bool) {
    let place = if all { "the cluster".to_owned() } else { format!("namespace {}", cluster.namespace) };
    let listed = cluster.platforms(all).list(&ListParams::default()).await;
    let (verdict, found) = match listed {
        Ok(list) if list.items.is_empty() => (
            Verdict::Note("there is none: write one with `lpctl init`, or look elsewhere with -n or -A".into()),
            Vec::new(),
        ),
        Ok(list) => (Verdict::Good(list.items.len().to_string()), list.items),
        Err(error) => (Verdict::Unknown(crate::say(&error)), Vec::new()),
    };
    let check = Check::new(format!("the platforms of {place} can be read"), Topic::Permissions, move || {
        std::future::ready(verdict.clone())
    });
    engine.run(Category { name: "platforms".into(), checks: vec![check], essential: false }).await;
    for platform in &found {
        engine.run(platforms::platform(cluster, platform)).await;
        if let Some(stores) = stores::stores(cluster, platform).await {
            engine.run(stores).await;
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = kube::core::Duration::from_str(text).map_err(|_| "write it as 90s or 5m".to_owned())?;
    if parsed.is_negative() { Err("must not be negative".into()) } else { Ok(parsed.into()) }
}

//! `lpctl check`.

use crate::{
    args::Global,
    check::{self, Category, Check, Engine, Topic, Verdict, cdns, cluster, platforms, pre, stores},
    cluster::Cluster,
    exit::Exit,
    install::NAMESPACE,
    manifests::{self, Problems},
    output::{self, Style},
};
use kube::{ResourceExt, api::ListParams};
use operator::{context::Settings, validate};
use std::{
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

/// Arguments of `check`.
#[derive(clap::Args, Debug)]
#[command(before_help = "Examples:
  lpctl check --pre           # before the installation
  lpctl check --wait 300s     # after it
  lpctl check -A -o short
  lpctl check -f platform.yaml    # before it is applied; asks no cluster
  lpctl check -n learning -o json")]
pub struct Args {
    /// Check whether the cluster is fit for the operator, before it is installed
    #[arg(long)]
    pub pre: bool,

    /// Check the platforms of a file, without a cluster; `-` reads standard input
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, conflicts_with_all = ["pre", "all_namespaces", "operator_url"])]
    pub file: Option<PathBuf>,

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
/// When there is no configuration of a cluster, or the file cannot be read.
pub async fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let mut engine = Engine::new(args.wait, output::tell);
    if let Some(file) = &args.file {
        match of_file(&mut engine, file, global).await {
            Ok(()) => {}
            Err(error) if error.is::<Problems>() => {
                output::tell(&format!("{error:#}"));
                return Ok(Exit::Found);
            }
            Err(error) => return Err(error),
        }
        return report(args, &engine);
    }
    let cluster = Cluster::connect(global).await?;
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
    report(args, &engine)
}

fn report(args: &Args, engine: &Engine) -> anyhow::Result<Exit> {
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

/// What can be said of the platforms of a file.
async fn of_file(engine: &mut Engine, file: &Path, global: &Global) -> anyhow::Result<()> {
    for mut platform in manifests::read(file)?.into_iter().map(|manifest| manifest.platform) {
        if let Some(namespace) = &global.namespace {
            platform.metadata.namespace = Some(namespace.clone());
        }
        platform.metadata.namespace.get_or_insert_with(|| "default".to_owned());
        let verdict = match validate::validate(&platform, &Settings::default()) {
            Ok(_) => Verdict::Good(String::new()),
            Err(error) => Verdict::bad(error.to_string(), format!("edit {}", file.display())),
        };
        let check =
            Check::new("the operator can carry it out", Topic::NotReady, move || std::future::ready(verdict.clone()));
        let name = format!("platform {}/{}", platform.namespace().unwrap_or_default(), platform.name_any());
        engine.run(Category { name, checks: vec![check], essential: false }).await;
        if let Some(cdns) = cdns::cdns(&platform) {
            engine.run(cdns).await;
        }
    }
    Ok(())
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
        if let Some(cdns) = cdns::cdns(platform) {
            engine.run(cdns).await;
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = kube::core::Duration::from_str(text).map_err(|_| "write it as 90s or 5m".to_owned())?;
    if parsed.is_negative() { Err("must not be negative".into()) } else { Ok(parsed.into()) }
}

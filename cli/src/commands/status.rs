//! `lpctl status`: one sentence per platform, then its tiers, worst first.

mod text;
mod view;

pub use text::table;
pub use view::{Item, PlatformView, Stale, StoreView, view};

use crate::{
    args::Global,
    cluster::Cluster,
    complete,
    exit::Exit,
    output::{self, Format, Mark, Style},
};
use clap_complete::engine::ArgValueCompleter;
use crds::LearningPlatform;
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use kube::{
    ResourceExt,
    api::ListParams,
    runtime::{WatchStreamExt, watcher},
};
use std::collections::BTreeMap;

/// Arguments of `status`.
#[derive(clap::Args, Debug)]
#[command(before_help = "Examples:
  lpctl status
  lpctl status story -n learning
  lpctl status --all-namespaces -o json
  lpctl status story --watch")]
pub struct Args {
    /// Only this platform
    #[arg(add = ArgValueCompleter::new(complete::platforms))]
    pub name: Option<String>,

    /// Platforms of all namespaces
    #[arg(short = 'A', long, conflicts_with = "name")]
    pub all_namespaces: bool,

    /// Say it again at every change, until interrupted
    #[arg(short, long)]
    pub watch: bool,

    /// Form of the result
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
}

/// Runs the command. A platform in trouble is [`Exit::Found`].
///
/// # Errors
/// When the platforms cannot be read.
pub async fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let cluster = Cluster::connect(global).await?;
    if args.watch {
        return watch(args, &cluster).await;
    }
    let platforms = match &args.name {
        Some(name) => vec![cluster.platform(name).await?],
        None => {
            let list = cluster.platforms(args.all_namespaces).list(&ListParams::default()).await;
            list.map_err(|e| cluster.explain("the platforms cannot be read", e))?.items
        }
    };
    let views = views(&platforms, Timestamp::now());
    output::emit(&written(args, &cluster, &views)?)?;
    Ok(exit(&views))
}

/// The worst first, then by name.
fn views(platforms: &[LearningPlatform], now: Timestamp) -> Vec<PlatformView> {
    let mut views: Vec<PlatformView> = platforms.iter().map(|platform| view(platform, now)).collect();
    views.sort_by(|a, b| (a.mark, &a.namespace, &a.name).cmp(&(b.mark, &b.namespace, &b.name)));
    views
}

fn written(args: &Args, cluster: &Cluster, views: &[PlatformView]) -> anyhow::Result<String> {
    output::formatted(args.output, &views, |views| {
        if views.is_empty() {
            let place =
                if args.all_namespaces { "The cluster".into() } else { format!("Namespace {}", cluster.namespace) };
            return format!("{place} has no platform: write one with `lpctl init`, or look elsewhere with -n or -A\n");
        }
        table(views, &Style::of_stdout(), Timestamp::now())
    })
}

fn exit(views: &[PlatformView]) -> Exit {
    match views.iter().map(|v| v.mark).min() {
        Some(Mark::Bad) => Exit::Found,
        Some(Mark::Unknown) => Exit::Unknown,
        _ => Exit::Good,
    }
}

async fn watch(args: &Args, cluster: &Cluster) -> anyhow::Result<Exit> {
    let mut config = watcher::Config::default();
    if let Some(name) = &args.name {
        cluster.platform(name).await?;
        config = config.fields(&format!("metadata.name={name}"));
    }
    let mut events = watcher(cluster.platforms(args.all_namespaces), config).default_backoff().boxed();
    let mut seen: BTreeMap<(Option<String>, String), LearningPlatform> = BTreeMap::new();
    let mut listed = BTreeMap::new();
    let mut complete = false;
    let mut before = String::new();
    let key = |p: &LearningPlatform| (p.namespace(), p.name_any());
    loop {
        let event = tokio::select! {
            event = events.try_next() => event,
            _ = tokio::signal::ctrl_c() => return Ok(exit(&views(&seen.into_values().collect::<Vec<_>>(), Timestamp::now()))),
        };
        match event {
            Ok(Some(watcher::Event::Init)) => listed.clear(),
            Ok(Some(watcher::Event::InitApply(p))) => drop(listed.insert(key(&p), p)),
            Ok(Some(watcher::Event::InitDone)) => (seen, complete) = (std::mem::take(&mut listed), true),
            Ok(Some(watcher::Event::Apply(p))) => drop(seen.insert(key(&p), p)),
            Ok(Some(watcher::Event::Delete(p))) => drop(seen.remove(&key(&p))),
            Ok(None) => return Ok(Exit::Unknown),
            // It is tried again; what was shown may be old until then.
            Err(error) => output::tell(&format!("cannot be read now, trying again: {error}")),
        }
        let platforms: Vec<LearningPlatform> = seen.values().cloned().collect();
        let text = written(args, cluster, &views(&platforms, Timestamp::now()))?;
        if complete && text != before {
            let terminal = args.output == Format::Table && Style::of_stdout().color;
            let separator = if terminal {
                "\u{1b}[H\u{1b}[2J"
            } else if before.is_empty() {
                ""
            } else {
                "\n"
            };
            output::emit(&format!("{separator}{text}"))?;
            before = text;
        }
    }
}

#[cfg(test)]
mod tests;

//! `lpctl explain`: why an app has as many pods as it has, and what would change that.

mod data;
mod schedules;
mod text;

pub use data::{Explanation, Hpa, Source};
pub use schedules::{NextWindow, next};
pub use text::table;

use crate::{
    args::Global,
    cluster::{Cluster, Item},
    complete,
    exit::Exit,
    installed::Endpoint,
    output::{self, Format, Style},
};
use clap_complete::engine::ArgValueCompleter;
use crds::LearningPlatform;
use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{Api, ResourceExt};
use operator::{
    naming::object_name,
    tiers::autoscaling::{Calendars, calendars},
};

/// Arguments of `explain`.
#[derive(clap::Args, Debug)]
#[command(before_help = "Examples:
  lpctl explain web
  lpctl explain web --platform story -n learning
  lpctl explain web -o json
  lpctl explain web --operator-url http://127.0.0.1:8080")]
pub struct Args {
    /// The app
    #[arg(add = ArgValueCompleter::new(complete::apps))]
    pub app: String,

    /// The platform, where several have such an app
    #[arg(long, add = ArgValueCompleter::new(complete::platforms))]
    pub platform: Option<String>,

    /// Namespace of the operator
    #[arg(long, default_value = crate::install::NAMESPACE, value_name = "NAME")]
    pub operator_namespace: String,

    /// Address of the operator's HTTP server, in place of its pods
    #[arg(long, value_name = "URL")]
    pub operator_url: Option<String>,

    /// Form of the result
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
}

/// Runs the command. Without a live answer it tells what status knows.
///
/// # Errors
/// When there is no such app, or the cluster cannot be asked.
pub async fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let cluster = Cluster::connect(global).await?;
    let platform = cluster.platform_with(args.platform.as_deref(), Item::App, &args.app).await?;
    let now = Timestamp::now();
    let fixed = platform.spec.apps.iter().find(|a| a.name == args.app && a.autoscaling.is_none());
    if let Some(app) = fixed {
        let text = format!(
            "{}/{} app {} has {}, a fixed number: set apps[].autoscaling for scaling\n",
            platform.namespace().unwrap_or_default(),
            platform.name_any(),
            app.name,
            output::pods(app.replicas.unwrap_or(1))
        );
        let view = Explanation::from_status(&platform, &args.app);
        output::emit(&output::formatted(args.output, &view, |_| text)?)?;
        return Ok(Exit::Good);
    }
    let (hpa, hpa_error) = hpa(&cluster, &platform, &args.app).await;
    let mut view = match live(args, &cluster, &platform).await {
        Ok(mut view) => {
            view.source = Source::Live;
            view
        }
        Err(why) => {
            let mut view = Explanation::from_status(&platform, &args.app);
            view.notes.push(format!("the operator could not be asked, so this is from status: {why}"));
            view
        }
    };
    view.hpa = hpa.as_ref().map(Hpa::of);
    view.notes.extend(hpa_error);
    let spec = platform.spec.apps.iter().filter(|app| app.name == args.app).filter_map(|app| app.autoscaling.as_ref());
    let namespace = platform.namespace().unwrap_or_default();
    let (calendars, unread) = calendars(&cluster.client, &namespace, spec, &Calendars::new()).await;
    match next(&platform, &args.app, &calendars, &unread, now) {
        Ok((window, problems)) => {
            view.next_schedule = window;
            view.notes.extend(problems);
        }
        Err(problem) => view.notes.push(problem),
    }
    view.stale = crate::commands::status::view(&platform, now).stale.is_some();
    output::emit(&output::formatted(args.output, &view, |v| table(v, &Style::of_stdout(), now))?)?;
    Ok(Exit::Good)
}

async fn live(args: &Args, cluster: &Cluster, platform: &LearningPlatform) -> Result<Explanation, String> {
    let (namespace, name) = (platform.namespace().unwrap_or_default(), platform.name_any());
    let asked = async {
        let url = args.operator_url.as_deref();
        let endpoint = Endpoint::find(&cluster.client, url, Some(&args.operator_namespace)).await?;
        endpoint.explain(&namespace, &name, &args.app).await
    };
    let value = asked.await.map_err(|error| format!("{error:#}"))?;
    let value = value.ok_or_else(|| "it has not decided on this app yet".to_owned())?;
    serde_json::from_value(value)
        .map_err(|error| format!("its answer is of another version ({error}): see `lpctl version`"))
}

/// The HPA of the app, or why there is none to show.
async fn hpa(
    cluster: &Cluster,
    platform: &LearningPlatform,
    app: &str,
) -> (Option<HorizontalPodAutoscaler>, Option<String>) {
    let namespace = platform.namespace().unwrap_or_default();
    let name = object_name(&platform.name_any(), app);
    let api: Api<HorizontalPodAutoscaler> = Api::namespaced(cluster.client.clone(), &namespace);
    match api.get_opt(&name).await {
        Ok(Some(hpa)) => (Some(hpa), None),
        Ok(None) => (None, Some(format!("there is no HPA {namespace}/{name} yet"))),
        Err(error) => (None, Some(format!("the HPA {namespace}/{name} cannot be read: {}", crate::say(&error)))),
    }
}

#[cfg(test)]
mod tests;

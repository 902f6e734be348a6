//! `lpctl version`.

use crate::{
    args::Global,
    cluster::Cluster,
    exit::Exit,
    installed,
    output::{self, Format},
};
use serde::Serialize;

/// Arguments of `version`.
#[derive(clap::Args, Debug)]
#[command(before_help = "Examples:
  lpctl version
  lpctl version --client -o json")]
pub struct Args {
    /// Only that of lpctl, without asking the cluster
    #[arg(long)]
    pub client: bool,

    /// Namespace of the operator
    #[arg(long, default_value = crate::install::NAMESPACE, value_name = "NAME")]
    pub operator_namespace: String,

    /// Form of the result
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    client: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kubernetes: Option<String>,
}

/// Version of this program; the operator of the same version is its counterpart.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs the command. Without a cluster it prints the client's version alone.
///
/// # Errors
/// When stdout cannot be written.
pub async fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let mut versions = Versions { client: VERSION, operator: None, kubernetes: None };
    if !args.client
        && let Ok(cluster) = Cluster::connect(global).await
    {
        versions.kubernetes = cluster.client.apiserver_version().await.ok().map(|v| v.git_version);
        let deployment = installed::deployment(&cluster.client, &args.operator_namespace).await.ok().flatten();
        versions.operator = deployment.as_ref().and_then(installed::version);
    }
    let text = output::formatted(args.output, &versions, |v| {
        let other = |name: &str, version: &Option<String>| {
            let shown = version.as_deref().unwrap_or("not found");
            if args.client { String::new() } else { format!("{name:<11}{shown}\n") }
        };
        format!("{:<11}{}\n{}{}", "lpctl", v.client, other("operator", &v.operator), other("kubernetes", &v.kubernetes))
    })?;
    output::emit(&text)?;
    Ok(Exit::Good)
}

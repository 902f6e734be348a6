//! `lpctl plan`: what the operator is to do at AWS for an item, as its status tells it.

use super::psql::item;
use crate::{
    args::Global,
    cluster::{Cluster, Item},
    complete,
    exit::Exit,
    output,
};
use anyhow::Context;
use clap_complete::engine::ArgValueCompleter;
use crds::status::{AwsCall, AwsStatus, LearningPlatformStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use std::fmt::Write;

/// Arguments of `plan`.
#[derive(clap::Args, Debug)]
#[command(
    override_usage = "lpctl plan [PLATFORM] <ITEM>",
    before_help = "Examples:
  lpctl plan main
  lpctl plan story main",
    after_help = "Calls that destroy something, or cannot be taken back, wait for your word: set `approve` of the item to the \
                  plan's hash, or name what they do in `allow`. With `mode: Plan` none is made.\n\n\
                  Exit status: 0 nothing is to be done, 1 something is, 2 it could not be told."
)]
pub struct Args {
    /// The cache, database or CDN; before it its platform, where several have such a one
    #[arg(required = true, num_args = 1..=2, value_name = "ITEM", add = ArgValueCompleter::new(complete::at_aws))]
    pub names: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// The platform cannot be read, or the item is not at AWS.
pub async fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let (platform, name) = item(&args.names);
    let cluster = Cluster::connect(global).await?;
    let platform = cluster.platform_with(platform, Item::AtAws, name).await?;
    let status = platform.status.unwrap_or_default();
    let aws = told(&status, name);
    let (aws, conditions) =
        aws.with_context(|| format!("the status of {name} tells of nothing at AWS: see `lpctl status`"))?;
    output::emit(&text(name, aws, conditions))?;
    Ok(if aws.plan.is_empty() { Exit::Good } else { Exit::Found })
}

/// What the status tells of an item at AWS, and its conditions.
fn told<'a>(status: &'a LearningPlatformStatus, name: &str) -> Option<(&'a AwsStatus, &'a [Condition])> {
    let stores = status.caches.iter().chain(&status.databases).filter(|store| store.name == name);
    let stores = stores.map(|store| (store.aws.as_ref(), store.conditions.as_slice()));
    let cdns = status.cdns.iter().filter(|cdn| cdn.name == name);
    let cdns = cdns.map(|cdn| (cdn.aws.as_ref(), cdn.conditions.as_slice()));
    stores.chain(cdns).find_map(|(aws, conditions)| Some((aws?, conditions)))
}

fn text(name: &str, aws: &AwsStatus, conditions: &[Condition]) -> String {
    let identifier = aws.identifier.as_deref().unwrap_or("not made yet");
    let mut out = format!("{name} at AWS, {}: {identifier}\n", aws.region);
    if aws.plan.is_empty() {
        let synced = conditions.iter().find(|condition| condition.type_ == "Synced");
        let said = synced.map_or("nothing is known yet", |condition| condition.message.as_str());
        let _ = writeln!(out, "nothing is to be done: {said}");
        return out;
    }
    for (number, AwsCall { operation, call, costs, needs, waits }) in (1..).zip(&aws.plan) {
        let _ = writeln!(out, "{number}. {operation}: {call}");
        for (label, text) in [("costs", costs), ("needs your word", needs), ("waits", waits)] {
            if let Some(text) = text {
                let _ = writeln!(out, "   {label}: {text}");
            }
        }
    }
    if let Some(hash) = &aws.plan_hash {
        let _ = writeln!(out, "to approve what needs your word, set approve: {hash} on the item");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::status::{CdnStatus, StoreStatus};

    #[test]
    fn a_plan_is_told_in_order_with_what_it_needs() {
        let call = |operation: &str, needs: Option<&str>| AwsCall {
            operation: operation.into(),
            call: "delete db without a snapshot".into(),
            costs: None,
            needs: needs.map(Into::into),
            waits: Some("its protection is lifted first".into()),
        };
        let plan = vec![call("ModifyDBInstance", None), call("DeleteDBInstance", Some("its data are lost"))];
        let aws = AwsStatus {
            identifier: Some("lp-story-main-1".into()),
            region: "eu-central-1".into(),
            plan,
            plan_hash: Some("0123456789abcdef".into()),
        };
        assert_eq!(
            text("main", &aws, &[]),
            "main at AWS, eu-central-1: lp-story-main-1\n\
             1. ModifyDBInstance: delete db without a snapshot\n   waits: its protection is lifted first\n\
             2. DeleteDBInstance: delete db without a snapshot\n   needs your word: its data are lost\n   \
             waits: its protection is lifted first\n\
             to approve what needs your word, set approve: 0123456789abcdef on the item\n"
        );
        let done = text("main", &AwsStatus { plan: Vec::new(), ..aws.clone() }, &[]);
        assert!(done.contains("nothing is to be done"), "{done}");
        let status = LearningPlatformStatus {
            databases: vec![StoreStatus { name: "main".into(), ..StoreStatus::default() }],
            cdns: vec![CdnStatus { name: "edge".into(), aws: Some(aws.clone()), ..CdnStatus::default() }],
            ..LearningPlatformStatus::default()
        };
        assert_eq!(told(&status, "edge"), Some((&aws, &[][..])));
        assert_eq!(told(&status, "main"), None, "it is not at AWS");
    }
}

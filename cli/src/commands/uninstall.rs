//! `lpctl uninstall`: removes the operator. The platforms, and everything made for them, keep running without it; only
//! `--crds --yes` removes them, too.

use crate::{
    args::Global,
    cluster::Cluster,
    exit::Exit,
    install::{self, NAME, NAMESPACE, Options},
    output,
};
use crds::{LearningPlatform, tiers::in_cluster::DeletionPolicy};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
    core::DynamicObject,
};
use std::io::IsTerminal;

/// Arguments of `uninstall`.
#[derive(clap::Args, Debug)]
#[command(before_help = "Examples:
  lpctl uninstall
  lpctl uninstall --dry-run
  lpctl uninstall --crds --yes   # deletes all platforms with their pods")]
pub struct Args {
    /// Remove the CRDs, too: that deletes every platform of the cluster with all its pods
    #[arg(long)]
    pub crds: bool,

    /// Do it without a question
    #[arg(long)]
    pub yes: bool,

    /// Ask the server what would go, but remove nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Runs the command. Where a consent is missing, nothing is removed: [`Exit::Found`].
///
/// # Errors
/// When the API server refuses.
pub async fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let namespace = global.namespace.clone().unwrap_or_else(|| NAMESPACE.to_owned());
    let cluster = Cluster::connect(global).await?;
    let platforms = platforms(&cluster).await?;
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if args.crds && !args.dry_run && !consent(args, &platforms, terminal)? {
        return Ok(Exit::Found);
    }
    for object in &to_remove(&namespace, args.crds)? {
        remove(&cluster, object, args.dry_run).await?;
    }
    if !args.dry_run {
        // The operator makes it by itself; no manifest names it.
        let leases: Api<Lease> = Api::namespaced(cluster.client.clone(), &namespace);
        let _ = leases.delete(NAME, &DeleteParams::default()).await;
    }
    let kept = match (args.crds, platforms.len()) {
        (true, _) => String::new(),
        (false, 0) => "The CRDs stay; `lpctl uninstall --crds --yes` removes them. ".to_owned(),
        (false, count) => format!(
            "{count} platforms stay and keep running, scaled by their HPAs alone: {}. `lpctl install` takes them up again. ",
            names(&platforms)
        ),
    };
    output::tell(&format!("{kept}Namespace {namespace} stays; `kubectl delete namespace {namespace}` removes it."));
    Ok(Exit::Good)
}

/// What goes, in this order; the CRDs only where they are meant, too.
fn to_remove(namespace: &str, crds: bool) -> anyhow::Result<Vec<DynamicObject>> {
    let mut objects = install::operator(&Options { namespace: Some(namespace.to_owned()), ..Options::default() })?;
    // The operator goes before its rights, so that it ends in order.
    objects.reverse();
    if crds {
        // While the operator still runs it would mend what is being taken apart; so the CRDs go last.
        objects.extend(install::crds()?);
    }
    Ok(objects)
}

/// All platforms of the cluster; none where the CRD is gone already.
async fn platforms(cluster: &Cluster) -> anyhow::Result<Vec<LearningPlatform>> {
    let api: Api<LearningPlatform> = Api::all(cluster.client.clone());
    match api.list(&ListParams::default()).await {
        Ok(list) => Ok(list.items),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(cluster.explain("the platforms cannot be listed, so what would be lost is not known", error)),
    }
}

fn name(platform: &LearningPlatform) -> String {
    format!("{}/{}", platform.namespace().unwrap_or_default(), platform.name_any())
}

fn names(platforms: &[LearningPlatform]) -> String {
    platforms.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// The stores whose data go with their platforms.
fn stores_lost(platforms: &[LearningPlatform]) -> Vec<String> {
    let of = |platform: &LearningPlatform| {
        let caches = platform.spec.caches.iter().filter_map(|cache| {
            Some(("cache", &cache.name, cache.in_cluster.as_ref()?.deletion_policy.unwrap_or_default()))
        });
        let databases = platform.spec.databases.iter().filter_map(|database| {
            let in_cluster = database.in_cluster.as_ref().map(|spec| spec.deletion_policy);
            let policy = in_cluster.or_else(|| database.cloud_native_pg.as_ref().map(|spec| spec.deletion_policy))?;
            Some(("database", &database.name, policy.unwrap_or_default()))
        });
        let lost = caches.chain(databases).filter(|(_, _, policy)| *policy == DeletionPolicy::Delete);
        let named = lost.map(|(tier, store, _)| format!("{tier} {store} of {}", name(platform)));
        named.collect::<Vec<_>>()
    };
    platforms.iter().flat_map(of).collect()
}

/// Whether the loss was agreed to, after it was named. Without a terminal nobody is asked.
fn consent(args: &Args, platforms: &[LearningPlatform], terminal: bool) -> anyhow::Result<bool> {
    if platforms.is_empty() {
        return Ok(true);
    }
    output::tell(&format!(
        "With the CRDs go {} platforms, their pods, Services and routes: {}.\nKept are Secrets, ConfigMaps and volumes that you \
         made, and the data of caches and databases whose deletionPolicy is Retain.",
        platforms.len(),
        names(platforms)
    ));
    let lost = stores_lost(platforms);
    if !lost.is_empty() {
        output::tell(&format!("Lost are the data of {}: their deletionPolicy is Delete.", lost.join(", ")));
    }
    if args.yes {
        return Ok(true);
    }
    Ok(output::consent(terminal, "Nothing was removed")?)
}

async fn remove(cluster: &Cluster, object: &DynamicObject, dry_run: bool) -> anyhow::Result<()> {
    let params = DeleteParams { dry_run, ..DeleteParams::foreground() };
    let title = install::title(object);
    let said = match install::api(&cluster.client, object).delete(&object.name_any(), &params).await {
        Ok(_) => "deleted",
        Err(kube::Error::Api(status)) if status.code == 404 => "unchanged: it is not there",
        Err(error) => return Err(cluster.explain(&format!("{title} cannot be deleted"), error)),
    };
    output::emit(&format!("{title} {said}{}\n", if dry_run { " (dry run)" } else { "" }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::LearningPlatformSpec;

    fn kinds(crds: bool) -> Vec<String> {
        let objects = to_remove("ops", crds).unwrap();
        assert!(objects.iter().all(|o| o.metadata.namespace.as_deref().is_none_or(|n| n == "ops")));
        objects.into_iter().map(|o| o.types.unwrap().kind).collect()
    }

    #[test]
    fn crds_go_only_where_they_are_meant_and_last() {
        let operator = kinds(false);
        assert!(!operator.iter().any(|kind| kind == "CustomResourceDefinition"), "{operator:?}");
        let [deployment, rights] =
            ["Deployment", "ClusterRole"].map(|kind| operator.iter().position(|k| k == kind).unwrap());
        assert!(deployment < rights, "the operator ends while it may still write: {operator:?}");
        let crds = install::crds().unwrap().len();
        assert!(crds > 0);
        assert_eq!(kinds(true), [operator, vec!["CustomResourceDefinition".to_owned(); crds]].concat());
    }

    #[test]
    fn platforms_are_lost_only_with_a_word() {
        let args = |yes| Args { crds: true, yes, dry_run: false };
        let some = [LearningPlatform::new("story", LearningPlatformSpec::default())];
        assert!(!consent(&args(false), &some, false).unwrap(), "without a terminal nobody is asked");
        assert!(consent(&args(true), &some, false).unwrap());
        assert!(consent(&args(false), &[], false).unwrap(), "nothing is lost");
    }

    #[test]
    fn stores_that_are_lost_are_named() {
        let storage = serde_json::json!({"storage": "1Gi"});
        let spec = serde_json::json!({
            "caches": [{"name": "cache", "inCluster": {"deletionPolicy": "Delete"}}, {"name": "far", "external": {"address": "r"}}],
            "databases": [{"name": "main", "inCluster": {"volume": storage}},
                {"name": "tenants", "inCluster": {"volume": storage, "deletionPolicy": "Delete"}},
                {"name": "marks", "cloudNativePG": {"volume": storage}},
                {"name": "grades", "cloudNativePG": {"volume": storage, "deletionPolicy": "Delete"}}],
        });
        let mut platform = LearningPlatform::new("story", serde_json::from_value(spec).unwrap());
        platform.metadata.namespace = Some("learning".into());
        assert_eq!(
            stores_lost(&[platform]),
            [
                "cache cache of learning/story",
                "database tenants of learning/story",
                "database grades of learning/story",
            ]
        );
    }
}

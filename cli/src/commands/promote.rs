//! `lpctl promote`: a database whose primary is lost goes on with the data of its most advanced read replica. The word stands in
//! an annotation, as a GitOps tool or kubectl would write it; what lpctl does beyond that is to show what is lost, to ask, to
//! delete the claim of the former volume, which stays, and to tell how far it is.

use crate::{
    args::Global,
    cluster::{Cluster, Item},
    commands::psql::item,
    complete,
    exit::Exit,
    output,
};
use anyhow::{Context, anyhow, bail};
use clap_complete::engine::ArgValueCompleter;
use crds::{
    LearningPlatform, PROMOTE_ANNOTATION,
    status::{Promotion, PromotionState},
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use operator::tiers::{
    database::in_cluster::{InCluster, Server},
    store::{pods, volumes},
};
use serde_json::json;
use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

/// Time between two looks at how far it is.
const LOOK: Duration = Duration::from_secs(1);
/// Label of a volume that was given up for a replica's data: the claim that it had.
const FORMER_CLAIM: &str = "learningplatform.dev/former-claim";

/// Arguments of `promote`.
#[derive(clap::Args, Debug)]
#[command(
    override_usage = "lpctl promote [OPTIONS] [PLATFORM] <DATABASE>",
    before_help = "Examples:
  lpctl promote main
  lpctl promote story main --yes
  lpctl promote tenants --shard 2
  lpctl promote main --without story-main-pg-ro-1   # that replica is lost, too",
    after_help = "It needs proof that the former primary takes no writes: its kubelet confirms that the pod is gone, or its node has \
                  the taint node.kubernetes.io/out-of-service, or is no node of the cluster any more. Without proof nothing is \
                  touched, and it says how to give it. The former volume is kept.\n\n\
                  Exit status: 0 done, 1 not done, 2 it could not be told."
)]
pub struct Args {
    /// The database; before it its platform, where several have such a one
    #[arg(required = true, num_args = 1..=2, value_name = "DATABASE", add = ArgValueCompleter::new(complete::databases))]
    pub names: Vec<String>,

    /// The shard, from 0
    #[arg(long, value_name = "N")]
    pub shard: Option<u32>,

    /// Pods of read replicas that cannot be asked any more; what only they had is lost
    #[arg(long, value_name = "POD", value_delimiter = ',')]
    pub without: Vec<String>,

    /// Do it without a question
    #[arg(long)]
    pub yes: bool,

    /// How long to wait for the end, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    pub timeout: u64,
}

/// Runs the command. Where a consent or a proof is missing, nothing is promoted: [`Exit::Found`].
///
/// # Errors
/// When there is nothing to promote, or the API server refuses.
pub async fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let (platform, name) = item(&args.names);
    let cluster = Cluster::connect(global).await?;
    let platform = cluster.platform_with(platform, Item::Database, name).await?;
    let (database, server) = database(&platform, name, args.shard)?;
    let found = promotion(&platform, &database, &server);
    let Some(found) = found.filter(|found| found.state != PromotionState::Done) else {
        bail!(
            "there is nothing to promote: the primary of database {name} accepts writes, or no read replica could take over; \
             `lpctl status` says how it is"
        );
    };
    let going =
        found.word.clone().filter(|_| !matches!(found.state, PromotionState::Possible | PromotionState::Refused));
    output::tell(&plan(&platform, &server, &found));
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !args.yes && !output::consent(terminal, "Nothing was promoted")? {
        return Ok(Exit::Found);
    }
    let word = match going {
        // Somebody has asked already: it is gone on with.
        Some(word) => word,
        None => {
            let word = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default().to_string();
            say(&cluster, &platform, &entry(&database, &server), &word, &args.without).await?;
            word
        }
    };
    follow(&cluster, &platform, &database, &server, &word, Duration::from_secs(args.timeout)).await
}

/// The database and the one of its servers that is meant.
fn database(platform: &LearningPlatform, name: &str, shard: Option<u32>) -> anyhow::Result<(InCluster, Server)> {
    let found = platform.spec.databases.iter().find(|database| database.name == name);
    let found = found.ok_or_else(|| anyhow!("no database {name} in {}", platform.name_any()))?;
    if found.cloud_native_pg.is_some() {
        bail!("database {name} is run by CloudNativePG, which promotes by itself: see `kubectl cnpg promote`");
    }
    let Some(spec) = &found.in_cluster else { bail!("database {name} is external: promote it where it runs") };
    let namespace = platform.namespace().unwrap_or_default();
    let database = InCluster::new(&platform.name_any(), &namespace, found, spec);
    let count = database.servers.len();
    let server = match shard {
        None if count > 1 => bail!("database {name} has shards 0 to {}: say which with --shard", count - 1),
        shard => database.servers.get(shard.unwrap_or_default() as usize).cloned(),
    };
    let server = server.ok_or_else(|| anyhow!("database {name} has shards 0 to {}", count.saturating_sub(1)))?;
    Ok((database, server))
}

/// What the operator says of the promotion of a server.
fn promotion(platform: &LearningPlatform, database: &InCluster, server: &Server) -> Option<Promotion> {
    let store = platform.status.as_ref()?.databases.iter().find(|store| store.name == database.name)?;
    let shard = (database.servers.len() > 1).then(|| i32::try_from(server.shard).ok()).flatten();
    store.promotions.iter().find(|promotion| promotion.shard == shard).cloned()
}

fn plan(platform: &LearningPlatform, server: &Server, found: &Promotion) -> String {
    let (pod, namespace) = (format!("{}-0", server.primary_set()), platform.namespace().unwrap_or_default());
    format!(
        "{namespace}/{pod} accepts no writes. {}.\nIts pod is stopped, and has to be proven gone. The claim {}-{pod} is deleted, \
         its volume is kept. Then {pod} copies the most advanced read replica to a new volume and goes on from there; until \
         then no write is accepted.",
        capital(&found.message),
        pods::DATA
    )
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// How the annotation calls a server.
fn entry(database: &InCluster, server: &Server) -> String {
    if database.servers.len() > 1 { format!("{}/{}", database.name, server.shard) } else { database.name.clone() }
}

/// The annotation with a word for a server; those of others stay.
fn annotation(present: &str, entry: &str, word: &str, without: &[String]) -> String {
    let others = present.split(',').map(str::trim).filter(|one| !one.is_empty());
    let others = others.filter(|one| one.split_once('=').is_none_or(|(name, _)| name.trim() != entry));
    let without = if without.is_empty() { String::new() } else { format!(" without {}", without.join(" ")) };
    others.map(str::to_owned).chain([format!("{entry}={word}{without}")]).collect::<Vec<_>>().join(",")
}

async fn say(
    cluster: &Cluster,
    platform: &LearningPlatform,
    entry: &str,
    word: &str,
    without: &[String],
) -> anyhow::Result<()> {
    let (name, namespace) = (platform.name_any(), platform.namespace().unwrap_or_default());
    let present = platform.annotations().get(PROMOTE_ANNOTATION).map(String::as_str).unwrap_or_default();
    let value = annotation(present, entry, word, without);
    let patch = json!({ "metadata": { "annotations": { PROMOTE_ANNOTATION: value } } });
    let params = PatchParams { field_manager: Some("lpctl".into()), ..PatchParams::default() };
    let api: Api<LearningPlatform> = Api::namespaced(cluster.client.clone(), &namespace);
    let sent = api.patch_metadata(&name, &params, &Patch::Merge(&patch)).await;
    sent.map_err(|error| cluster.explain(&format!("platform {name} cannot be annotated"), error))?;
    output::tell(&format!("asked by the annotation {PROMOTE_ANNOTATION}: {value}"));
    Ok(())
}

/// Tells how far it is, up to its end.
async fn follow(
    cluster: &Cluster,
    platform: &LearningPlatform,
    database: &InCluster,
    server: &Server,
    word: &str,
    patience: Duration,
) -> anyhow::Result<Exit> {
    let api: Api<LearningPlatform> = Api::namespaced(cluster.client.clone(), &platform.namespace().unwrap_or_default());
    let end = Instant::now() + patience;
    let mut told = String::new();
    while Instant::now() < end {
        let live = api.get(&platform.name_any()).await;
        let live = live.map_err(|error| cluster.explain("the platform cannot be read", error))?;
        let now = promotion(&live, database, server).filter(|now| now.word.as_deref() == Some(word));
        if let Some(Promotion { state, message, .. }) = now {
            let line = format!("{state:?}: {message}");
            if line != told {
                output::emit(&format!("{line}\n"))?;
                told = line;
            }
            match state {
                PromotionState::Done => return Ok(Exit::Good),
                PromotionState::Refused => return Ok(Exit::Found),
                PromotionState::ClaimInTheWay => give_up_claim(cluster, database, server).await?,
                _ => {}
            }
        }
        tokio::time::sleep(LOOK).await;
    }
    output::tell("It has not ended yet, and goes on by itself: run the command again to see how far it is.");
    Ok(Exit::Found)
}

/// Deletes the claim of the former volume, once the volume is sure to stay.
async fn give_up_claim(cluster: &Cluster, database: &InCluster, server: &Server) -> anyhow::Result<()> {
    let name = format!("{}-{}-0", pods::DATA, server.primary_set());
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(cluster.client.clone(), &database.namespace);
    let claim = claims.get_opt(&name).await.with_context(|| format!("the claim {name} cannot be read"))?;
    let Some(claim) = claim.filter(|claim| claim.metadata.deletion_timestamp.is_none()) else { return Ok(()) };
    let volume = claim.spec.as_ref().and_then(|spec| spec.volume_name.clone()).filter(|volume| !volume.is_empty());
    let volumes: Api<PersistentVolume> = Api::all(cluster.client.clone());
    if let Some(volume) = &volume {
        keep(&volumes, volume).await.with_context(|| {
            format!(
                "the volume {volume} is not sure to stay without its claim: set its reclaim policy to Retain, or let somebody who \
                 may, and delete the claim: kubectl delete pvc {name} -n {}",
                database.namespace
            )
        })?;
    }
    let preconditions = Some(kube::api::Preconditions { uid: claim.uid(), resource_version: None });
    let deleted = claims.delete(&name, &DeleteParams { preconditions, ..DeleteParams::default() }).await;
    deleted.map_err(|error| cluster.explain(&format!("the claim {name} cannot be deleted"), error))?;
    let stays = volume.as_ref().map_or(String::new(), |volume| format!("; its volume {volume} stays"));
    output::emit(&format!("deleted the claim {name}{stays}\n"))?;
    if let Some(volume) = volume {
        // So that nobody takes it for the volume of the data that go on. A volume that is gone by now needs no mark.
        let labels = json!({ "metadata": { "labels": { volumes::CLAIM: null, FORMER_CLAIM: name } } });
        let _ = volumes.patch_metadata(&volume, &PatchParams::default(), &Patch::Merge(&labels)).await;
    }
    Ok(())
}

/// Sees that a volume outlives its claim. One that is gone cannot.
async fn keep(volumes: &Api<PersistentVolume>, name: &str) -> Result<(), kube::Error> {
    let Some(volume) = volumes.get_opt(name).await? else { return Ok(()) };
    let policy = volume.spec.and_then(|spec| spec.persistent_volume_reclaim_policy);
    if policy.as_deref().unwrap_or("Retain") == "Retain" {
        return Ok(());
    }
    let patch = json!({ "spec": { "persistentVolumeReclaimPolicy": "Retain" } });
    volumes.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_others_stay() {
        let lost = ["story-main-pg-ro-1".to_owned(), "story-main-pg-ro-2".to_owned()];
        assert_eq!(annotation("", "main", "a", &[]), "main=a");
        assert_eq!(annotation("main=a without x, tenants/1=b", "main", "c", &[]), "tenants/1=b,main=c");
        assert_eq!(
            annotation("main=a", "tenants/0", "b", &lost),
            "main=a,tenants/0=b without story-main-pg-ro-1 story-main-pg-ro-2"
        );
    }

    #[test]
    fn only_a_server_in_the_cluster_can_be_meant() {
        let storage = json!({"storage": "1Gi"});
        let secret = json!({"name": "s"});
        let spec = json!({"databases": [
            {"name": "main", "inCluster": {"volume": storage}},
            {"name": "tenants", "inCluster": {"volume": storage, "shards": 3}},
            {"name": "marks", "cloudNativePG": {"volume": storage}},
            {"name": "far", "external": {"address": "db", "database": "app", "secret": secret}},
        ]});
        let mut platform = LearningPlatform::new("story", serde_json::from_value(spec).unwrap());
        platform.metadata.namespace = Some("learning".into());
        let of = |name, shard| database(&platform, name, shard).map(|(database, server)| entry(&database, &server));
        assert_eq!(of("main", None).unwrap(), "main");
        assert_eq!(of("main", Some(0)).unwrap(), "main");
        assert_eq!(of("tenants", Some(2)).unwrap(), "tenants/2");
        for (name, shard, words) in [
            ("main", Some(1), "shards 0 to 0"),
            ("tenants", None, "--shard"),
            ("tenants", Some(3), "shards 0 to 2"),
            ("marks", None, "CloudNativePG"),
            ("far", None, "external"),
            ("none", None, "no database none"),
        ] {
            let error = of(name, shard).unwrap_err().to_string();
            assert!(error.contains(words), "{name} {shard:?}: {error}");
        }
    }

    #[test]
    fn nobody_is_asked_without_a_terminal() {
        assert!(!output::consent(false, "Nothing was promoted").unwrap());
    }
}

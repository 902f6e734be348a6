//! Completion with the names that the cluster really has, asked for while the user types.

use crate::{
    args::Global,
    cluster::{Cluster, Item},
};
use clap_complete::CompletionCandidate;
use crds::LearningPlatform;
use kube::api::ListParams;
use std::{ffi::OsStr, time::Duration};

/// Longest time a shell waits for names; without an answer there are none.
const PATIENCE: Duration = Duration::from_secs(2);

/// Names of platforms that begin so.
pub fn platforms(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, |platform| platform.metadata.name.iter().cloned().collect())
}

/// Names of apps that begin so.
pub fn apps(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, |platform| platform.spec.apps.iter().map(|a| a.name.clone()).collect())
}

/// Names of databases that begin so, and of the platforms that have any: either may come first.
pub fn databases(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, |platform| with_platform(platform, Item::Database))
}

/// Names of caches that begin so, and of the platforms that have any: either may come first.
pub fn caches(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, |platform| with_platform(platform, Item::Cache))
}

/// Names of caches, databases and CDNs that begin so, and of the platforms that have any: either may come first.
pub fn at_aws(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, |platform| with_platform(platform, Item::AtAws))
}

fn with_platform(platform: &LearningPlatform, item: Item) -> Vec<String> {
    let names = item.names(platform);
    let platform = platform.metadata.name.as_deref().filter(|_| !names.is_empty());
    names.iter().copied().chain(platform).map(str::to_owned).collect()
}

fn candidates(current: &OsStr, names: impl Fn(&LearningPlatform) -> Vec<String>) -> Vec<CompletionCandidate> {
    let Some(prefix) = current.to_str() else { return Vec::new() };
    let mut found: Vec<String> = list().iter().flat_map(names).filter(|n| n.starts_with(prefix)).collect();
    found.sort();
    found.dedup();
    found.into_iter().map(CompletionCandidate::new).collect()
}

fn list() -> Vec<LearningPlatform> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    runtime.block_on(async {
        let asked = async {
            let cluster = Cluster::connect(&global()).await.ok()?;
            Some(cluster.platforms(false).list(&ListParams::default()).await.ok()?.items)
        };
        tokio::time::timeout(PATIENCE, asked).await.ok().flatten().unwrap_or_default()
    })
}

/// Cluster and namespace as already typed on the line that is being completed.
fn global() -> Global {
    let words: Vec<String> = std::env::args().collect();
    let value = |names: &[&str]| {
        words.iter().enumerate().rev().find_map(|(at, word)| {
            let (name, inline) = word.split_once('=').map_or((word.as_str(), None), |(n, v)| (n, Some(v.to_owned())));
            names.contains(&name).then(|| inline.or_else(|| words.get(at + 1).cloned())).flatten()
        })
    };
    Global {
        kubeconfig: value(&["--kubeconfig"]).map(Into::into),
        context: value(&["--context"]),
        namespace: value(&["-n", "--namespace"]),
    }
}

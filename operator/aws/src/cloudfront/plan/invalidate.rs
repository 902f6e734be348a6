//! The edges forget what an app's rollout has made old: once per rollout, in one call for all apps that are done.

use super::{
    super::{Batch, Call},
    Round,
};
use crate::{Planned, digest};
use std::collections::{BTreeMap, BTreeSet};

/// Most paths with a star that may be in progress, by CloudFront's quotas.
const MOST_WILDCARDS: usize = 15;
/// Most other paths that may be, by CloudFront's quotas; a thousand a month cost nothing.
const MOST_PATHS: usize = 3000;

pub(super) fn plan(round: &mut Round<'_>, id: &str) {
    let wish = round.wish;
    if round.memory.batch.is_none() {
        let is_due = |(app, revision): &(&String, &String)| {
            let paths = wish.spec.invalidate.get(*app);
            paths.is_some_and(|paths| !paths.is_empty()) && round.memory.invalidated.get(*app) != Some(*revision)
        };
        let rollouts: BTreeMap<String, String> =
            wish.rollouts.iter().filter(is_due).map(|(app, revision)| (app.clone(), revision.clone())).collect();
        if rollouts.is_empty() {
            return;
        }
        let paths = rollouts.keys().filter_map(|app| wish.spec.invalidate.get(app)).flatten().cloned();
        let paths = collapsed(paths.collect(), matches!(wish.scope, super::Scope::Own));
        // The same rollouts are the same invalidation, also for an operator that has forgotten that it has sent it.
        let words: Vec<String> = rollouts.iter().map(|(app, revision)| format!("{app}={revision}")).collect();
        let of = wish.owner.identity.caller_reference(0);
        let listed: Vec<&str> = paths.iter().map(String::as_str).collect();
        let reference = digest::hex(&format!("{of}/{}/{}", words.join("/"), listed.join(" ")))[..32].to_owned();
        round.memory.batch = Some(Batch { reference, paths, rollouts });
    }
    let Some(batch) = round.memory.batch.clone() else { return };
    let costs = format!("{} paths", batch.paths.len());
    let call = Call::Invalidate { id: id.to_owned(), reference: batch.reference, paths: batch.paths };
    round.add(Planned::new(call).costs(costs));
}

/// Without what another one covers, and within the quota. `all` says whether everything may be forgotten for it.
fn collapsed(paths: BTreeSet<String>, all: bool) -> BTreeSet<String> {
    let covers = |wide: &str, path: &str| {
        wide != path && wide.strip_suffix('*').is_some_and(|start| path.trim_end_matches('*').starts_with(start))
    };
    let needed: BTreeSet<String> =
        paths.iter().filter(|path| !paths.iter().any(|wide| covers(wide, path))).cloned().collect();
    let wildcards = needed.iter().filter(|path| path.ends_with('*')).count();
    match all && (wildcards > MOST_WILDCARDS || needed.len() > MOST_PATHS) {
        true => BTreeSet::from(["/*".to_owned()]),
        false => needed,
    }
}

//! Our behaviours and origins in somebody else's distribution. Our origins' ids begin with our prefix, and a behaviour is ours if
//! it leads to one of them: so what is ours is known without being remembered, and nothing else is ever touched.

use super::{
    super::{
        Behavior, DeletionPolicy, Distribution, Element,
        companion::{self, Companions},
        lint,
        overlay::{Others, Patch},
        render,
    },
    GRACE, Round, companions, deletion, invalidate,
};
use crate::{Kind, Mode, TAGS};
use std::collections::BTreeSet;

pub(super) fn plan(round: &mut Round<'_>, id: &str) {
    let wish = round.wish;
    if wish.deleted && (wish.mode == Mode::Observe || wish.policy() == DeletionPolicy::Retain) {
        round.tell(Kind::Deletion, "our behaviors and origins are left in the distribution");
        round.finished = true;
        return;
    }
    if !wish.deleted {
        round.tell(Kind::Deletion, deletion(wish));
        if round.is_invalid() {
            return;
        }
    }
    let Some(distribution) = round.seen.distribution(id) else {
        if wish.deleted {
            return taken_out(round, None);
        }
        return round.tell(Kind::Missing, format!("distribution {id} is not there: name one that is"));
    };
    // Its owner would take out what we put in.
    let owned = round.seen.tags(id).filter(|tags| TAGS.iter().all(|key| tags.contains_key(*key)));
    if let (Some(tags), false) = (owned, wish.deleted) {
        let of = |at: usize| tags.get(TAGS[at]).map_or("", String::as_str);
        let words = format!("distribution {id} is that of platform {}/{} ({}): set it there", of(1), of(2), of(3));
        return round.tell(Kind::NameConflict, words);
    }
    if wish.deleted {
        return taken_out(round, Some(distribution));
    }
    let conflicts: Vec<String> = theirs(round, distribution);
    if !conflicts.is_empty() {
        let words = format!(
            "distribution {id} has behaviors of somebody else's for {}: they are left alone. Choose other paths",
            conflicts.join(", ")
        );
        return round.tell(Kind::NameConflict, words);
    }
    for (ours, theirs) in shadowed(round, distribution) {
        let words = format!(
            "behaviors[{ours}] is never asked: {theirs}, which is somebody else's and stands before it, matches first"
        );
        round.tell(Kind::Drift, words);
    }
    let mut companions = Companions::of(&wish.owner.identity, &wish.spec);
    let hold = companions::plan(round, &mut companions);
    let config = changed(round, distribution, &companions);
    round.update(distribution, config, hold);
    companions::clean(round, &companions, Some(&distribution.config));
    invalidate::plan(round, id);
    round.show(distribution, &companions);
}

fn prefix(round: &Round<'_>) -> String {
    companion::prefix(&round.wish.owner.identity)
}

fn names<'a>(config: &'a Element, list: &str, key: &'a str) -> impl Iterator<Item = (&'a Element, &'a str)> {
    let items = config.get(list).map(Element::items).unwrap_or_default();
    items.iter().filter_map(move |one| Some((one, one.value(key)?)))
}

/// Patterns that we wish, and that lead elsewhere already.
fn theirs(round: &Round<'_>, distribution: &Distribution) -> Vec<String> {
    let prefix = prefix(round);
    let is_theirs = |one: &Element| one.value("TargetOriginId").is_none_or(|origin| !origin.starts_with(&prefix));
    let bare = |pattern: &str| pattern.trim_start_matches('/').to_owned();
    let wished: BTreeSet<String> = round.wish.spec.behaviors.iter().map(|(path, _)| bare(path)).collect();
    names(&distribution.config, "CacheBehaviors", "PathPattern")
        .filter(|(one, pattern)| wished.contains(&bare(pattern)) && is_theirs(one))
        .map(|(_, pattern)| pattern.to_owned())
        .collect()
}

/// Patterns of ours that somebody else's before them match whole. Ours come last, so that none of theirs is taken anything from.
fn shadowed(round: &Round<'_>, distribution: &Distribution) -> Vec<(String, String)> {
    let prefix = prefix(round);
    let there: Vec<_> = names(&distribution.config, "CacheBehaviors", "PathPattern").collect();
    let shadow = |(path, _): &(String, Behavior)| {
        let before = there.iter().take_while(|(_, pattern)| pattern != path);
        let mut theirs = before
            .filter(|(one, _)| one.value("TargetOriginId").is_none_or(|origin| !origin.starts_with(&prefix)))
            .map(|(_, pattern)| *pattern);
        theirs.find(|pattern| lint::matches(pattern, path)).map(|pattern| (path.clone(), pattern.to_owned()))
    };
    round.wish.spec.behaviors.iter().filter_map(shadow).collect()
}

/// The configuration with what is wished of ours in it, and nothing else of ours.
fn changed(round: &Round<'_>, distribution: &Distribution, companions: &Companions) -> Element {
    let prefix = prefix(round);
    let mut config = distribution.config.clone();
    let mut spec = round.wish.spec.clone();
    if round.wish.deleted {
        (spec.origins, spec.behaviors) = (Vec::new(), Vec::new());
    }
    let origins: BTreeSet<String> = names(&config, "Origins", "Id")
        .map(|(_, id)| id.to_owned())
        .filter(|id| {
            id.starts_with(&prefix) && !spec.origins.iter().any(|origin| *id == format!("{prefix}{}", origin.id))
        })
        .collect();
    let behaviors: BTreeSet<String> = names(&config, "CacheBehaviors", "PathPattern")
        .filter(|(one, _)| one.value("TargetOriginId").is_some_and(|origin| origin.starts_with(&prefix)))
        .map(|(_, pattern)| pattern.to_owned())
        .filter(|pattern| !spec.behaviors.iter().any(|(path, _)| path == pattern))
        .collect();
    let mut fields = Vec::new();
    if !spec.origins.is_empty() || !origins.is_empty() {
        fields.push(("Origins", render::origins(&spec, companions, &prefix, Others::Keep { gone: origins })));
    }
    if !spec.behaviors.is_empty() || !behaviors.is_empty() {
        fields
            .push(("CacheBehaviors", render::behaviors(&spec, companions, &prefix, Others::Keep { gone: behaviors })));
    }
    Patch::Fields(fields).lay_over(&mut config);
    config
}

/// The item is deleted: ours are taken out, then what they needed.
fn taken_out(round: &mut Round<'_>, distribution: Option<&Distribution>) {
    let companions = Companions::of(&round.wish.owner.identity, &round.wish.spec);
    if let Some(distribution) = distribution {
        let config = changed(round, distribution, &companions);
        round.update(distribution, config, None);
    }
    companions::clean(round, &companions, distribution.map(|one| &one.config));
    let is_there = !round.plan.calls.is_empty() || !round.memory.created.is_empty();
    round.memory.absent_since = if is_there { None } else { round.memory.absent_since.or(Some(round.now)) };
    round.finished = round.memory.absent_since.is_some_and(|since| round.now.duration_since(since) >= GRACE);
    if !round.finished {
        round.wait("ours are not out of the distribution yet");
    }
}

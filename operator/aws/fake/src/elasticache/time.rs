//! What comes with time.

use super::{Event, Kept, World};
use crate::clock::after;
use aws::elasticache::{Field, Settings, Shard, Strategy};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// What becomes of a group when its time has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is created.
    Created,
    /// These are applied.
    Changed(Settings),
    /// It takes other tokens.
    Token,
    /// It has these shards, each with so many replicas.
    Resized(BTreeMap<String, u32>),
    /// A change of size is taken back.
    RolledBack(String),
    /// Its shards are available.
    Shards,
    /// Its members are.
    Members,
    /// It is gone.
    Gone,
}

impl World {
    /// Lets come what has its time.
    pub(super) fn settle(&mut self, now: Timestamp) {
        for snapshot in self.snapshots.values_mut().filter(|snapshot| snapshot.ready <= now) {
            if snapshot.seen.status == "creating" {
                snapshot.seen.status = "available".into();
                snapshot.seen.created = Some(snapshot.ready);
            }
        }
        let due = |kept: &Kept| kept.until.clone().filter(|(at, _)| *at <= now);
        while let Some((id, (at, next))) = self.groups.iter().find_map(|(id, kept)| Some((id.clone(), due(kept)?))) {
            self.come(&id, at, next);
        }
        self.settle_users(now);
    }

    fn come(&mut self, id: &str, at: Timestamp, next: Next) {
        if next == Next::Gone {
            return self.gone(id);
        }
        let lag = self.durations.lag;
        let mut events = Vec::new();
        let Some(kept) = self.groups.get_mut(id) else { return };
        kept.until = None;
        kept.seen.status = "available".into();
        match next {
            Next::Created => kept.created(id),
            Next::Changed(change) => {
                kept.seen.pending = kept.seen.pending.only(|field| change.get(field).is_none());
                kept.apply(&change);
            }
            Next::Token => {
                kept.seen.pending_token = None;
                match kept.pending_token.take() {
                    Some((Strategy::Set, token)) => (kept.tokens, kept.rotated) = (vec![token], false),
                    // The older of two goes, whatever the new one is.
                    Some((Strategy::Rotate, token)) => {
                        let last = kept.tokens.last().cloned();
                        (kept.tokens, kept.rotated) = (last.into_iter().chain([token]).collect(), true);
                    }
                    None => {}
                }
            }
            Next::Resized(shape) => {
                kept.seen.resharding = false;
                kept.reshape(id, &shape);
                kept.until = Some((after(at, lag), Next::Shards));
            }
            Next::RolledBack(message) => {
                kept.seen.resharding = false;
                kept.seen.pending = kept.seen.pending.only(|field| field != Field::NodeType);
                kept.seen.shards.iter_mut().for_each(|shard| shard.status = "available".into());
                events.push((id.to_owned(), Event { at, message }));
            }
            Next::Shards => {
                kept.seen.shards.iter_mut().for_each(|shard| shard.status = "available".into());
                kept.until = Some((after(at, lag), Next::Members));
            }
            Next::Members => {
                kept.seen.members.retain(|_, status| status != "deleting");
                kept.seen.members.values_mut().for_each(|status| *status = "available".into());
            }
            Next::Gone => {}
        }
        self.events.extend(events);
    }

    /// The maintenance window of all.
    pub(super) fn open_window(&mut self, now: Timestamp) {
        let until = after(now, self.durations.modifying);
        for kept in self.groups.values_mut() {
            if !kept.seen.pending.is_empty() && kept.seen.unready().is_none() {
                kept.seen.status = "modifying".into();
                kept.until = Some((until, Next::Changed(kept.seen.pending.clone())));
            }
            kept.seen.pending_reboot = false;
        }
    }
}

impl Kept {
    pub(super) fn apply(&mut self, change: &Settings) {
        self.seen.settings = self.seen.settings.overlaid(change);
    }

    fn created(&mut self, id: &str) {
        let port = self.seen.settings.number(Field::Port).unwrap_or(6379);
        let address = |prefix: &str| format!("{prefix}.{id}.abc.euc1.cache.amazonaws.com");
        let is_clustered = self.seen.is_clustered();
        let endpoint = |prefix: &str| Some(aws::Endpoint { address: address(prefix), port });
        self.seen.endpoint = endpoint(if is_clustered { "clustercfg" } else { "master" });
        self.seen.reader = if is_clustered { None } else { endpoint("replica") };
        self.seen.shards.iter_mut().for_each(|shard| shard.status = "available".into());
        self.seen.members.values_mut().for_each(|status| *status = "available".into());
    }

    /// Gives it these shards: the new members are not available yet, and the former ones not gone.
    pub(super) fn reshape(&mut self, id: &str, shape: &BTreeMap<String, u32>) {
        let count = u32::try_from(shape.len()).unwrap_or(1).max(1);
        let is_clustered = self.seen.is_clustered();
        let slot = |at: u32| 16384 * at / count;
        let shards: Vec<Shard> = (0..)
            .zip(shape)
            .map(|(at, (shard, replicas))| Shard {
                id: shard.clone(),
                status: "modifying".into(),
                slots: is_clustered.then(|| format!("{}-{}", slot(at), slot(at + 1) - 1)),
                members: (1..=replicas + 1).map(|number| format!("{id}-{shard}-{number:03}")).collect(),
            })
            .collect();
        let stays = |member: &String| shards.iter().any(|shard| shard.members.contains(member));
        for (member, status) in &mut self.seen.members {
            if !stays(member) {
                *status = "deleting".into();
            }
        }
        for member in shards.iter().flat_map(|shard| &shard.members) {
            self.seen.members.entry(member.clone()).or_insert_with(|| "creating".into());
        }
        self.seen.shards = shards;
    }
}

//! Replication groups that come, change and go.

use super::{Answer, Kept, KeptSnapshot, Next, World, refuse};
use crate::clock::after;
use aws::{
    Tags,
    elasticache::{Call, Field, Group, Settings, Snapshot},
    major,
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Versions of the engines; the first parts of one stand for the newest that begins so.
const VERSIONS: [(&str, &str); 5] =
    [("redis", "6.2"), ("redis", "7.0"), ("redis", "7.1"), ("valkey", "7.2"), ("valkey", "8.0")];

fn number(version: &str) -> Vec<u32> {
    version.split('.').filter_map(|part| part.parse().ok()).collect()
}

/// The version that is meant.
fn version(engine: &str, text: &str) -> Answer<String> {
    let is_meant =
        |(of, version): &&(&str, &str)| *of == engine && (*version == text || version.starts_with(&format!("{text}.")));
    match VERSIONS.iter().rev().find(is_meant) {
        Some((_, version)) => Ok((*version).to_owned()),
        None => refuse("InvalidParameterCombination", format!("Cannot find version {text} for {engine}")),
    }
}

/// Letters, digits and single hyphens; first a letter, last no hyphen.
pub(super) fn is_legal(id: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=40).contains(&id.len())
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && id.chars().all(legal)
        && !id.ends_with('-')
        && !id.contains("--")
}

/// What AWS fills in.
fn defaults(engine: &str, version: &str, is_clustered: bool) -> Settings {
    let cluster = if is_clustered { ".cluster.on" } else { "" };
    Settings::default()
        .with(Field::ParameterGroup, format!("default.{engine}{}{cluster}", major(version)))
        .with(Field::SubnetGroup, "private")
        .with(Field::SecurityGroups, BTreeSet::from(["sg-default".to_owned()]))
        .with(Field::Port, 6379)
        .with(Field::Retention, 0)
        .with(Field::SnapshotWindow, "05:10-06:10")
        .with(Field::MaintenanceWindow, "sat:06:10-sat:07:10")
        .with(Field::Failover, false)
        .with(Field::MultiAz, false)
        .with(Field::AutoMinorUpgrade, true)
        .with(Field::Tls, false)
        .with(Field::AtRest, false)
}

impl Kept {
    pub(super) fn of(seen: Group, data: u64) -> Self {
        let tokens = Vec::new();
        Self { seen, until: None, hidden: 0, data, tokens, rotated: false, pending_token: None, next_shard: 1 }
    }
}

impl World {
    pub(super) fn create(&mut self, call: &Call, now: Timestamp) -> Answer<()> {
        let Call::CreateGroup { id, settings, shards, replicas, token, user_group, snapshot, tags, .. } = call else {
            return refuse("InvalidParameterValue", "not a creation");
        };
        if !is_legal(id) {
            return refuse("InvalidParameterValue", format!("{id:?} is not a valid id"));
        }
        if self.groups.contains_key(id) {
            return refuse("ReplicationGroupAlreadyExists", format!("{id} already exists"));
        }
        let is_clustered = settings.flag(Field::ClusterMode) == Some(true);
        if *shards == 0 || (*shards > 1 && !is_clustered) || *replicas > 5 {
            return refuse("InvalidParameterCombination", "the shape is not legal");
        }
        let engine = settings.text(Field::Engine).unwrap_or("redis").to_owned();
        let asked = settings.text(Field::EngineVersion).unwrap_or(if engine == "redis" { "7.1" } else { "8.0" });
        let version = version(&engine, asked)?;
        let wished = defaults(&engine, &version, is_clustered).overlaid(settings);
        let settings = wished.with(Field::EngineVersion, version.as_str());
        let flag = |field| settings.flag(field) == Some(true);
        if is_clustered && !flag(Field::Failover) {
            return refuse("InvalidParameterCombination", "cluster mode needs automatic failover");
        }
        if *replicas == 0 && ((flag(Field::Failover) && !is_clustered) || flag(Field::MultiAz)) {
            return refuse("InvalidParameterCombination", "automatic failover and Multi-AZ need a replica");
        }
        if (token.is_some() || user_group.is_some()) && !flag(Field::Tls) {
            return refuse("InvalidParameterCombination", "tokens and user groups need TransitEncryptionEnabled");
        }
        let subnet = settings.text(Field::SubnetGroup).unwrap_or_default();
        if !self.subnet_groups.contains(subnet) {
            return refuse("CacheSubnetGroupNotFoundFault", format!("Cache Subnet Group {subnet} does not exist"));
        }
        self.check_parameters(&settings)?;
        let secret = token.as_ref().map(|token| token.reveal().to_owned());
        if let Some(secret) = &secret {
            super::auth::check_token(secret)?;
        }
        let used = user_group.iter().cloned().collect::<BTreeSet<String>>();
        for name in &used {
            self.use_group(name, id)?;
        }
        let data = match snapshot {
            None => {
                self.next_data += 1;
                self.next_data
            }
            Some(name) => match self.snapshots.get(name) {
                None => return refuse("SnapshotNotFoundFault", format!("{name} not found")),
                Some(kept) if kept.seen.status != "available" => {
                    return refuse("InvalidSnapshotState", format!("{name} is {}", kept.seen.status));
                }
                Some(kept) => kept.data,
            },
        };
        let seen = Group {
            id: id.clone(),
            status: "creating".into(),
            tags: tags.clone(),
            untold: false,
            settings,
            pending: Settings::default(),
            pending_token: None,
            resharding: false,
            pending_reboot: false,
            shards: Vec::new(),
            members: BTreeMap::new(),
            endpoint: None,
            reader: None,
            nodes: Vec::new(),
            token: secret.is_some(),
            user_groups: used,
        };
        let mut kept = Kept::of(seen, data);
        kept.reshape(id, &(1..=*shards).map(|number| (format!("{number:04}"), *replicas)).collect());
        kept.seen.shards.iter_mut().for_each(|shard| shard.status = "creating".into());
        kept.until = Some((after(now, self.durations.creating), Next::Created));
        (kept.hidden, kept.next_shard, kept.tokens) = (self.hide, shards + 1, secret.into_iter().collect());
        self.groups.insert(id.clone(), kept);
        Ok(())
    }

    pub(super) fn modify(&mut self, id: &str, change: &Settings, immediately: bool, now: Timestamp) -> Answer<()> {
        let until = after(now, self.durations.modifying);
        let kept = self.open(id)?.clone();
        if let Some((field, _)) = change.only(Field::is_fixed).iter().next() {
            return refuse("InvalidParameterValue", format!("{field:?} cannot be changed"));
        }
        let mut change = change.clone();
        let have = &kept.seen.settings;
        let engine = change.text(Field::Engine).or(have.text(Field::Engine)).unwrap_or_default().to_owned();
        let of = have.text(Field::Engine).unwrap_or_default();
        if engine != of && (engine != "valkey" || change.get(Field::EngineVersion).is_none()) {
            return refuse("InvalidParameterCombination", "the engine can be changed to a version of valkey only");
        }
        if let Some(asked) = change.text(Field::EngineVersion) {
            let to = version(&engine, asked)?;
            let from = have.text(Field::EngineVersion).unwrap_or_default();
            if engine == of && number(&to) < number(from) {
                return refuse("InvalidParameterCombination", format!("Cannot downgrade from {from} to {to}"));
            }
            change.set(Field::EngineVersion, to);
        }
        let all = kept.seen.effective().overlaid(&change);
        let flag = |field| all.flag(field) == Some(true);
        let is_alone = kept.seen.shards.iter().any(|shard| shard.replicas() == 0);
        if kept.seen.is_clustered() && !flag(Field::Failover) {
            return refuse("InvalidParameterCombination", "cluster mode needs automatic failover");
        }
        let turns_on = |field| change.flag(field) == Some(true);
        if is_alone && ((turns_on(Field::Failover) && !kept.seen.is_clustered()) || turns_on(Field::MultiAz)) {
            return refuse("InvalidParameterCombination", "automatic failover and Multi-AZ need a replica");
        }
        self.check_parameters(&all)?;
        let roll_back = change.get(Field::NodeType).filter(|_| immediately).and_then(|_| self.roll_back.take());
        let kept = self.get(id)?;
        // Parameters of another family come with its version.
        let with_version = change.get(Field::EngineVersion).is_some();
        let is_later =
            |field: Field| field.default_when().is_some() || (with_version && field == Field::ParameterGroup);
        let at_once = change.only(|field| !is_later(field));
        let waits = change.only(is_later);
        for (field, value) in waits.iter() {
            // To wish what there is takes back what waits.
            if kept.seen.settings.get(field) == Some(value) {
                kept.seen.pending = kept.seen.pending.only(|other| other != field);
            } else {
                kept.seen.pending.set(field, value.clone());
            }
        }
        let pending = if immediately { kept.seen.pending.clone() } else { Settings::default() };
        let all: Settings = at_once.overlaid(&pending);
        if !all.is_empty() {
            kept.seen.status = "modifying".into();
            kept.until = Some((until, roll_back.map_or(Next::Changed(all), Next::RolledBack)));
        }
        Ok(())
    }

    pub(super) fn delete(&mut self, id: &str, snapshot: Option<&str>, now: Timestamp) -> Answer<()> {
        let until = after(now, self.durations.deleting);
        let kept = self.get(id)?.clone();
        let failed = kept.seen.status == "create-failed";
        if let Some(why) = kept.seen.unready().filter(|_| !failed) {
            return refuse("InvalidReplicationGroupState", why);
        }
        if let Some(name) = snapshot {
            if failed {
                return refuse("InvalidReplicationGroupState", "there is nothing to take a snapshot of");
            }
            if self.snapshots.contains_key(name) {
                return refuse("SnapshotAlreadyExistsFault", format!("{name} exists"));
            }
            let (name, group) = (name.to_owned(), id.to_owned());
            let seen = Snapshot { name, group, status: "creating".into(), tags: Tags::new(), created: None };
            // It may be ready later than the group is gone.
            let ready = after(until, self.durations.users);
            self.snapshots.insert(seen.name.clone(), KeptSnapshot { seen, ready, data: kept.data });
        }
        let kept = self.get(id)?;
        kept.seen.status = "deleting".into();
        kept.until = Some((until, Next::Gone));
        Ok(())
    }

    pub(super) fn gone(&mut self, id: &str) {
        let Some(kept) = self.groups.remove(id) else { return };
        for group in self.user_groups.values_mut() {
            group.seen.used_by.remove(id);
        }
        let is_left = self.groups.values().any(|other| other.data == kept.data)
            || self.snapshots.values().any(|snapshot| snapshot.data == kept.data);
        if !is_left {
            self.destroyed.push(kept.data);
        }
    }
}

/// Family of parameter groups that fits.
pub(super) fn family(settings: &Settings) -> String {
    let text = |field| settings.text(field).unwrap_or_default();
    let version = text(Field::EngineVersion);
    match (text(Field::Engine), major(version)) {
        ("redis", "6") => "redis6.x".to_owned(),
        (engine, major) => format!("{engine}{major}"),
    }
}

/// Whether a value of a parameter says yes.
pub(super) fn is_yes(value: Option<&String>) -> bool {
    value.is_some_and(|value| value == "yes")
}

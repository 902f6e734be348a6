//! ElastiCache: replication groups whose shards and members have states of their own that take their time, users, snapshots and
//! parameter groups.

mod api;
mod auth;
mod group;
mod parameters;
mod size;
mod time;

use crate::{
    Clock, Fault, Faults, Logged,
    record::{Answer, Record, refuse},
};
use aws::{
    Error,
    elasticache::{Call, Event, Group, ParameterGroup, Snapshot, Strategy, Usage, User, UserGroup},
};
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use time::Next;

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub struct Durations {
    /// `creating`.
    pub creating: Duration,
    /// `modifying`, for settings, tokens and node types.
    pub modifying: Duration,
    /// `modifying`, while replicas or shards come or go.
    pub resizing: Duration,
    /// How much later than the group its shards are available, and than these their members.
    pub lag: Duration,
    /// `deleting`.
    pub deleting: Duration,
    /// Of users and user groups.
    pub users: Duration,
}

impl Default for Durations {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            creating: seconds(400),
            modifying: seconds(120),
            resizing: seconds(300),
            lag: seconds(40),
            deleting: seconds(200),
            users: seconds(20),
        }
    }
}

/// A group, with what nobody is told.
#[derive(Clone, Debug)]
struct Kept {
    seen: Group,
    until: Option<(Timestamp, Next)>,
    /// Reads that do not show it yet.
    hidden: u32,
    /// Which data it holds: a number per empty group.
    data: u64,
    /// Those that are taken, the older one first.
    tokens: Vec<String>,
    /// There was a `ROTATE` since the last `SET`.
    rotated: bool,
    pending_token: Option<(Strategy, String)>,
    /// Number of the next shard.
    next_shard: u32,
}

/// A snapshot, with its data.
#[derive(Clone, Debug)]
struct KeptSnapshot {
    seen: Snapshot,
    ready: Timestamp,
    data: u64,
}

/// A user, with what nobody is told.
#[derive(Clone, Debug)]
struct KeptUser {
    seen: User,
    until: Option<Timestamp>,
    hidden: u32,
    passwords: Vec<String>,
}

/// A user group.
#[derive(Clone, Debug)]
struct KeptUserGroup {
    seen: UserGroup,
    until: Option<Timestamp>,
    hidden: u32,
}

/// What reads show.
#[derive(Clone, Default)]
struct Shown {
    groups: Vec<Group>,
    snapshots: Vec<Snapshot>,
    parameters: BTreeMap<String, ParameterGroup>,
    users: Vec<User>,
    user_groups: Vec<UserGroup>,
}

#[derive(Default)]
struct World {
    groups: BTreeMap<String, Kept>,
    snapshots: BTreeMap<String, KeptSnapshot>,
    parameters: BTreeMap<String, ParameterGroup>,
    subnet_groups: BTreeSet<String>,
    users: BTreeMap<String, KeptUser>,
    user_groups: BTreeMap<String, KeptUserGroup>,
    usage: BTreeMap<String, Usage>,
    events: Vec<(String, Event)>,
    /// The next change of size is taken back, with these words.
    roll_back: Option<String>,
    durations: Durations,
    hide: u32,
    next_data: u64,
    record: Record<Call>,
    stale: Shown,
    destroyed: Vec<u64>,
}

/// ElastiCache of one account and region.
pub struct FakeElastiCache {
    clock: Clock,
    world: Mutex<World>,
}

impl FakeElastiCache {
    /// An empty account with the subnet group `private`.
    pub fn new(clock: Clock) -> Self {
        let world = World { subnet_groups: BTreeSet::from(["private".to_owned()]), ..World::default() };
        Self { clock, world: Mutex::new(world) }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock();
        world.settle(self.clock.now());
        world
    }

    /// Sets how long things take.
    pub fn set_durations(&self, durations: Durations) {
        self.world().durations = durations;
    }

    /// What is created from now on is not shown for so many reads.
    pub fn hide_new(&self, reads: u32) {
        self.world().hide = reads;
    }

    /// Plans what goes wrong.
    pub fn faults(&self, plan: impl FnOnce(&mut Faults)) {
        plan(&mut self.world().record.faults);
    }

    /// How many requests there were.
    pub fn requests(&self) -> u64 {
        self.world().record.faults.requests()
    }

    /// After so many calls that changed something, from 1, the caller is killed: see [`Self::take_crash`].
    pub fn crash_after(&self, writes: u64) {
        self.world().record.crash_after = Some(writes);
    }

    /// Whether the caller was killed, since it was last asked.
    pub fn take_crash(&self) -> bool {
        self.world().record.take_crash()
    }

    /// How many calls changed something.
    pub fn writes(&self) -> u64 {
        self.world().record.writes
    }

    /// The calls that were meant to change something.
    pub fn log(&self) -> Vec<Logged<Call>> {
        self.world().record.log.clone()
    }

    /// Those of this operation that were carried out.
    pub fn done(&self, operation: &str) -> Vec<Call> {
        self.world().record.done(operation)
    }

    /// The next change of size is taken back when its time has come, and an event says so in these words.
    pub fn roll_back_next(&self, words: &str) {
        self.world().roll_back = Some(words.to_owned());
    }

    /// Sets how full a shard's primary is; where nothing is set it is a tenth of a GiB of one.
    pub fn set_usage(&self, shard: &str, usage: Usage) {
        self.world().usage.insert(shard.to_owned(), usage);
    }

    /// A group, whether reads show it or not.
    pub fn group(&self, id: &str) -> Option<Group> {
        self.world().groups.get(id).map(|kept| kept.seen.clone())
    }

    /// Ids of all groups.
    pub fn ids(&self) -> Vec<String> {
        self.world().groups.keys().cloned().collect()
    }

    /// Which data a group holds.
    pub fn data(&self, id: &str) -> Option<u64> {
        self.world().groups.get(id).map(|kept| kept.data)
    }

    /// The tokens that a group takes, the older one first.
    pub fn tokens(&self, id: &str) -> Vec<String> {
        self.world().groups.get(id).map(|kept| kept.tokens.clone()).unwrap_or_default()
    }

    /// The passwords that a user has.
    pub fn passwords(&self, id: &str) -> Vec<String> {
        self.world().users.get(id).map(|kept| kept.passwords.clone()).unwrap_or_default()
    }

    /// A user, whether reads show it or not.
    pub fn user(&self, id: &str) -> Option<User> {
        self.world().users.get(id).map(|kept| kept.seen.clone())
    }

    /// Ids of all users.
    pub fn user_ids(&self) -> Vec<String> {
        self.world().users.keys().cloned().collect()
    }

    /// A user group, whether reads show it or not.
    pub fn user_group(&self, id: &str) -> Option<UserGroup> {
        self.world().user_groups.get(id).map(|kept| kept.seen.clone())
    }

    /// The snapshots, with their data.
    pub fn kept_snapshots(&self) -> Vec<(Snapshot, u64)> {
        self.world().snapshots.values().map(|kept| (kept.seen.clone(), kept.data)).collect()
    }

    /// Names of the parameter groups that were made.
    pub fn parameter_names(&self) -> Vec<String> {
        self.world().parameters.keys().cloned().collect()
    }

    /// A parameter group.
    pub fn parameters(&self, name: &str) -> Option<ParameterGroup> {
        self.world().parameters.get(name).cloned()
    }

    /// Data that no group and no snapshot held when their last group went.
    pub fn destroyed(&self) -> Vec<u64> {
        self.world().destroyed.clone()
    }

    /// The maintenance window: what waits is applied.
    pub fn open_window(&self) {
        let now = self.clock.now();
        self.world().open_window(now);
    }

    /// Changes a group behind everybody's back, as AWS, or somebody at the console, does.
    pub fn meddle(&self, id: &str, change: impl FnOnce(&mut Group)) {
        if let Some(kept) = self.world().groups.get_mut(id) {
            kept.until = None;
            change(&mut kept.seen);
        }
    }

    /// A group of somebody else's.
    pub fn put(&self, group: Group) {
        let mut world = self.world();
        world.next_data += 1;
        let data = world.next_data;
        let id = group.id.clone();
        world.groups.insert(id, Kept::of(group, data));
    }

    /// A user of somebody else's.
    pub fn put_user(&self, user: User) {
        let kept = KeptUser { seen: user, until: None, hidden: 0, passwords: vec!["theirs".into()] };
        self.world().users.insert(kept.seen.id.clone(), kept);
    }

    /// A snapshot of somebody else's.
    pub fn put_snapshot(&self, snapshot: Snapshot) {
        let now = self.clock.now();
        let mut world = self.world();
        world.next_data += 1;
        let kept = KeptSnapshot { seen: snapshot, ready: now, data: world.next_data };
        world.snapshots.insert(kept.seen.name.clone(), kept);
    }

    /// A group goes behind everybody's back.
    pub fn vanish(&self, id: &str) {
        self.world().groups.remove(id);
    }

    fn answer<T>(
        &self,
        operation: &'static str,
        act: impl FnOnce(&mut World, Option<Fault>, Timestamp) -> Answer<T>,
    ) -> Result<T, Error> {
        let now = self.clock.now();
        let mut world = self.world();
        let fault = world.record.faults.next();
        crate::record::answer(operation, fault, || act(&mut world, fault, now))
    }

    /// A list as it is, or as it was before the last change.
    fn list<T>(&self, operation: &'static str, which: impl Fn(Shown) -> Vec<T>) -> Result<Vec<T>, Error> {
        self.answer(operation, |world, fault, _| {
            let shown = if fault == Some(Fault::Stale) { world.stale.clone() } else { world.show(true) };
            Ok(world.record.shuffled(which(shown)))
        })
    }
}

impl World {
    /// A group by its id.
    fn get(&mut self, id: &str) -> Answer<&mut Kept> {
        match self.groups.get_mut(id) {
            Some(kept) => Ok(kept),
            None => refuse("ReplicationGroupNotFoundFault", format!("ReplicationGroup {id} not found")),
        }
    }

    /// A group that can be changed: it, its shards and its members are available.
    fn open(&mut self, id: &str) -> Answer<&mut Kept> {
        let kept = self.get(id)?;
        match kept.seen.unready() {
            None => Ok(kept),
            Some(why) => refuse("InvalidReplicationGroupState", why),
        }
    }

    fn usage_of(&self, shard: &str) -> Usage {
        self.usage.get(shard).copied().unwrap_or(Usage { used: 100 << 20, most: 1 << 30 })
    }
}

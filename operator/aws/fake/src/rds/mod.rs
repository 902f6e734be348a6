//! RDS: instances with states that take their time, replicas, snapshots and parameter groups.

mod create;
mod delete;
mod groups;
mod modify;
mod time;

use crate::{
    Clock, Fault, Faults, Logged,
    record::{Answer, Record, refuse},
};
use aws::{
    Call as _, Error, Tags,
    rds::{Call, Field, Instance, ParameterGroup, Rds, Resource, Settings, Snapshot},
};
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use time::Next;

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub struct Durations {
    /// `creating`.
    pub creating: Duration,
    /// `modifying`.
    pub modifying: Duration,
    /// `backing-up`, after creation.
    pub backing_up: Duration,
    /// `storage-optimization`, after the storage was changed.
    pub optimizing: Duration,
    /// `deleting`.
    pub deleting: Duration,
}

impl Default for Durations {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            creating: seconds(240),
            modifying: seconds(120),
            backing_up: seconds(60),
            optimizing: seconds(90),
            deleting: seconds(150),
        }
    }
}

/// An instance, with what nobody is told.
#[derive(Clone, Debug)]
struct Kept {
    seen: Instance,
    until: Option<(Timestamp, Next)>,
    /// Reads that do not show it yet.
    hidden: u32,
    /// Which data it holds: a number per empty database.
    data: u64,
    password: String,
    pending_password: Option<String>,
}

/// A snapshot, with its data.
#[derive(Clone, Debug)]
struct KeptSnapshot {
    seen: Snapshot,
    ready: Timestamp,
    data: u64,
    password: String,
    settings: Settings,
    username: String,
}

#[derive(Default)]
pub(crate) struct World {
    instances: BTreeMap<String, Kept>,
    snapshots: BTreeMap<String, KeptSnapshot>,
    groups: BTreeMap<String, ParameterGroup>,
    subnet_groups: BTreeSet<String>,
    durations: Durations,
    hide: u32,
    next_data: u64,
    record: Record<Call>,
    stale: (Vec<Instance>, Vec<Snapshot>),
    stale_groups: BTreeMap<String, ParameterGroup>,
    promoted: Vec<String>,
    destroyed: Vec<u64>,
    kept_backups: Vec<String>,
}

/// RDS of one account and region.
pub struct FakeRds {
    clock: Clock,
    world: Mutex<World>,
}

impl FakeRds {
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

    /// An instance, whether reads show it or not.
    pub fn instance(&self, id: &str) -> Option<Instance> {
        self.world().instances.get(id).map(|kept| kept.seen.clone())
    }

    /// Identifiers of all instances.
    pub fn ids(&self) -> Vec<String> {
        self.world().instances.keys().cloned().collect()
    }

    /// Which data an instance holds.
    pub fn data(&self, id: &str) -> Option<u64> {
        self.world().instances.get(id).map(|kept| kept.data)
    }

    /// The administrator's password.
    pub fn password(&self, id: &str) -> Option<String> {
        self.world().instances.get(id).map(|kept| kept.password.clone())
    }

    /// The snapshots, with their data.
    pub fn kept_snapshots(&self) -> Vec<(Snapshot, u64)> {
        self.world().snapshots.values().map(|kept| (kept.seen.clone(), kept.data)).collect()
    }

    /// Names of the parameter groups that were made.
    pub fn group_names(&self) -> Vec<String> {
        self.world().groups.keys().cloned().collect()
    }

    /// Replicas that AWS made standalone instances of, because their source went.
    pub fn promoted(&self) -> Vec<String> {
        self.world().promoted.clone()
    }

    /// Data that no instance and no snapshot held when their last instance went.
    pub fn destroyed(&self) -> Vec<u64> {
        self.world().destroyed.clone()
    }

    /// Instances whose automated backups outlive them.
    pub fn kept_backups(&self) -> Vec<String> {
        self.world().kept_backups.clone()
    }

    /// The maintenance window: what waits is applied.
    pub fn open_window(&self) {
        let now = self.clock.now();
        self.world().open_window(now);
    }

    /// Changes an instance behind everybody's back, as AWS, or somebody at the console, does.
    pub fn meddle(&self, id: &str, change: impl FnOnce(&mut Instance)) {
        if let Some(kept) = self.world().instances.get_mut(id) {
            kept.until = None;
            change(&mut kept.seen);
        }
    }

    /// An instance of somebody else's.
    pub fn put(&self, instance: Instance) {
        let mut world = self.world();
        world.next_data += 1;
        let data = world.next_data;
        let kept =
            Kept { seen: instance, until: None, hidden: 0, data, password: "theirs".into(), pending_password: None };
        world.instances.insert(kept.seen.id.clone(), kept);
    }

    /// An instance goes behind everybody's back.
    pub fn vanish(&self, id: &str) {
        self.world().instances.remove(id);
    }

    /// Counts the request; what is carried out is so even where the answer is an error.
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
}

impl Rds for FakeRds {
    async fn instances(&self) -> Result<Arc<[Instance]>, Error> {
        self.answer("DescribeDBInstances", |world, fault, _| {
            Ok(if fault == Some(Fault::Stale) { world.stale.0.clone() } else { world.list() }.into())
        })
    }

    async fn snapshots(&self) -> Result<Arc<[Snapshot]>, Error> {
        self.answer("DescribeDBSnapshots", |world, fault, _| {
            let now: Vec<Snapshot> = world.snapshots.values().map(|kept| kept.seen.clone()).collect();
            Ok(if fault == Some(Fault::Stale) { world.stale.1.clone() } else { world.record.shuffled(now) }.into())
        })
    }

    async fn parameter_group(&self, name: &str) -> Result<Option<ParameterGroup>, Error> {
        self.answer("DescribeDBParameterGroups", |world, fault, _| {
            let groups = if fault == Some(Fault::Stale) { &world.stale_groups } else { &world.groups };
            Ok(groups.get(name).cloned())
        })
    }

    async fn send(&self, call: &Call) -> Result<(), Error> {
        let result = self.answer(call.operation(), |world, _, now| {
            let before = (
                world.instances.values().map(|kept| kept.seen.clone()).collect(),
                world.snapshots.values().map(|kept| kept.seen.clone()).collect(),
            );
            let groups = world.groups.clone();
            let answer = world.carry_out(call, now);
            let refused = answer.as_ref().err().map(|(code, ..)| (*code).to_owned());
            if refused.is_none() {
                (world.stale, world.stale_groups) = (before, groups);
            }
            world.record.note(now, call, refused);
            answer
        });
        self.world().record.crash();
        result
    }
}

impl World {
    fn carry_out(&mut self, call: &Call, now: Timestamp) -> Answer<()> {
        match call {
            Call::CreateInstance { .. } => self.create(call, now),
            Call::RestoreInstance { id, snapshot, settings, tags } => self.restore(id, snapshot, settings, tags, now),
            Call::CreateReplica { id, source, settings, tags } => self.replicate(id, source, settings, tags, now),
            Call::ModifyInstance { id, change, immediately, major } => {
                self.modify(id, change, *immediately, *major, now)
            }
            Call::SetPassword { id, password } => self.set_password(id, password.reveal(), now),
            Call::DeleteInstance { id, snapshot, delete_backups } => {
                self.delete(id, snapshot.as_deref(), *delete_backups, now)
            }
            Call::Tag { resource, id, tags } => self.tag(*resource, id, tags),
            Call::CreateParameterGroup { name, family, tags } => self.create_group(name, family, tags),
            Call::SetParameters { name, values } => self.set_parameters(name, values),
            Call::ResetParameters { name, names } => self.reset_parameters(name, names),
            Call::DeleteParameterGroup { name } => self.delete_group(name),
        }
    }

    /// What a read shows: in another order each time, and not what is too new.
    fn list(&mut self) -> Vec<Instance> {
        let mut shown = Vec::new();
        for kept in self.instances.values_mut() {
            if kept.hidden > 0 {
                kept.hidden -= 1;
            } else {
                shown.push(kept.seen.clone());
            }
        }
        self.record.shuffled(shown)
    }

    fn tag(&mut self, resource: Resource, id: &str, tags: &Tags) -> Answer<()> {
        let (of, code) = match resource {
            Resource::Instance => (self.instances.get_mut(id).map(|kept| &mut kept.seen.tags), "DBInstanceNotFound"),
            Resource::Snapshot => (self.snapshots.get_mut(id).map(|kept| &mut kept.seen.tags), "DBSnapshotNotFound"),
            Resource::ParameterGroup => {
                (self.groups.get_mut(id).map(|group| &mut group.tags), "DBParameterGroupNotFound")
            }
        };
        match of {
            Some(of) => {
                of.extend(tags.clone());
                Ok(())
            }
            None => refuse(code, format!("{id} not found")),
        }
    }

    /// An instance by its identifier.
    fn get(&mut self, id: &str) -> Answer<&mut Kept> {
        match self.instances.get_mut(id) {
            Some(kept) => Ok(kept),
            None => refuse("DBInstanceNotFound", format!("DBInstance {id} not found")),
        }
    }

    fn is_protected(&self, id: &str) -> bool {
        self.instances.get(id).is_some_and(|kept| kept.seen.settings.flag(Field::DeletionProtection) == Some(true))
    }
}

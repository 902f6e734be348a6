//! From what is wished, seen and remembered to one call. Pure: the time is an argument.

mod delete;
mod found;
mod live;
mod modify;
mod parameters;
mod size;
mod tokens;
mod users;

use super::{Call, Group, Memory, Resize, Seen, Wish};
use crate::{
    Call as _, Condition, Endpoint, Fingerprint, Kind, Mode, Plan, Planned,
    step::{CHANGING, Gate, STEADY, synced},
};
use found::Found;
use jiff::{SignedDuration, Timestamp};
pub(super) use parameters::parameter_groups;
use std::collections::BTreeMap;

/// How long a read may not show what was created or changed.
const GRACE: SignedDuration = SignedDuration::from_secs(30);
/// How long a status that is not known is taken for a change.
const UNCLEAR: SignedDuration = SignedDuration::from_hours(1);

/// What follows from a look at a cache.
pub type Step = crate::Step<Call, Memory, View>;

/// What others may know of a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Id of the group that is ours.
    pub identifier: Option<String>,
    /// Where it answers: the configuration endpoint in cluster mode, the primary's without.
    pub endpoint: Option<Endpoint>,
    /// Where its replicas answer; none in cluster mode.
    pub reader: Option<Endpoint>,
    /// Where each member answers; none in cluster mode, where each member names all others.
    pub nodes: Vec<Endpoint>,
    /// It serves.
    pub serves: bool,
    /// Shards that there are, and the fewest replicas that one has.
    pub shape: (u32, u32),
    /// By users' names ([`super::TOKEN`] for the token): the wished password is taken by AWS now. The clients' Secret may say it,
    /// and must not before.
    pub accepted: BTreeMap<String, Fingerprint>,
}

/// What is to be done about a cache.
pub fn plan(wish: &Wish, seen: &Seen, memory: &Memory, now: Timestamp) -> Step {
    let mut round = Round::new(wish, seen, memory, now);
    let found = Found::of(wish, seen, &round.memory);
    if wish.deleted {
        delete::plan(&mut round, &found);
    } else {
        live::plan(&mut round, &found);
    }
    round.view(&found);
    round.step(&found)
}

/// Id of the group.
pub fn identifier(wish: &Wish, memory: &Memory) -> String {
    memory.identifier.clone().unwrap_or_else(|| wish.owner.identity.replication_group())
}

/// One round of planning.
struct Round<'a> {
    wish: &'a Wish,
    seen: &'a Seen,
    now: Timestamp,
    memory: Memory,
    plan: Plan<Call>,
    conditions: Vec<Condition>,
    /// What is not done yet, though nothing is left to send for it.
    unsettled: Vec<String>,
    view: View,
    finished: bool,
}

impl<'a> Round<'a> {
    fn new(wish: &'a Wish, seen: &'a Seen, memory: &Memory, now: Timestamp) -> Self {
        let mut memory = memory.clone();
        memory.created.retain(|_, at| now.duration_since(*at) < GRACE);
        memory.sent_at = memory.sent_at.filter(|at| now.duration_since(*at) < GRACE);
        memory.rolled_back.retain(|_, (_, generation)| *generation == wish.generation);
        Self {
            wish,
            seen,
            now,
            memory,
            plan: Plan::default(),
            conditions: Vec::new(),
            unsettled: Vec::new(),
            view: View::default(),
            finished: false,
        }
    }

    fn add(&mut self, planned: Planned<Call>) {
        self.plan.calls.push(planned);
    }

    fn tell(&mut self, kind: Kind, message: impl Into<String>) {
        self.conditions.push(Condition::is(kind, message));
    }

    fn wait(&mut self, message: impl Into<String>) {
        self.unsettled.push(message.into());
    }

    /// Waits for the tags of this group, which AWS does not tell before it is available.
    fn wait_for_tags(&mut self, group: &Group) {
        self.wait(format!("{} is {}: AWS does not tell whose it is before it is available", group.id, group.status));
    }

    /// It was told to be created a moment ago, and a read may not show it yet.
    fn in_grace(&self, id: &str) -> bool {
        self.memory.created.contains_key(id)
    }

    fn view(&mut self, found: &Found<'_>) {
        let Some(group) = found.ours() else { return };
        self.view.identifier = Some(group.id.clone());
        self.view.endpoint = group.endpoint.clone();
        self.view.reader = group.reader.clone();
        self.view.nodes = group.nodes.clone();
        self.view.serves = group.serves();
        let replicas = group.shards.iter().map(|shard| shard.replicas()).min();
        self.view.shape = (group.shard_count(), replicas.unwrap_or(0));
    }

    fn step(mut self, found: &Found<'_>) -> Step {
        let gate = Gate {
            mode: self.wish.mode,
            allow: &self.wish.allow,
            word: self.wish.approved.as_deref(),
            generation: self.wish.generation,
            now: self.now,
            seed: &self.wish.owner.identity.replication_group(),
        };
        let through = gate.pass(&self.plan, &mut self.memory.approved, &mut self.memory.troubles);
        self.conditions.extend(through.conditions);
        let synced = synced(&self.plan, &self.conditions, &self.unsettled);
        self.conditions.push(synced);
        // What waits for somebody else waits for long.
        let others = [Kind::NameConflict, Kind::Retained];
        let is_stuck = through.send.is_none() && self.conditions.iter().any(|told| others.contains(&told.kind));
        let requeue = match (self.unsettled.is_empty(), is_stuck) {
            (true, true) => gate.spread(STEADY),
            (true, false) => through.requeue,
            (false, _) => through.requeue.min(CHANGING),
        };
        let mut after = self.memory.clone();
        let send = through.send.map(|at| self.plan.calls[at].clone());
        if let Some(planned) = &send {
            self.note(&planned.call, found);
            after = self.memory.clone();
            after.approved.used(planned);
            carried_out(&planned.call, self.wish, &mut after);
        }
        if self.wish.mode == Mode::Observe {
            self.plan = Plan::default();
        }
        Step {
            plan: self.plan,
            remember: self.memory,
            send: send.map(|planned| planned.call),
            after,
            conditions: self.conditions,
            view: self.view,
            requeue,
            finished: self.finished,
        }
    }

    /// What has to be known after a crash in the middle of the call.
    fn note(&mut self, call: &Call, found: &Found<'_>) {
        let memory = &mut self.memory;
        memory.sent_at = Some(self.now);
        match call {
            Call::CreateGroup { id, token, .. } => {
                memory.created.insert(id.clone(), self.now);
                memory.token_sent = None;
                memory.tokens = token.as_ref().map(|token| tokens::only(token.fingerprint()));
            }
            Call::SetToken { token, strategy, .. } => {
                // Of an earlier one it was not known either whether AWS got it.
                if memory.token_sent.is_some() {
                    memory.tokens = None;
                }
                let becomes = tokens::after(memory.tokens.as_ref(), *strategy, token.fingerprint());
                memory.token_sent = Some((*strategy, becomes));
            }
            Call::CreateUser { id, passwords, .. } => {
                memory.created.insert(id.clone(), self.now);
                users::note(memory, self.wish, id, Some(passwords));
            }
            Call::ModifyUser { id, passwords: Some(_), .. } => users::note(memory, self.wish, id, None),
            Call::CreateUserGroup { id, .. } => {
                memory.created.insert(users::group_key(id), self.now);
            }
            Call::DeleteGroup { snapshot: Some(name), .. } if !memory.final_snapshots.contains(name) => {
                memory.final_snapshots.push(name.clone());
            }
            Call::CreateParameterGroup { name, .. } => {
                memory.parameter_groups.insert(name.clone());
            }
            _ => {}
        }
        if call.is_resize() {
            let from = found.ours().map(size::shape).unwrap_or_default();
            memory.resize =
                Some(Resize { what: call.sentence(), from, at: self.now, accepted: false, back_since: None });
        }
    }
}

/// What is known once AWS has accepted it.
fn carried_out(call: &Call, wish: &Wish, memory: &mut Memory) {
    match call {
        Call::CreateGroup { .. } => memory.made = true,
        Call::SetToken { .. } => {
            memory.tokens = memory.token_sent.take().map(|(_, becomes)| becomes);
        }
        Call::ModifyUser { id, passwords: Some(passwords), .. } => users::note(memory, wish, id, Some(passwords)),
        _ => {}
    }
    if let Some(resize) = memory.resize.as_mut().filter(|_| call.is_resize()) {
        resize.accepted = true;
    }
}

//! From what is wished, seen and remembered to one call. Pure: the time is an argument.

mod delete;
mod found;
mod groups;
mod live;
mod modify;
mod replicas;

use super::{Call, Endpoint, Instance, Memory, Seen, State, Wish};
use crate::{
    Condition, Kind, Mode, Plan, Planned,
    step::{CHANGING, Gate, synced},
};
use found::Found;
pub(super) use groups::groups;
use jiff::{SignedDuration, Timestamp};

/// How long a read may not show what was created.
const GRACE: SignedDuration = SignedDuration::from_secs(30);
/// How long a status that is not known is taken for a change.
const UNCLEAR: SignedDuration = SignedDuration::from_hours(1);

/// What follows from a look at a database.
pub type Step = crate::Step<Call, Memory, View>;

/// What others may know of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Identifier of the primary that is ours.
    pub identifier: Option<String>,
    /// The administrator that it was created with.
    pub username: Option<String>,
    /// Where the primary answers.
    pub endpoint: Option<Endpoint>,
    /// It serves.
    pub serves: bool,
    /// The replicas that are ours, by index: where each answers, where it serves.
    pub replicas: Vec<(u32, Option<Endpoint>)>,
    /// The administrator's password is the one in the Secret.
    pub password_set: bool,
}

/// What is to be done about a database.
pub fn plan(wish: &Wish, seen: &Seen, memory: &Memory, now: Timestamp) -> Step {
    let mut round = Round::new(wish, seen, memory, now);
    let found = Found::of(wish, seen, &round.memory);
    if wish.deleted {
        delete::plan(&mut round, &found);
    } else {
        live::plan(&mut round, &found);
    }
    round.view(&found);
    round.step()
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

    /// It was told to be created a moment ago, and a read may not show it yet.
    fn in_grace(&self, id: &str) -> bool {
        self.memory.created.contains_key(id)
    }

    fn view(&mut self, found: &Found<'_>) {
        let Some(primary) = found.ours() else { return };
        let password = self.wish.spec.password.as_ref().map(|password| password.fingerprint());
        self.view = View {
            identifier: Some(found.id.clone()),
            username: Some(primary.username.clone()),
            endpoint: primary.endpoint.clone(),
            serves: primary.serves(),
            replicas: found.our_replicas().map(|(index, one)| (index, serving(one))).collect(),
            password_set: password.is_some() && password == self.memory.password && !primary.password_pending,
        };
    }

    fn step(mut self) -> Step {
        let gate = Gate {
            mode: self.wish.mode,
            allow: &self.wish.allow,
            word: self.wish.approved.as_deref(),
            generation: self.wish.generation,
            now: self.now,
            seed: &self.wish.owner.identity.instance(),
        };
        let through = gate.pass(&self.plan, &mut self.memory.approved, &mut self.memory.troubles);
        self.conditions.extend(through.conditions);
        let synced = synced(&self.plan, &self.conditions, &self.unsettled);
        self.conditions.push(synced);
        let requeue = if self.unsettled.is_empty() { through.requeue } else { through.requeue.min(CHANGING) };
        let mut after = self.memory.clone();
        let send = through.send.map(|at| self.plan.calls[at].clone());
        if let Some(planned) = &send {
            note(&planned.call, &mut self.memory, self.now);
            after = self.memory.clone();
            after.approved.used(planned);
            if let Call::SetPassword { password, .. } = &planned.call {
                after.password = Some(password.fingerprint());
            }
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
}

/// What has to be known after a crash in the middle of the call.
fn note(call: &Call, memory: &mut Memory, now: Timestamp) {
    match call {
        Call::CreateInstance { id, password, .. } => {
            memory.created.insert(id.clone(), now);
            memory.password = Some(password.fingerprint());
        }
        // It has the password that the snapshot's instance had.
        Call::RestoreInstance { id, .. } => {
            memory.created.insert(id.clone(), now);
            memory.password = None;
        }
        Call::CreateReplica { id, .. } => {
            memory.created.insert(id.clone(), now);
        }
        Call::DeleteInstance { snapshot: Some(name), .. } if !memory.final_snapshots.contains(name) => {
            memory.final_snapshots.push(name.clone());
        }
        Call::CreateParameterGroup { name, .. } => {
            memory.groups.insert(name.clone());
        }
        _ => {}
    }
}

/// Where an instance answers, if it serves.
fn serving(instance: &Instance) -> Option<Endpoint> {
    instance.endpoint.clone().filter(|_| instance.serves())
}

/// What keeps an instance from being changed.
fn unchangeable(instance: &Instance) -> Option<String> {
    (instance.state() != State::Available).then(|| format!("{} is {}", instance.id, instance.status))
}

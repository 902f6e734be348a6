//! From what is wished, seen and remembered to one call. Pure: the time is an argument.

mod attach;
mod companions;
mod delete;
mod found;
mod invalidate;
mod live;

use super::{
    Call, DeletionPolicy, Distribution, HOSTED_ZONE, Memory, Scope, Seen, Warning, Wish, companion::Companions,
    element::Element, lint, overlay,
};
use crate::{
    Call as _, Condition, Kind, Mode, Plan, Planned, acm, digest,
    step::{CHANGING, Gate},
};
pub(super) use companions::is_ours;
use found::Found;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// How long a read may not show what was created.
const GRACE: SignedDuration = SignedDuration::from_secs(30);
/// How long a `CallerReference` that is said to be used is taken for that of a distribution which reads do not show yet, before it is
/// taken for one that stays blocked after a deletion. Longer than [`GRACE`]: waiting costs little, and a second distribution much.
const TAKEN: SignedDuration = SignedDuration::from_mins(2);
/// How long edits are gathered: each update is on its way to the edges for minutes.
const GATHERED: SignedDuration = SignedDuration::from_secs(5);

/// What follows from a look at a distribution.
pub type Step = crate::Step<Call, Memory, View>;

/// What others may know of a distribution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Its id.
    pub id: Option<String>,
    /// Where records of DNS for its aliases lead to.
    pub domain_name: Option<String>,
    /// The zone that alias records name.
    pub hosted_zone: Option<&'static str>,
    /// It answers.
    pub enabled: bool,
    /// What was accepted is everywhere.
    pub deployed: bool,
    /// The statement that the policy of a bucket needs, in JSON, by the origin's id. Buckets are the user's, and left alone.
    pub bucket_policies: Vec<(String, String)>,
    /// State of its certificate.
    pub certificate: Option<acm::State>,
    /// What is probably not meant.
    pub warnings: Vec<Warning>,
}

/// What is to be done about a distribution.
pub fn plan(wish: &Wish, seen: &Seen, memory: &Memory, now: Timestamp) -> Step {
    let mut round = Round::new(wish, seen, memory, now);
    match (&wish.scope, wish.deleted) {
        (Scope::Own, false) => live::plan(&mut round, &Found::of(wish, seen, memory)),
        (Scope::Own, true) => delete::plan(&mut round, &Found::of(wish, seen, memory)),
        (Scope::Attach { distribution }, _) => attach::plan(&mut round, distribution),
    }
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
    /// When to look again, if earlier than otherwise.
    soon: Option<Duration>,
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
            soon: None,
            view: View { warnings: lint(&wish.spec), ..View::default() },
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
    fn in_grace(&self, call: &Call) -> bool {
        self.memory.created.contains_key(&call.key())
    }

    /// Says what is wrong with the wish, if anything is.
    fn is_invalid(&mut self) -> bool {
        let problems = super::check::problems(self.wish);
        let is_invalid = !problems.is_empty();
        problems.into_iter().for_each(|problem| self.tell(Kind::Invalid, problem));
        is_invalid
    }

    /// Tells the state of the certificate, and what holds a call back that names it, if anything does: CloudFront would refuse it. One
    /// that the distribution has already is refused by nobody.
    fn certificate(&mut self, has_it: bool) -> Option<String> {
        let answer = self.seen.certificate.as_ref()?;
        let state = acm::state(answer, self.wish.spec.aliases.iter().flatten(), self.now);
        let hold = match &state {
            acm::State::NotIssued(words) if !has_it => Some(format!("certificate: {words}")),
            _ => None,
        };
        if let Some(words) = &hold {
            self.tell(Kind::NotUsable, words.clone());
        }
        self.view.certificate = Some(state);
        hold
    }

    /// What it is, for others; and whether it is everywhere, which is another thing than accepted.
    fn show(&mut self, distribution: &Distribution, companions: &Companions) {
        if !distribution.is_deployed() {
            let words = format!("{}: what AWS has accepted is on its way to the edges", distribution.id);
            self.tell(Kind::Deploying, words);
            self.soon = Some(CHANGING);
        }
        self.view.id = Some(distribution.id.clone());
        self.view.domain_name = Some(distribution.domain_name.clone());
        self.view.hosted_zone = Some(HOSTED_ZONE);
        self.view.enabled = distribution.is_enabled();
        self.view.deployed = distribution.is_deployed();
        self.view.bucket_policies = companions::bucket_policies(self.wish, distribution, companions);
    }

    /// Plans the update from what was read to what is wished, if they differ.
    fn update(&mut self, distribution: &Distribution, config: Element, hold: Option<String>) {
        let changes = overlay::differences(&distribution.config, &config);
        if changes.is_empty() {
            self.memory.edit = None;
            return;
        }
        let missing = self.wish.spec.missing_secrets();
        let hold = hold.or_else(|| {
            (!missing.is_empty() && !self.wish.deleted)
                .then(|| format!("{}: the Secret is missing", missing.join(", ")))
        });
        let hold = hold.or_else(|| self.gathered());
        let costs = costs(&distribution.config, &config);
        let (id, etag) = (distribution.id.clone(), distribution.etag.clone());
        let planned = Planned::new(Call::Update { id, etag, config, changes }).hold(hold);
        self.add(if costs.is_empty() { planned } else { planned.costs(costs.join("; ")) });
    }

    /// What keeps an edit back until no other follows.
    fn gathered(&mut self) -> Option<String> {
        // The wish and not the difference: somebody else's edits meanwhile do not begin it anew.
        let hash = digest::hex(&format!("edit/{:?}/{}", self.wish.generation, self.wish.deleted));
        let since = match &self.memory.edit {
            Some((former, since)) if *former == hash => *since,
            _ => self.now,
        };
        self.memory.edit = Some((hash, since));
        let passed = self.now.duration_since(since);
        (passed < GATHERED).then(|| {
            let left = Duration::try_from(GATHERED - passed).unwrap_or_default();
            self.soon = Some(self.soon.map_or(left, |soon| soon.min(left)));
            "edits of a few seconds are sent together".to_owned()
        })
    }

    fn step(mut self) -> Step {
        let gate = Gate {
            mode: self.wish.mode,
            allow: &self.wish.allow,
            word: self.wish.approved.as_deref(),
            generation: self.wish.generation,
            now: self.now,
            seed: &self.wish.owner.identity.cdn(),
        };
        let through = gate.pass(&self.plan, &mut self.memory.approved, &mut self.memory.troubles);
        self.conditions.extend(through.conditions);
        let left = self.plan.calls.iter().map(|planned| {
            let hold = planned.hold.as_ref().map(|hold| format!(" ({hold})")).unwrap_or_default();
            format!("to do: {}{hold}", planned.call.sentence())
        });
        let unsettled: Vec<String> = self.unsettled.iter().cloned().chain(left).collect();
        let blocked = self.conditions.iter().any(|condition| {
            let kinds =
                [Kind::Invalid, Kind::NameConflict, Kind::Retained, Kind::Missing, Kind::NotUsable, Kind::Refused];
            kinds.contains(&condition.kind)
        });
        self.conditions.push(match unsettled.first() {
            Some(first) => Condition::is_not(Kind::Synced, first.clone()),
            None if blocked => Condition::is_not(Kind::Synced, "see the other conditions"),
            None => Condition::is(Kind::Synced, "every field that is set was compared"),
        });
        let mut requeue = if self.unsettled.is_empty() { through.requeue } else { through.requeue.min(CHANGING) };
        requeue = self.soon.map_or(requeue, |soon| requeue.min(soon.max(Duration::from_secs(1))));
        let mut after = self.memory.clone();
        let send = through.send.map(|at| self.plan.calls[at].clone());
        if let Some(planned) = &send {
            note(&planned.call, &mut self.memory, self.now);
            after = self.memory.clone();
            after.approved.used(planned);
            done(&planned.call, &mut after, self.wish);
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
    if matches!(call, Call::Create { .. } | Call::CreateCompanion { .. }) {
        memory.created.insert(call.key(), now);
    }
}

/// What is known once the call was accepted.
fn done(call: &Call, memory: &mut Memory, wish: &Wish) {
    match call {
        // Nothing is cached yet.
        Call::Create { .. } => memory.invalidated.clone_from(&wish.rollouts),
        Call::Invalidate { .. } => {
            if let Some(batch) = memory.batch.take() {
                memory.invalidated.extend(batch.rollouts);
            }
        }
        Call::Update { .. } => memory.edit = None,
        _ => {}
    }
}

/// What users of the distribution lose by an update.
fn costs(have: &Element, wish: &Element) -> Vec<String> {
    let mut costs = Vec::new();
    let names = |config: &Element, list: &str, key: Option<&str>| -> Vec<String> {
        let items = config.get(list).map(Element::items).unwrap_or_default();
        let name =
            |one: &Element| key.map_or(Some(one.text.as_str()), |key| one.value(key)).unwrap_or_default().to_owned();
        items.iter().map(name).collect()
    };
    for (list, key, words) in [
        ("Aliases", None, "is not served any more"),
        ("CacheBehaviors", Some("PathPattern"), "falls to another behavior"),
        ("Origins", Some("Id"), "is no origin any more"),
    ] {
        let after = names(wish, list, key);
        let gone = names(have, list, key).into_iter().filter(|name| !after.contains(name));
        costs.extend(gone.map(|name| format!("{name} {words}")));
    }
    if have.value("Enabled") == Some("true") && wish.value("Enabled") == Some("false") {
        costs.push("it answers no more".to_owned());
    }
    costs
}

/// What becomes of it when its item is deleted, in words.
fn deletion(wish: &Wish) -> &'static str {
    match (&wish.scope, wish.policy()) {
        (Scope::Own, DeletionPolicy::Retain) => {
            "Retain: deleting it leaves the distribution enabled and as it is, and AWS goes on charging for it"
        }
        (Scope::Own, DeletionPolicy::Delete) => {
            "Delete: deleting it disables and deletes the distribution; its domain name does not come back"
        }
        (Scope::Attach { .. }, DeletionPolicy::Retain) => {
            "Retain: deleting it leaves our behaviors and origins in the distribution"
        }
        (Scope::Attach { .. }, DeletionPolicy::Delete) => {
            "Delete: deleting it takes our behaviors and origins out of the distribution, which stays"
        }
    }
}

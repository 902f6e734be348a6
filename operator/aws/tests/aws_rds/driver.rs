//! The loop: observe, plan, one call; on the tests' clock.

use aws_fake::{Clock, rds::FakeRds};
use learningplatform_aws::{
    Allow, Call as _, Condition, Identity, Kind, Mode, Owner, Password,
    rds::{DeletionPolicy, Memory, Parameters, Rds, Seen, Spec, Step, Wish, observe, plan},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

pub const PASSWORD: &str = "correct-horse-battery-staple";

/// Whose the databases of the tests are.
pub fn owner(platform: &str, uid: &str) -> Owner {
    let identity = Identity::new("blue", "learning", platform, "main").expect("legal");
    Owner { identity, uid: uid.to_owned() }
}

/// A database with its own parameters and two replicas.
pub fn wish() -> Wish {
    let values = [("work_mem", "64MB"), ("max_connections", "200")];
    Wish {
        owner: owner("story", "uid-1"),
        generation: 1,
        mode: Mode::Apply,
        approved: None,
        allow: BTreeSet::new(),
        adopt: false,
        deleted: false,
        deletion_policy: DeletionPolicy::Snapshot,
        spec: Spec {
            engine_version: Some("16.3".into()),
            instance_class: "db.t4g.medium".into(),
            storage: 20,
            storage_type: Some("gp3".into()),
            parameters: Some(Parameters::Own {
                family: "postgres16".into(),
                values: values.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            }),
            subnet_group: Some("private".into()),
            security_groups: BTreeSet::from(["sg-1".to_owned(), "sg-2".to_owned()]),
            backup_retention: Some(7),
            backup_window: Some("03:00-03:30".into()),
            maintenance_window: Some("Sun:04:00-Sun:04:30".into()),
            apply: BTreeMap::new(),
            replicas: 2,
            database: Some("app".into()),
            username: "lp".into(),
            password: Some(Password::new(PASSWORD)),
            ..Spec::default()
        },
    }
}

/// What a database is looked at and changed through.
pub trait Double: Rds {
    /// Whether the operator was killed, since it was last asked.
    fn take_crash(&self) -> bool {
        false
    }
}

impl Double for FakeRds {
    fn take_crash(&self) -> bool {
        Self::take_crash(self)
    }
}

/// An operator of one database. What it remembers is kept as text, as its record is.
pub struct Operator<R = FakeRds> {
    pub rds: Arc<R>,
    pub clock: Clock,
    pub wish: Wish,
    pub memory: String,
    /// What a killed operator remembers is lost, too.
    pub forgets: bool,
    pub kills: u32,
}

impl Operator {
    pub fn new(wish: Wish) -> Self {
        let clock = Clock::default();
        Self::at(Arc::new(FakeRds::new(clock.clone())), clock, wish)
    }

    /// Another platform at the same account.
    pub fn beside(&self, wish: Wish) -> Self {
        Self::at(self.rds.clone(), self.clock.clone(), wish)
    }
}

impl<R: Double> Operator<R> {
    /// One that remembers nothing.
    pub fn at(rds: Arc<R>, clock: Clock, wish: Wish) -> Self {
        Self { rds, clock, wish, memory: text(&Memory::default()), forgets: false, kills: 0 }
    }

    pub fn id(&self) -> String {
        self.wish.owner.identity.instance()
    }

    pub fn memory(&self) -> Memory {
        serde_json::from_str(&self.memory).expect("it was written so")
    }

    /// What would be done, without doing it.
    pub async fn look(&self) -> Step {
        let memory = self.memory();
        let seen: Seen = observe(&*self.rds, &self.wish, &memory).await.expect("nothing goes wrong here");
        plan(&self.wish, &seen, &memory, self.clock.now())
    }

    /// One round, without the wait after it.
    pub async fn round(&mut self) -> (Option<Step>, Duration) {
        let mut memory = self.memory();
        let now = self.clock.now();
        let seen = match observe(&*self.rds, &self.wish, &memory).await {
            Ok(seen) => seen,
            Err(error) => {
                let wait = memory.troubles.unseen(&error, self.wish.generation, now);
                self.memory = text(&memory);
                return (None, wait);
            }
        };
        let step = plan(&self.wish, &seen, &memory, now);
        if self.clock.now().as_second() % 7 == 0 {
            assert!(!format!("{step:?}").contains(PASSWORD), "{step:?}");
        }
        self.memory = text(&step.remember);
        let Some(call) = &step.send else {
            let wait = step.requeue;
            return (Some(step), wait);
        };
        assert!(!call.sentence().contains(PASSWORD), "{}", call.sentence());
        let result = self.rds.send(call).await;
        if self.rds.take_crash() {
            self.kills += 1;
            if self.forgets {
                self.memory = text(&Memory::default());
            }
            return (None, Duration::from_secs(3));
        }
        let mut memory = step.remember.clone();
        memory.sent(call, step.after.clone(), &result, self.wish.generation, now);
        self.memory = text(&memory);
        let wait = step.requeue;
        (Some(step), wait)
    }

    /// Rounds until nothing is sent, and nothing is awaited.
    pub async fn settle(&mut self) -> Step {
        let mut last = None;
        for _ in 0..3000 {
            let (step, wait) = self.round().await;
            match step {
                Some(step) if step.finished => return step,
                Some(step) if step.send.is_none() && wait > Duration::from_secs(60) => return step,
                step => last = step.or(last),
            }
            self.clock.advance(wait);
        }
        panic!("it does not settle: {:#?}", last.map(|step| (step.plan, step.conditions)))
    }

    /// Rounds until this holds.
    pub async fn until(&mut self, mut done: impl FnMut(&Step) -> bool) -> Step {
        for _ in 0..3000 {
            let (step, wait) = self.round().await;
            if let Some(step) = step.filter(&mut done) {
                return step;
            }
            self.clock.advance(wait);
        }
        panic!("it never is")
    }

    /// Rounds until it is synced.
    pub async fn synced(&mut self) -> Step {
        let mut told = Vec::new();
        for _ in 0..3000 {
            let (step, wait) = self.round().await;
            if let Some(step) = step {
                if step.send.is_none() && has(&step, Kind::Synced) && wait > Duration::from_secs(60) {
                    return step;
                }
                told = step.conditions;
            }
            self.clock.advance(wait);
        }
        panic!("it never is: {told:#?}")
    }

    /// Lets a standing allowance hold.
    pub fn allow(&mut self, allow: Allow) {
        self.wish.allow.insert(allow);
    }
}

pub fn text(memory: &Memory) -> String {
    let text = serde_json::to_string(memory).expect("plain values");
    assert!(!text.contains(PASSWORD), "{text}");
    text
}

pub fn condition(step: &Step, kind: Kind) -> Option<&Condition> {
    step.conditions.iter().find(|condition| condition.kind == kind)
}

pub fn has(step: &Step, kind: Kind) -> bool {
    condition(step, kind).is_some_and(|condition| condition.holds)
}

pub fn says(step: &Step, kind: Kind) -> &str {
    condition(step, kind).map(|condition| condition.message.as_str()).unwrap_or_default()
}

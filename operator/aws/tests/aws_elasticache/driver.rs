//! The loop: observe, plan, one call; on the tests' clock.

use super::clients;
use aws_fake::{
    Clock,
    elasticache::{Durations, FakeElastiCache},
};
use learningplatform_aws::{
    Allow, Call as _, Condition, Identity, Kind, Mode, Owner, Password,
    elasticache::{Access, Auth, Credential, ElastiCache, Memory, Spec, Step, Wish, observe, plan},
    {DeletionPolicy, Parameters},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

pub const FIRST: &str = "correct-horse-battery-staple";
pub const SECOND: &str = "another-horse-another-staple";
pub const THIRD: &str = "third-horse-third-staple";
pub type Wait = Duration;

/// Whose the caches of the tests are.
pub fn owner(platform: &str, uid: &str) -> Owner {
    let identity = Identity::new("blue", "learning", platform, "cache").expect("legal");
    Owner { identity, uid: uid.to_owned() }
}

pub fn credential(text: &str) -> Credential {
    Credential { wished: Some(Password::new(text)), published: None, taken: false }
}

/// A cluster with its own parameters, three shards with a replica each, and a token.
pub fn wish() -> Wish {
    let values = [("maxmemory-policy", "allkeys-lru"), ("timeout", "300")];
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
            engine_version: Some("7.2".into()),
            node_type: "cache.r7g.large".into(),
            shards: 3,
            replicas: 1,
            multi_az: Some(true),
            parameters: Some(Parameters::Own {
                family: "valkey7".into(),
                values: values.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            }),
            subnet_group: Some("private".into()),
            security_groups: BTreeSet::from(["sg-1".to_owned(), "sg-2".to_owned()]),
            auth: Auth::Token(credential(FIRST)),
            snapshot_retention: Some(7),
            snapshot_window: Some("03:00-04:00".into()),
            maintenance_window: Some("Sun:04:00-Sun:05:00".into()),
            ..Spec::default()
        },
    }
}

/// The same with two users.
pub fn wish_of_users() -> Wish {
    let mut wish = wish();
    let user = |rules: &str| Access { rules: rules.into(), credential: credential(FIRST) };
    let users =
        BTreeMap::from([("app".to_owned(), user("on ~app:* +@all")), ("reader".to_owned(), user("on ~* +@read"))]);
    wish.spec.auth = Auth::Users(users);
    wish
}

/// Without cluster mode: a primary with a replica.
pub fn wish_of_one_shard() -> Wish {
    let mut wish = wish();
    (wish.spec.cluster_mode, wish.spec.shards, wish.spec.multi_az) = (false, 1, None);
    wish
}

/// Short, so that a life has few looks, and longer than a look is old.
pub fn short() -> Durations {
    let seconds = Duration::from_secs;
    Durations {
        creating: seconds(40),
        modifying: seconds(20),
        resizing: seconds(40),
        lag: seconds(16),
        deleting: seconds(40),
        users: seconds(10),
    }
}

/// What a cache is looked at and changed through.
pub trait Double: ElastiCache {
    /// Whether the operator was killed, since it was last asked.
    fn take_crash(&self) -> bool {
        false
    }

    /// The tokens that a group takes, where that can be seen.
    fn tokens(&self, _id: &str) -> Vec<String> {
        Vec::new()
    }

    /// The passwords that a user has, where that can be seen.
    fn passwords(&self, _id: &str) -> Vec<String> {
        Vec::new()
    }
}

impl Double for FakeElastiCache {
    fn take_crash(&self) -> bool {
        Self::take_crash(self)
    }

    fn tokens(&self, id: &str) -> Vec<String> {
        Self::tokens(self, id)
    }

    fn passwords(&self, id: &str) -> Vec<String> {
        Self::passwords(self, id)
    }
}

/// An operator of one cache. What it remembers is kept as text, as its record is.
pub struct Operator<C = FakeElastiCache> {
    pub cache: Arc<C>,
    pub clock: Clock,
    pub wish: Wish,
    pub memory: String,
    pub clients: clients::World,
    /// What a killed operator remembers is lost, too.
    pub forgets: bool,
    pub kills: u32,
}

impl Operator {
    pub fn new(wish: Wish) -> Self {
        let clock = Clock::default();
        Self::at(Arc::new(FakeElastiCache::new(clock.clone())), clock, wish)
    }

    /// Another platform at the same account.
    pub fn beside(&self, wish: Wish) -> Self {
        Self::at(self.cache.clone(), self.clock.clone(), wish)
    }

    /// The operations that were carried out.
    pub fn operations(&self) -> Vec<&'static str> {
        self.cache.log().iter().filter(|one| one.refused.is_none()).map(|one| one.call.operation()).collect()
    }

    /// Those that were refused.
    pub fn refused(&self) -> Vec<String> {
        let log = self.cache.log();
        let refused = log.iter().filter_map(|one| Some((one, one.refused.as_ref()?)));
        refused.map(|(one, code)| format!("{}: {code}", one.call.sentence())).collect()
    }
}

impl<C: Double> Operator<C> {
    /// One that remembers nothing.
    pub fn at(cache: Arc<C>, clock: Clock, wish: Wish) -> Self {
        let (memory, clients) = (text(&Memory::default()), clients::World::default());
        Self { cache, clock, wish, memory, clients, forgets: false, kills: 0 }
    }

    pub fn id(&self) -> String {
        self.wish.owner.identity.replication_group()
    }

    pub fn memory(&self) -> Memory {
        serde_json::from_str(&self.memory).expect("it was written so")
    }

    /// Another token, or the same password for all users.
    pub fn rotate(&mut self, to: &str) {
        match &mut self.wish.spec.auth {
            Auth::Open => panic!("nothing to rotate"),
            Auth::Token(credential) => credential.wished = Some(Password::new(to)),
            Auth::Users(users) => {
                users.values_mut().for_each(|access| access.credential.wished = Some(Password::new(to)));
            }
        }
    }

    /// What would be done, without doing it.
    pub async fn look(&self) -> Step {
        let memory = self.memory();
        let seen = observe(&*self.cache, &self.wish, &memory).await.expect("nothing goes wrong here");
        plan(&self.wish, &seen, &memory, self.clock.now())
    }

    /// One round, without the wait after it.
    pub async fn round(&mut self) -> (Option<Step>, Duration) {
        let mut memory = self.memory();
        let now = self.clock.now();
        self.clients.look(&mut self.wish.spec.auth, now);
        self.all_clients_are_taken();
        let seen = match observe(&*self.cache, &self.wish, &memory).await {
            Ok(seen) => seen,
            Err(error) => {
                let wait = memory.troubles.unseen(&error, self.wish.generation, now);
                self.memory = text(&memory);
                return (None, wait);
            }
        };
        let step = plan(&self.wish, &seen, &memory, now);
        if now.as_second() % 7 == 0 {
            shows_no_secret(&format!("{step:?}"));
        }
        self.memory = text(&step.remember);
        self.clients.publish(&self.wish.spec.auth, &step.view, now);
        let Some(call) = &step.send else {
            let wait = step.requeue;
            return (Some(step), wait);
        };
        shows_no_secret(&call.sentence());
        let result = self.cache.send(call).await;
        if self.cache.take_crash() {
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
        self.until_after(|step, wait| step.finished || (step.send.is_none() && wait > Duration::from_secs(60))).await
    }

    /// Rounds until this holds.
    pub async fn until(&mut self, mut done: impl FnMut(&Step) -> bool) -> Step {
        self.until_after(|step, _| done(step)).await
    }

    /// Rounds until it is synced.
    pub async fn synced(&mut self) -> Step {
        let is = |step: &Step, wait| step.send.is_none() && has(step, Kind::Synced) && wait > Duration::from_secs(60);
        self.until_after(is).await
    }

    async fn until_after(&mut self, mut done: impl FnMut(&Step, Duration) -> bool) -> Step {
        let mut last = None;
        for _ in 0..3000 {
            let (step, wait) = self.round().await;
            match step {
                Some(step) if done(&step, wait) => return step,
                step => last = step.or(last),
            }
            self.pass(wait);
        }
        panic!("it never is: {:#?}", last.map(|step| (step.plan, step.conditions, step.remember)))
    }

    /// Rounds for so long.
    pub async fn go_on(&mut self, time: Duration) -> Step {
        let end = self.clock.now().checked_add(time).expect("a time");
        loop {
            let (step, wait) = self.round().await;
            self.pass(wait);
            if let Some(step) = step.filter(|_| self.clock.now() > end) {
                return step;
            }
        }
    }

    /// Lets a standing allowance hold.
    pub fn allow(&mut self, allow: Allow) {
        self.wish.allow.insert(allow);
    }
}

fn shows_no_secret(text: &str) {
    assert!([FIRST, SECOND, THIRD].iter().all(|secret| !text.contains(secret)), "{text}");
}

pub fn text(memory: &Memory) -> String {
    let text = serde_json::to_string(memory).expect("plain values");
    shows_no_secret(&text);
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

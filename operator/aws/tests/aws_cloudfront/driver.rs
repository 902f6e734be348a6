//! The loop: observe, plan, one call; on the tests' clock.

use super::wishes::SECRET;
use aws_fake::{Clock, cloudfront::FakeCloudFront};
use learningplatform_aws::{
    Call as _, Condition, Kind,
    cloudfront::{CloudFront, Distribution, Element, Memory, Step, Wish, observe, plan},
};
use std::{sync::Arc, time::Duration};

/// What a distribution is looked at and changed through.
pub trait Double: CloudFront {
    /// Whether the operator was killed, since it was last asked.
    fn take_crash(&self) -> bool {
        false
    }
}

impl Double for FakeCloudFront {
    fn take_crash(&self) -> bool {
        Self::take_crash(self)
    }
}

/// An operator of one distribution. What it remembers is kept as text, as its record is.
pub struct Operator<C = FakeCloudFront> {
    pub cloudfront: Arc<C>,
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
        Self::at(Arc::new(FakeCloudFront::new(clock.clone())), clock, wish)
    }

    /// Another platform at the same account.
    pub fn beside(&self, wish: Wish) -> Self {
        Self::at(self.cloudfront.clone(), self.clock.clone(), wish)
    }

    /// The only distribution of the account.
    pub fn only(&self) -> Distribution {
        let ids = self.cloudfront.ids();
        assert_eq!(ids.len(), 1, "{ids:?}");
        self.cloudfront.get(&ids[0]).expect("it is listed")
    }
}

impl<C: Double> Operator<C> {
    /// One that remembers nothing.
    pub fn at(cloudfront: Arc<C>, clock: Clock, wish: Wish) -> Self {
        Self { cloudfront, clock, wish, memory: text(&Memory::default()), forgets: false, kills: 0 }
    }

    pub fn memory(&self) -> Memory {
        serde_json::from_str(&self.memory).expect("it was written so")
    }

    /// What would be done, without doing it.
    pub async fn look(&self) -> Step {
        let memory = self.memory();
        let seen = observe(&*self.cloudfront, &self.wish, &memory).await.expect("nothing goes wrong here");
        plan(&self.wish, &seen, &memory, self.clock.now())
    }

    /// One round, without the wait after it.
    pub async fn round(&mut self) -> (Option<Step>, Duration) {
        let mut memory = self.memory();
        let now = self.clock.now();
        let seen = match observe(&*self.cloudfront, &self.wish, &memory).await {
            Ok(seen) => seen,
            Err(error) => {
                let wait = memory.troubles.unseen(&error, self.wish.generation, now);
                self.memory = text(&memory);
                return (None, wait);
            }
        };
        let step = plan(&self.wish, &seen, &memory, now);
        // To write all of it costs more than all else of a round.
        if now.as_second() % 17 == 0 {
            assert!(!format!("{seen:?}{step:?}").contains(SECRET), "{step:?}");
        }
        self.memory = text(&step.remember);
        let Some(call) = &step.send else {
            let wait = step.requeue;
            return (Some(step), wait);
        };
        assert!(!call.sentence().contains(SECRET), "{}", call.sentence());
        let result = self.cloudfront.send(call).await;
        if self.cloudfront.take_crash() {
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

    /// Rounds until this holds.
    pub async fn until(&mut self, mut done: impl FnMut(&Step) -> bool) -> Step {
        let mut told = Vec::new();
        for _ in 0..400 {
            let (step, wait) = self.round().await;
            if let Some(step) = step {
                if done(&step) {
                    return step;
                }
                told = step.conditions;
            }
            self.clock.advance(wait);
        }
        panic!("it never is: {told:#?}")
    }

    /// Rounds until nothing is sent, and nothing is awaited.
    pub async fn settle(&mut self) -> Step {
        self.until(|step| step.finished || (step.send.is_none() && step.requeue > Duration::from_secs(60))).await
    }

    /// Rounds until it is synced, and everywhere.
    pub async fn synced(&mut self) -> Step {
        self.until(|step| step.send.is_none() && has(step, Kind::Synced) && !has(step, Kind::Deploying)).await
    }

    /// Another wish.
    pub fn edit(&mut self, change: impl FnOnce(&mut Wish)) {
        change(&mut self.wish);
        self.wish.generation += 1;
    }
}

pub fn text(memory: &Memory) -> String {
    let text = serde_json::to_string(memory).expect("plain values");
    assert!(!text.contains(SECRET), "{text}");
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

/// The text at a path of a distribution's configuration.
pub fn at(config: &Element, path: &[&str]) -> String {
    let found = path.iter().try_fold(config, |element, name| match name.split_once('=') {
        Some((key, value)) => element.items().iter().find(|one| one.value(key) == Some(value)),
        None => element.get(name),
    });
    let Some(element) = found else { return "-".into() };
    if element.get("Quantity").is_some() {
        let mut names: Vec<&str> = element.items().iter().map(|one| one.text.as_str()).collect();
        names.sort_unstable();
        return names.join(",");
    }
    element.text.clone()
}

pub fn patterns(config: &Element) -> Vec<String> {
    let behaviors = config.get("CacheBehaviors").map(Element::items).unwrap_or_default();
    behaviors.iter().filter_map(|one| one.value("PathPattern").map(str::to_owned)).collect()
}

/// What is not ours of a configuration, as it is on the wire.
pub fn rest(mut config: Element, wish: &Wish) -> String {
    let prefix = format!("{}-", wish.owner.identity.cdn());
    let mut strip = |list: &str, key: &str| {
        let list = config.get_mut(list).expect("set");
        let items = list.get_mut("Items").expect("set");
        items.children.retain(|one| !one.value(key).is_some_and(|value| value.starts_with(&prefix)));
        let quantity = items.children.len();
        list.set("Quantity", quantity);
    };
    strip("Origins", "Id");
    strip("CacheBehaviors", "TargetOriginId");
    config.to_xml()
}

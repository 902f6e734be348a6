//! A small world around the core: a Deployment, an HPA that follows floor and cap, pods that need time to become Ready.
//! Every tick checks the invariants that hold for any single decision.
use learningplatform_decide::*;

pub mod chain;
pub mod script;

pub const START: Time = Time::from_secs(1_800_000_000);
pub const TICK: u64 = 5;

/// [`advance_with`] on a copy of the state.
pub fn decide_with(policy: &Policy, state: &State, input: &Input, tiers: &Tiers) -> (Decision, State) {
    let mut next = state.clone();
    let decision = advance_with(policy, &mut next, input, tiers);
    (decision, next)
}

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// `min` to `max` pods of 100 requests/s each, with the defaults.
pub fn rate_policy(min: u32, max: u32) -> Policy {
    let mut policy = Policy::new(min, max);
    policy.demand = vec![Demand::request_rate(100.0)];
    policy
}

/// The same with floors that may move at once, so that a test sees what the other stages ask for.
pub fn eager_policy(min: u32, max: u32) -> Policy {
    let mut policy = rate_policy(min, max);
    policy.behavior = eager();
    policy.tunables.collapse_hold = Duration::ZERO;
    policy
}

pub fn eager() -> Behavior {
    let rules = |value| ScalingRules {
        stabilization_window: Duration::ZERO,
        select: SelectPolicy::Max,
        policies: vec![ScalingPolicy::pods(value, secs(1))],
    };
    Behavior { up: rules(1_000_000), down: rules(1_000_000) }
}

/// The behaviour of the story guide.
pub fn story_behavior() -> Behavior {
    let rules = |window, percent, period| RuleSpec {
        stabilization_window: Some(secs(window)),
        select: None,
        policies: vec![ScalingPolicy::percent(percent, secs(period))],
    };
    Behavior::effective(Some(rules(60, 100, 15)), Some(rules(300, 10, 60)))
}

/// A value of now over both ranges.
pub fn demand(world: &World, value: f64) -> DemandInput {
    let sample = Sample::value(value, Some(world.now));
    DemandInput::single(sample.clone(), Some(sample))
}

pub fn failing(kind: SourceErrorKind) -> DemandInput {
    DemandInput::single(Sample::error(kind, "the source does not answer"), None)
}

pub struct World {
    pub policy: Policy,
    pub state: State,
    pub now: Time,
    /// `spec.replicas`.
    pub replicas: u32,
    pub ready: u32,
    /// What the HPA's own metrics ask for.
    pub hpa_wish: u32,
    /// Time from creation to Ready.
    pub start_time: Duration,
    starting: Vec<Time>,
    /// The HPA acts every so many ticks.
    pub hpa_every: u64,
    ticks: u64,
    pub input: Input,
    pub tiers: Tiers,
}

impl World {
    /// `pods` Ready pods, adopted at [`START`].
    pub fn new(policy: Policy, pods: u32) -> Self {
        let found = Adopted { floor: Some(pods), cap: Some(policy.max_replicas), observed: pods };
        let state = State::adopt(&policy, START, found);
        Self {
            policy,
            state,
            now: START,
            replicas: pods,
            ready: pods,
            hpa_wish: 0,
            start_time: Duration::ZERO,
            starting: Vec::new(),
            hpa_every: 1,
            ticks: 0,
            input: Input::default(),
            tiers: Tiers::default(),
        }
    }

    /// Seconds since the start.
    pub fn elapsed(&self) -> u64 {
        self.now.since(START).as_millis() / 1000
    }

    /// A tick with this demand.
    pub fn tick(&mut self, value: f64) -> Decision {
        self.input.demand = vec![demand(self, value)];
        self.step()
    }

    /// A tick with the samples that `self.input` holds, one evaluation interval after the one before.
    pub fn step(&mut self) -> Decision {
        let now = self.now;
        self.starting.retain(|ready_at| *ready_at > now);
        self.ready = self.replicas - u32::try_from(self.starting.len()).unwrap();
        self.input.now = now;
        self.input.replicas = Replicas {
            desired: self.replicas,
            ready: self.ready,
            pending: self.replicas - self.ready,
            hpa_desired: Some(self.replicas),
        };
        let (decision, next) = decide_with(&self.policy, &self.state, &self.input, &self.tiers);
        check_decision(&self.policy, &self.state, &self.input, &self.tiers, &decision, &next);
        self.state = next;
        if self.ticks.is_multiple_of(self.hpa_every) {
            self.follow(&decision);
        }
        self.ticks += 1;
        self.now = now.plus(self.policy.tunables.evaluation_interval);
        decision
    }

    fn follow(&mut self, decision: &Decision) {
        let wanted =
            self.hpa_wish.clamp(decision.write.floor.max(1).min(decision.write.cap.max(1)), decision.write.cap.max(1));
        while self.replicas > wanted {
            self.replicas -= 1;
            self.starting.pop();
        }
        while self.replicas < wanted {
            self.replicas += 1;
            self.starting.push(self.now.plus(self.start_time));
        }
    }

    /// Ticks with this demand for so many seconds; the last decision.
    pub fn run(&mut self, seconds: u64, value: f64) -> Decision {
        let mut last = self.tick(value);
        for _ in 1..(seconds / TICK).max(1) {
            last = self.tick(value);
        }
        last
    }

    /// Ticks with this demand until the floor changes, at most `seconds`; the seconds it took and the new floor.
    pub fn until_change(&mut self, seconds: u64, value: f64) -> Option<(u64, u32)> {
        let (floor, from) = (self.state.floor(), self.elapsed());
        while self.elapsed() <= from + seconds {
            let decision = self.tick(value);
            if decision.floor != floor {
                return Some((decision.at.since(START).as_millis() / 1000 - from, decision.floor));
            }
        }
        None
    }
}

/// What holds for any decision at all.
pub fn check_decision(policy: &Policy, state: &State, input: &Input, tiers: &Tiers, decision: &Decision, next: &State) {
    // The explanation chains, begins at the floor and ends at the new one.
    let mut number = state.floor();
    for stage in &decision.stages {
        assert_eq!(stage.before, number, "{} does not begin where the stage before ended", stage.name);
        number = stage.after;
        assert!(!stage.why.to_string().is_empty());
    }
    assert_eq!(number, decision.floor);
    let names: Vec<_> = decision.stages.iter().map(|stage| stage.name).collect();
    use StageName::*;
    assert_eq!(names, [Size, Correct, Restrain, Raise, Hold, Stabilise, Ramp, Bound]);

    // Each stage keeps to its direction.
    let floor = state.floor();
    for stage in &decision.stages {
        let (before, after) = (stage.before, stage.after);
        let toward_floor = (before.min(floor)..=before.max(floor)).contains(&after);
        let kept = match stage.name {
            Size => true,
            Correct | Raise => after >= before,
            Restrain => after == before || (after < before && after >= floor),
            Hold => after == before || (before < floor && after == floor),
            Stabilise | Ramp => toward_floor,
            Bound => after <= before,
        };
        assert!(kept, "{} went from {before} to {after} with a floor of {floor}", stage.name);
    }

    assert!(decision.floor <= decision.cap, "floor {} above cap {}", decision.floor, decision.cap);
    assert!(decision.cap >= policy.min_replicas);

    // The same again gives the same, and a repeated tick changes nothing.
    assert_eq!(&decide_with(policy, state, input, tiers), &(decision.clone(), next.clone()));
    let (again, same) = decide_with(policy, next, input, tiers);
    assert_eq!((again.floor, again.cap, again.write), (decision.floor, decision.cap, decision.write), "repeated");
    assert_eq!(&same, next, "a repeated tick changed the state");

    // A pause changes writes only.
    for pause in [Pause::None, Pause::ScaleIn, Pause::ScaleOut, Pause::All] {
        let policy = Policy { pause, ..policy.clone() };
        let (paused, after) = decide_with(&policy, state, input, tiers);
        assert_eq!((paused.floor, paused.cap), (decision.floor, decision.cap), "{pause:?} changed the recommendation");
        assert_eq!(paused.stages, decision.stages);
        assert_eq!((after.floor(), after.cap()), (paused.write.floor, paused.write.cap));
        assert!(paused.write.floor <= paused.write.cap);
        if pause.stops_in() {
            assert!(paused.write.floor >= state.floor() && paused.write.cap >= state.cap());
        }
        if pause.stops_out() {
            assert!(paused.write.floor <= state.floor() && paused.write.cap <= state.cap());
        }
    }
}

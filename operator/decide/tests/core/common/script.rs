//! Random lives of an app: a policy, and phases in which the world keeps a mood, so that windows fill and things happen.

use learningplatform_decide::tier_size::Proposal;
use learningplatform_decide::*;
use proptest::prelude::*;

use super::{START, decide_with, secs};

/// What a signal's source does during a phase.
#[derive(Clone, Debug, PartialEq)]
pub enum Mood {
    Value(f64),
    /// A value that swings by up to a quarter around this.
    Noise(f64),
    Doubted(f64),
    StaleValue(f64),
    Broken(Sample),
    /// A value at every other tick only.
    Flapping(f64),
    /// A value whose source has just restarted.
    Restarted(f64),
}

/// What one source of a demand signal says over its two ranges.
#[derive(Clone, Debug)]
pub struct Ranges {
    pub long: Mood,
    pub short: Option<Mood>,
}

#[derive(Clone, Debug)]
pub struct Phase {
    pub ticks: usize,
    pub interval: Duration,
    /// Per signal, per source.
    pub demand: Vec<Vec<Ranges>>,
    pub latency: Mood,
    pub resolvable: bool,
    /// Pods that are not Ready.
    pub missing: u32,
    pub pending: u32,
    pub rollout: Rollout,
    pub hold: Option<u32>,
    /// What the HPA's own metrics ask for.
    pub hpa_wish: u32,
    pub errors: Option<f64>,
    pub max: u32,
    /// What the tiers of [`SYMPTOMS`] show, as multiples of their thresholds; none where none is declared.
    pub symptoms: Option<Vec<Mood>>,
    /// What connections allow, and whether the server's limit is known.
    pub connections: Option<(u32, bool)>,
    /// A tier that grows, and so many seconds after the start since when.
    pub growing: Option<(TierKind, u64)>,
}

/// The symptoms of a life with tiers.
pub const SYMPTOMS: [(&str, Figure); 3] =
    [("main", Figure::PrimaryCpu), ("main", Figure::LockWait), ("cache", Figure::Evictions)];

#[derive(Clone, Debug)]
pub struct Script {
    pub policy: Policy,
    /// How many sources each signal has.
    pub sources: Vec<usize>,
    pub pods: u32,
    pub phases: Vec<Phase>,
}

/// One tick as a checker sees it.
pub struct Seen<'a> {
    pub policy: &'a Policy,
    pub before: &'a State,
    pub input: &'a Input,
    pub tiers: &'a Tiers,
    pub decision: &'a Decision,
    pub after: &'a State,
    pub phase: &'a Phase,
}

impl Script {
    /// Lives the script: an HPA follows floor and cap at once.
    pub fn live(&self, mut check: impl FnMut(Seen<'_>)) {
        let mut policy = self.policy.clone();
        let mut replicas = self.pods;
        let found = Adopted { floor: Some(self.pods), cap: Some(policy.max_replicas), observed: replicas };
        let mut state = State::adopt(&policy, START, found);
        let mut now = START;
        let mut count = 0;
        for (index, phase) in self.phases.iter().enumerate() {
            policy.max_replicas = phase.max.max(policy.min_replicas).max(1);
            for _ in 0..phase.ticks {
                let input = phase.input(&policy, &self.sources, now, count, index, replicas);
                let tiers = phase.tiers(&policy, now, count, index);
                let (decision, next) = decide_with(&policy, &state, &input, &tiers);
                check(Seen {
                    policy: &policy,
                    before: &state,
                    input: &input,
                    tiers: &tiers,
                    decision: &decision,
                    after: &next,
                    phase,
                });
                let cap = decision.write.cap.max(1);
                replicas = phase.hpa_wish.clamp(decision.write.floor.max(1).min(cap), cap);
                state = next;
                now = now.plus(phase.interval);
                count += 1;
            }
        }
    }
}

impl Phase {
    fn input(&self, policy: &Policy, sources: &[usize], now: Time, count: usize, index: usize, replicas: u32) -> Input {
        let reading = |ranges: &Ranges| {
            let (long, started) = ranges.long.sample(now, count, index);
            let short = ranges.short.as_ref().map(|mood| mood.sample(now, count, index).0);
            SourceReading { long, short, started }
        };
        let signals = self.demand.iter().zip(sources).take(policy.demand.len());
        let demand = signals
            .map(|(ranges, sources)| DemandInput { sources: ranges.iter().take(*sources).map(reading).collect() });
        let (latency, started) = self.latency.sample(now, count, index);
        let until = START.plus(secs(100_000));
        Input {
            now,
            demand: demand.collect(),
            latency: Some(LatencyInput { sample: latency, resolvable: self.resolvable, started }),
            error_share: self.errors.map(|share| Sample::value(share, Some(now))),
            replicas: Replicas {
                desired: replicas,
                ready: replicas.saturating_sub(self.missing),
                pending: self.pending,
                hpa_desired: Some(replicas),
            },
            hpa_metrics: Vec::new(),
            rollout: self.rollout,
            holds: self
                .hold
                .map(|floor| ManualHold { floor, until, reason: "exam".into(), by: None })
                .into_iter()
                .collect(),
        }
    }
}

impl Phase {
    fn tiers(&self, policy: &Policy, now: Time, count: usize, index: usize) -> Tiers {
        let symptoms = self.symptoms.iter().flatten().zip(SYMPTOMS).map(|(mood, (tier, figure))| {
            let threshold = figure.threshold(&policy.tunables);
            let sample = match mood.sample(now, count, index).0 {
                Sample::Value(value) => {
                    let sample = Sample::value(value.get() * threshold, value.at());
                    if value.trust() == Trust::Full { sample } else { sample.doubted(Doubt::PartialResponse) }
                }
                other => other,
            };
            Symptom::new(tier, figure, sample, &policy.tunables)
        });
        let cap_limit = self.connections.map(|(cap, known)| budget::CapLimit {
            cap,
            known,
            endpoint: "main".into(),
            limit: Some(100),
            wanted: 400,
            exceeded: false,
        });
        let growing = self.growing.map(|(kind, since)| Proposal {
            tier: "main".into(),
            kind,
            grows: true,
            since: START.plus(secs(since)),
        });
        Tiers { cap_limit, symptoms: symptoms.collect(), growing: growing.into_iter().collect() }
    }
}

impl Mood {
    fn sample(&self, now: Time, count: usize, index: usize) -> (Sample, Option<Time>) {
        let started = Some(START.minus(secs(1000)));
        let sample = match self {
            Self::Value(value) => Sample::value(*value, Some(now)),
            // A fixed pattern of eighths: random enough, and the same in every run.
            Self::Noise(value) => Sample::value(value * (1.0 + ((count * 5 + 3) % 9) as f64 / 16.0 - 0.25), Some(now)),
            Self::Doubted(value) => Sample::value(*value, Some(now)).doubted(Doubt::PartialResponse),
            Self::StaleValue(value) => Sample::value(*value, Some(now.minus(secs(46)))),
            Self::Broken(sample) => sample.clone(),
            Self::Flapping(value) if count.is_multiple_of(2) => Sample::value(*value, Some(now)),
            Self::Flapping(_) => Sample::NoData,
            Self::Restarted(value) => {
                let restart = Some(START.plus(Duration::from_secs(index as u64 * 10_000)));
                return (Sample::value(*value, Some(now)), restart);
            }
        };
        (sample, started)
    }
}

pub fn broken() -> impl Strategy<Value = Sample> {
    prop_oneof![
        Just(Sample::NoData),
        Just(Sample::SeriesNeverSeen),
        Just(Sample::value(f64::NAN, None)),
        Just(Sample::value(f64::INFINITY, None)),
        Just(Sample::value(-1.0, None)),
        Just(Sample::Ambiguous { series: 2, label: "pod".into() }),
        Just(Sample::Stale { age: secs(100) }),
        Just(Sample::error(SourceErrorKind::Timeout, "no answer in 3 s")),
        Just(Sample::error(SourceErrorKind::Setup, "Secret prometheus is missing")),
    ]
}

fn mood(value: impl Strategy<Value = f64> + Clone) -> impl Strategy<Value = Mood> {
    prop_oneof![
        6 => value.clone().prop_map(Mood::Value),
        2 => value.clone().prop_map(Mood::Noise),
        1 => value.clone().prop_map(Mood::Doubted),
        1 => value.clone().prop_map(Mood::StaleValue),
        1 => broken().prop_map(Mood::Broken),
        1 => value.clone().prop_map(Mood::Flapping),
        1 => value.prop_map(Mood::Restarted),
    ]
}

pub fn demand_value() -> impl Strategy<Value = f64> + Clone {
    prop_oneof![1 => Just(0.0), 1 => 0.0..10.0, 8 => 0.0..3000.0]
}

/// Mostly both ranges show the same load, but they may be as unlike as they like.
fn ranges() -> impl Strategy<Value = Ranges> {
    (mood(demand_value()), mood(demand_value()), 0..6_u32).prop_map(|(long, other, alike)| {
        let short = match alike {
            0..3 => Some(long.clone()),
            3..5 => Some(other),
            _ => None,
        };
        Ranges { long, short }
    })
}

pub fn phase() -> impl Strategy<Value = Phase> {
    let times = (1..70_usize, prop_oneof![9 => Just(5), 1 => Just(14), 1 => Just(40)]);
    let signals = (
        prop::collection::vec(prop::collection::vec(ranges(), 2), 2),
        mood(0.01..0.6_f64),
        prop::bool::weighted(0.9),
        prop::option::weighted(0.2, 0.0..0.5_f64),
    );
    let pods = (
        prop_oneof![4 => Just(0), 1 => 0..10_u32],
        prop_oneof![4 => Just(0), 1 => 0..3_u32],
        prop_oneof![3 => Just(0), 1 => 0..40_u32],
        prop_oneof![3 => Just(40), 1 => 1..60_u32],
    );
    let tiers = (
        prop::option::of(prop::collection::vec(mood(0.0..2.0_f64), 3)),
        prop::option::weighted(0.3, (0..45_u32, prop::bool::weighted(0.7))),
        prop::option::weighted(0.3, (prop_oneof![Just(TierKind::ReadReplicas), Just(TierKind::Cache)], 0..1000_u64)),
    );
    let rollout = prop_oneof![
        5 => Just(Rollout::default()),
        1 => Just(Rollout { active: true, ..Rollout::default() }),
        1 => Just(Rollout { unobserved: true, ..Rollout::default() }),
        1 => Just(Rollout { active: true, stuck: true, ..Rollout::default() }),
    ];
    (times, signals, pods, rollout, prop::option::weighted(0.1, 0..50_u32), tiers).prop_map(
        |(
            (ticks, seconds),
            (demand, latency, resolvable, errors),
            (missing, pending, hpa_wish, max),
            rollout,
            hold,
            (symptoms, connections, growing),
        )| Phase {
            ticks,
            interval: secs(seconds),
            demand,
            latency,
            resolvable,
            missing,
            pending,
            rollout,
            hold,
            hpa_wish,
            errors,
            max,
            symptoms,
            connections,
            growing,
        },
    )
}

pub fn rules(least: u32) -> impl Strategy<Value = ScalingRules> {
    let policy = prop_oneof![
        (1..6_u32, prop_oneof![Just(5_u64), Just(15), Just(60)])
            .prop_map(|(value, period)| ScalingPolicy::pods(value, secs(period))),
        (1..120_u32, prop_oneof![Just(5_u64), Just(15), Just(60)])
            .prop_map(|(value, period)| ScalingPolicy::percent(value, secs(period))),
    ];
    let select =
        prop_oneof![5 => Just(SelectPolicy::Max), 3 => Just(SelectPolicy::Min), 1 => Just(SelectPolicy::Disabled)];
    let window = prop_oneof![2 => Just(0_u64), 2 => Just(60), 1 => 1..150_u64];
    (prop::collection::vec(policy, 1..4), select, window).prop_map(move |(policies, select, window)| ScalingRules {
        stabilization_window: secs(window.max(u64::from(least))),
        select,
        policies,
    })
}

pub fn policy() -> impl Strategy<Value = Policy> {
    let signals = (1..3_usize, 20.0..200.0_f64, 50..101_u32, prop_oneof![Just(0.0), Just(5.0)], prop::bool::ANY);
    let bounds = (0..5_u32, prop::option::of(1..30_u32), prop::option::weighted(0.3, plan()));
    let history = (prop_oneof![Just(0_u64), Just(60), Just(900)], prop_oneof![Just(30_u64), Just(300)]);
    let constants = prop::collection::vec(prop::option::weighted(0.3, demand_value()), 2);
    (bounds, signals, constants, rules(0), rules(0), history).prop_map(
        |(
            (min, fallback, schedule),
            (signals, per_pod, utilization, activation, latency),
            constants,
            up,
            down,
            (collapse, rollout),
        )| {
            let mut policy = Policy::new(min, 40);
            let mut first = Demand::request_rate(per_pod);
            (first.utilization_percent, first.activation) = (utilization, activation);
            policy.demand = vec![first, Demand::concurrency(per_pod / 2.0)];
            policy.demand.iter_mut().zip(constants).for_each(|(demand, constant)| demand.constant = constant);
            policy.demand.truncate(signals);
            policy.latency = latency.then(|| Latency::new("latency p95", 0.2));
            policy.behavior = Behavior { up, down };
            policy.fallback_replicas = fallback;
            policy.schedules = schedule.into_iter().collect();
            policy.tunables.collapse_hold = secs(collapse);
            policy.tunables.rollout_window = secs(rollout);
            policy
        },
    )
}

fn plan() -> impl Strategy<Value = Schedule> {
    let bound = || {
        prop::option::of(prop_oneof![(0..45_u32).prop_map(Bound::Replicas), (0.0..4000.0_f64).prop_map(Bound::Demand)])
    };
    (0..2000_u64, 1..1500_u64, bound(), bound(), prop_oneof![Just(0_u64), Just(120)]).prop_map(
        |(start, length, floor, cap, ramp)| {
            let from = START.plus(secs(start));
            Schedule {
                name: "exam".into(),
                when: When::windows(vec![Window::exact(from, from.plus(secs(length)))]),
                floor,
                cap,
                ramp: Some(secs(ramp)),
            }
        },
    )
}

pub fn script() -> impl Strategy<Value = Script> {
    let sources = prop::collection::vec(1..3_usize, 2);
    (policy(), sources, 1..40_u32, prop::collection::vec(phase(), 1..6))
        .prop_map(|(policy, sources, pods, phases)| Script { policy, sources, pods, phases })
}

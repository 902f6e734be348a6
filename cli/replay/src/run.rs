//! The replay itself: one decision per evaluation, and what HPA and pods make of it.

use crate::{
    closed_loop::ClosedLoop,
    hpa::{Hpa, average_value},
    pods::{Pods, RollingUpdate},
    summary::{Counts, Summary},
    trace::{Cursor, Reading, Seen, Trace},
};
use decide::{
    Adopted, Behavior, Bounds, Decision, DemandInput, Doubt, Duration, Input, LatencyInput, ManualHold, Policy,
    Replicas, Rollout, Running, Sample, SelectPolicy, SourceErrorKind, State, Time, advance,
};

/// The app that is replayed.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its policy, with the wall-clock time from which it holds, in order and never empty: calendars are expanded anew every day.
    pub policies: Vec<(Time, Policy)>,
    /// Whether its HPA has a metric of the user's.
    pub own_metric: bool,
    /// How its pods are replaced.
    pub update: RollingUpdate,
    /// Floors that a person set.
    pub holds: Vec<ManualHold>,
    /// What the HPA's cpu metric aims at, in millicores per pod.
    pub cpu_target: Option<f64>,
}

/// The world around it.
#[derive(Clone, Debug)]
pub struct World {
    /// Time between two decisions.
    pub interval: Duration,
    /// Time between two synchronisations of the HPA.
    pub hpa_sync: Duration,
    /// Time from a pod's creation until it is Ready.
    pub pod_start: Duration,
    /// Pods at the beginning; all Ready.
    pub start_pods: u32,
    /// When the pods' template changes, in the trace's time, ascending.
    pub rollouts: Vec<Time>,
    /// Milliseconds from the trace's time to wall-clock time, which schedules and holds look at.
    pub shift: i64,
    /// The limit of the pods, where overload is modelled.
    pub closed_loop: Option<ClosedLoop>,
    /// Millicores that one request per second takes, where cpu is modelled.
    pub cpu_per_request: Option<f64>,
    /// Requests per second that a pod carries, for what counts as under capacity; `None` where nothing says so.
    pub capacity: Option<f64>,
}

/// One evaluation.
#[derive(Clone, Debug)]
pub struct Step {
    /// When, in the trace's time.
    pub time: Time,
    /// Requests per second of the trace, if finite.
    pub rate: Option<f64>,
    /// Latency as measured, if finite.
    pub latency: Option<f64>,
    /// Pods wanted after this step: the Deployment's `spec.replicas`.
    pub pods: u32,
    /// Pods Ready after this step.
    pub ready: u32,
    /// What was decided, and why.
    pub decision: Decision,
}

/// A replayed trace.
#[derive(Clone, Debug)]
pub struct Replay {
    /// What it came to.
    pub summary: Summary,
    /// Every evaluation.
    pub steps: Vec<Step>,
}

/// How many evaluations a trace takes.
pub fn length(trace: &Trace, interval: Duration) -> u64 {
    trace.end.since(trace.start).as_millis().div_ceil(interval.as_millis().max(1))
}

/// Replays `trace`. Pure: the same arguments give the same steps.
pub fn replay(subject: &Subject, trace: &Trace, world: &World) -> Replay {
    let mut run = Run::new(subject, trace, world);
    let mut steps = Vec::with_capacity(usize::try_from(length(trace, world.interval)).unwrap_or(0));
    let mut now = trace.start;
    while now < trace.end {
        let lasts = world.interval.min(trace.end.since(now));
        let step = run.step(now);
        run.counts.add(&step, lasts, world.capacity);
        steps.push(step);
        now = now.plus(world.interval);
    }
    Replay { summary: run.counts.summary(), steps }
}

struct Run<'a> {
    subject: &'a Subject,
    trace: &'a Trace,
    world: &'a World,
    state: State,
    policy: usize,
    input: Input,
    pods: Pods,
    hpa: Hpa,
    bounds: Bounds,
    next_sync: Time,
    rollouts: &'a [Time],
    rates: Cursor,
    latencies: Cursor,
    /// The last known load, which goes on while its measurement fails.
    load: f64,
    counts: Counts,
}

impl<'a> Run<'a> {
    fn new(subject: &'a Subject, trace: &'a Trace, world: &'a World) -> Self {
        let policy = &subject.policies[0].1;
        let found = Adopted { floor: None, cap: None, observed: world.start_pods };
        let mut hpa = Hpa::new(policy.behavior.clone());
        let bounds = Bounds::initial(policy.min_replicas, policy.max_replicas, policy.pause);
        hpa.write(bounds.min, bounds.max, policy.behavior.clone());
        let demand =
            if policy.demand.is_empty() { Vec::new() } else { vec![DemandInput::single(Sample::NoData, None)] };
        let latency =
            policy.latency.as_ref().map(|_| LatencyInput { sample: Sample::NoData, resolvable: true, started: None });
        Self {
            subject,
            trace,
            world,
            state: State::adopt(policy, shifted(trace.start, world.shift), found),
            policy: 0,
            input: Input { demand, latency, holds: subject.holds.clone(), ..Input::default() },
            pods: Pods::new(trace.start, world.start_pods, world.pod_start, subject.update.clone()),
            hpa,
            bounds,
            next_sync: trace.start,
            rollouts: &world.rollouts,
            rates: Cursor::default(),
            latencies: Cursor::default(),
            load: 0.0,
            counts: Counts::new(world.start_pods),
        }
    }

    fn step(&mut self, now: Time) -> Step {
        while self.next_sync < now {
            self.sync(self.next_sync);
        }
        self.advance_pods(now);
        let (rate, latency) = self.observe(now);
        let decision = self.decide(now);
        if self.next_sync <= now {
            self.sync(now);
        }
        Step { time: now, rate, latency, pods: self.pods.wanted(), ready: self.pods.ready(), decision }
    }

    fn advance_pods(&mut self, now: Time) {
        while let [first, rest @ ..] = self.rollouts
            && *first <= now
        {
            self.pods.advance(*first);
            self.pods.roll();
            self.rollouts = rest;
        }
        self.pods.advance(now);
    }

    /// Fills the input with what is measured now. Gives what reports show of it.
    fn observe(&mut self, now: Time) -> (Option<f64>, Option<f64>) {
        let offered = self.trace.rate.at(&mut self.rates, now);
        let recorded = self.trace.latency.as_ref().map(|latency| latency.at(&mut self.latencies, now));
        if let Some(load) = offered.reading.finite().filter(|load| *load >= 0.0) {
            self.load = load;
        }
        let (mut rate, mut latency) = (offered, recorded.unwrap_or(Seen::missing(now, offered.scrape_interval)));
        if let Some(pods) = &self.world.closed_loop {
            let recorded = recorded.map(|seen| seen.reading);
            (rate.reading, latency.reading) = pods.measure(offered.reading, recorded, self.pods.ready());
        }
        let shift = self.world.shift;
        if let Some(source) = self.input.demand.first_mut().and_then(|demand| demand.sources.first_mut()) {
            source.long = sample(rate, shift);
        }
        if let Some(input) = &mut self.input.latency {
            input.sample = sample(latency, shift);
        }
        (offered.reading.finite(), latency.reading.finite())
    }

    fn decide(&mut self, now: Time) -> Decision {
        let clock = shifted(now, self.world.shift);
        let policies = &self.subject.policies;
        while policies.get(self.policy + 1).is_some_and(|(from, _)| *from <= clock) {
            self.policy += 1;
        }
        let policy = &policies[self.policy].1;
        let wanted = self.pods.wanted();
        self.input.now = clock;
        self.input.replicas = Replicas {
            desired: wanted,
            ready: self.pods.ready(),
            pending: self.pods.pending(),
            hpa_desired: Some(wanted),
        };
        self.input.rollout =
            Rollout { active: self.pods.rolling(), updated: self.pods.updated(), ..Rollout::default() };

        let running = Running { own_metric: self.subject.own_metric, floor: self.state.floor(), pods: wanted };
        let decision = advance(policy, &mut self.state, &self.input);
        self.bounds = Bounds::after(Some(self.bounds), &decision.write, running);
        self.hpa.write(self.bounds.min, self.bounds.max, written(&policy.behavior, &self.bounds));
        if let Some(count) = decision.write.scale {
            self.pods.scale(count);
        } else if (1..self.bounds.min).contains(&wanted) {
            // As the operator does: the HPA would see its new bounds only at its next sync.
            self.pods.scale(self.bounds.min);
        }
        decision
    }

    fn sync(&mut self, now: Time) {
        self.advance_pods(now);
        let current = self.pods.wanted();
        let count = self.hpa.sync(now, current, self.wish(current));
        if count != current {
            self.pods.scale(count);
        }
        self.next_sync = now.plus(self.world.hpa_sync);
    }

    /// What the HPA's own metric asks for: the least there is, unless cpu is modelled.
    fn wish(&self, current: u32) -> u32 {
        let (Some(per_request), Some(target)) = (self.world.cpu_per_request, self.subject.cpu_target) else { return 1 };
        let capacity = self.world.closed_loop.map_or(f64::INFINITY, |pods| pods.per_pod * f64::from(self.pods.ready()));
        average_value(self.load.min(capacity) * per_request, target, current)
    }
}

fn shifted(time: Time, shift: i64) -> Time {
    Time::from_millis(time.as_millis().saturating_add(shift))
}

fn sample(seen: Seen, shift: i64) -> Sample {
    let sample = match seen.reading {
        Reading::Missing => Sample::NoData,
        Reading::Number(number) => {
            Sample::value(number, Some(shifted(seen.scraped, shift))).scraped_every(seen.scrape_interval)
        }
        Reading::Failed => Sample::error(SourceErrorKind::Http(503), "recorded as a failed query"),
    };
    if seen.partial { sample.doubted(Doubt::PartialResponse) } else { sample }
}

/// The behaviour as it is written into the HPA: a paused direction is disabled.
fn written(behavior: &Behavior, bounds: &Bounds) -> Behavior {
    let mut written = behavior.clone();
    if bounds.disable_up {
        written.up.select = SelectPolicy::Disabled;
    }
    if bounds.disable_down {
        written.down.select = SelectPolicy::Disabled;
    }
    written
}

//! Schedules at one instant: which floors and caps hold now.

use jiff::civil;

use crate::policy::Name;
use crate::ramp::{Pace, lead_from};
use crate::schedule::{Bound, Schedule, Weekday, When, Window};
use crate::size::pods_for;
use crate::tick::Tick;
use crate::time::{Duration, Time};

/// The greatest floor and the least cap that schedules ask for now.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan {
    pub(crate) floor: Option<Planned>,
    pub(crate) cap: Option<Planned>,
}

/// A bound and who planned it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Planned {
    pub(crate) name: Name,
    /// Pods now, ramped.
    pub(crate) now: u32,
    /// Pods at full.
    pub(crate) full: u32,
}

impl Plan {
    /// What the schedules ask for at this tick, with `k` on the capacity of a pod.
    pub(crate) fn at(tick: &Tick<'_>, pace: &Pace, k: f64) -> Self {
        let mut plan = Self::default();
        for schedule in &tick.policy.schedules {
            schedule.windows_near(tick, |window| plan.add(tick, pace, schedule, k, window));
        }
        plan
    }

    fn add(&mut self, tick: &Tick<'_>, pace: &Pace, schedule: &Schedule, k: f64, window: &Window) {
        let planned = |full, now| Planned { name: schedule.name.clone(), now, full };
        if let Some(full) = schedule.floor.and_then(|bound| pods(tick, bound, k)) {
            let now = floor_now(tick, pace, schedule, window, full);
            if now > self.floor.as_ref().map_or(0, |known| known.now) {
                self.floor = Some(planned(full, now));
            }
        }
        let (start, end) = window.cap;
        if start <= tick.now
            && tick.now < end
            && let Some(full) = schedule.cap.and_then(|bound| pods(tick, bound, k))
            && self.cap.as_ref().is_none_or(|known| full < known.now)
        {
            self.cap = Some(planned(full, full));
        }
    }
}

/// The pods that a bound stands for; none where it expects a demand that no signal converts.
fn pods(tick: &Tick<'_>, bound: Bound, k: f64) -> Option<u32> {
    match bound {
        Bound::Replicas(count) => Some(count),
        Bound::Demand(demand) => Some(pods_for(demand, tick.policy.demand.first()?.planned_per_pod() * k)),
    }
}

/// The floor of a window now: in full from its start to its end, in steps before and after.
fn floor_now(tick: &Tick<'_>, pace: &Pace, schedule: &Schedule, window: &Window, full: u32) -> u32 {
    let tunables = &tick.policy.tunables;
    let ramp = schedule.ramp.unwrap_or(tunables.schedule_ramp);
    let steps = u64::from(tunables.schedule_steps.max(1));
    let part = |done: Duration| {
        let step = done.as_millis().saturating_mul(steps) / ramp.as_millis().max(1);
        u32::try_from((u64::from(full) * step.min(steps)).div_ceil(steps)).unwrap_or(full)
    };
    let (start, end) = window.floor;
    if start >= end {
        return 0;
    }
    if tick.now >= end {
        let over = tick.now.since(end);
        if over >= ramp {
            return 0;
        }
        // The first step down is taken at the end itself, as the last step up is taken at the start.
        return part(Duration::from_millis(ramp.as_millis() - over.as_millis() - 1));
    }
    let left = start.since(tick.now);
    if left <= pace.lead(tick, full) {
        return full;
    }
    let ramped = if left <= ramp { part(Duration::from_millis(ramp.as_millis() - left.as_millis())) } else { 0 };
    // What the climb has reached stays: without that the floor would fall back, and climb again too late.
    let climbing = left <= lead_from(tick, tick.policy.min_replicas, full);
    ramped.max(if climbing { tick.floor.min(full) } else { 0 })
}

impl Schedule {
    /// Calls `add` for every window that may matter now, its ramps and the longest lead included.
    fn windows_near(&self, tick: &Tick<'_>, mut add: impl FnMut(&Window)) {
        match &self.when {
            When::Windows(windows) => {
                let reach = self.reach(tick);
                windows.iter().filter(|window| window.touches(tick.now, reach)).for_each(add);
            }
            When::Weekly { days, start, end, from, until, zone } => {
                let Ok(timestamp) = jiff::Timestamp::from_millisecond(tick.now.as_millis()) else { return };
                let today = zone.to_datetime(timestamp).date();
                let reach = self.reach(tick);
                // A window lasts a day at most; its ramps may reach further.
                let around =
                    i32::try_from(reach.as_millis() / 86_400_000).unwrap_or(i32::MAX).saturating_add(2).min(30);
                for offset in -around..=around {
                    let Ok(day) = today.checked_add(jiff::Span::new().days(offset)) else { continue };
                    let bounded = from.is_none_or(|from| day >= from) && until.is_none_or(|until| day <= until);
                    if !bounded || !days.contains(&Weekday::of(day)) {
                        continue;
                    }
                    let last = if end > start { day } else { day.tomorrow().unwrap_or(day) };
                    let window = Window::local(day.to_datetime(*start), last.to_datetime(*end), zone);
                    if window.touches(tick.now, reach) {
                        add(&window);
                    }
                }
            }
        }
    }

    fn reach(&self, tick: &Tick<'_>) -> Duration {
        let tunables = &tick.policy.tunables;
        self.ramp.unwrap_or(tunables.schedule_ramp).max(tunables.schedule_lead_max)
    }
}

impl Window {
    fn touches(&self, now: Time, reach: Duration) -> bool {
        let (start, end) = (self.floor.0.min(self.cap.0), self.floor.1.max(self.cap.1));
        start.minus(reach) <= now && now <= end.plus(reach)
    }
}

impl Weekday {
    fn of(day: civil::Date) -> Self {
        match day.weekday() {
            civil::Weekday::Monday => Self::Monday,
            civil::Weekday::Tuesday => Self::Tuesday,
            civil::Weekday::Wednesday => Self::Wednesday,
            civil::Weekday::Thursday => Self::Thursday,
            civil::Weekday::Friday => Self::Friday,
            civil::Weekday::Saturday => Self::Saturday,
            civil::Weekday::Sunday => Self::Sunday,
        }
    }
}

//! Recurrence rules to local times, within bounds on work and memory: whoever may write a calendar must not be able to
//! keep a core busy, and nothing can interrupt an expansion.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike};
use jiff::civil;
use rrule::{Frequency, RRule, RRuleSet, Tz, Unvalidated};

/// More occurrences of one rule within a horizon than any plan has.
const MAX_OCCURRENCES: usize = 5000;

/// A list of all days of a month and all hours fits in.
const MAX_RULE: usize = 500;

/// Rules that began before are followed from no sensible start.
const FIRST_YEAR: i16 = 1900;

/// Steps through the rules of one calendar: enough for some hundred weekly lessons since years, and at most about a second.
const STEPS: u32 = 1_000_000;

/// What a rule costs whatever it says: looking for its next occurrence after the horizon.
const EACH: u32 = 1000;

/// The steps that the rules of one calendar may still take.
pub(super) struct Steps(u32);

impl Steps {
    pub(super) fn new() -> Self {
        Self(STEPS)
    }

    fn take(&mut self, count: u32) -> Result<(), String> {
        let problem = "by its RRULE the calendar takes too long to expand: end events that are over with an UNTIL, or begin them later";
        self.0 = self.0.checked_sub(count).ok_or(problem)?;
        Ok(())
    }
}

/// The occurrences of `rule` from `after` until `before`. The start is the first of them whether the rule hits it or not, and
/// the first that its `COUNT` counts (RFC 5545, 3.3.10 and 3.8.5.3).
///
/// # Errors
/// What is wrong with the rule and how to mend it.
pub(super) fn occurrences(
    rule: &str,
    start: civil::DateTime,
    (after, before): (civil::DateTime, civil::DateTime),
    steps: &mut Steps,
) -> Result<Vec<civil::DateTime>, String> {
    if rule.len() > MAX_RULE {
        return Err(format!("its RRULE has more than {MAX_RULE} characters; write it shorter"));
    }
    if start.year() < FIRST_YEAR {
        return Err(format!("it repeats since before {FIRST_YEAR}; give it a later DTSTART"));
    }
    let unreadable = |cause: rrule::RRuleError| format!("its RRULE cannot be used: {cause}");
    let rule: RRule<Unvalidated> = rule.parse().map_err(unreadable)?;
    if matches!(rule.get_freq(), Frequency::Secondly | Frequency::Minutely) {
        return Err("its RRULE repeats more than once an hour; use FREQ=HOURLY or a longer one".into());
    }
    if rule.get_by_minute().len() > 1 || rule.get_by_second().len() > 1 {
        return Err("its RRULE has several values of BYMINUTE or BYSECOND; write an event for each".into());
    }
    let first = as_utc(start).ok_or("its DTSTART is out of range")?;
    let rule = rule.validate(first).map_err(unreadable)?;
    // What a rule passes over costs time too, however little it finds.
    let days = u32::try_from(before.date().since(start.date()).map_or(0, |span| span.get_days())).unwrap_or(0);
    steps.take(EACH + days / u32::from(rule.get_interval().max(1)))?;

    let mut found = Vec::new();
    if (after..=before).contains(&start) {
        found.push(start);
    }
    let (count, mut seen) = (rule.get_count(), 1);
    for date in &RRuleSet::new(first).limit().rrule(rule) {
        steps.take(1)?;
        let Some(date) = from_chrono(date.naive_utc()).filter(|date| *date != start) else { continue };
        seen += 1;
        if date > before || count.is_some_and(|count| seen > count) {
            return Ok(found);
        }
        if date >= after {
            found.push(date);
        }
        if found.len() > MAX_OCCURRENCES {
            return Err(format!("its RRULE has more than {MAX_OCCURRENCES} occurrences; give it fewer"));
        }
    }
    // Whatever ends before its time has been looked for in vain until the end of the calendar.
    if count.is_some_and(|count| seen >= count) {
        Ok(found)
    } else {
        Err("its RRULE names days that never come; correct it".into())
    }
}

fn as_utc(local: civil::DateTime) -> Option<DateTime<Tz>> {
    let number = |value: i8| u32::try_from(value).ok();
    let date = NaiveDate::from_ymd_opt(local.year().into(), number(local.month())?, number(local.day())?)?;
    let time = date.and_hms_opt(number(local.hour())?, number(local.minute())?, number(local.second())?)?;
    Some(time.and_utc().with_timezone(&Tz::UTC))
}

fn from_chrono(time: NaiveDateTime) -> Option<civil::DateTime> {
    let number = |value: u32| i8::try_from(value).ok();
    let date = civil::Date::new(i16::try_from(time.year()).ok()?, number(time.month())?, number(time.day())?).ok()?;
    Some(date.at(number(time.hour())?, number(time.minute())?, number(time.second())?, 0))
}

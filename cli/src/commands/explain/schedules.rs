//! The schedule that changes the bounds next.

use crds::LearningPlatform;
use decide::{Bound, Duration, Schedule, Time, Tunables, Weekday, When, Window};
use jiff::{Timestamp, ToSpan, civil};
use operator::tiers::autoscaling::{
    Calendars,
    calendar::{Failures, problems},
    policy,
};
use serde::{Deserialize, Serialize};

/// A window of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NextWindow {
    /// Name of the schedule.
    pub name: String,
    /// Whether it is open now; then `end` is what comes next.
    pub open: bool,
    /// When it opens, its ramp aside.
    pub start: Timestamp,
    /// When it closes.
    pub end: Timestamp,
    /// What it asks for, in words.
    pub asks: String,
}

/// The window of an app that opens or closes next, and what keeps a schedule from being read.
///
/// # Errors
/// A sentence where none of the schedules can be read.
pub fn next(
    platform: &LearningPlatform,
    app: &str,
    calendars: &Calendars,
    unread: &Failures,
    now: Timestamp,
) -> Result<(Option<NextWindow>, Vec<String>), String> {
    let spec = platform.spec.apps.iter().find(|a| a.name == app).and_then(|app| app.autoscaling.as_ref());
    let Some(autoscaling) = spec.filter(|spec| !spec.schedules.is_empty()) else { return Ok((None, Vec::new())) };
    let mapped =
        policy::map(platform.spec.prometheus.as_ref(), autoscaling, &Tunables::default(), calendars, Time::from(now))
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let found = mapped.policy.schedules.iter().filter_map(|schedule| window(schedule, now));
    let next = found.min_by_key(|window| if window.open { window.end } else { window.start });
    let problems = problems(autoscaling, unread, mapped.world);
    Ok((next, problems.iter().map(|(_, problem)| problem.to_string()).collect()))
}

fn window(schedule: &Schedule, now: Timestamp) -> Option<NextWindow> {
    let side = |window: &Window| {
        let (start, end) = if schedule.floor.is_some() { window.floor } else { window.cap };
        Some((timestamp(start)?, timestamp(end)?))
    };
    let windows: Vec<(Timestamp, Timestamp)> = match &schedule.when {
        When::Windows(windows) => windows.iter().filter_map(side).collect(),
        When::Weekly { days, start, end, from, until, zone } => {
            let today = now.to_zoned(zone.clone()).date();
            // One that opened yesterday may last over midnight; within a week each day comes once.
            (-1..=8)
                .filter_map(|offset| today.checked_add(offset.days()).ok())
                .filter(|day| days.contains(&weekday(*day)))
                .filter(|day| from.is_none_or(|from| *day >= from) && until.is_none_or(|until| *day <= until))
                .filter_map(|day| {
                    let last = if end <= start { day.tomorrow().ok()? } else { day };
                    side(&Window::local(day.to_datetime(*start), last.to_datetime(*end), zone))
                })
                .collect()
        }
    };
    let (start, end) = windows.into_iter().filter(|(_, end)| *end > now).min_by_key(|(start, _)| *start)?;
    Some(NextWindow { name: schedule.name.to_string(), open: start <= now, start, end, asks: asks(schedule) })
}

fn asks(schedule: &Schedule) -> String {
    let words = |word: &str, bound: Option<Bound>| bound.map(|bound| format!("{word} {bound}"));
    let ramp =
        schedule.ramp.filter(|r| *r > Duration::from_secs(0)).map(|ramp| format!("reached within {ramp} before"));
    [words("at least", schedule.floor), words("at most", schedule.cap), ramp]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ")
}

fn timestamp(time: Time) -> Option<Timestamp> {
    time.to_string().parse().ok()
}

fn weekday(day: civil::Date) -> Weekday {
    match day.weekday() {
        civil::Weekday::Monday => Weekday::Monday,
        civil::Weekday::Tuesday => Weekday::Tuesday,
        civil::Weekday::Wednesday => Weekday::Wednesday,
        civil::Weekday::Thursday => Weekday::Thursday,
        civil::Weekday::Friday => Weekday::Friday,
        civil::Weekday::Saturday => Weekday::Saturday,
        civil::Weekday::Sunday => Weekday::Sunday,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::status::Reason;

    fn platform() -> LearningPlatform {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform", "metadata": {"name": "story"},
            "spec": {"apps": [{"name": "web", "image": "i", "port": 80, "autoscaling": {
                "minReplicas": 2, "maxReplicas": 20, "requestRate": {"perPod": 10},
                "schedules": [
                    {"name": "exams", "start": "2026-12-07T07:30", "end": "2026-12-07T18:00", "timeZone": "Europe/Berlin", "minReplicas": 12},
                    {"name": "lessons", "weekly": {"days": ["Mon", "Thu"], "start": "08:00", "end": "16:00"}, "timeZone": "Europe/Berlin", "minReplicas": 4},
                    {"name": "nights", "weekly": {"days": ["Sat"], "start": "22:00", "end": "05:00"}, "timeZone": "UTC", "maxReplicas": 3},
                ],
            }}]},
        }))
        .unwrap()
    }

    fn window_at(platform: &LearningPlatform, calendars: &Calendars, now: &str) -> Option<NextWindow> {
        next(platform, "web", calendars, &Failures::new(), now.parse().unwrap()).unwrap().0
    }

    #[test]
    fn what_changes_next() {
        for (now, name, open, asks) in [
            ("2026-12-03T05:00:00Z", "lessons", false, "at least 4 pods"),
            ("2026-12-03T08:00:00Z", "lessons", true, "at least 4 pods"),
            ("2026-12-04T12:00:00Z", "nights", false, "at most 3 pods"),
            ("2026-12-06T04:00:00Z", "nights", true, "at most 3 pods"),
            ("2026-12-06T06:00:00Z", "exams", false, "at least 12 pods"),
        ] {
            let window = window_at(&platform(), &Calendars::new(), now).unwrap_or_else(|| panic!("{now}: none"));
            assert_eq!((window.name.as_str(), window.open), (name, open), "{now}: {window:?}");
            assert!(window.asks.starts_with(asks), "{now}: {window:?}");
        }
        let after_exams = window_at(&platform(), &Calendars::new(), "2026-12-07T17:30:00Z").unwrap();
        assert_eq!(
            (after_exams.name.as_str(), after_exams.start.to_string().as_str()),
            ("lessons", "2026-12-10T07:00:00Z")
        );
        let other = next(&platform(), "other", &Calendars::new(), &Failures::new(), Timestamp::UNIX_EPOCH);
        assert_eq!(other, Ok((None, Vec::new())));
    }

    #[test]
    fn calendars_open_windows_too() {
        let mut platform = platform();
        let spec = platform.spec.apps[0].autoscaling.as_mut().unwrap();
        spec.schedules = vec![
            serde_json::from_value(serde_json::json!({
                "name": "terms", "calendar": {"configMap": {"name": "school", "key": "terms.ics"}},
                "timeZone": "UTC", "minReplicas": 7,
            }))
            .unwrap(),
        ];
        let event = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//school//EN\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20261201T000000Z\r\n\
            DTSTART:20261207T080000Z\r\nDTEND:20261207T100000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
        let calendars = Calendars::from([(("school".to_owned(), "terms.ics".to_owned()), event.to_owned())]);
        let window = window_at(&platform, &calendars, "2026-12-07T07:00:00Z").unwrap();
        assert_eq!((window.name.as_str(), window.start.to_string().as_str()), ("terms", "2026-12-07T08:00:00Z"));
        let (none, problems) = next(&platform, "web", &Calendars::new(), &Failures::new(), window.start).unwrap();
        assert_eq!(none, None);
        assert!(problems[0].contains("school"), "{problems:?}");
        let key = ("school".to_owned(), "terms.ics".to_owned());
        let unread = Failures::from([(key, (Reason::PermissionDenied, "forbidden (403)".to_owned()))]);
        let (_, problems) = next(&platform, "web", &Calendars::new(), &unread, window.start).unwrap();
        assert_eq!(problems, ["schedules[terms].calendar.configMap: forbidden (403)"], "it is not known to be missing");
    }
}

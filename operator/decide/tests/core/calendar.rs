//! iCalendar texts as people export them.

use learningplatform_decide::calendar::{CalendarError, windows};
use learningplatform_decide::*;

fn time(text: &str) -> Time {
    text.parse::<jiff::Timestamp>().unwrap().into()
}

/// The windows of `events` between 2026-10-01 and 2027-04-01 in Berlin, as UTC texts.
fn expand(events: &str) -> Result<Vec<(String, String)>, CalendarError> {
    let text = format!("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//Example//EN\n{events}\nEND:VCALENDAR\n");
    let (from, until) = (time("2026-10-01T00:00:00Z"), time("2027-04-01T00:00:00Z"));
    let mut found = windows(&text, "Europe/Berlin", None, from, until)?;
    if !found.problems.is_empty() {
        return Err(found.problems.remove(0));
    }
    Ok(found.windows.iter().map(|window| (window.floor.0.to_string(), window.floor.1.to_string())).collect())
}

fn starts(events: &str) -> Vec<String> {
    expand(events).unwrap().into_iter().map(|(start, _)| start).collect()
}

fn event(lines: &str) -> String {
    format!("BEGIN:VEVENT\nUID:1@example.org\nSUMMARY:Exam\n{lines}\nEND:VEVENT")
}

#[test]
fn single_events_in_every_way_of_writing_a_time() {
    let table = [
        ("DTSTART:20261207T073000\nDTEND:20261207T180000", "2026-12-07T06:30:00Z", "2026-12-07T17:00:00Z"),
        ("DTSTART:20261207T073000Z\nDTEND:20261207T180000Z", "2026-12-07T07:30:00Z", "2026-12-07T18:00:00Z"),
        (
            "DTSTART;TZID=America/New_York:20261207T073000\nDTEND;TZID=America/New_York:20261207T180000",
            "2026-12-07T12:30:00Z",
            "2026-12-07T23:00:00Z",
        ),
        (
            "DTSTART;TZID=America/New_York:20261207T073000\nDTEND;TZID=Europe/Berlin:20261207T180000",
            "2026-12-07T12:30:00Z",
            "2026-12-07T17:00:00Z",
        ),
        (
            "DTSTART;TZID=/example.org/Olson_1/Asia/Tokyo:20261207T073000\nDURATION:PT90M",
            "2026-12-06T22:30:00Z",
            "2026-12-07T00:00:00Z",
        ),
        ("DTSTART:20261207T073000\nDURATION:PT2H", "2026-12-07T06:30:00Z", "2026-12-07T08:30:00Z"),
        ("DTSTART;VALUE=DATE:20261207\nDTEND;VALUE=DATE:20261212", "2026-12-06T23:00:00Z", "2026-12-11T23:00:00Z"),
        ("DTSTART;VALUE=DATE:20261207", "2026-12-06T23:00:00Z", "2026-12-07T23:00:00Z"),
    ];
    for (lines, start, end) in table {
        assert_eq!(expand(&event(lines)).unwrap(), [(start.to_owned(), end.to_owned())], "{lines}");
    }
}

#[test]
fn line_ends_of_the_standard_and_folded_lines_are_read_too() {
    let text = event("DTSTART:20261207T0730\n 00\nDTEND:20261207T180000\nDESCRIPTION:a\\, b\\nc").replace('\n', "\r\n");
    assert_eq!(starts(&text), ["2026-12-07T06:30:00Z"]);
}

#[test]
fn rules_keep_the_local_time_over_a_change_of_clocks() {
    let lines = "DTSTART;TZID=Europe/Berlin:20261019T080000\nDTEND;TZID=Europe/Berlin:20261019T160000\nRRULE:FREQ=WEEKLY;COUNT=3";
    assert_eq!(
        expand(&event(lines)).unwrap(),
        [
            ("2026-10-19T06:00:00Z".to_owned(), "2026-10-19T14:00:00Z".to_owned()),
            ("2026-10-26T07:00:00Z".to_owned(), "2026-10-26T15:00:00Z".to_owned()),
            ("2026-11-02T07:00:00Z".to_owned(), "2026-11-02T15:00:00Z".to_owned()),
        ]
    );
}

#[test]
fn rules_end_by_count_or_by_until_in_any_writing() {
    let with = |rule: &str| starts(&event(&format!("DTSTART:20261201T080000\nDTEND:20261201T090000\nRRULE:{rule}")));
    assert_eq!(with("FREQ=DAILY;COUNT=2").len(), 2);
    // 08:00 in Berlin is 07:00 UTC; each end includes an occurrence at that very time.
    assert_eq!(with("FREQ=DAILY;UNTIL=20261203T070000Z").len(), 3);
    assert_eq!(with("FREQ=DAILY;UNTIL=20261203T065959Z").len(), 2);
    assert_eq!(with("FREQ=DAILY;UNTIL=20261203T080000").len(), 3);
    assert_eq!(with("FREQ=DAILY;UNTIL=20261203").len(), 3);
    assert_eq!(with("UNTIL=20261203;FREQ=DAILY;INTERVAL=2").len(), 2);
    assert_eq!(
        with("FREQ=WEEKLY;BYDAY=TU,TH;COUNT=4"),
        ["2026-12-01", "2026-12-03", "2026-12-08", "2026-12-10"].map(|day| format!("{day}T07:00:00Z"))
    );
    assert_eq!(with("FREQ=MONTHLY;BYDAY=-1FR;COUNT=2"), ["2026-12-25T07:00:00Z", "2027-01-29T07:00:00Z"]);
}

#[test]
fn an_endless_rule_fills_the_horizon_and_no_more() {
    let daily = |start: &str| starts(&event(&format!("DTSTART:{start}\nDURATION:PT1H\nRRULE:FREQ=DAILY")));
    let all = daily("20200101T080000");
    assert_eq!(all.len(), 182, "six months");
    assert_eq!((all[0].as_str(), all[181].as_str()), ("2026-10-01T06:00:00Z", "2027-03-31T06:00:00Z"));
    // An occurrence that began before the horizon and reaches into it counts.
    let long = expand(&event("DTSTART:20200101T230000\nDURATION:PT4H\nRRULE:FREQ=DAILY")).unwrap();
    assert_eq!(long[0], ("2026-09-30T21:00:00Z".into(), "2026-10-01T01:00:00Z".into()));
}

#[test]
fn exceptions_additions_and_changed_occurrences() {
    let rule = "DTSTART:20261201T080000\nDTEND:20261201T090000\nRRULE:FREQ=DAILY;COUNT=4";
    let day = |days: &[&str]| days.iter().map(|day| format!("2026-12-{day}:00:00Z")).collect::<Vec<_>>();
    assert_eq!(starts(&event(&format!("{rule}\nEXDATE:20261202T080000,20261204T070000Z"))), day(&["01T07", "03T07"]));
    assert_eq!(
        starts(&event(&format!("{rule}\nRDATE:20261210T080000\nRDATE;VALUE=PERIOD:20261211T080000/PT3H"))),
        day(&["01T07", "02T07", "03T07", "04T07", "10T07", "11T07"])
    );
    let moved =
        event(rule) + "\n" + &event("RECURRENCE-ID:20261202T080000\nDTSTART:20261202T120000\nDTEND:20261202T130000");
    assert_eq!(starts(&moved), day(&["01T07", "02T11", "03T07", "04T07"]));
    let cancelled =
        event(rule) + "\n" + &event("RECURRENCE-ID:20261202T080000\nDTSTART:20261202T080000\nSTATUS:CANCELLED");
    assert_eq!(starts(&cancelled), day(&["01T07", "03T07", "04T07"]));
    let longer =
        event(rule) + "\n" + &event("RECURRENCE-ID:20261202T080000\nDTSTART:20261202T080000\nDTEND:20261202T120000");
    let ends: Vec<_> = expand(&longer).unwrap().into_iter().map(|(_, end)| end).collect();
    assert_eq!(ends, day(&["01T08", "02T11", "03T08", "04T08"]), "the same start, but longer");
    // The same occurrence of another event is not replaced.
    let other = event(rule)
        + "\n"
        + &event("RECURRENCE-ID:20261202T080000\nDTSTART:20261202T120000\nDTEND:20261202T130000").replace("1@", "2@");
    assert_eq!(starts(&other).len(), 5);
    assert_eq!(starts(&event(&format!("{rule}\nSTATUS:CANCELLED"))), Vec::<String>::new());
}

#[test]
fn windows_outside_the_horizon_or_without_length_are_none() {
    let none: [&str; 4] = [
        "DTSTART:20260901T080000\nDTEND:20260901T090000",
        "DTSTART:20270501T080000\nDTEND:20270501T090000",
        "DTSTART:20261201T080000",
        "DTSTART:20261201T080000\nDTEND:20261201T080000",
    ];
    for lines in none {
        assert_eq!(expand(&event(lines)).unwrap(), [], "{lines}");
    }
    let edge = |start: &str, end: &str| expand(&event(&format!("DTSTART:{start}\nDTEND:{end}"))).unwrap().len();
    assert_eq!(edge("20260930T200000Z", "20261001T000000Z"), 0, "ends where the horizon begins");
    assert_eq!(edge("20260930T200000Z", "20261001T000001Z"), 1);
    assert_eq!(edge("20270331T235959Z", "20270401T100000Z"), 1);
    assert_eq!(edge("20270401T000000Z", "20270401T100000Z"), 0, "begins where the horizon ends");
}

#[test]
fn events_come_in_order_and_other_components_are_ignored() {
    let todo = "BEGIN:VTODO\nUID:9\nDTSTART:20261201T080000\nDUE:20261201T090000\nEND:VTODO";
    let text = [
        event("DTSTART:20261210T080000\nDURATION:PT1H"),
        todo.into(),
        event("DTSTART:20261205T080000\nDURATION:PT1H\nBEGIN:VALARM\nTRIGGER:-PT15M\nACTION:DISPLAY\nEND:VALARM"),
    ];
    assert_eq!(starts(&text.join("\n")), ["2026-12-05T07:00:00Z", "2026-12-10T07:00:00Z"]);
}

#[test]
fn a_name_of_the_calendars_own_is_resolved_by_its_definition() {
    let zone = "BEGIN:VTIMEZONE\nTZID:W. Europe Standard Time\nX-LIC-LOCATION:Europe/Berlin\nEND:VTIMEZONE\n";
    let own = event("DTSTART;TZID=\"W. Europe Standard Time\":20261207T080000\nDURATION:PT1H");
    assert_eq!(starts(&(zone.to_owned() + &own)), ["2026-12-07T07:00:00Z"]);
    assert_eq!(expand(&own), Err(CalendarError::UnknownZone("W. Europe Standard Time".into())));
}

#[test]
fn a_skipped_hour_follows_the_one_rule_of_all_schedules() {
    // 2027-03-28, 02:30 does not exist in Berlin.
    let lines = "DTSTART:20270327T023000\nDTEND:20270327T050000\nRRULE:FREQ=DAILY;COUNT=2";
    assert_eq!(expand(&event(lines)).unwrap()[1], ("2027-03-28T01:00:00Z".into(), "2027-03-28T03:00:00Z".into()));
}

#[test]
fn what_cannot_be_used_is_named_with_its_remedy() {
    let table = [
        ("DTEND:20261207T180000", "event \"Exam\": it has no DTSTART; give it a start"),
        ("DTSTART:tomorrow", "event \"Exam\": its DTSTART \"tomorrow\" is not a time; write it like 20261207T073000"),
        (
            "DTSTART:20261207T073000\nDTEND:soon",
            "event \"Exam\": its DTEND \"soon\" is not a time; write it like 20261207T073000",
        ),
        ("DTSTART:20261207T073000\nDURATION:long", "event \"Exam\": its DURATION cannot be read; write it like PT2H"),
        (
            "DTSTART:20261207T073000\nEXDATE:never",
            "event \"Exam\": its EXDATE \"never\" is not a time; write it like 20261207T073000",
        ),
        (
            "DTSTART:20261207T073000\nRRULE:FREQ=DAILY;UNTIL=later",
            "event \"Exam\": its RRULE has an UNTIL that cannot be read",
        ),
        (
            "DTSTART;TZID=Mars/Phobos:20261207T073000",
            "time zone \"Mars/Phobos\" is not in the IANA database; use a name such as Europe/Berlin",
        ),
    ];
    for (lines, message) in table {
        assert_eq!(expand(&event(lines)).unwrap_err().to_string(), message, "{lines}");
    }
    let error = expand(&event("DTSTART:20261207T073000\nRRULE:FREQ=SOMETIMES")).unwrap_err().to_string();
    assert!(error.starts_with("event \"Exam\": its RRULE cannot be used:"), "{error}");
    for text in ["", "hello", "BEGIN:VCALENDAR\nBEGIN:VEVENT"] {
        let error = windows(text, "UTC", None, Time::from_secs(0), Time::from_secs(1));
        let Err(CalendarError::Syntax(problem)) = &error else { panic!("{text:?}: {error:?}") };
        assert!(problem.len() > 5 && !problem.contains('\n'), "{text:?}: {problem:?}");
    }
    let error = windows("", "Mars/Phobos", None, Time::from_secs(0), Time::from_secs(1));
    assert_eq!(error, Err(CalendarError::UnknownZone("Mars/Phobos".into())));
    // An event without a summary is known by its identity.
    let unnamed = "BEGIN:VEVENT\nUID:7@example.org\nEND:VEVENT";
    assert_eq!(expand(unnamed).unwrap_err().to_string(), "event \"7@example.org\": it has no DTSTART; give it a start");
    assert_eq!(
        expand("BEGIN:VEVENT\nSTATUS:CONFIRMED\nEND:VEVENT").unwrap_err().to_string(),
        "event \"without a name\": it has no DTSTART; give it a start"
    );
}

#[test]
fn only_events_whose_summary_has_the_text_count() {
    let text = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY;LANGUAGE=en:Final ex\r\n am\\, part 1\r\nDTSTART:20261207\r\n\
                END:VEVENT\r\nBEGIN:VEVENT\r\nSUMMARY:Holiday\r\nRRULE:FREQ=SECONDLY\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    let count =
        |summary| windows(text, "UTC", Some(summary), time("2026-12-01T00:00:00Z"), time("2027-01-01T00:00:00Z"));
    assert_eq!(count("exam, part").unwrap().windows.len(), 1);
    assert_eq!(count("Lesson").unwrap().windows.len(), 0);
    assert_eq!(count("Holiday").unwrap().problems.len(), 1);
}

#[test]
fn an_event_that_cannot_be_used_is_named_and_the_others_count() {
    let event = |summary: &str, lines: &str| format!("BEGIN:VEVENT\nSUMMARY:{summary}\n{lines}\nEND:VEVENT\n");
    let text = [
        "BEGIN:VCALENDAR\n",
        &event("Lost", "DTEND:20261207T180000Z"),
        &event("Exam", "DTSTART:20261207T073000Z\nDTEND:20261207T180000Z"),
        &event("Backwards", "DTSTART:20261208T073000Z\nDTEND:20261208T070000Z"),
        &event("Often", "DTSTART:20261208T073000Z\nRRULE:FREQ=SECONDLY"),
        "END:VCALENDAR\n",
    ]
    .concat();
    let found = windows(&text, "UTC", None, time("2026-12-01T00:00:00Z"), time("2027-01-01T00:00:00Z")).unwrap();
    assert_eq!(found.windows.len(), 1);
    assert_eq!(found.windows[0].floor.0, time("2026-12-07T07:30:00Z"));
    let problems: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
    let named = ["\"Lost\": it has no DTSTART", "\"Backwards\": its DTEND is before", "\"Often\": its RRULE repeats"];
    assert_eq!(problems.len(), named.len(), "{problems:?}");
    assert!(problems.iter().zip(named).all(|(problem, part)| problem.contains(part)), "{problems:?}");
}

#[test]
fn calendars_that_cost_too_much_are_refused_with_a_remedy() {
    let rule = |start: &str, rule: &str| event(&format!("DTSTART:{start}\nDURATION:PT1H\nRRULE:{rule}"));
    let long = format!("FREQ=YEARLY;BYMONTHDAY={}", "1,".repeat(500));
    let many = |count: usize, rule: &str| vec![rule.to_owned(); count].join("\n");
    let table = [
        (rule("20200101T000000Z", "FREQ=SECONDLY"), "repeats more than once an hour; use FREQ=HOURLY"),
        (rule("20260101T000000Z", "FREQ=MINUTELY;COUNT=4999"), "repeats more than once an hour; use FREQ=HOURLY"),
        (
            rule("20260101T000000Z", "FREQ=YEARLY;BYMONTH=1;BYHOUR=1,2;BYMINUTE=1,2,3;BYSECOND=1"),
            "several values of BYMINUTE or BYSECOND; write an event for each",
        ),
        (rule("20260101T000000Z", &long), "more than 500 characters; write it shorter"),
        (rule("00010101T000000Z", "FREQ=HOURLY"), "repeats since before 1900; give it a later DTSTART"),
        (rule("20260101T000000Z", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"), "names days that never come"),
        (rule("20260101T000000Z", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"), "names days that never come"),
        (rule("20260101T000000Z", "FREQ=DAILY;INTERVAL=0"), "names days that never come"),
        (rule("20200101T000000Z", "FREQ=HOURLY").replace("PT1H", "P9999W"), "more than 5000 occurrences"),
        (many(60, &rule("20200101T000000Z", "FREQ=HOURLY")), "end events that are over with an UNTIL"),
        (many(70, &rule("19000101T000000Z", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO")), "or begin them later"),
        (event(&format!("DTSTART;TZID={}:20261207T073000", "a/".repeat(1000))), "is not in the IANA database"),
        ("BEGIN:A\n".repeat(20_000), "\"BEGIN:A\" stands in more than 4 other components"),
        ("BEGIN:A\nX;P=a\nEND:A\n".repeat(5000), "is no property"),
        (event(&format!("DESCRIPTION:{}", "x".repeat(256 * 1024))), "remove events that are over, or split it"),
    ];
    for (text, part) in table {
        let error = expand(&text).unwrap_err().to_string();
        let shown: String = text.chars().take(120).collect();
        assert!(error.contains(part) && error.len() < 400, "{shown}: {error}");
    }
    // What ended long ago costs little.
    let ended = rule("20200101T000000Z", "FREQ=DAILY;UNTIL=20200201T000000Z");
    assert_eq!(expand(&many(500, &ended)).unwrap(), []);
}

#[test]
fn of_too_many_windows_the_earliest_count() {
    let hourly =
        |uid: &str| event("DTSTART:20261001T000000Z\nDURATION:PT30M\nRRULE:FREQ=HOURLY").replace("1@example.org", uid);
    let text = format!("BEGIN:VCALENDAR\n{}\n{}\nEND:VCALENDAR", hourly("a"), hourly("b"));
    let (from, until) = (time("2026-10-01T00:00:00Z"), time("2027-04-01T00:00:00Z"));
    let found = windows(&text, "UTC", None, from, until).unwrap();
    let hours = 182 * 24;
    assert_eq!((found.windows.len(), found.left_out), (2000, 2 * hours - 2000));
    assert_eq!(found.windows[1999].floor.0.to_string(), "2026-11-11T15:00:00Z", "a thousand hours of both");
}

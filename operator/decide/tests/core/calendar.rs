//! iCalendar texts as people export them.

use learningplatform_decide::calendar::{CalendarError, Expansion, windows};
use learningplatform_decide::*;

fn time(text: &str) -> Time {
    text.parse::<jiff::Timestamp>().unwrap().into()
}

fn calendar(events: &str) -> String {
    format!("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//Example//EN\n{events}\nEND:VCALENDAR\n")
}

/// What `events` give between 2026-10-01 and 2027-04-01 in Berlin.
fn found(events: &str) -> Result<Expansion, CalendarError> {
    let (from, until) = (time("2026-10-01T00:00:00Z"), time("2027-04-01T00:00:00Z"));
    windows(&calendar(events), Some("Europe/Berlin"), None, from, until)
}

fn shown(found: &Expansion) -> Vec<(String, String)> {
    found.windows.iter().map(|window| (window.floor.0.to_string(), window.floor.1.to_string())).collect()
}

/// The windows of `events` as UTC texts, or the first problem.
fn expand(events: &str) -> Result<Vec<(String, String)>, CalendarError> {
    let mut found = found(events)?;
    if found.problems.is_empty() { Ok(shown(&found)) } else { Err(found.problems.remove(0)) }
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
    assert_eq!(with("FREQ=MONTHLY;BYDAY=-1FR;COUNT=3")[1..], ["2026-12-25T07:00:00Z", "2027-01-29T07:00:00Z"]);
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
    let periods = "RDATE;VALUE=PERIOD:20261211T080000/PT3H,20261212T070000Z/20261212T120000Z\nRDATE:20261213T080000";
    let all = expand(&event(&format!("{rule}\n{periods}"))).unwrap();
    let own: Vec<_> = all[4..].iter().map(|(_, end)| end.clone()).collect();
    assert_eq!(own, day(&["11T10", "12T12", "13T08"]), "a period has an end of its own");
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
fn of_a_day_and_a_time_the_day_is_compared() {
    let rule = "DTSTART;TZID=Europe/Berlin:20261207T003000\nDURATION:PT2H\nRRULE:FREQ=DAILY;COUNT=4";
    let nights = |days: &[&str]| days.iter().map(|day| format!("2026-12-{day}T23:30:00Z")).collect::<Vec<_>>();
    let without = event(&format!("{rule}\nEXDATE;VALUE=DATE:20261208,20261210"));
    assert_eq!(starts(&without), nights(&["06", "08"]));
    let moved = event(rule)
        + "\n"
        + &event("RECURRENCE-ID;VALUE=DATE:20261208\nDTSTART:20261208T120000Z\nDTEND:20261208T130000Z");
    let mut expected = nights(&["06", "08", "09"]);
    expected.insert(1, "2026-12-08T12:00:00Z".into());
    assert_eq!(starts(&moved), expected);
    // Midnight of UTC, which is not one in Berlin, and midnight in Berlin.
    for day in ["20261208T000000Z", "20261207T230000Z", "20261208T000000"] {
        let whole_days = event(&format!("DTSTART;VALUE=DATE:20261207\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE:{day}"));
        assert_eq!(starts(&whole_days), ["2026-12-06T23:00:00Z", "2026-12-08T23:00:00Z"], "{day}");
    }
}

#[test]
fn the_start_is_the_first_occurrence_even_where_the_rule_does_not_hit_it() {
    // A Monday, and a rule of Tuesdays.
    let with = |rule: &str| starts(&event(&format!("DTSTART:20261207T080000Z\nDURATION:PT1H\nRRULE:{rule}")));
    let days = |days: &[&str]| days.iter().map(|day| format!("2026-12-{day}T08:00:00Z")).collect::<Vec<_>>();
    assert_eq!(with("FREQ=WEEKLY;BYDAY=TU;COUNT=1"), days(&["07"]));
    assert_eq!(with("FREQ=WEEKLY;BYDAY=TU;COUNT=3"), days(&["07", "08", "15"]), "it is counted");
    assert_eq!(with("FREQ=WEEKLY;BYDAY=TU;UNTIL=20261215"), days(&["07", "08", "15"]));
    assert_eq!(with("FREQ=WEEKLY;BYDAY=MO;COUNT=3"), days(&["07", "14", "21"]), "not twice");
    let excluded =
        "DTSTART:20261207T080000Z\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;BYDAY=TU;COUNT=3\nEXDATE:20261207T080000Z";
    assert_eq!(starts(&event(excluded)), days(&["08", "15"]));
    // One that is long over is no occurrence in the horizon.
    let old = "DTSTART:20200106T080000Z\nDURATION:PT1H\nRRULE:FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=8";
    assert_eq!(starts(&event(old)), days(&["08"]));
}

#[test]
fn what_of_an_event_does_not_count_is_named() {
    let rule = "DTSTART:20261207T080000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3";
    let table = [
        (
            event(&format!("{rule}\nEXRULE:FREQ=DAILY;INTERVAL=2")),
            "event \"Exam\": its EXRULE excludes nothing; name the days by EXDATE",
        ),
        (
            event(rule)
                + "\n"
                + &event("RECURRENCE-ID;RANGE=THISANDFUTURE:20261208T080000Z\nDTSTART:20261208T120000Z\nDURATION:PT1H"),
            "event \"Exam\": its RANGE=THISANDFUTURE changes this one occurrence only; end the series there and begin another",
        ),
    ];
    for (text, remark) in table {
        let found = found(&text).unwrap();
        assert_eq!(found.windows.len(), 3, "{text}");
        let problems: Vec<_> =
            found.problems.iter().map(|problem| (problem.to_string(), problem.leaves_out())).collect();
        assert_eq!(problems, [(remark.to_owned(), false)]);
    }
}

#[test]
fn a_changed_occurrence_may_have_another_name() {
    let series = event("DTSTART:20261207T080000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3");
    let moved =
        event("RECURRENCE-ID:20261208T080000Z\nDTSTART:20261209T150000Z\nDURATION:PT1H").replace("Exam", "Holiday");
    let broken = event("RECURRENCE-ID:20261209T080000Z").replace("Exam", "Without a start");
    let others = event("RECURRENCE-ID:never\nDTSTART:20261209T150000Z").replace("Exam", "Trip").replace("1@", "2@");
    let text = calendar(&[series, moved, broken, others].join("\n"));
    let of = |summary| {
        let found = windows(&text, None, Some(summary), time("2026-12-01T00:00:00Z"), time("2027-01-01T00:00:00Z"));
        let found = found.unwrap();
        (shown(&found).into_iter().map(|(start, _)| start).collect::<Vec<_>>(), found.problems.len())
    };
    assert_eq!(of("Exam"), (vec!["2026-12-07T08:00:00Z".to_owned()], 0), "neither the old time nor the new one");
    assert_eq!(of("Holiday"), (vec!["2026-12-09T15:00:00Z".to_owned()], 0));
    assert_eq!(of("Trip"), (vec![], 1));
}

#[test]
fn zones_have_names_of_windows_or_of_the_calendars_own() {
    let at = |zone: &str| event(&format!("DTSTART;TZID=\"{zone}\":20261207T080000\nDURATION:PT1H"));
    for zone in ["W. Europe Standard Time", "w. europe standard time", "tzone://Microsoft/W. Europe Standard Time"] {
        assert_eq!(starts(&at(zone)), ["2026-12-07T07:00:00Z"], "{zone}");
    }
    assert_eq!(starts(&at("Tokyo Standard Time")), ["2026-12-06T23:00:00Z"]);
    // Written without quotes, and defined as Exchange does.
    let exchange = "BEGIN:VTIMEZONE\nTZID:Eastern Standard Time\nBEGIN:STANDARD\nDTSTART:16010101T020000\nTZOFFSETFROM:-0400\n\
                    TZOFFSETTO:-0500\nRRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=11\nEND:STANDARD\nEND:VTIMEZONE\n";
    let plain =
        event("DTSTART;TZID=Eastern Standard Time:20261207T080000\nDTEND;TZID=Eastern Standard Time:20261207T090000");
    assert_eq!(starts(&(exchange.to_owned() + &plain)), ["2026-12-07T13:00:00Z"]);
    let definition = |iana: &str| format!("BEGIN:VTIMEZONE\nTZID:Ours\nX-LIC-LOCATION:{iana}\nEND:VTIMEZONE\n");
    assert_eq!(starts(&(definition("America/New_York") + &at("Ours"))), ["2026-12-07T13:00:00Z"]);
}

#[test]
fn where_nobody_knows_a_zone_that_of_the_schedule_counts_and_it_is_said() {
    let unknown = |zone: &str| event(&format!("DTSTART;TZID=\"{zone}\":20261207T080000\nDURATION:PT1H"));
    let past = event("DTSTART;TZID=Elsewhere:20200101T080000\nDURATION:PT1H");
    let text =
        [unknown("(UTC+01:00) Amsterdam, Berlin"), unknown("Mars/Phobos"), unknown("Mars/Phobos"), past].join("\n");
    let found = found(&text).unwrap();
    assert_eq!(shown(&found).len(), 3);
    assert!(shown(&found).iter().all(|(start, _)| start == "2026-12-07T07:00:00Z"), "{found:?}");
    let name = |name: &str| CalendarError::OtherZone { name: name.into(), taken: "Europe/Berlin".into() };
    assert_eq!(found.problems, [name("(UTC+01:00) Amsterdam, Berlin"), name("Mars/Phobos")], "each once");
    assert!(found.problems.iter().all(|problem| !problem.leaves_out()));
    let said = found.problems[1].to_string();
    assert!(said.contains("\"Mars/Phobos\"") && said.contains("Europe/Berlin counts in its place"), "{said}");
}

#[test]
fn a_calendar_may_name_the_zone_of_times_without_one() {
    let text = |own: &str| calendar(&format!("{own}{}", event("DTSTART;VALUE=DATE:20261207")));
    let of = |own: &str, zone: Option<&str>| {
        let found =
            windows(&text(own), zone, None, time("2026-12-01T00:00:00Z"), time("2027-01-01T00:00:00Z")).unwrap();
        (found.windows[0].floor.0.to_string(), found.problems)
    };
    let own = "X-WR-TIMEZONE:America/Los_Angeles\n";
    assert_eq!(of(own, None), ("2026-12-07T08:00:00Z".into(), vec![]));
    assert_eq!(of("X-WR-TIMEZONE:Pacific Standard Time\n", None), ("2026-12-07T08:00:00Z".into(), vec![]));
    assert_eq!(of(own, Some("Europe/Berlin")), ("2026-12-06T23:00:00Z".into(), vec![]), "the schedule's comes first");
    assert_eq!(of("", None), ("2026-12-07T00:00:00Z".into(), vec![]));
    let unknown = CalendarError::OtherZone { name: "Nowhere".into(), taken: "UTC".into() };
    assert_eq!(of("X-WR-TIMEZONE:Nowhere\n", None), ("2026-12-07T00:00:00Z".into(), vec![unknown]));
    assert_eq!(of("X-WR-TIMEZONE:Nowhere\n", Some("UTC")), ("2026-12-07T00:00:00Z".into(), vec![]));
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_calendar() {
    let text = "\u{feff}".to_owned() + &calendar(&event("DTSTART:20261207T073000Z\nDURATION:PT1H"));
    let found = windows(&text, None, None, time("2026-12-01T00:00:00Z"), time("2027-01-01T00:00:00Z")).unwrap();
    assert_eq!(shown(&found), [("2026-12-07T07:30:00Z".to_owned(), "2026-12-07T08:30:00Z".to_owned())]);
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
        ("DTSTART:20261207T073000\nDURATION:-PT1H", "event \"Exam\": its DURATION cannot be read; write it like PT2H"),
        (
            "DTSTART:20261207T073000\nRDATE;VALUE=PERIOD:20261208T073000/long",
            "event \"Exam\": its RDATE \"20261208T073000/long\" is not a time; write it like 20261207T073000",
        ),
        (
            "DTSTART:20261207T073000\nEXDATE:never",
            "event \"Exam\": its EXDATE \"never\" is not a time; write it like 20261207T073000",
        ),
        (
            "DTSTART:20261207T073000\nRRULE:FREQ=DAILY;UNTIL=later",
            "event \"Exam\": its RRULE has an UNTIL that cannot be read",
        ),
    ];
    for (lines, message) in table {
        assert_eq!(expand(&event(lines)).unwrap_err().to_string(), message, "{lines}");
    }
    let error = expand(&event("DTSTART:20261207T073000\nRRULE:FREQ=SOMETIMES")).unwrap_err().to_string();
    assert!(error.starts_with("event \"Exam\": its RRULE cannot be used:"), "{error}");
    for text in ["", "hello", "BEGIN:VCALENDAR\nBEGIN:VEVENT"] {
        let error = windows(text, None, None, Time::from_secs(0), Time::from_secs(1));
        let Err(CalendarError::Syntax(problem)) = &error else { panic!("{text:?}: {error:?}") };
        assert!(problem.len() > 5 && !problem.contains('\n'), "{text:?}: {problem:?}");
    }
    let error = windows("", Some("Mars/Phobos"), None, Time::from_secs(0), Time::from_secs(1));
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
        |summary| windows(text, None, Some(summary), time("2026-12-01T00:00:00Z"), time("2027-01-01T00:00:00Z"));
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
    let found = windows(&text, None, None, time("2026-12-01T00:00:00Z"), time("2027-01-01T00:00:00Z")).unwrap();
    assert_eq!(found.windows.len(), 1);
    assert_eq!(found.windows[0].floor.0, time("2026-12-07T07:30:00Z"));
    assert!(found.problems.iter().all(CalendarError::leaves_out), "{:?}", found.problems);
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
        (rule("20260101T000000Z", "FREQ=YEARLY;BYSECOND=1,2"), "several values of BYMINUTE or BYSECOND"),
        (rule("20260101T000000Z", &long), "more than 500 characters; write it shorter"),
        (rule("00010101T000000Z", "FREQ=HOURLY"), "repeats since before 1900; give it a later DTSTART"),
        (rule("20260101T000000Z", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"), "names days that never come"),
        (rule("20260101T000000Z", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"), "names days that never come"),
        (rule("20260101T000000Z", "FREQ=DAILY;INTERVAL=0"), "names days that never come"),
        (rule("20200101T000000Z", "FREQ=HOURLY").replace("PT1H", "P9999W"), "more than 5000 occurrences"),
        (many(60, &rule("20200101T000000Z", "FREQ=HOURLY")), "end events that are over with an UNTIL"),
        (many(70, &rule("19000101T000000Z", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO")), "or begin them later"),
        (
            event(&format!("DTSTART;TZID={}:20261207T073000\nDURATION:PT1H", "a/".repeat(1000))),
            "neither of the IANA database nor of Windows",
        ),
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
    let found = windows(&text, None, None, from, until).unwrap();
    let hours = 182 * 24;
    assert_eq!((found.windows.len(), found.left_out), (2000, 2 * hours - 2000));
    assert_eq!(found.windows[1999].floor.0.to_string(), "2026-11-11T15:00:00Z", "a thousand hours of both");
}

#[test]
fn a_rule_may_name_one_minute_and_one_second() {
    let event = |rule: &str| {
        format!("BEGIN:VEVENT\nDTSTART:20261207T073015Z\nDTEND:20261207T083015Z\nRRULE:{rule};COUNT=2\nEND:VEVENT\n")
    };
    for rule in ["FREQ=DAILY;BYMINUTE=30", "FREQ=DAILY;BYSECOND=15", "FREQ=DAILY;BYMINUTE=30;BYSECOND=15"] {
        assert_eq!(starts(&event(rule)), ["2026-12-07T07:30:15Z", "2026-12-08T07:30:15Z"], "{rule}");
    }
}

#[test]
fn a_rule_of_the_greatest_length_and_one_that_seldom_comes_are_no_burden() {
    let event =
        |start: &str, rule: &str| format!("BEGIN:VEVENT\nDTSTART:{start}\nDURATION:PT1H\nRRULE:{rule}\nEND:VEVENT\n");
    let long = format!("FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=7{},07", ",7".repeat(231));
    assert_eq!(long.len(), 500);
    assert_eq!(starts(&event("20261207T073000Z", &long)), ["2026-12-07T07:30:00Z"]);
    // Thirty years in steps of two hundred days.
    assert_eq!(starts(&event("19961207T073000Z", "FREQ=DAILY;INTERVAL=200")).len(), 1);
}

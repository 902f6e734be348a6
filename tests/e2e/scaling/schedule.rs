//! Planned floors at their times.

use super::{PLATFORM, SOON, Scene, behavior, numbers, pending};
use k8s_openapi::{
    api::core::v1::ConfigMap,
    jiff::{SignedDuration, Timestamp, tz::TimeZone},
};
use kube::api::PostParams;
use learningplatform_tests::harness::{TestNamespace, eventually};
use serde_json::{Value, json};
use std::time::Instant;

const STEPS: i64 = 10;
const RAMP: i64 = 30;

/// The floor of a window of `full` pods at `now`, all in seconds: ten steps up to its start, full inside, ten steps down.
fn floor(full: i64, (start, end): (i64, i64), ramp: i64, now: i64) -> i64 {
    let part =
        |done: i64| if ramp == 0 { 0 } else { (full * (done * STEPS / ramp).clamp(0, STEPS) + STEPS - 1) / STEPS };
    if now < start {
        part(ramp - (start - now))
    } else if now < end {
        full
    } else {
        // The first step down is taken at the end itself, not a step later.
        part(ramp - (now - end) - 1)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_open_by_their_ramp_overlap_and_end() {
    let scene = Scene::start("schedule").await;
    let begin = (Instant::now(), Timestamp::now());
    // Seconds since the epoch: an exam, and a lesson that begins within it and outlasts it.
    let exam = (begin.1.as_second() + 50, begin.1.as_second() + 70);
    let lesson = (exam.0 + 10, exam.1 + 35);
    let local = |second: i64, zone: &str| {
        let zoned = Timestamp::from_second(second).expect("a time").to_zoned(TimeZone::get(zone).expect("a zone"));
        zoned.strftime("%Y-%m-%dT%H:%M:%S").to_string()
    };
    let once = |name: &str, (start, end): (i64, i64), zone: &str, floor: i32, ramp: i64| {
        json!({"name": name, "start": local(start, zone), "end": local(end, zone), "timeZone": zone,
            "minReplicas": floor, "ramp": format!("{ramp}s")})
    };
    let other_day = (begin.1 + SignedDuration::from_hours(72)).to_zoned(TimeZone::UTC).strftime("%a").to_string();
    let schedules: Value = json!([
        once("exam", exam, "UTC", 10, RAMP),
        once("lesson", lesson, "Asia/Kathmandu", 6, 0),
        {"name": "other-day", "weekly": {"days": [other_day], "start": "00:00", "end": "24:00"}, "timeZone": "UTC", "minReplicas": 15},
    ]);
    let scaling = json!({
        "minReplicas": 1, "maxReplicas": 20, "schedules": schedules,
        "behavior": behavior((0, "Percent", 2000, 1), (0, "Percent", 100, 1)),
    });
    scene.apply(&[pending("web", scaling)]).await;
    let web = scene.record("web").await;
    web.until("the window is open", SOON + SOON, |seen| seen.floor() == Some(10)).await;
    web.until("everything is over", SOON * 2, |seen| {
        seen.floor() == Some(1) && Timestamp::now().as_second() > lesson.1
    })
    .await;

    let floors = web.floors(begin.0);
    let second = |at: Instant| {
        let passed = i64::try_from((at - begin.0).as_millis()).expect("milliseconds");
        (begin.1.as_millisecond() + passed).div_euclid(1000)
    };
    let expected = |now: i64| floor(10, exam, RAMP, now).max(floor(6, lesson, 0, now)).max(1);
    for (at, seen) in &floors {
        // A tick, a write and a watch may take their time on a busy machine; a step lasts 3 s.
        let now = second(*at);
        let possible: Vec<i64> = (now - 8..=now + 1).map(expected).collect();
        assert!(possible.contains(&i64::from(*seen)), "{seen} at {} s of the exam: {possible:?}", now - exam.0);
    }
    let at = |wanted: i64| floors.iter().rev().find(|(at, _)| second(*at) <= wanted).map(|(_, floor)| *floor);
    let numbers = numbers(&floors);
    assert!((3..=6).contains(&at(exam.0 - 12).expect("a floor")), "part of it before the start: {numbers:?}");
    assert_eq!(at(exam.0 + 8), Some(10), "all of it at the start: {numbers:?}");
    assert_eq!(at(exam.1 - 1), Some(10), "the greater of both while they overlap: {numbers:?}");
    assert_eq!(at(lesson.1 - 1), Some(6), "the lesson alone: {numbers:?}");
    assert_eq!(numbers.last(), Some(&1), "{numbers:?}");
    scene.end().await;
}

/// A timetable with an exam that is held now, until `end`, and a trip of the day before yesterday.
fn timetable(end: Timestamp) -> ConfigMap {
    let utc = |time: Timestamp| time.strftime("%Y%m%dT%H%M%SZ").to_string();
    let event = |summary: &str, end: Timestamp| {
        let (begin, end) = (utc(end - SignedDuration::from_hours(2)), utc(end));
        let lines = [
            "BEGIN:VEVENT",
            &format!("UID:{summary}"),
            &format!("DTSTAMP:{begin}"),
            &format!("SUMMARY:{summary} of class 7"),
            &format!("DTSTART:{begin}"),
            &format!("DTEND:{end}"),
            "END:VEVENT",
        ];
        lines.join("\r\n")
    };
    let (exam, trip) = (event("Exam", end), event("Trip", end - SignedDuration::from_hours(48)));
    let head = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//campus//timetable//EN";
    let text = format!("{head}\r\n{exam}\r\n{trip}\r\nEND:VCALENDAR\r\n");
    serde_json::from_value(json!({"metadata": {"name": "timetable"}, "data": {"term.ics": text}})).expect("a ConfigMap")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_calendar_that_comes_opens_its_window_and_ends_it() {
    let scene = Scene::start("calendar").await;
    let calendar =
        |summary: &str| json!({"configMap": {"name": "timetable", "key": "term.ics"}, "summaryContains": summary});
    let scaling = json!({
        "minReplicas": 1, "maxReplicas": 20,
        "schedules": [
            {"name": "exams", "calendar": calendar("Exam"), "timeZone": "UTC", "minReplicas": 5, "ramp": "0s"},
            {"name": "trips", "calendar": calendar("Trip"), "timeZone": "UTC", "minReplicas": 9, "ramp": "0s"},
        ],
        "behavior": behavior((0, "Percent", 2000, 1), (0, "Percent", 100, 1)),
    });
    scene.apply(&[pending("web", scaling)]).await;
    let web = scene.record("web").await;
    let condition = || async { scene.ns.app_condition(PLATFORM, "web", "AutoscalingReady").await };
    let missing = |told: &Option<(String, String, String)>| {
        told.as_ref().is_some_and(|c| c.0 == "False" && c.1 == "NotFound" && c.2.contains("timetable"))
    };
    eventually("the missing timetable is named", SOON, condition, missing).await;
    web.until("without it there is the minimum", SOON, |seen| seen.floor() == Some(1)).await;

    let came = Instant::now();
    // Whole seconds, as a calendar has them.
    let end = Timestamp::from_second(Timestamp::now().as_second() + 45).expect("a time");
    scene.ns.api::<ConfigMap>().create(&PostParams::default(), &timetable(end)).await.expect("a ConfigMap");
    web.until("the exam's floor", SOON, |seen| seen.floor() == Some(5)).await;
    eventually("nothing is missing any more", SOON, condition, |c| c.as_ref().is_some_and(|c| c.0 == "True")).await;
    web.until("the exam is over", SOON, |seen| seen.floor() == Some(1)).await;
    assert!(Timestamp::now() >= end, "the floor fell before the exam was over");
    assert_eq!(numbers(&web.floors(came)), [1, 5, 1], "the exam alone, from the calendar's coming to its end");
    scene.end().await;
}

#[tokio::test]
async fn a_zone_that_nobody_knows_is_refused() {
    let ns = TestNamespace::create("zone").await;
    for zone in ["Europe/Atlantis", "Local", "+02:00", ""] {
        let schedule = json!({"name": "exam", "start": "2026-12-07T07:30", "end": "2026-12-07T09:00", "timeZone": zone, "minReplicas": 2});
        let scaling = json!({"minReplicas": 1, "maxReplicas": 4, "schedules": [schedule]});
        let refusal =
            ns.try_apply(PLATFORM, json!({"apps": [pending("web", scaling)]})).await.expect_err(zone).to_string();
        assert!(refusal.contains("timeZone"), "{zone}: {refusal}");
    }
    ns.delete().await;
}

#[test]
fn the_expected_floors_are_the_ramps() {
    let window = (100, 120);
    for (now, pods) in [
        (69, 0),
        (70, 0),
        (73, 1),
        (85, 5),
        (97, 9),
        (99, 9),
        (100, 10),
        (119, 10),
        (120, 9),
        (121, 9),
        (135, 4),
        (150, 0),
    ] {
        assert_eq!(floor(10, window, RAMP, now), pods, "at {now}");
    }
    assert_eq!((floor(6, window, 0, 99), floor(6, window, 0, 100), floor(6, window, 0, 120)), (0, 6, 0));
}

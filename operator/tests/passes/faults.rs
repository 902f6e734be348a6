//! Writes that fail, hang or panic, and what cannot be read.

use crate::{api::Fault, world::*};
use learningplatform_operator::{
    context::{Context, Settings},
    naming::PlatformKey,
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// The lines in which two objects differ.
fn differences(wanted: &Value, found: &Value) -> String {
    let [wanted, found] = [wanted, found].map(|object| serde_json::to_string_pretty(object).unwrap());
    let diff = similar::TextDiff::from_lines(&wanted, &found);
    let lines = diff.iter_all_changes().filter(|line| line.tag() != similar::ChangeTag::Equal);
    lines.map(|line| format!("{}{line}", line.tag())).collect()
}

#[tokio::test]
async fn a_crash_at_any_write_ends_in_the_same_state() {
    let perfect = World::new(spec());
    perfect.settle(&perfect.operator().await).await;
    let count = perfect.api.writes().len();
    let wanted = perfect.api.dump();
    for fault in [Fault::Before, Fault::AnswerLost, Fault::Conflict, Fault::Forbidden] {
        for nth in 0..count {
            let world = World::new(spec());
            world.api.fail(nth, fault);
            let first = world.operator().await;
            for _ in 0..2 {
                world.pass(&first).await;
                world.api.run_deployments();
            }
            world.settle(&world.operator().await).await;
            let found = world.api.dump();
            for (path, object) in &wanted {
                let differs =
                    found.get(path).map_or_else(|| "is missing".to_owned(), |found| differences(object, found));
                assert_eq!(differs, "", "{fault:?} at write {nth}: {path}");
            }
            assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>(), "{fault:?} at write {nth}");
        }
    }
}

#[tokio::test]
async fn a_pass_that_panics_is_told_without_its_words_and_tried_again() {
    let world = World::new(spec());
    let operator = world.operator().await;
    // The first write is the first status.
    world.api.fail(1, Fault::Panic);
    assert_eq!(world.pass(&operator).await, Next::Soon, "an error, which is tried again");
    let ready = world.condition("Ready");
    assert_eq!((&ready["status"], &ready["reason"]), (&json!("False"), &json!("ProviderError")), "{ready}");
    let message = ready["message"].as_str().unwrap();
    assert!(message.contains("defect") && !message.contains("secret"), "{message}");
    world.settle(&operator).await;
    assert!(world.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_write_without_an_answer_holds_no_other_app_up() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.api.fail(3, Fault::Hang);
    world.pass(&operator).await;
    world.api.run_deployments();
    let failed = world.app_condition("web", "AppReady");
    assert_eq!((&failed["status"], &failed["reason"]), (&json!("False"), &json!("ProviderError")), "{failed}");
    assert_eq!(world.api.get(&DEPLOYMENT.replace("web", "worker")).unwrap()["spec"]["replicas"], 2);
    world.settle(&operator).await;
    assert!(world.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_runs_out_of_time_says_so() {
    let world = World::new(spec());
    let operator = world.operator().await;
    let settings = Settings { pass_timeout: Duration::from_secs(2), ..Settings::default() };
    let hurried = Arc::new(Context { settings: Arc::new(settings), ..Context::clone(&operator) });
    world.api.fail(3, Fault::Hang);
    assert_eq!(world.pass(&hurried).await, Next::Soon);
    let ready = world.condition("Ready");
    assert_eq!(ready["reason"], "ProviderError", "{ready}");
    world.settle(&operator).await;
    assert!(world.is_ready());
}

#[tokio::test]
async fn a_calendar_that_cannot_be_read_now_counts_as_it_was_read_last() {
    let mut planned = spec();
    let terms = json!({ "name": "terms", "key": "terms.ics" });
    planned["apps"][0]["autoscaling"]["schedules"] =
        json!([{ "name": "exams", "calendar": { "configMap": terms }, "minReplicas": 8 }]);
    let path = "/api/v1/namespaces/learning/configmaps/terms";
    let text = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260101\nRRULE:FREQ=DAILY\nEND:VEVENT\nEND:VCALENDAR\n";
    let world = World::new(planned);
    world.api.put(
        path,
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "terms" }, "data": { "terms.ics": text } }),
    );
    let operator = world.operator().await;
    world.settle(&operator).await;
    let key = PlatformKey { namespace: "learning".into(), name: "story".into() };
    let read = operator.registry.calendars(&key);
    assert_eq!(read.values().collect::<Vec<_>>(), [text]);

    world.api.deny("get", "configmaps");
    assert_eq!(world.pass(&operator).await, Next::Soon, "it is read again");
    assert_eq!(operator.registry.calendars(&key), read);
    let told = world.app_condition("web", "AutoscalingReady");
    let message = told["message"].as_str().unwrap();
    assert_eq!(told["reason"], "PermissionDenied", "{message}");
    assert!(message.contains("schedules[exams].calendar.configMap: get ConfigMap terms: "), "{message}");
    assert!(message.contains("cannot get resource") && message.contains("read last counts"), "{message}");
    assert!(!message.contains("create it"), "{message}");

    world.api.allow_all();
    world.api.remove(path);
    world.pass(&operator).await;
    assert!(operator.registry.calendars(&key).is_empty(), "it is gone, and known to be");
    assert_eq!(world.app_condition("web", "AutoscalingReady")["reason"], "NotFound");
}

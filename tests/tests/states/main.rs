//! The states that GitOps tools read, in tests/fixtures/status: each as the operator's own code writes it, with what
//! kstatus and Argo CD's health script are to make of it. tests/kstatus asks both.

mod pass;
mod table;

use crds::status::{LearningPlatformStatus, Reason};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use table::{State, states};

/// Writes the fixtures anew.
const WRITE: &str = "LP_WRITE_FIXTURES";
/// Words that no condition of a platform or an app carries.
const UNUSED: [Reason; 8] = [
    Reason::Deleting,
    Reason::NotConfigured,
    // Of databases alone, beside what makes them ready.
    Reason::BackupsNotOffCluster,
    Reason::BackupFailed,
    Reason::BackupOverdue,
    // Of items at AWS alone, beside what makes them ready.
    Reason::PendingMaintenance,
    Reason::Drift,
    Reason::ResizeRolledBack,
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the workspace")
}

fn files() -> BTreeSet<PathBuf> {
    let folder = std::fs::read_dir(root().join("tests/fixtures/status")).expect("tests/fixtures/status");
    folder.map(|entry| entry.expect("an entry").path()).collect()
}

#[test]
fn the_fixtures_are_what_the_operator_writes() {
    let write = std::env::var_os(WRITE).is_some();
    let mut others = files();
    for State { name, says, read: (kstatus, argo), message, object } in states() {
        let path = root().join(format!("tests/fixtures/status/{name}.json"));
        let state = json!({"says": says, "kstatus": kstatus, "argo": argo, "message": message, "object": object});
        if write {
            let text = serde_json::to_string_pretty(&state).expect("JSON") + "\n";
            std::fs::write(&path, text).expect("a fixture");
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let kept: Value = serde_json::from_str(&text).unwrap_or_default();
        // Without the two objects on one line each: the difference is easier to read in the file once it is written.
        assert!(
            kept == state,
            "{name} is not what the operator writes: run this test with {WRITE}=1, and look at the change"
        );
        if let Err(broken) = crds::validate(&object) {
            panic!("{name}: {broken:?}");
        }
        others.remove(&path);
    }
    if write {
        others.iter().for_each(|path| std::fs::remove_file(path).expect("an old fixture"));
    } else {
        assert!(others.is_empty(), "nobody writes these: {others:?}");
    }
}

#[test]
fn every_reason_of_a_condition_is_in_a_state() {
    let mut seen = BTreeSet::new();
    for state in states() {
        let status: LearningPlatformStatus = serde_json::from_value(state.object["status"].clone()).expect("a status");
        let of_apps = status.apps.into_iter().flat_map(|app| app.conditions);
        seen.extend(status.conditions.into_iter().chain(of_apps).map(|condition| condition.reason));
    }
    let all: BTreeSet<String> =
        Reason::ALL.iter().filter(|reason| !UNUSED.contains(reason)).map(ToString::to_string).collect();
    assert_eq!(all.difference(&seen).collect::<Vec<_>>(), Vec::<&String>::new(), "no state shows them");
    assert_eq!(seen.difference(&all).collect::<Vec<_>>(), Vec::<&String>::new(), "the operator does use them");

    let script =
        std::fs::read_to_string(root().join("charts/operator/integrations/argo-cd/health.lua")).expect("a script");
    let listed: BTreeSet<String> =
        script.lines().filter_map(|line| line.trim().strip_suffix(" = true,")).map(str::to_owned).collect();
    assert!(listed.len() >= 7 && listed.is_subset(&seen), "no state shows {:?}", listed.difference(&seen));
}

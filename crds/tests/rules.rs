//! Every rule of the generated CRD is broken by a bad example here, and says which field is wrong and how to mend it.

#![recursion_limit = "256"]

mod examples;

use examples::{SERVER_ONLY, all_rules, bad, good, with, without_indices};
use learningplatform_crds::{crd, validate};
use serde_json::Value;
use std::collections::BTreeSet;

/// What a message says about mending: a word for what to do, or the bound to keep.
const REMEDIES: [&str; 18] = [
    "add",
    "change",
    "choose",
    "correct",
    "give",
    "lower",
    "make",
    "must be",
    "must hold",
    "must not be",
    "name",
    "raise",
    "remove",
    "rename",
    "set",
    "shorten",
    "use",
    "write",
];

#[test]
fn the_good_platform_breaks_no_rule() {
    assert_eq!(validate(&good()).map_err(|e| format!("{e:?}")), Ok(()));
}

#[test]
fn every_rule_is_hit_by_a_bad_example_that_names_the_field() {
    let mut missing = all_rules(&serde_json::to_value(crd()).expect("JSON"));
    assert!(missing.len() > 60, "the walk found only {} rules", missing.len());
    missing.retain(|(_, message)| !message.contains(SERVER_ONLY));
    for (changes, named) in bad() {
        if named == SERVER_ONLY {
            continue;
        }
        let borrowed: Vec<_> = changes.iter().map(|(p, v)| (p.as_str(), v.clone())).collect();
        let errors = validate(&with(&borrowed)).expect_err(&format!("accepted: {changes:?}"));
        assert!(
            errors.iter().any(|e| e.message.contains(named)),
            "{changes:?}: no message names {named:?}: {errors:?}"
        );
        for error in errors {
            missing.remove(&(without_indices(&error.path), error.message));
        }
    }
    assert!(missing.is_empty(), "no bad example hits: {missing:#?}");
}

/// The name of every field, at any depth.
fn fields(schema: &Value, found: &mut BTreeSet<String>) {
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        found.insert(name.clone());
        fields(inner, found);
    }
    for holder in ["items", "additionalProperties"] {
        if schema[holder].is_object() {
            fields(&schema[holder], found);
        }
    }
}

/// The words of a text, without the punctuation around them.
fn words(text: &str) -> String {
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
    format!(" {} ", text.split_whitespace().map(bare).collect::<Vec<_>>().join(" "))
}

#[test]
fn every_message_begins_with_a_field_and_goes_on_to_a_remedy() {
    let crd = serde_json::to_value(crd()).expect("JSON");
    let mut known = BTreeSet::from(["name".to_owned()]);
    fields(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &mut known);
    for (path, message) in all_rules(&crd) {
        let (subject, rest) = message.split_once(' ').unwrap_or((&message, ""));
        let field = subject.trim_end_matches(':').rsplit('.').next().unwrap_or_default().trim_end_matches("[]");
        assert!(known.contains(field), "{path}: {field:?} is no field: {message}");
        let rest = words(rest);
        let mends = REMEDIES.iter().any(|remedy| rest.contains(&format!(" {remedy} ")));
        assert!(mends, "{path}: it does not say how to mend it: {message}");
    }
}

#[test]
fn the_crd_stays_small_enough_for_client_side_apply() {
    // kubectl keeps the applied object in an annotation, and all annotations together may have 256 KiB.
    let size = serde_json::to_string(&crd()).expect("JSON").len();
    assert!(size < 256 * 1024, "{size} bytes");
}

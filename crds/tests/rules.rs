//! Every rule of the generated CRD is broken by a bad example here, and says which field is wrong and how to mend it.

#![recursion_limit = "256"]

mod examples;

use examples::{SERVER_ONLY, all_rules, bad, good, with, without_indices};
use learningplatform_crds::{crd, validate};

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

#[test]
fn the_crd_stays_small_enough_for_client_side_apply() {
    // kubectl keeps the applied object in an annotation, and all annotations together may have 256 KiB.
    let size = serde_json::to_string(&crd()).expect("JSON").len();
    assert!(size < 256 * 1024, "{size} bytes");
}

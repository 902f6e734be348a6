//! Names: legal for whatever a platform is called, and different for different ones. Tags: whose a resource is.

use learningplatform_aws::{Identity, Owner, Standing, TAGS, Tags};
use proptest::prelude::*;

fn identity() -> impl Strategy<Value = Identity> {
    let part = || "[A-Za-z0-9._-]{1,60}|[a-c._-]{1,3}";
    (part(), part(), part(), part())
        .prop_map(|(cluster, namespace, platform, item)| Identity::new(&cluster, &namespace, &platform, &item))
        .prop_map(|identity| identity.expect("made of legal parts"))
}

/// AWS's rules for identifiers of both services.
fn is_legal(name: &str, limit: usize) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=limit).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && !name.contains("--")
        && name.chars().all(legal)
}

proptest! {
    #[test]
    fn names_are_legal_and_the_same_each_time(identity in identity()) {
        let instance = identity.instance();
        prop_assert!(is_legal(&instance, 59), "{instance}");
        for index in [0, 9, 14] {
            prop_assert!(is_legal(&Identity::replica(&instance, index), 63));
        }
        let snapshot = instance.clone() + "-final-4294967295";
        prop_assert!(is_legal(&snapshot, 255));
        let group = identity.replication_group();
        prop_assert!(is_legal(&group, 40), "{group}");
        for user in ["app", "a.reader", "default"] {
            prop_assert!(is_legal(&Identity::user(&group, user), 40), "{}", Identity::user(&group, user));
        }
        // With a hyphen and a hash behind it, in a function's name.
        prop_assert!(is_legal(&identity.cdn(), 46), "{}", identity.cdn());
        prop_assert_eq!(instance, identity.clone().instance());
        prop_assert_eq!(identity.caller_reference(0).len(), 64);
    }

    #[test]
    fn different_ones_have_different_names(one in identity(), other in identity()) {
        prop_assume!(one != other);
        prop_assert_ne!(one.instance(), other.instance());
        let (group, others) = (one.replication_group(), other.replication_group());
        prop_assert_ne!(&group, &others);
        prop_assert_ne!(Identity::user(&group, "app"), Identity::user(&others, "app"));
        prop_assert_ne!(Identity::user(&group, "app"), Identity::user(&group, "App"));
        prop_assert_ne!(one.cdn(), other.cdn());
        prop_assert_ne!(one.caller_reference(0), other.caller_reference(0));
        prop_assert_ne!(one.caller_reference(0), one.caller_reference(1));
    }

    #[test]
    fn only_all_five_tags_make_it_ours(identity in identity(), uid in "[a-f0-9-]{1,36}", drop in 0..5usize, other in "[g-z]{1,9}") {
        let owner = Owner { identity, uid };
        let mut tags = owner.tags();
        tags.insert("team".into(), "theirs".into());
        prop_assert_eq!(owner.standing(&tags), Standing::Ours, "other tags say nothing");
        for key in TAGS {
            prop_assert!(tags[key].len() <= 256);
        }
        let mut fewer = tags.clone();
        fewer.remove(TAGS[drop]);
        prop_assert_eq!(owner.standing(&fewer), Standing::NameConflict);
        prop_assert_eq!(owner.former(&fewer), None);
        let mut changed: Tags = tags;
        changed.insert(TAGS[drop].into(), other);
        let is_retained = matches!(owner.standing(&changed), Standing::Retained { .. });
        prop_assert_eq!(is_retained, drop == 4);
        prop_assert_eq!(owner.standing(&changed) == Standing::NameConflict, drop != 4);
        // Under another name, another cluster's counts as well.
        prop_assert_eq!(owner.former(&changed).is_some(), drop == 0 || drop == 4);
    }
}

#[test]
fn parts_that_would_run_together_are_different_ones() {
    let name = |cluster, namespace, platform, item| {
        Identity::new(cluster, namespace, platform, item).expect("legal").instance()
    };
    assert_ne!(name("a", "b", "c-d", "e"), name("a", "b", "c", "d-e"));
    assert_ne!(name("a-b", "c", "d", "e"), name("a", "b-c", "d", "e"));
    assert_ne!(name("a", "b", "Story", "e"), name("a", "b", "story", "e"));
    let long = "x".repeat(200);
    assert_ne!(name("a", "b", &long, "e"), name("a", "b", &long, "f"));
    assert_eq!(name("blue", "learning", "story", "main"), "lp-story-main-g57xuoilsd42fjqu", "it never changes");
}

#[test]
fn a_part_that_no_name_can_be_made_of_is_refused() {
    for (cluster, item, part) in
        [("", "main", "cluster name"), ("a/b", "main", "cluster name"), ("a", "m n", "name of the item")]
    {
        let error = Identity::new(cluster, "learning", "story", item).expect_err("it is not legal");
        assert_eq!(error.part, part);
        assert!(error.to_string().contains("use 1 to 253 letters"), "{error}");
    }
    assert!(Identity::new(&"x".repeat(254), "learning", "story", "main").is_err());
}

//! What the operator has to be allowed.

use learningplatform_aws::{
    Mode,
    iam::{self, Grant, Only, Policy, Scope, policy},
};
use std::collections::BTreeSet;

/// Each service's table with its name in actions.
const TABLES: [(&str, &[Grant]); 2] = [("rds", iam::RDS), ("elasticache", iam::ELASTICACHE)];

fn of(table: &[Grant], mode: Mode) -> Policy {
    let scope = Scope {
        partition: "aws".into(),
        account: "123456789012".into(),
        region: "eu-central-1".into(),
        cluster: "blue".into(),
    };
    policy(table, mode, &scope)
}

#[test]
fn the_policy_of_each_feature() {
    for (service, table) in TABLES {
        insta::assert_json_snapshot!(format!("{service}_apply"), of(table, Mode::Apply));
        insta::assert_json_snapshot!(format!("{service}_observe"), of(table, Mode::Observe));
        assert_eq!(of(table, Mode::Plan), of(table, Mode::Observe), "a plan changes nothing");
    }
}

#[test]
fn every_action_is_of_a_call_and_what_changes_something_is_bound_to_our_names_or_tags() {
    for (service, table) in TABLES {
        let calls: BTreeSet<&str> = table.iter().map(|grant| grant.call).collect();
        for call in calls {
            let own = format!("{service}:{call}");
            assert!(table.iter().any(|grant| grant.action == own), "{call} has no action of its own");
        }
        for grant in table {
            let reads =
                ["Describe", "List"].iter().any(|start| grant.action.starts_with(&format!("{service}:{start}")));
            assert_eq!(reads, grant.only == Only::Reading, "{grant:?}");
            if grant.only == Only::Ours {
                assert!(grant.on.iter().all(|on| on.ends_with(":lp-*")), "{grant:?}");
            }
            if grant.only == Only::Tagging {
                assert!(grant.on[0].ends_with(":lp-*") && !grant.on.contains(&"db:*"), "{grant:?}");
            }
        }
    }
}

#[test]
fn what_is_used_without_a_tag_is_always_used_by_something_that_is_ours() {
    for (_, table) in TABLES {
        for grant in table.iter().filter(|grant| grant.only == Only::Used) {
            let bound = |other: &&Grant| other.call == grant.call && matches!(other.only, Only::Ours | Only::Tagging);
            assert!(table.iter().any(|other| bound(&other)), "{grant:?}");
        }
    }
}

fn cloudfront(table: &'static [Grant], mode: Mode) -> Policy {
    let scope = Scope {
        partition: "aws".into(),
        account: "123456789012".into(),
        region: "eu-central-1".into(),
        cluster: "blue".into(),
    };
    policy(table.iter().chain(iam::CLOUDFRONT_COMPANIONS), mode, &scope)
}

#[test]
fn the_policies_of_distributions() {
    insta::assert_json_snapshot!("cloudfront_own_apply", cloudfront(iam::CLOUDFRONT_OWN, Mode::Apply));
    insta::assert_json_snapshot!("cloudfront_attached_apply", cloudfront(iam::CLOUDFRONT_ATTACHED, Mode::Apply));
    insta::assert_json_snapshot!("cloudfront_observe", cloudfront(iam::CLOUDFRONT_OWN, Mode::Observe));
    for table in [iam::CLOUDFRONT_OWN, iam::CLOUDFRONT_ATTACHED] {
        assert_eq!(cloudfront(table, Mode::Plan), cloudfront(iam::CLOUDFRONT_OWN, Mode::Observe), "both read the same");
    }
}

#[test]
fn a_distribution_is_only_changed_where_it_bears_our_tag_and_somebody_elses_is_neither_made_nor_deleted() {
    for table in [iam::CLOUDFRONT_OWN, iam::CLOUDFRONT_ATTACHED, iam::CLOUDFRONT_COMPANIONS] {
        for grant in table {
            let (_, action) = grant.action.split_once(':').expect("of a service");
            let reads = ["Describe", "Get", "List"].iter().any(|start| action.starts_with(start));
            assert_eq!(reads && grant.call == action, grant.only == Only::Reading, "{grant:?}");
            // To make one with tags has no action of its own.
            let own = table.iter().any(|other| other.call == grant.call && other.action.ends_with(grant.call));
            assert!(own || grant.call == "CreateDistributionWithTags", "{grant:?}");
            let creates = action.starts_with("Create") && action != "CreateInvalidation";
            assert_eq!(grant.on == ["*"], creates || action.starts_with("List") && action != "ListTagsForResource");
        }
    }
    for grant in iam::CLOUDFRONT_OWN.iter().filter(|grant| grant.only != Only::Reading && grant.only != Only::Used) {
        let makes = ["CreateDistributionWithTags", "TagResource"].contains(&grant.call);
        assert_eq!(grant.only, if makes { Only::Tagging } else { Only::Ours }, "{grant:?}");
    }
    let attached: BTreeSet<&str> =
        iam::CLOUDFRONT_ATTACHED.iter().filter(|one| one.only == Only::Untagged).map(|one| one.call).collect();
    assert_eq!(attached, BTreeSet::from(["CreateInvalidation", "UpdateDistribution"]));
}

#[test]
fn a_certificate_is_read_where_cloudfront_takes_it_from_and_never_changed() {
    for mode in [Mode::Observe, Mode::Plan, Mode::Apply] {
        let policy = serde_json::to_value(of(iam::CLOUDFRONT_CERTIFICATES, mode)).expect("JSON");
        let statement = &policy["Statement"][0];
        assert_eq!(statement["Action"], serde_json::json!(["acm:DescribeCertificate"]));
        let arn = "arn:aws:acm:us-east-1:123456789012:certificate/*";
        assert_eq!(statement["Resource"], serde_json::json!([arn]));
        assert_eq!(policy["Statement"].as_array().map(Vec::len), Some(1));
    }
}

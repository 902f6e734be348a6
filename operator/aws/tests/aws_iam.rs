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

//! What the operator has to be allowed.

use learningplatform_aws::{
    Mode,
    iam::{self, Only, Policy, Scope, policy},
};
use std::collections::BTreeSet;

fn rds(mode: Mode) -> Policy {
    let scope = Scope {
        partition: "aws".into(),
        account: "123456789012".into(),
        region: "eu-central-1".into(),
        cluster: "blue".into(),
    };
    policy(iam::RDS, mode, &scope)
}

#[test]
fn the_policy_of_each_feature() {
    insta::assert_json_snapshot!("rds_apply", rds(Mode::Apply));
    insta::assert_json_snapshot!("rds_observe", rds(Mode::Observe));
    assert_eq!(rds(Mode::Plan), rds(Mode::Observe), "a plan changes nothing");
}

#[test]
fn every_action_is_of_a_call_and_what_changes_something_is_bound_to_our_names_or_tags() {
    let calls: BTreeSet<&str> = iam::RDS.iter().map(|grant| grant.call).collect();
    for call in calls {
        assert!(iam::RDS.iter().any(|grant| grant.action == format!("rds:{call}")), "{call} has no action of its own");
    }
    for grant in iam::RDS {
        let reads = ["rds:Describe", "rds:List"].iter().any(|start| grant.action.starts_with(start));
        assert_eq!(reads, grant.only == Only::Reading, "{grant:?}");
        if grant.only == Only::Ours {
            assert!(grant.on.iter().all(|on| on.ends_with(":lp-*")), "{grant:?}");
        }
        if grant.only == Only::Tagging {
            assert!(grant.on[0].ends_with(":lp-*") && !grant.on.contains(&"db:*"), "{grant:?}");
        }
    }
}

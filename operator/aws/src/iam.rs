//! What the operator's role has to be allowed at AWS: no more than the calls that are made, on what bears our names and tags.
//! Generated from tables of the calls, one per service, which the tests hold against the calls that are really made.
//!
//! Not in here, because no call of ours needs them: `iam:CreateServiceLinkedRole` for an account's first use of a service, and
//! what a customer's key of KMS asks for in its own policy. What was adopted under a name without our `lp-` is not covered.

use crate::{Mode, TAGS};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What an action is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The call that asks for it, as AWS names it.
    pub call: &'static str,
    /// The action: that of the call, or another that AWS looks for beside it.
    pub action: &'static str,
    /// On what: the end of an ARN of the service, in account and region.
    pub on: &'static [&'static str],
    /// Under which condition.
    pub only: Only,
}

/// Under which condition something is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Only {
    /// It changes nothing.
    Reading,
    /// The request tags it as our cluster's: what is made.
    Tagging,
    /// It bears the tag of our cluster: what is changed.
    Ours,
    /// It is used by something else that is ours, and has no tag of ours.
    Used,
}

/// The calls to RDS, by AWS's service authorization reference.
pub const RDS: &[Grant] = {
    use Only::{Ours, Reading, Tagging, Used};
    const INSTANCES: &[&str] = &["db:lp-*"];
    const GROUPS: &[&str] = &["pg:lp-*"];
    /// What an instance is made with: groups may be the user's.
    const MADE: &[&str] = &["db:lp-*", "og:*", "pg:*", "subgrp:*"];
    const RESTORED: &[&str] = &["db:lp-*", "og:*", "pg:*", "snapshot:*", "subgrp:*"];
    const TAGGED: &[&str] = &["db:lp-*", "pg:lp-*", "snapshot:lp-*"];
    &[
        reads("DescribeDBInstances", "rds:DescribeDBInstances", &["db:*"]),
        reads("DescribeDBParameterGroups", "rds:DescribeDBParameterGroups", &["pg:*"]),
        reads("DescribeDBParameters", "rds:DescribeDBParameters", GROUPS),
        reads("DescribeDBSnapshots", "rds:DescribeDBSnapshots", &["db:*", "snapshot:*"]),
        Grant { call: "ListTagsForResource", action: "rds:ListTagsForResource", on: GROUPS, only: Reading },
        Grant { call: "CreateDBInstance", action: "rds:CreateDBInstance", on: MADE, only: Tagging },
        Grant {
            call: "CreateDBInstanceReadReplica",
            action: "rds:CreateDBInstanceReadReplica",
            on: MADE,
            only: Tagging,
        },
        Grant {
            call: "RestoreDBInstanceFromDBSnapshot",
            action: "rds:RestoreDBInstanceFromDBSnapshot",
            on: RESTORED,
            only: Tagging,
        },
        Grant { call: "CreateDBParameterGroup", action: "rds:CreateDBParameterGroup", on: GROUPS, only: Tagging },
        // Tags in a call that makes something are asked for as if they were set by themselves.
        Grant { call: "AddTagsToResource", action: "rds:AddTagsToResource", on: TAGGED, only: Tagging },
        Grant { call: "ModifyDBInstance", action: "rds:ModifyDBInstance", on: INSTANCES, only: Ours },
        Grant {
            call: "ModifyDBInstance",
            action: "rds:ModifyDBInstance",
            on: &["og:*", "pg:*", "subgrp:*"],
            only: Used,
        },
        Grant { call: "ModifyDBParameterGroup", action: "rds:ModifyDBParameterGroup", on: GROUPS, only: Ours },
        Grant { call: "ResetDBParameterGroup", action: "rds:ResetDBParameterGroup", on: GROUPS, only: Ours },
        Grant { call: "DeleteDBParameterGroup", action: "rds:DeleteDBParameterGroup", on: GROUPS, only: Ours },
        Grant { call: "DeleteDBInstance", action: "rds:DeleteDBInstance", on: INSTANCES, only: Ours },
        // The final snapshot.
        Grant { call: "DeleteDBInstance", action: "rds:CreateDBSnapshot", on: INSTANCES, only: Ours },
        Grant { call: "DeleteDBInstance", action: "rds:CreateDBSnapshot", on: &["snapshot:lp-*"], only: Used },
    ]
};

const fn reads(call: &'static str, action: &'static str, on: &'static [&'static str]) -> Grant {
    Grant { call, action, on, only: Only::Reading }
}

/// Where a policy holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: String,
    /// The account's number.
    pub account: String,
    /// A region, or `*`.
    pub region: String,
    /// The cluster's name, a setting of the operator.
    pub cluster: String,
}

/// A policy of IAM. It is written as AWS reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
    version: &'static str,
    statement: Vec<Statement>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    sid: String,
    effect: &'static str,
    action: BTreeSet<&'static str>,
    resource: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    condition: BTreeMap<&'static str, BTreeMap<String, String>>,
}

/// The least that `mode` needs of the calls in a table. What publishes a plan only reads, as what observes does.
pub fn policy(table: &[Grant], mode: Mode, scope: &Scope) -> Policy {
    let mut groups: BTreeMap<(Only, &[&str]), BTreeSet<&'static str>> = BTreeMap::new();
    for grant in table.iter().filter(|grant| mode == Mode::Apply || grant.only == Only::Reading) {
        groups.entry((grant.only, grant.on)).or_default().insert(grant.action);
    }
    let statement = groups.into_iter().enumerate().map(|(at, ((only, on), action))| {
        let key = match only {
            Only::Tagging => Some(format!("aws:RequestTag/{}", TAGS[0])),
            Only::Ours => Some(format!("aws:ResourceTag/{}", TAGS[0])),
            Only::Reading | Only::Used => None,
        };
        let equals = key.map(|key| ("StringEquals", BTreeMap::from([(key, scope.cluster.clone())])));
        let service = action.first().and_then(|action| action.split(':').next()).unwrap_or_default();
        let Scope { partition, account, region, .. } = scope;
        Statement {
            sid: format!("{only:?}{}", at + 1),
            effect: "Allow",
            resource: on.iter().map(|on| format!("arn:{partition}:{service}:{region}:{account}:{on}")).collect(),
            action,
            condition: equals.into_iter().collect(),
        }
    });
    Policy { version: "2012-10-17", statement: statement.collect() }
}

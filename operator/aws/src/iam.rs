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
        grant("ListTagsForResource", "rds:ListTagsForResource", GROUPS, Reading),
        grant("CreateDBInstance", "rds:CreateDBInstance", MADE, Tagging),
        grant("CreateDBInstanceReadReplica", "rds:CreateDBInstanceReadReplica", MADE, Tagging),
        grant("RestoreDBInstanceFromDBSnapshot", "rds:RestoreDBInstanceFromDBSnapshot", RESTORED, Tagging),
        grant("CreateDBParameterGroup", "rds:CreateDBParameterGroup", GROUPS, Tagging),
        // Tags in a call that makes something are asked for as if they were set by themselves.
        grant("AddTagsToResource", "rds:AddTagsToResource", TAGGED, Tagging),
        grant("ModifyDBInstance", "rds:ModifyDBInstance", INSTANCES, Ours),
        grant("ModifyDBInstance", "rds:ModifyDBInstance", &["og:*", "pg:*", "subgrp:*"], Used),
        grant("ModifyDBParameterGroup", "rds:ModifyDBParameterGroup", GROUPS, Ours),
        grant("ResetDBParameterGroup", "rds:ResetDBParameterGroup", GROUPS, Ours),
        grant("DeleteDBParameterGroup", "rds:DeleteDBParameterGroup", GROUPS, Ours),
        grant("DeleteDBInstance", "rds:DeleteDBInstance", INSTANCES, Ours),
        // The final snapshot.
        grant("DeleteDBInstance", "rds:CreateDBSnapshot", INSTANCES, Ours),
        grant("DeleteDBInstance", "rds:CreateDBSnapshot", &["snapshot:lp-*"], Used),
    ]
};

/// The calls to ElastiCache, by AWS's service authorization reference. Tags of a group are asked for on its members, too.
pub const ELASTICACHE: &[Grant] = {
    use Only::{Ours, Tagging, Used};
    const GROUPS: &[&str] = &["replicationgroup:lp-*"];
    const PARAMETERS: &[&str] = &["parametergroup:lp-*"];
    const USERS: &[&str] = &["user:lp-*"];
    const USER_GROUPS: &[&str] = &["usergroup:lp-*"];
    /// What a group is made with: parameters, subnets and a snapshot may be the user's.
    const MADE: &[&str] = &["replicationgroup:lp-*", "cluster:lp-*"];
    const MADE_WITH: &[&str] = &["parametergroup:*", "snapshot:*", "subnetgroup:*", "usergroup:lp-*"];
    const TAGGED: &[&str] = &[
        "replicationgroup:lp-*",
        "cluster:lp-*",
        "parametergroup:lp-*",
        "snapshot:lp-*",
        "user:lp-*",
        "usergroup:lp-*",
    ];
    const WITH_TAGS: &[&str] =
        &["parametergroup:lp-*", "replicationgroup:*", "snapshot:*", "user:lp-*", "usergroup:lp-*"];
    &[
        reads("DescribeReplicationGroups", "elasticache:DescribeReplicationGroups", &["replicationgroup:*"]),
        reads("DescribeCacheClusters", "elasticache:DescribeCacheClusters", &["cluster:*"]),
        reads("DescribeSnapshots", "elasticache:DescribeSnapshots", &["snapshot:*"]),
        reads("DescribeUsers", "elasticache:DescribeUsers", &["user:*"]),
        reads("DescribeUserGroups", "elasticache:DescribeUserGroups", &["usergroup:*"]),
        reads("DescribeCacheParameterGroups", "elasticache:DescribeCacheParameterGroups", &["parametergroup:*"]),
        reads("DescribeCacheParameters", "elasticache:DescribeCacheParameters", PARAMETERS),
        reads("DescribeEvents", "elasticache:DescribeEvents", ANYTHING),
        reads("ListTagsForResource", "elasticache:ListTagsForResource", WITH_TAGS),
        grant("CreateReplicationGroup", "elasticache:CreateReplicationGroup", MADE, Tagging),
        grant("CreateReplicationGroup", "elasticache:CreateReplicationGroup", MADE_WITH, Used),
        grant("CreateCacheParameterGroup", "elasticache:CreateCacheParameterGroup", PARAMETERS, Tagging),
        grant("CreateUser", "elasticache:CreateUser", USERS, Tagging),
        grant("CreateUserGroup", "elasticache:CreateUserGroup", USER_GROUPS, Tagging),
        grant("CreateUserGroup", "elasticache:CreateUserGroup", USERS, Used),
        // Tags in a call that makes something are asked for as if they were set by themselves.
        grant("AddTagsToResource", "elasticache:AddTagsToResource", TAGGED, Tagging),
        grant("ModifyReplicationGroup", "elasticache:ModifyReplicationGroup", GROUPS, Ours),
        grant("ModifyReplicationGroup", "elasticache:ModifyReplicationGroup", &["parametergroup:*"], Used),
        grant("IncreaseReplicaCount", "elasticache:IncreaseReplicaCount", GROUPS, Ours),
        grant("DecreaseReplicaCount", "elasticache:DecreaseReplicaCount", GROUPS, Ours),
        grant(
            "ModifyReplicationGroupShardConfiguration",
            "elasticache:ModifyReplicationGroupShardConfiguration",
            GROUPS,
            Ours,
        ),
        grant("DeleteReplicationGroup", "elasticache:DeleteReplicationGroup", GROUPS, Ours),
        // The final snapshot.
        grant("DeleteReplicationGroup", "elasticache:DeleteReplicationGroup", &["snapshot:lp-*"], Used),
        grant("ModifyCacheParameterGroup", "elasticache:ModifyCacheParameterGroup", PARAMETERS, Ours),
        grant("ResetCacheParameterGroup", "elasticache:ResetCacheParameterGroup", PARAMETERS, Ours),
        grant("DeleteCacheParameterGroup", "elasticache:DeleteCacheParameterGroup", PARAMETERS, Ours),
        grant("ModifyUser", "elasticache:ModifyUser", USERS, Ours),
        grant("DeleteUser", "elasticache:DeleteUser", USERS, Ours),
        grant("ModifyUserGroup", "elasticache:ModifyUserGroup", &["user:lp-*", "usergroup:lp-*"], Ours),
        grant("DeleteUserGroup", "elasticache:DeleteUserGroup", USER_GROUPS, Ours),
    ]
};

/// For an action that AWS knows no resources of: it is asked for on `*`, which no ARN matches.
const ANYTHING: &[&str] = &["*"];

const fn grant(call: &'static str, action: &'static str, on: &'static [&'static str], only: Only) -> Grant {
    Grant { call, action, on, only }
}

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
            resource: match on {
                ANYTHING => vec!["*".to_owned()],
                _ => on.iter().map(|on| format!("arn:{partition}:{service}:{region}:{account}:{on}")).collect(),
            },
            action,
            condition: equals.into_iter().collect(),
        }
    });
    Policy { version: "2012-10-17", statement: statement.collect() }
}

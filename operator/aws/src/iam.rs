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
    /// On what: the end of an ARN of the service, in account and region; or `*`, where the action takes no resource.
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
    /// It takes no tags that a condition could ask for. Names and comments say whose it is, and the operator goes by them.
    Untagged,
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
        reads("DescribeEvents", "elasticache:DescribeEvents", ALL),
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

const fn grant(call: &'static str, action: &'static str, on: &'static [&'static str], only: Only) -> Grant {
    Grant { call, action, on, only }
}

/// What CloudFront's calls for a distribution need beside it, by AWS's service authorization reference: policies, access
/// controls and functions. Their ids are AWS's, so that only a function can be told by its name.
pub const CLOUDFRONT_COMPANIONS: &[Grant] = {
    use Only::Untagged;
    const CACHE: &[&str] = &["cache-policy/*"];
    const REQUESTS: &[&str] = &["origin-request-policy/*"];
    const HEADERS: &[&str] = &["response-headers-policy/*"];
    const CONTROLS: &[&str] = &["origin-access-control/*"];
    const FUNCTIONS: &[&str] = &["function/lp-*"];
    const fn writes(call: &'static str, action: &'static str, on: &'static [&'static str]) -> Grant {
        Grant { call, action, on, only: Untagged }
    }
    &[
        reads("ListCachePolicies", "cloudfront:ListCachePolicies", ALL),
        reads("ListOriginRequestPolicies", "cloudfront:ListOriginRequestPolicies", ALL),
        reads("ListResponseHeadersPolicies", "cloudfront:ListResponseHeadersPolicies", ALL),
        reads("ListOriginAccessControls", "cloudfront:ListOriginAccessControls", ALL),
        reads("ListFunctions", "cloudfront:ListFunctions", ALL),
        reads("GetCachePolicy", "cloudfront:GetCachePolicy", CACHE),
        reads("GetOriginRequestPolicy", "cloudfront:GetOriginRequestPolicy", REQUESTS),
        reads("GetResponseHeadersPolicy", "cloudfront:GetResponseHeadersPolicy", HEADERS),
        reads("GetOriginAccessControl", "cloudfront:GetOriginAccessControl", CONTROLS),
        reads("DescribeFunction", "cloudfront:DescribeFunction", FUNCTIONS),
        // Nothing can be said of what is not there yet.
        writes("CreateCachePolicy", "cloudfront:CreateCachePolicy", ALL),
        writes("CreateOriginRequestPolicy", "cloudfront:CreateOriginRequestPolicy", ALL),
        writes("CreateResponseHeadersPolicy", "cloudfront:CreateResponseHeadersPolicy", ALL),
        writes("CreateOriginAccessControl", "cloudfront:CreateOriginAccessControl", ALL),
        writes("CreateFunction", "cloudfront:CreateFunction", ALL),
        writes("PublishFunction", "cloudfront:PublishFunction", FUNCTIONS),
        writes("DeleteCachePolicy", "cloudfront:DeleteCachePolicy", CACHE),
        writes("DeleteOriginRequestPolicy", "cloudfront:DeleteOriginRequestPolicy", REQUESTS),
        writes("DeleteResponseHeadersPolicy", "cloudfront:DeleteResponseHeadersPolicy", HEADERS),
        writes("DeleteOriginAccessControl", "cloudfront:DeleteOriginAccessControl", CONTROLS),
        writes("DeleteFunction", "cloudfront:DeleteFunction", FUNCTIONS),
    ]
};

/// The calls to CloudFront for distributions of our own, beside [`CLOUDFRONT_COMPANIONS`].
pub const CLOUDFRONT_OWN: &[Grant] = {
    use Only::{Ours, Tagging, Used};
    &[
        reads("ListDistributions", "cloudfront:ListDistributions", ALL),
        reads("ListTagsForResource", "cloudfront:ListTagsForResource", DISTRIBUTIONS),
        reads("GetDistribution", "cloudfront:GetDistribution", DISTRIBUTIONS),
        Grant { call: "CreateDistributionWithTags", action: "cloudfront:CreateDistribution", on: ALL, only: Tagging },
        Grant { call: "TagResource", action: "cloudfront:TagResource", on: DISTRIBUTIONS, only: Tagging },
        Grant { call: "UpdateDistribution", action: "cloudfront:UpdateDistribution", on: DISTRIBUTIONS, only: Ours },
        // Where an origin of the distribution's is in a VPC.
        Grant { call: "UpdateDistribution", action: "cloudfront:GetVpcOrigin", on: VPC_ORIGINS, only: Used },
        Grant { call: "DeleteDistribution", action: "cloudfront:DeleteDistribution", on: DISTRIBUTIONS, only: Ours },
        Grant { call: "CreateInvalidation", action: "cloudfront:CreateInvalidation", on: DISTRIBUTIONS, only: Ours },
    ]
};

/// The calls to CloudFront for behaviours and origins in somebody else's distribution, beside [`CLOUDFRONT_COMPANIONS`]. It bears no
/// tag of ours: who knows its id names it in the policy in place of the star.
pub const CLOUDFRONT_ATTACHED: &[Grant] = {
    use Only::{Untagged, Used};
    &[
        reads("ListDistributions", "cloudfront:ListDistributions", ALL),
        reads("ListTagsForResource", "cloudfront:ListTagsForResource", DISTRIBUTIONS),
        reads("GetDistribution", "cloudfront:GetDistribution", DISTRIBUTIONS),
        Grant {
            call: "UpdateDistribution",
            action: "cloudfront:UpdateDistribution",
            on: DISTRIBUTIONS,
            only: Untagged,
        },
        Grant { call: "UpdateDistribution", action: "cloudfront:GetVpcOrigin", on: VPC_ORIGINS, only: Used },
        Grant {
            call: "CreateInvalidation",
            action: "cloudfront:CreateInvalidation",
            on: DISTRIBUTIONS,
            only: Untagged,
        },
    ]
};

/// The call to ACM for the certificate of a distribution of our own.
pub const CLOUDFRONT_CERTIFICATES: &[Grant] =
    &[reads("DescribeCertificate", "acm:DescribeCertificate", &["certificate/*"])];

/// Of actions that cannot be bound to a resource.
const ALL: &[&str] = &["*"];
const DISTRIBUTIONS: &[&str] = &["distribution/*"];
const VPC_ORIGINS: &[&str] = &["vpcorigin/*"];
/// A service whose ARNs name no region.
const GLOBAL: &str = "cloudfront";

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

/// The least that `mode` needs of the calls in the tables of a service. What publishes a plan only reads, as what observes does.
pub fn policy<'a>(tables: impl IntoIterator<Item = &'a Grant>, mode: Mode, scope: &Scope) -> Policy {
    let mut groups: BTreeMap<(Only, &[&str]), BTreeSet<&'static str>> = BTreeMap::new();
    for grant in tables.into_iter().filter(|grant| mode == Mode::Apply || grant.only == Only::Reading) {
        groups.entry((grant.only, grant.on)).or_default().insert(grant.action);
    }
    let statement = groups.into_iter().enumerate().map(|(at, ((only, on), action))| {
        let key = match only {
            Only::Tagging => Some(format!("aws:RequestTag/{}", TAGS[0])),
            Only::Ours => Some(format!("aws:ResourceTag/{}", TAGS[0])),
            Only::Reading | Only::Used | Only::Untagged => None,
        };
        let equals = key.map(|key| ("StringEquals", BTreeMap::from([(key, scope.cluster.clone())])));
        let service = action.first().and_then(|action| action.split(':').next()).unwrap_or_default();
        let Scope { partition, account, region, .. } = scope;
        let region = match service {
            GLOBAL => "",
            // CloudFront takes certificates of this region only.
            "acm" => "us-east-1",
            _ => region,
        };
        let resource = |on: &&str| match *on {
            "*" => "*".to_owned(),
            on => format!("arn:{partition}:{service}:{region}:{account}:{on}"),
        };
        Statement {
            sid: format!("{only:?}{}", at + 1),
            effect: "Allow",
            resource: on.iter().map(resource).collect(),
            action,
            condition: equals.into_iter().collect(),
        }
    });
    Policy { version: "2012-10-17", statement: statement.collect() }
}

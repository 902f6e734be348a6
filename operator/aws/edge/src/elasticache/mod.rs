//! [`aws::elasticache::ElastiCache`] over aws-sdk-elasticache.

mod seat;
mod seen;
mod send;
mod tags;

use crate::told;
use aws::{
    Error, Password,
    elasticache::{Call, ElastiCache, Event, Group, ParameterGroup, Resource, Snapshot, Usage, User, UserGroup},
};
use aws_sdk_elasticache::{Client, types::SourceType};
use jiff::{SignedDuration, Timestamp};
pub use seat::{Looks, Seat, Shared};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tags::Known;

/// Most records of one answer, by AWS's service model.
const PAGE: i32 = 100;
/// Most snapshots of one answer, by AWS's service model.
const SNAPSHOTS: i32 = 50;
/// How far back AWS tells events: 14 days, by its service model, and some room for clocks.
const EVENTS: SignedDuration = SignedDuration::from_hours(13 * 24);
/// What names of ours begin with: users of others are not asked for their tags.
const OURS: &str = "lp-";
/// `SnapshotSource` of a snapshot that AWS took by itself.
const AUTOMATED: &str = "automated";

/// ElastiCache of one account and region, asked anew for every look but for the tags, which have a request for each resource.
/// Many platforms share one by [`Shared`].
#[derive(Debug)]
pub struct SdkElastiCache {
    client: Client,
    tags: Known,
}

impl SdkElastiCache {
    /// Through this client, by this clock.
    pub fn new(client: Client, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { client, tags: Known::new(now) }
    }

    /// AWS's own name of something, which tags are set by.
    async fn arn(&self, resource: Resource, id: &str) -> Result<String, Error> {
        let client = &self.client;
        let (operation, arn) = match resource {
            Resource::Group => {
                let operation = "DescribeReplicationGroups";
                let answer = client.describe_replication_groups().replication_group_id(id).send().await;
                let answer = answer.map_err(|error| told(operation, &error))?;
                (operation, answer.replication_groups.and_then(|all| all.into_iter().next()?.arn))
            }
            Resource::Snapshot => {
                let operation = "DescribeSnapshots";
                let answer = client.describe_snapshots().snapshot_name(id).send().await;
                let answer = answer.map_err(|error| told(operation, &error))?;
                (operation, answer.snapshots.and_then(|all| all.into_iter().next()?.arn))
            }
            Resource::ParameterGroup => {
                let operation = "DescribeCacheParameterGroups";
                let answer = client.describe_cache_parameter_groups().cache_parameter_group_name(id).send().await;
                let answer = answer.map_err(|error| told(operation, &error))?;
                (operation, answer.cache_parameter_groups.and_then(|all| all.into_iter().next()?.arn))
            }
            Resource::User => {
                let operation = "DescribeUsers";
                let answer = client.describe_users().user_id(id).send().await;
                let answer = answer.map_err(|error| told(operation, &error))?;
                (operation, answer.users.and_then(|all| all.into_iter().next()?.arn))
            }
            Resource::UserGroup => {
                let operation = "DescribeUserGroups";
                let answer = client.describe_user_groups().user_group_id(id).send().await;
                let answer = answer.map_err(|error| told(operation, &error))?;
                (operation, answer.user_groups.and_then(|all| all.into_iter().next()?.arn))
            }
        };
        let none = || Error { operation, code: None, status: None, message: format!("no ARN of {id} in the answer") };
        arn.filter(|arn| !arn.is_empty()).ok_or_else(none)
    }
}

impl ElastiCache for SdkElastiCache {
    async fn groups(&self) -> Result<Arc<[Group]>, Error> {
        let pages = self.client.describe_replication_groups().max_records(PAGE).into_paginator().items().send();
        let all: Vec<_> =
            pages.collect::<Result<_, _>>().await.map_err(|error| told("DescribeReplicationGroups", &error))?;
        if all.is_empty() {
            return Ok(Arc::default());
        }
        let pages = self.client.describe_cache_clusters().max_records(PAGE).into_paginator().items().send();
        let members: Vec<_> =
            pages.collect::<Result<_, _>>().await.map_err(|error| told("DescribeCacheClusters", &error))?;
        let members = members.into_iter().filter_map(|one| Some((one.cache_cluster_id.clone()?, one))).collect();
        self.tags.keep(Resource::Group, all.iter().filter_map(|one| one.arn.as_deref()));
        let mut groups = Vec::new();
        for one in all {
            let arn = one.arn.clone().unwrap_or_default();
            let tags = self.tags.of_what_is(Resource::Group, &self.client, &arn).await?;
            groups.push(seen::group(one, &members, tags));
        }
        Ok(groups.into())
    }

    async fn snapshots(&self) -> Result<Arc<[Snapshot]>, Error> {
        let pages = self.client.describe_snapshots().max_records(SNAPSHOTS).into_paginator().items().send();
        let all: Vec<_> = pages.collect::<Result<_, _>>().await.map_err(|error| told("DescribeSnapshots", &error))?;
        self.tags.keep(Resource::Snapshot, all.iter().filter_map(|one| one.arn.as_deref()));
        let mut snapshots = Vec::new();
        for one in all {
            // Those that AWS takes are many, and nobody says whose they are.
            let is_automated = one.snapshot_source.as_deref() == Some(AUTOMATED);
            let arn = one.arn.clone().filter(|_| !is_automated);
            if let Some(tags) = self.tags.where_asked_for(Resource::Snapshot, &self.client, arn).await? {
                snapshots.push(seen::snapshot(one, tags));
            }
        }
        Ok(snapshots.into())
    }

    async fn parameter_group(&self, name: &str) -> Result<Option<ParameterGroup>, Error> {
        let answer = self.client.describe_cache_parameter_groups().cache_parameter_group_name(name).send().await;
        let answer = match answer.map_err(|error| told("DescribeCacheParameterGroups", &error)) {
            Ok(answer) => answer,
            Err(error) if error.code.as_deref().is_some_and(|code| code.starts_with("CacheParameterGroupNotFound")) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let Some(group) = answer.cache_parameter_groups.and_then(|all| all.into_iter().next()) else {
            return Ok(None);
        };
        let request = self.client.describe_cache_parameters().cache_parameter_group_name(name).source(seen::USER);
        let set: Vec<_> = request
            .max_records(PAGE)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<_, _>>()
            .await
            .map_err(|error| told("DescribeCacheParameters", &error))?;
        let arn = group.arn.unwrap_or_default();
        // Each is asked for by itself already, and once an hour.
        let tags = tags::of(&self.client, &arn).await?;
        let family = group.cache_parameter_group_family.unwrap_or_default();
        Ok(Some(ParameterGroup { family, tags, values: seen::values(set) }))
    }

    async fn users(&self) -> Result<Arc<[User]>, Error> {
        let pages = self.client.describe_users().into_paginator().items().send();
        let all: Vec<_> = pages.collect::<Result<_, _>>().await.map_err(|error| told("DescribeUsers", &error))?;
        let arn_of_ours = |one: &aws_sdk_elasticache::types::User| {
            one.arn.clone().filter(|_| one.user_id.as_deref().is_some_and(|id| id.starts_with(OURS)))
        };
        let arns: BTreeSet<String> = all.iter().filter_map(arn_of_ours).collect();
        self.tags.keep(Resource::User, arns.iter().map(String::as_str));
        let mut users = Vec::new();
        for one in all {
            if let Some(tags) = self.tags.where_asked_for(Resource::User, &self.client, arn_of_ours(&one)).await? {
                users.push(seen::user(one, tags));
            }
        }
        Ok(users.into())
    }

    async fn user_groups(&self) -> Result<Arc<[UserGroup]>, Error> {
        let pages = self.client.describe_user_groups().into_paginator().items().send();
        let all: Vec<_> = pages.collect::<Result<_, _>>().await.map_err(|error| told("DescribeUserGroups", &error))?;
        let arn_of_ours = |one: &aws_sdk_elasticache::types::UserGroup| {
            one.arn.clone().filter(|_| one.user_group_id.as_deref().is_some_and(|id| id.starts_with(OURS)))
        };
        let arns: BTreeSet<String> = all.iter().filter_map(arn_of_ours).collect();
        self.tags.keep(Resource::UserGroup, arns.iter().map(String::as_str));
        let mut groups = Vec::new();
        for one in all {
            if let Some(tags) = self.tags.where_asked_for(Resource::UserGroup, &self.client, arn_of_ours(&one)).await? {
                groups.push(seen::user_group(one, tags));
            }
        }
        Ok(groups.into())
    }

    /// ElastiCache does not tell it, and its metrics at CloudWatch are not asked for. Its servers tell those who log in; without them
    /// shards are removed by the user's word only.
    async fn usage(&self, _: &Group) -> Result<BTreeMap<String, Usage>, Error> {
        Ok(BTreeMap::new())
    }

    async fn events(&self, id: &str, since: Timestamp) -> Result<Vec<Event>, Error> {
        let earliest = self.tags.now().checked_sub(EVENTS).unwrap_or(since);
        let start = aws_smithy_types::DateTime::from_secs(since.max(earliest).as_second());
        let request = self.client.describe_events().source_identifier(id).source_type(SourceType::ReplicationGroup);
        let pages = request.start_time(start).max_records(PAGE).into_paginator().items().send();
        let all: Vec<_> = pages.collect::<Result<_, _>>().await.map_err(|error| told("DescribeEvents", &error))?;
        Ok(all.into_iter().filter_map(seen::event).collect())
    }

    async fn send(&self, call: &Call) -> Result<(), Error> {
        // AWS does not repeat passwords. Its words go into status and logs, so that this is not left to AWS.
        self.carry_out(call).await.map_err(|mut error| {
            for secret in secrets(call) {
                error.message = error.message.replace(secret.reveal(), "…");
            }
            error
        })
    }
}

/// The tokens and passwords that a call carries.
fn secrets(call: &Call) -> Vec<&Password> {
    match call {
        Call::CreateGroup { token, .. } => token.iter().collect(),
        Call::SetToken { token, .. } => vec![token],
        Call::CreateUser { passwords, .. } | Call::ModifyUser { passwords: Some(passwords), .. } => {
            passwords.iter().collect()
        }
        _ => Vec::new(),
    }
}

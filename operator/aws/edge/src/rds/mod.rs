//! [`aws::rds::Rds`] over aws-sdk-rds.

mod seat;
mod seen;
mod send;

use crate::told;
use aws::{
    Error, Tags,
    rds::{Call, Instance, ParameterGroup, Rds, Resource, Snapshot},
};
use aws_sdk_rds::{Client, types::Parameter};
use parking_lot::Mutex;
pub use seat::{Looks, Seat, Shared};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// Most records of one answer, by AWS's service model.
const PAGE: i32 = 100;
/// How long it is remembered which parameters of a family need a reboot. AWS's list of them changes with its releases only.
const FAMILY: Duration = Duration::from_secs(24 * 3600);

/// RDS of one account and region, asked anew for every look. Many platforms share one by [`crate::Shared`].
#[derive(Debug)]
pub struct SdkRds {
    client: Client,
    at_reboot: Mutex<BTreeMap<String, (Instant, BTreeSet<String>)>>,
}

impl SdkRds {
    /// Through this client.
    pub fn new(client: Client) -> Self {
        Self { client, at_reboot: Mutex::default() }
    }

    /// Parameters of a group: those that were set in it, or all of its family.
    async fn parameters(&self, group: &str, source: Option<&str>) -> Result<Vec<Parameter>, Error> {
        let request = self.client.describe_db_parameters().db_parameter_group_name(group).max_records(PAGE);
        let pages = request.set_source(source.map(str::to_owned)).into_paginator().items().send();
        pages.collect::<Result<_, _>>().await.map_err(|error| told("DescribeDBParameters", &error))
    }

    /// Parameters of a family that take effect with a reboot only.
    async fn at_reboot(&self, family: &str, group: &str) -> Result<BTreeSet<String>, Error> {
        if let Some((at, names)) = self.at_reboot.lock().get(family)
            && at.elapsed() < FAMILY
        {
            return Ok(names.clone());
        }
        let all = self.parameters(group, None).await?;
        let is_static = |parameter: &Parameter| parameter.apply_type() == Some("static");
        let names: BTreeSet<String> = all.into_iter().filter(is_static).filter_map(|one| one.parameter_name).collect();
        self.at_reboot.lock().insert(family.to_owned(), (Instant::now(), names.clone()));
        Ok(names)
    }

    /// AWS's own name of something, which tags are set by.
    async fn arn(&self, resource: Resource, id: &str) -> Result<String, Error> {
        let (operation, arn) = match resource {
            Resource::Instance => {
                let operation = "DescribeDBInstances";
                let answer = self.client.describe_db_instances().db_instance_identifier(id).send().await;
                let answer = answer.map_err(|error| told(operation, &error))?;
                (operation, answer.db_instances.and_then(|all| all.into_iter().next()?.db_instance_arn))
            }
            Resource::Snapshot => {
                let operation = "DescribeDBSnapshots";
                let answer = self.client.describe_db_snapshots().db_snapshot_identifier(id).send().await;
                let answer = answer.map_err(|error| told(operation, &error))?;
                (operation, answer.db_snapshots.and_then(|all| all.into_iter().next()?.db_snapshot_arn))
            }
            Resource::ParameterGroup => {
                let operation = "DescribeDBParameterGroups";
                let answer = self.client.describe_db_parameter_groups().db_parameter_group_name(id).send().await;
                let answer = answer.map_err(|error| told(operation, &error))?;
                (operation, answer.db_parameter_groups.and_then(|all| all.into_iter().next()?.db_parameter_group_arn))
            }
        };
        let none = || Error { operation, code: None, status: None, message: format!("no ARN of {id} in the answer") };
        arn.filter(|arn| !arn.is_empty()).ok_or_else(none)
    }
}

impl Rds for SdkRds {
    async fn instances(&self) -> Result<Arc<[Instance]>, Error> {
        let pages = self.client.describe_db_instances().max_records(PAGE).into_paginator().items().send();
        let all: Vec<_> = pages.collect::<Result<_, _>>().await.map_err(|error| told("DescribeDBInstances", &error))?;
        Ok(all.into_iter().map(seen::instance).collect())
    }

    async fn snapshots(&self) -> Result<Arc<[Snapshot]>, Error> {
        let request = self.client.describe_db_snapshots().snapshot_type("manual").max_records(PAGE);
        let all: Vec<_> = request
            .into_paginator()
            .items()
            .send()
            .collect::<Result<_, _>>()
            .await
            .map_err(|error| told("DescribeDBSnapshots", &error))?;
        Ok(all.into_iter().map(seen::snapshot).collect())
    }

    async fn parameter_group(&self, name: &str) -> Result<Option<ParameterGroup>, Error> {
        let answer = self.client.describe_db_parameter_groups().db_parameter_group_name(name).send().await;
        let answer = match answer.map_err(|error| told("DescribeDBParameterGroups", &error)) {
            Ok(answer) => answer,
            Err(error) if error.code.as_deref().is_some_and(|code| code.starts_with("DBParameterGroupNotFound")) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let Some(group) = answer.db_parameter_groups.and_then(|all| all.into_iter().next()) else { return Ok(None) };
        let family = group.db_parameter_group_family.unwrap_or_default();
        let set = self.parameters(name, Some("user")).await?;
        let values = set.into_iter().filter_map(|one| Some((one.parameter_name?, one.parameter_value?))).collect();
        let at_reboot = self.at_reboot(&family, name).await?;
        let arn = group.db_parameter_group_arn.unwrap_or_default();
        let tags = self.client.list_tags_for_resource().resource_name(arn).send().await;
        let tags = tags.map_err(|error| told("ListTagsForResource", &error))?;
        Ok(Some(ParameterGroup { family, tags: seen::tags(tags.tag_list), values, at_reboot }))
    }

    async fn send(&self, call: &Call) -> Result<(), Error> {
        let result = self.carry_out(call).await;
        match call {
            // AWS does not repeat a password. Its words go into status and logs, so that this is not left to AWS.
            Call::CreateInstance { password, .. } | Call::SetPassword { password, .. } => result.map_err(|error| {
                let message = error.message.replace(password.reveal(), "…");
                Error { message, ..error }
            }),
            _ => result,
        }
    }
}

/// Tags as the SDK takes them.
fn tags_of(tags: &Tags) -> Vec<aws_sdk_rds::types::Tag> {
    tags.iter().map(|(key, value)| aws_sdk_rds::types::Tag::builder().key(key).value(value).build()).collect()
}

//! [`aws::cloudfront::CloudFront`] over aws-sdk-cloudfront.

mod certificate;
mod companions;
mod raw;
mod send;
mod shared;

pub use shared::{Seat, Shared, Windows};

use crate::told;
use aws::{
    Class, Error, Tags,
    cloudfront::{Call, CloudFront, Companion, Distribution, Element, Listed},
};
use aws_sdk_cloudfront::Client;

/// Most records of one answer, by AWS's documentation.
const PAGE: i32 = 100;

/// A distribution as a list shows it: without its tags and its whole configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// `Id`.
    pub id: String,
    /// `ARN`.
    pub arn: String,
    /// `Status`.
    pub status: String,
    /// Version of the configuration, where the list tells it.
    pub etag: Option<String>,
}

/// What [`CloudFront::distributions`] is put together of. The parts change at different rates, so that [`Shared`] asks for them
/// apart.
pub trait Source: CloudFront {
    /// All distributions.
    fn summaries(&self) -> impl Future<Output = Result<Vec<Summary>, Error>> + Send;

    /// The tags of one, by its ARN. None where there is none any more.
    fn tags(&self, arn: &str) -> impl Future<Output = Result<Option<Tags>, Error>> + Send;
}

/// CloudFront of one account, asked anew for every look. Many platforms share one by [`Shared`].
#[derive(Debug)]
pub struct SdkCloudFront {
    client: Client,
    acm: aws_sdk_acm::Client,
}

impl SdkCloudFront {
    /// Through these clients.
    pub fn new(client: Client, acm: aws_sdk_acm::Client) -> Self {
        Self { client, acm }
    }
}

impl Source for SdkCloudFront {
    async fn summaries(&self) -> Result<Vec<Summary>, Error> {
        let pages = self.client.list_distributions().max_items(PAGE).into_paginator().items().send();
        let all: Vec<_> = pages.collect::<Result<_, _>>().await.map_err(|error| told("ListDistributions", &error))?;
        let summary = |one: aws_sdk_cloudfront::types::DistributionSummary| {
            let etag = one.e_tag.filter(|etag| !etag.is_empty());
            Summary { id: one.id, arn: one.arn, status: one.status, etag }
        };
        Ok(all.into_iter().map(summary).collect())
    }

    async fn tags(&self, arn: &str) -> Result<Option<Tags>, Error> {
        let answer = self.client.list_tags_for_resource().resource(arn).send().await;
        let answer = found(answer.map_err(|error| told("ListTagsForResource", &error)))?;
        let pair = |tag: aws_sdk_cloudfront::types::Tag| (tag.key, tag.value.unwrap_or_default());
        let tags = |answer: aws_sdk_cloudfront::operation::list_tags_for_resource::ListTagsForResourceOutput| {
            answer.tags.and_then(|tags| tags.items).unwrap_or_default().into_iter().map(pair).collect()
        };
        Ok(answer.map(tags))
    }
}

impl CloudFront for SdkCloudFront {
    async fn distributions(&self) -> Result<Vec<Listed>, Error> {
        let mut listed = Vec::new();
        for one in self.summaries().await? {
            let tags = self.tags(&one.arn).await?;
            listed.extend(tags.map(|tags| Listed { id: one.id, tags }));
        }
        Ok(listed)
    }

    async fn distribution(&self, id: &str) -> Result<Option<Distribution>, Error> {
        let operation = "GetDistribution";
        let body = raw::Answer::default();
        let answer = self.client.get_distribution().id(id).customize().interceptor(body.clone()).send().await;
        let Some(answer) = found(answer.map_err(|error| told(operation, &error)))? else { return Ok(None) };
        let etag = version(operation, answer.e_tag)?;
        let mut document = body.document(operation)?;
        let text = |name| document.value(name).unwrap_or_default().to_owned();
        let [id, arn, domain_name, status] = ["Id", "ARN", "DomainName", "Status"].map(text);
        let config = document.get_mut("DistributionConfig").map(std::mem::take);
        let Some(config) = config.filter(|_| !id.is_empty()) else {
            let message = "the answer has no DistributionConfig".to_owned();
            return Err(Error { operation, code: None, status: None, message });
        };
        Ok(Some(Distribution { id, arn, domain_name, status, etag, config }))
    }

    async fn companions(&self) -> Result<Vec<Companion>, Error> {
        self.all_companions().await
    }

    async fn version(&self, companion: &Companion) -> Result<Option<String>, Error> {
        self.version_of(companion).await
    }

    async fn certificate(&self, arn: &str) -> aws::acm::Answer {
        self.described(arn).await
    }

    async fn send(&self, call: &Call) -> Result<(), Error> {
        self.carry_out(call).await.map_err(|error| without_secrets(error, call))
    }
}

/// What is not there is no error.
fn found<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    let is_gone = |error: &Error| {
        error.class() == Class::Absent || error.code.as_deref().is_some_and(|code| code.starts_with("NoSuch"))
    };
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The `ETag` of an answer. Without one nothing that was read can be changed.
fn version(operation: &'static str, etag: Option<String>) -> Result<String, Error> {
    let none = || Error { operation, code: None, status: None, message: "the answer has no ETag".to_owned() };
    etag.filter(|etag| !etag.is_empty()).ok_or_else(none)
}

/// AWS's words go into status and logs, and may repeat what they are about.
fn without_secrets(error: Error, call: &Call) -> Error {
    let (Call::Create { config, .. } | Call::Update { config, .. }) = call else { return error };
    let mut secrets: Vec<&str> = Element::secrets(config).into_iter().filter(|secret| !secret.is_empty()).collect();
    // One may be the beginning of another.
    secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
    let message = secrets.into_iter().fold(error.message, |message, secret| message.replace(secret, "…"));
    Error { message, ..error }
}

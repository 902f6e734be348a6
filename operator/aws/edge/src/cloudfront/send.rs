//! Calls, as requests. All bodies are documents of ours: what the SDK has no type for is sent as it is.

use super::{SdkCloudFront, raw::bearing};
use crate::told;
use aws::{
    Call as _, Error, Tags,
    cloudfront::{Call, CompanionKind, Element},
};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::{base64, error::metadata::ProvideErrorMetadata};

/// What became of a request.
fn sent<T, E>(operation: &'static str, answer: Result<T, SdkError<E, HttpResponse>>) -> Result<(), Error>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    answer.map(drop).map_err(|error| told(operation, &error))
}

fn tags_of(tags: &Tags) -> Element {
    let tag = |(key, value): (&String, &String)| {
        Element::node("Tag", vec![Element::text("Key", key), Element::text("Value", value)])
    };
    Element::node("Tags", vec![Element::node("Items", tags.iter().map(tag).collect())])
}

impl SdkCloudFront {
    pub(super) async fn carry_out(&self, call: &Call) -> Result<(), Error> {
        let (client, operation) = (&self.client, call.operation());
        match call {
            Call::Create { reference: _, config, tags } => {
                let document = Element::node("DistributionConfigWithTags", vec![config.clone(), tags_of(tags)]);
                let request = client.create_distribution_with_tags().customize().mutate_request(bearing(&document));
                sent(operation, request.send().await)
            }
            Call::Update { id, etag, config, changes: _ } => {
                let request = client.update_distribution().id(id).if_match(etag);
                sent(operation, request.customize().mutate_request(bearing(config)).send().await)
            }
            Call::Delete { id, etag } => {
                sent(operation, client.delete_distribution().id(id).if_match(etag).send().await)
            }
            Call::Tag { id: _, arn, tags } => {
                let request = client.tag_resource().resource(arn).customize();
                sent(operation, request.mutate_request(bearing(&tags_of(tags))).send().await)
            }
            Call::Invalidate { id, reference, paths } => {
                let paths = Element::list("Paths", "Path", paths.iter().map(String::as_str));
                let children = vec![paths, Element::text("CallerReference", reference)];
                let document = Element::node("InvalidationBatch", children);
                let request = client.create_invalidation().distribution_id(id).customize();
                sent(operation, request.mutate_request(bearing(&document)).send().await)
            }
            Call::CreateCompanion { kind, name, config, code } => {
                self.create(operation, *kind, name, config, code.as_deref()).await
            }
            Call::Publish { name, etag } => {
                sent(operation, client.publish_function().name(name).if_match(etag).send().await)
            }
            Call::DeleteCompanion { kind, name, id, etag } => self.delete(operation, *kind, name, id, etag).await,
        }
    }

    async fn create(
        &self,
        operation: &'static str,
        kind: CompanionKind,
        name: &str,
        config: &Element,
        code: Option<&str>,
    ) -> Result<(), Error> {
        let client = &self.client;
        let body = bearing(config);
        match kind {
            CompanionKind::CachePolicy => {
                sent(operation, client.create_cache_policy().customize().mutate_request(body).send().await)
            }
            CompanionKind::OriginRequestPolicy => {
                sent(operation, client.create_origin_request_policy().customize().mutate_request(body).send().await)
            }
            CompanionKind::ResponseHeadersPolicy => {
                sent(operation, client.create_response_headers_policy().customize().mutate_request(body).send().await)
            }
            CompanionKind::OriginAccessControl => {
                sent(operation, client.create_origin_access_control().customize().mutate_request(body).send().await)
            }
            CompanionKind::Function => {
                let code = Element::text("FunctionCode", base64::encode(code.unwrap_or_default()));
                let children = vec![Element::text("Name", name), config.clone(), code];
                let body = bearing(&Element::node("CreateFunctionRequest", children));
                sent(operation, client.create_function().customize().mutate_request(body).send().await)
            }
        }
    }

    async fn delete(
        &self,
        operation: &'static str,
        kind: CompanionKind,
        name: &str,
        id: &str,
        etag: &str,
    ) -> Result<(), Error> {
        let client = &self.client;
        match kind {
            CompanionKind::CachePolicy => {
                sent(operation, client.delete_cache_policy().id(id).if_match(etag).send().await)
            }
            CompanionKind::OriginRequestPolicy => {
                sent(operation, client.delete_origin_request_policy().id(id).if_match(etag).send().await)
            }
            CompanionKind::ResponseHeadersPolicy => {
                sent(operation, client.delete_response_headers_policy().id(id).if_match(etag).send().await)
            }
            CompanionKind::OriginAccessControl => {
                sent(operation, client.delete_origin_access_control().id(id).if_match(etag).send().await)
            }
            CompanionKind::Function => sent(operation, client.delete_function().name(name).if_match(etag).send().await),
        }
    }
}

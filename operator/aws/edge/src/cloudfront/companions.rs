//! Policies, access controls and functions, as plain values.

use super::{PAGE, SdkCloudFront, found, version};
use crate::told;
use aws::{
    Error,
    cloudfront::{Companion, CompanionKind},
};
use aws_sdk_cloudfront::types::{
    CachePolicyType, FunctionStage, FunctionSummary, OriginRequestPolicyType, ResponseHeadersPolicyType,
};
use std::collections::BTreeSet;

/// Lists the account's own policies of a kind: those of AWS are the same for all, and known.
macro_rules! policies {
    ($client:expr, $operation:literal, $kind:expr, $list:ident($only:expr), $page:ident, $policy:ident, $config:ident) => {{
        let (mut all, mut marker) = (Vec::new(), None);
        loop {
            let request = $client.$list().r#type($only).max_items(PAGE).set_marker(marker);
            let answer = request.send().await.map_err(|error| told($operation, &error))?;
            let Some(page) = answer.$page else { break };
            let policies = page.items.unwrap_or_default().into_iter().filter_map(|one| one.$policy);
            all.extend(policies.filter_map(|policy| {
                let config = policy.$config?;
                Some(companion($kind, config.name, policy.id, config.comment.unwrap_or_default()))
            }));
            marker = next(page.next_marker);
            if marker.is_none() {
                break;
            }
        }
        all
    }};
}

fn companion(kind: CompanionKind, name: String, id: String, comment: String) -> Companion {
    Companion { kind, name, id, comment, etag: None, live: true }
}

/// Some say that there is no next page by leaving its marker empty.
fn next(marker: Option<String>) -> Option<String> {
    marker.filter(|marker| !marker.is_empty())
}

impl SdkCloudFront {
    pub(super) async fn all_companions(&self) -> Result<Vec<Companion>, Error> {
        use CompanionKind::{CachePolicy, OriginRequestPolicy, ResponseHeadersPolicy};
        let client = &self.client;
        let mut all = policies!(
            client,
            "ListCachePolicies",
            CachePolicy,
            list_cache_policies(CachePolicyType::Custom),
            cache_policy_list,
            cache_policy,
            cache_policy_config
        );
        all.extend(policies!(
            client,
            "ListOriginRequestPolicies",
            OriginRequestPolicy,
            list_origin_request_policies(OriginRequestPolicyType::Custom),
            origin_request_policy_list,
            origin_request_policy,
            origin_request_policy_config
        ));
        all.extend(policies!(
            client,
            "ListResponseHeadersPolicies",
            ResponseHeadersPolicy,
            list_response_headers_policies(ResponseHeadersPolicyType::Custom),
            response_headers_policy_list,
            response_headers_policy,
            response_headers_policy_config
        ));
        all.extend(self.access_controls().await?);
        all.extend(self.functions().await?);
        Ok(all)
    }

    async fn access_controls(&self) -> Result<Vec<Companion>, Error> {
        let pages = self.client.list_origin_access_controls().max_items(PAGE).into_paginator().items().send();
        let all: Vec<_> =
            pages.collect::<Result<_, _>>().await.map_err(|error| told("ListOriginAccessControls", &error))?;
        let kind = CompanionKind::OriginAccessControl;
        Ok(all.into_iter().map(|one| companion(kind, one.name, one.id, one.description)).collect())
    }

    async fn functions(&self) -> Result<Vec<Companion>, Error> {
        let live = self.functions_in(FunctionStage::Live).await?;
        let live: BTreeSet<String> = live.into_iter().map(|one| one.name).collect();
        let all = self.functions_in(FunctionStage::Development).await?;
        let function = |one: FunctionSummary| {
            let arn = one.function_metadata?.function_arn;
            let comment = one.function_config.map(|config| config.comment).unwrap_or_default();
            let live = live.contains(&one.name);
            Some(Companion { live, ..companion(CompanionKind::Function, one.name, arn, comment) })
        };
        Ok(all.into_iter().filter_map(function).collect())
    }

    async fn functions_in(&self, stage: FunctionStage) -> Result<Vec<FunctionSummary>, Error> {
        let (mut all, mut marker) = (Vec::new(), None);
        loop {
            let request = self.client.list_functions().stage(stage.clone()).max_items(PAGE).set_marker(marker);
            let answer = request.send().await.map_err(|error| told("ListFunctions", &error))?;
            let Some(page) = answer.function_list else { break };
            all.extend(page.items.unwrap_or_default());
            marker = next(page.next_marker);
            if marker.is_none() {
                break;
            }
        }
        Ok(all)
    }

    pub(super) async fn version_of(&self, companion: &Companion) -> Result<Option<String>, Error> {
        let (client, id) = (&self.client, &companion.id);
        let (operation, etag) = match companion.kind {
            CompanionKind::CachePolicy => {
                let operation = "GetCachePolicy";
                let answer = client.get_cache_policy().id(id).send().await;
                (operation, answer.map(|answer| answer.e_tag).map_err(|error| told(operation, &error)))
            }
            CompanionKind::OriginRequestPolicy => {
                let operation = "GetOriginRequestPolicy";
                let answer = client.get_origin_request_policy().id(id).send().await;
                (operation, answer.map(|answer| answer.e_tag).map_err(|error| told(operation, &error)))
            }
            CompanionKind::ResponseHeadersPolicy => {
                let operation = "GetResponseHeadersPolicy";
                let answer = client.get_response_headers_policy().id(id).send().await;
                (operation, answer.map(|answer| answer.e_tag).map_err(|error| told(operation, &error)))
            }
            CompanionKind::OriginAccessControl => {
                let operation = "GetOriginAccessControl";
                let answer = client.get_origin_access_control().id(id).send().await;
                (operation, answer.map(|answer| answer.e_tag).map_err(|error| told(operation, &error)))
            }
            CompanionKind::Function => {
                let operation = "DescribeFunction";
                let request = client.describe_function().name(&companion.name).stage(FunctionStage::Development);
                let answer = request.send().await;
                (operation, answer.map(|answer| answer.e_tag).map_err(|error| told(operation, &error)))
            }
        };
        found(etag)?.map(|etag| version(operation, etag)).transpose()
    }
}

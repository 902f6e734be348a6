//! Every operation fails once by every kind of error, on the wire: the same end, nothing made twice, nothing left over.

use super::{
    attach,
    bench::{Bench, DEPLOYING},
    driver::{Operator, at, patterns},
    wishes::{SECRET, managed, ours, set, ten_k, theirs, wish},
};
use crate::proxy::Fault;
use aws::{
    Tags,
    cloudfront::{DeletionPolicy, Forwarded, ForwardedHeaders, Policy, Scope, Spec, Wish},
};
use learningplatform_aws_edge::{
    Settings,
    cloudfront::{SdkCloudFront, Seat},
};
use std::time::Duration;

/// All that a distribution asks for in its life.
const OPERATIONS: [&str; 29] = [
    "ListDistributions",
    "ListTagsForResource",
    "GetDistribution",
    "ListCachePolicies",
    "ListOriginRequestPolicies",
    "ListResponseHeadersPolicies",
    "ListOriginAccessControls",
    "ListFunctions",
    "CreateOriginAccessControl",
    "CreateFunction",
    "DescribeFunction",
    "PublishFunction",
    "CreateCachePolicy",
    "CreateOriginRequestPolicy",
    "CreateResponseHeadersPolicy",
    "CreateDistributionWithTags",
    "TagResource",
    "UpdateDistribution",
    "CreateInvalidation",
    "GetCachePolicy",
    "GetOriginRequestPolicy",
    "GetResponseHeadersPolicy",
    "GetOriginAccessControl",
    "DeleteCachePolicy",
    "DeleteOriginRequestPolicy",
    "DeleteResponseHeadersPolicy",
    "DeleteOriginAccessControl",
    "DeleteFunction",
    "DeleteDistribution",
];

/// A distribution with all kinds of policies.
pub fn spec() -> Spec {
    let mut spec = ten_k();
    let headers = ForwardedHeaders::Only(set(&["Accept", "Host"]));
    let forwarded = Forwarded { headers, ..Forwarded::default() };
    spec.default_behavior.as_mut().expect("set").origin_request_policy = Some(Policy::Own(forwarded));
    spec
}

/// A whole life, checked on the way.
pub async fn life(bench: &Bench, operator: &mut Operator<Seat<SdkCloudFront>>) {
    bench.proxy.lasting(&DEPLOYING);
    operator.edit(|wish| wish.deletion_policy = Some(DeletionPolicy::Delete));
    operator.synced().await;
    everything_is_there(bench, operator, 8).await;

    // The platform was applied anew, and takes over what it finds.
    operator.edit(|wish| (wish.owner.uid, wish.adopt) = ("uid-2".into(), true));
    operator.synced().await;
    everything_is_there(bench, operator, 8).await;

    operator.edit(|wish| {
        wish.spec.behaviors.swap(2, 4);
        wish.spec.behaviors[3].1.cache_policy = managed("CachingOptimized");
        wish.spec.behaviors.remove(2);
        wish.spec.origins.truncate(2);
        wish.rollouts.insert("web".into(), "2".into());
    });
    operator.synced().await;
    // The access control and the policies of thumbnails go.
    everything_is_there(bench, operator, 5).await;
    assert_eq!(bench.invalidations().await, [["/courses/*"]], "once, whatever became of the answer");

    operator.edit(|wish| wish.deleted = true);
    operator.until(|step| step.finished).await;
    assert_eq!((bench.ids().await.len(), bench.companions().await), (0, 0));
    assert_eq!(bench.proxy.done("DeleteDistribution").len(), 1);
}

async fn everything_is_there(bench: &Bench, operator: &Operator<Seat<SdkCloudFront>>, companions: usize) {
    let one = bench.only().await;
    let wished: Vec<&String> = operator.wish.spec.behaviors.iter().map(|(path, _)| path).collect();
    assert_eq!(patterns(&one.config).iter().collect::<Vec<_>>(), wished);
    assert_eq!(bench.tags().await, operator.wish.owner.tags());
    assert_eq!(bench.companions().await, companions);
    let header = ["Origins", "Id=web", "CustomHeaders", "HeaderName=X-Origin-Verify", "HeaderValue"];
    assert_eq!(at(&one.config, &header), SECRET);
    assert_eq!(bench.proxy.done("CreateDistributionWithTags").len(), 1);
    let mut made = bench.proxy.done("CreateCachePolicy");
    let count = made.len();
    made.sort();
    made.dedup();
    assert_eq!(made.len(), count, "none is made twice");
}

/// Each operation fails at its first time, and in another life at its first two.
async fn each_fails(fault: Fault) {
    for times in [1, 2] {
        let bench = Bench::new().await;
        for operation in OPERATIONS {
            bench.proxy.fail(operation, times, fault);
        }
        life(&bench, &mut bench.operator(wish(spec()))).await;
        let log = bench.proxy.log();
        let is_missing = |operation: &&str| log.iter().all(|one| one.operation != *operation);
        let missing: Vec<&str> = OPERATIONS.into_iter().filter(is_missing).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}

#[tokio::test]
async fn every_operation_is_throttled() {
    each_fails(Fault::Code(400, "Throttling")).await;
}

#[tokio::test]
async fn every_operation_gets_an_error_of_the_server() {
    each_fails(Fault::Code(500, "InternalFailure")).await;
}

#[tokio::test]
async fn every_operation_gets_a_page_that_is_not_of_aws() {
    each_fails(Fault::Html(503)).await;
}

#[tokio::test]
async fn every_operation_meets_another_version() {
    each_fails(Fault::Code(412, "PreconditionFailed")).await;
}

#[tokio::test]
async fn every_connection_is_closed() {
    each_fails(Fault::Closed).await;
}

#[tokio::test]
async fn every_answer_is_lost() {
    each_fails(Fault::Lost).await;
}

#[tokio::test]
async fn every_answer_is_cut_in_its_middle() {
    each_fails(Fault::Truncated).await;
}

#[tokio::test]
async fn every_operation_is_denied() {
    each_fails(Fault::Code(403, "AccessDenied")).await;
}

#[tokio::test]
async fn every_read_is_stale() {
    each_fails(Fault::Stale).await;
}

#[tokio::test]
async fn every_answer_is_late_for_the_client() {
    let late = Duration::from_millis(600);
    let bench = Bench::with(|settings| Settings { read: Duration::from_millis(300), ..settings }).await;
    for operation in OPERATIONS {
        bench.proxy.fail(operation, 1, Fault::Late(late));
    }
    life(&bench, &mut bench.operator(wish(spec()))).await;
}

#[tokio::test]
async fn what_the_sdk_repeats_by_itself_is_made_once_and_bears_its_document_each_time() {
    let bench = Bench::with(|settings| Settings { attempts: 3, ..settings }).await;
    for operation in OPERATIONS {
        bench.proxy.fail(operation, 1, Fault::Lost);
    }
    life(&bench, &mut bench.operator(wish(spec()))).await;
    for operation in ["CreateDistributionWithTags", "UpdateDistribution", "CreateFunction", "TagResource"] {
        let sent = bench.proxy.sent(operation);
        assert!(sent.len() >= 2 && !sent[0].body.is_empty(), "{operation}: {sent:?}");
        assert_eq!(sent[0].body, sent[1].body, "{operation}");
    }
}

#[tokio::test]
async fn what_is_attached_comes_and_goes_whole_whatever_fails() {
    for fault in [Fault::Code(400, "Throttling"), Fault::Lost, Fault::Html(502), Fault::Code(412, "PreconditionFailed")]
    {
        let bench = Bench::new().await;
        let distribution = bench.put(theirs(), Tags::new()).await;
        let before = bench.only().await.config.to_xml();
        for operation in OPERATIONS {
            bench.proxy.fail(operation, 1, fault);
        }
        let mut operator = bench.operator(Wish { scope: Scope::Attach { distribution }, ..wish(ours()) });
        attach::life(&bench, &mut operator).await;
        assert_eq!(bench.only().await.config.to_xml(), before, "{fault:?}");
        assert_eq!(bench.companions().await, 0, "{fault:?}");
    }
}

//! What AWS refuses, and how often it is asked.

use jiff::Timestamp;
use learningplatform_aws::{Bucket, Buckets, Class, Error, Kind, Rate, Service, Spot, Troubles};
use proptest::prelude::*;
use std::time::Duration;

fn time(seconds: f64) -> Timestamp {
    let start = Timestamp::from_second(1_790_000_000).expect("a time");
    start.checked_add(Duration::from_secs_f64(seconds)).expect("a time")
}

fn error(code: &str, status: u16) -> Error {
    Error { operation: "ModifyDBInstance", code: Some(code.into()), status: Some(status), message: "words".into() }
}

#[test]
fn every_code_has_its_class() {
    use Class::*;
    let table: &[(Class, u16, &[&str])] = &[
        (
            Absent,
            404,
            &[
                "DBInstanceNotFound",
                "DBSnapshotNotFound",
                "ReplicationGroupNotFoundFault",
                "SnapshotNotFoundFault",
                "UserNotFound",
                "UserGroupNotFound",
                "NoSuchDistribution",
                "ResourceNotFoundException",
            ],
        ),
        (
            Exists,
            400,
            &[
                "DBInstanceAlreadyExists",
                "ReplicationGroupAlreadyExists",
                "DBSnapshotAlreadyExists",
                "CacheParameterGroupAlreadyExists",
                "SnapshotAlreadyExistsFault",
                "UserAlreadyExists",
                "UserGroupAlreadyExists",
            ],
        ),
        (
            Exists,
            409,
            &[
                "DistributionAlreadyExists",
                "OriginAccessControlAlreadyExists",
                "CachePolicyAlreadyExists",
                "OriginRequestPolicyAlreadyExists",
                "ResponseHeadersPolicyAlreadyExists",
                "FunctionAlreadyExists",
            ],
        ),
        (
            Busy,
            400,
            &[
                "InvalidDBInstanceState",
                "InvalidReplicationGroupState",
                "InvalidCacheClusterState",
                "InvalidCacheParameterGroupState",
                "InvalidSnapshotState",
                "InvalidUserState",
                "InvalidUserGroupState",
                "InvalidDBParameterGroupState",
                "InvalidDBSubnetGroupStateFault",
                "TooManyInvalidationsInProgress",
            ],
        ),
        (
            Busy,
            409,
            &[
                "DistributionNotDisabled",
                "CachePolicyInUse",
                "OriginRequestPolicyInUse",
                "ResponseHeadersPolicyInUse",
                "OriginAccessControlInUse",
                "FunctionInUse",
                "ResourceInUse",
            ],
        ),
        (Stale, 412, &["PreconditionFailed"]),
        (Stale, 400, &["InvalidIfMatchVersion", "NoOperationFault"]),
        (Throttled, 400, &["Throttling", "ThrottlingException"]),
        (Throttled, 429, &["TooManyRequestsException"]),
        (Throttled, 503, &["RequestLimitExceeded", "SlowDown"]),
        (Transient, 500, &["InternalFailure", "InternalError"]),
        (Transient, 503, &["ServiceUnavailable", "SomethingNew"]),
        (
            User,
            400,
            &[
                "InvalidParameterValue",
                "InvalidParameterCombination",
                "MissingParameter",
                "InvalidSubnet",
                "DBUpgradeDependencyFailure",
                "StorageTypeNotSupported",
                "CacheSubnetGroupNotFoundFault",
                "InvalidArgument",
                "InconsistentQuantities",
                "IllegalUpdate",
                "InvalidViewerCertificate",
                "InvalidErrorCode",
                "InvalidDefaultRootObject",
                "SomethingNew",
            ],
        ),
        (
            User,
            404,
            &[
                "DBParameterGroupNotFound",
                "DBSubnetGroupNotFoundFault",
                "CacheParameterGroupNotFound",
                "NoSuchOrigin",
                "NoSuchCachePolicy",
            ],
        ),
        (User, 409, &["CNAMEAlreadyExists"]),
        (
            Capacity,
            400,
            &[
                "InsufficientDBInstanceCapacity",
                "InstanceQuotaExceeded",
                "StorageQuotaExceeded",
                "SnapshotQuotaExceeded",
                "InsufficientCacheClusterCapacity",
                "ClusterQuotaForCustomerExceeded",
                "NodeQuotaForClusterExceeded",
                "NodeQuotaForCustomerExceeded",
                "CacheParameterGroupQuotaExceeded",
                "UserQuotaExceeded",
                "UserGroupQuotaExceeded",
                "NodeGroupsPerReplicationGroupQuotaExceeded",
                "TooManyDistributions",
                "TooManyCacheBehaviors",
                "TooManyOrigins",
                "TooManyDistributionCNAMEs",
                "TooManyCachePolicies",
                "TooManyOriginRequestPolicies",
                "TooManyResponseHeadersPolicies",
                "TooManyOriginAccessControls",
                "TooManyFunctions",
            ],
        ),
        (Permission, 403, &["AccessDenied"]),
        (Permission, 400, &["ExpiredToken", "KMSKeyNotAccessibleFault"]),
    ];
    for (class, status, codes) in table {
        for code in *codes {
            assert_eq!(error(code, *status).class(), *class, "{code}");
            // The same shape's code ends in `Fault` in one service, and does not in another.
            let other = code.strip_suffix("Fault").map_or_else(|| format!("{code}Fault"), str::to_owned);
            assert_eq!(Class::of(Some(&other), Some(*status)), *class, "{other}");
        }
    }
    assert_eq!(Class::of(None, None), Transient, "no answer");
    assert_eq!(Class::of(None, Some(400)), Transient, "an answer that cannot be read");
}

#[test]
fn each_class_waits_its_time_and_is_told_when_it_is_time() {
    // Class, seconds after the 1st, 2nd, 10th in a row, and after how many it is told.
    for (code, seconds, told) in [
        ("DBInstanceAlreadyExists", [2, 4, 60], None),
        ("InvalidDBInstanceState", [15, 30, 60], None),
        ("PreconditionFailed", [2, 4, 60], Some(5)),
        ("Throttling", [4, 8, 300], Some(5)),
        ("InvalidParameterValue", [1800, 1800, 1800], Some(1)),
        ("InstanceQuotaExceeded", [600, 600, 600], Some(1)),
        ("AccessDenied", [600, 600, 600], Some(1)),
    ] {
        let mut troubles = Troubles::default();
        let (mut now, mut at) = (time(0.0), 1);
        for attempt in 1..=10 {
            troubles.note("call", &error(code, 400), 1, now);
            let wait = troubles.holds("call", 1, now).expect("it holds");
            if let Some(index) = [1, 2, 10].iter().position(|number| *number == attempt) {
                assert_eq!(wait.as_secs(), seconds[index], "{code}, {attempt}");
            }
            assert_eq!(
                troubles.conditions().count() == 1,
                told.is_some_and(|told| attempt >= told),
                "{code}, {attempt}"
            );
            now = now.checked_add(wait).expect("a time");
            assert_eq!(troubles.holds("call", 1, now), None, "nothing is refused for ever");
            at += 1;
        }
        assert_eq!(at, 11);
        troubles.clear("call");
        assert_eq!(troubles.holds("call", 1, time(0.0)), None);
    }
}

#[test]
fn what_is_refused_for_what_it_says_keeps_back_only_itself_until_the_wish_changes() {
    let mut troubles = Troubles::default();
    troubles.note("modify a", &error("InvalidParameterValue", 400), 1, time(0.0));
    assert!(troubles.holds("modify a", 1, time(60.0)).is_some());
    assert_eq!(troubles.holds("modify a", 2, time(60.0)), None);
    assert_eq!(troubles.holds("modify b", 1, time(60.0)), None);
    let told: Vec<_> = troubles.conditions().collect();
    assert_eq!((told[0].kind, &*told[0].message), (Kind::Refused, "ModifyDBInstance: InvalidParameterValue: words"));
    // What says something about the service keeps back all.
    troubles.note("modify a", &error("Throttling", 400), 1, time(60.0));
    assert!(troubles.holds("modify b", 2, time(61.0)).is_some());
}

fn spot(region: &str) -> Spot {
    Spot { account: "123456789012".into(), region: region.into(), service: Service::Rds }
}

#[test]
fn each_spot_has_a_bucket_of_its_own() {
    let mut buckets = Buckets::new(Rate { per_second: 2.0, burst: 4.0 });
    for _ in 0..4 {
        assert_eq!(buckets.take(&spot("eu-central-1"), 1, time(0.0)), Ok(()));
    }
    let wait = buckets.take(&spot("eu-central-1"), 1, time(0.0)).expect_err("it is empty");
    assert!((500..=502).contains(&wait.as_millis()), "{wait:?}");
    assert_eq!(buckets.take(&spot("eu-west-1"), 4, time(0.0)), Ok(()));
    let mut other = spot("eu-central-1");
    other.service = Service::ElastiCache;
    assert_eq!(buckets.take(&other, 1, time(0.0)), Ok(()));
}

proptest! {
    #[test]
    fn no_more_than_the_bucket_lets_through(
        per_second in 0.1..50.0f64, burst in 1.0..50.0f64, tries in prop::collection::vec((0.0..2.0f64, 1..5u32), 1..200)
    ) {
        let mut bucket = Bucket::new(Rate { per_second, burst }, time(0.0));
        let (mut at, mut taken) = (0.0, 0.0);
        for (after, calls) in tries {
            at += after;
            match bucket.take(calls, time(at)) {
                Ok(()) => taken += f64::from(calls).min(burst),
                Err(wait) => {
                    let mut waited = bucket;
                    let later = time(at).checked_add(wait).expect("a time");
                    prop_assert_eq!(waited.take(calls, later), Ok(()), "who waits as told finds a token");
                }
            }
            prop_assert!(taken <= burst + at * per_second + 1e-6, "{} in {}", taken, at);
        }
        // A clock that is set back gives nothing.
        let mut back = bucket;
        while back.take(1, time(at)).is_ok() {}
        prop_assert!(back.take(1, time(0.0)).is_err());
    }
}

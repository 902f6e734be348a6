//! What the SDK says of a failure, and what becomes of it: for all three services, by the code on the wire.

use crate::{
    bench::{Bench, key, limits, settings},
    driver::PASSWORD,
    proxy::Fault,
    server::account,
};
use aws::{
    Class, Error, Password, Rate, Service, Tags,
    rds::{Call, Field, Rds, Settings as Wished},
};
use learningplatform_aws_edge::{Clients, End, Limits, NO_CREDENTIALS, Role, Settings, rds::SdkRds, told};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

async fn clients(bench: &Bench, change: impl FnOnce(Settings) -> Settings) -> Clients {
    let settings = change(settings(&bench.proxy.url()));
    Clients::new(&settings, &limits(), Some(key(&account()))).await.expect("legal")
}

/// What each service tells of this failure.
async fn told_by_all(bench: &Bench, clients: &Clients, fault: Fault) -> [Error; 3] {
    bench.proxy.fail("DescribeDBInstances", 1, fault);
    bench.proxy.fail("DescribeReplicationGroups", 1, fault);
    bench.proxy.fail("ListDistributions", 1, fault);
    let rds = clients.rds.describe_db_instances().send().await.expect_err("it fails");
    let elasticache = clients.elasticache.describe_replication_groups().send().await.expect_err("it fails");
    let cloudfront = clients.cloudfront.list_distributions().send().await.expect_err("it fails");
    [
        told("DescribeDBInstances", &rds),
        told("DescribeReplicationGroups", &elasticache),
        told("ListDistributions", &cloudfront),
    ]
}

#[tokio::test]
async fn codes_with_and_without_a_type_in_the_sdk_are_told_alike() {
    let bench = Bench::new().await;
    let clients = clients(&bench, |settings| settings).await;
    for (status, code, class) in [
        (404, "DBInstanceNotFound", Class::Absent),
        (404, "ReplicationGroupNotFoundFault", Class::Absent),
        (404, "NoSuchDistribution", Class::Absent),
        (400, "Throttling", Class::Throttled),
        (400, "ThrottlingException", Class::Throttled),
        (429, "TooManyRequestsException", Class::Throttled),
        (503, "SlowDown", Class::Throttled),
        (403, "AccessDenied", Class::Permission),
        (400, "InvalidReplicationGroupState", Class::Busy),
        (412, "PreconditionFailed", Class::Stale),
        (400, "InvalidParameterCombination", Class::User),
        (400, "TooManyDistributions", Class::Capacity),
        (500, "InternalFailure", Class::Transient),
    ] {
        for error in told_by_all(&bench, &clients, Fault::Code(status, code)).await {
            assert_eq!((error.class(), error.status), (class, Some(status)), "{error}");
            assert_eq!(
                (error.code.as_deref(), error.message.as_str()),
                (Some(code), "as the test wants it"),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn what_has_no_code_is_transient_and_says_why() {
    let bench = Bench::new().await;
    let patient = clients(&bench, |settings| settings).await;
    let hasty = clients(&bench, |settings| Settings { read: Duration::from_millis(200), ..settings }).await;
    let late = Fault::Late(Duration::from_secs(2));
    for (fault, words) in [
        (Fault::Html(502), "error"),
        (Fault::Closed, "connection"),
        (Fault::Lost, "connection"),
        (Fault::Truncated, "error"),
        (late, "timeout"),
    ] {
        let clients = if fault == late { &hasty } else { &patient };
        for error in told_by_all(&bench, clients, fault).await {
            assert_eq!((error.code.as_deref(), error.class()), (None, Class::Transient), "{fault:?}: {error}");
            assert!(error.message.contains(words) && error.message.len() > 20, "{fault:?}: {error}");
        }
    }
}

#[tokio::test]
async fn nobody_there_is_transient_too() {
    let clients = Clients::new(&settings("http://127.0.0.1:9"), &limits(), Some(key("1"))).await.expect("legal");
    let error = SdkRds::new(clients.rds).instances().await.expect_err("nobody listens");
    assert_eq!((error.operation, error.class()), ("DescribeDBInstances", Class::Transient));
    assert!(error.message.to_lowercase().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_role_that_is_not_given_is_a_matter_of_permission_and_one_that_is_given_is_used() {
    let bench = Bench::new().await;
    let role = |settings| {
        let arn = "arn:aws:iam::123456789012:role/tenant".to_owned();
        Settings { role: Some(Role { arn, external_id: Some("tenant-1".into()), session: "lp".into() }), ..settings }
    };
    let denied = clients(&bench, role).await;
    bench.proxy.fail("AssumeRole", 9, Fault::Code(403, "AccessDenied"));
    let error = SdkRds::new(denied.rds).instances().await.expect_err("it cannot be signed");
    assert_eq!((error.code.as_deref(), error.class()), (Some(NO_CREDENTIALS), Class::Permission), "{error}");
    assert!(error.message.contains("AccessDenied"), "{error}");
    assert!(bench.proxy.log().iter().all(|one| one.operation == "AssumeRole"), "nothing is sent unsigned");

    let bench = Bench::new().await;
    bench.proxy.fail("AssumeRole", 1, Fault::Html(503));
    let given = SdkRds::new(clients(&bench, role).await.rds);
    let error = given.instances().await.expect_err("STS does not answer");
    assert_eq!(error.class(), Class::Transient, "{error}");
    assert!(given.instances().await.expect("STS answers").is_empty());
}

#[tokio::test]
async fn a_password_is_in_no_error_whatever_aws_says() {
    let bench = Bench::new().await;
    bench.proxy.fail("CreateDBInstance", 1, Fault::Says("correct-horse-battery-staple is too short"));
    let call = Call::CreateInstance {
        id: "lp-a".into(),
        settings: Wished::default().with(Field::Class, "db.t4g.micro").with(Field::Storage, 20),
        database: None,
        username: "lp".into(),
        password: Password::new(PASSWORD),
        kms_key: None,
        tags: Tags::new(),
    };
    let rds = SdkRds::new(clients(&bench, |settings| settings).await.rds);
    let error = rds.send(&call).await.expect_err("it is refused");
    assert!(error.message.contains("… is too short") && !format!("{error:?}").contains(PASSWORD), "{error:?}");
    assert!(!format!("{rds:?}").contains("secret-of-nobody"));
}

#[tokio::test]
async fn what_the_sdk_repeats_takes_tokens_too() {
    let bench = Bench::new().await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = told.clone();
    let limits = Limits::new(Rate { per_second: 0.4, burst: 1.0 }).telling(move |request| {
        log.lock().unwrap().push((request.spot.service, request.end, request.waited.as_secs()))
    });
    let limits = Arc::new(limits);
    let settings = Settings { attempts: 2, ..settings(&bench.proxy.url()) };
    let clients = Clients::new(&settings, &limits, Some(key(&account()))).await.expect("legal");
    bench.proxy.fail("DescribeDBInstances", 1, Fault::Html(503));
    let start = Instant::now();
    SdkRds::new(clients.rds).instances().await.expect("the second is answered");
    assert_eq!(bench.proxy.log().len(), 2);
    // The SDK itself would have waited for a second at most.
    assert!(start.elapsed() >= Duration::from_millis(2400), "{:?}", start.elapsed());
    let told = told.lock().unwrap().clone();
    let [(Service::Rds, End::Answered(503), 0), (Service::Rds, End::Answered(200), waited)] = told[..] else {
        panic!("{told:?}")
    };
    assert!(waited >= 1, "the second waited for its token: {told:?}");
}

#[tokio::test]
async fn lists_of_many_pages_are_read_to_their_end() {
    let bench = Bench::new().await;
    let rds = SdkRds::new(clients(&bench, |settings| settings).await.rds);
    bench.proxy.pages("DescribeDBInstances", |marker| {
        let next = match marker {
            None => "<Marker>second</Marker>",
            Some("second") => "<Marker>third</Marker>",
            Some(_) => "",
        };
        let id = marker.unwrap_or("first");
        let instance = format!("<DBInstance><DBInstanceIdentifier>{id}</DBInstanceIdentifier></DBInstance>");
        let answer = format!(
            "<DescribeDBInstancesResult><DBInstances>{instance}</DBInstances>{next}</DescribeDBInstancesResult>"
        );
        format!("<DescribeDBInstancesResponse>{answer}</DescribeDBInstancesResponse>")
    });
    let ids: Vec<String> = rds.instances().await.expect("three pages").iter().map(|one| one.id.clone()).collect();
    assert_eq!(ids, ["first", "second", "third"]);
    // A page that fails is no end.
    bench.proxy.fail_some(|number| number == 4, Fault::Code(500, "InternalFailure"));
    rds.instances().await.expect_err("half a list is none");
}

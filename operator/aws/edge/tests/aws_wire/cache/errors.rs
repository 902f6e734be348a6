//! What is told of failures, and lists that are long.

use super::bench::Bench;
use crate::proxy::Fault;
use aws::{
    Call as _, Password, Tags,
    elasticache::{Call, ElastiCache, Settings, Strategy},
};
use learningplatform_aws_edge::elasticache::SdkElastiCache;

const SECRETS: [&str; 2] = ["correct-horse-battery-staple", "another-horse-another-staple"];

#[tokio::test]
async fn tokens_and_passwords_are_in_no_error_whatever_aws_says() {
    let bench = Bench::new().await;
    let cache = SdkElastiCache::new(bench.clients.elasticache.clone(), bench.now());
    let token = || Password::new(SECRETS[0]);
    let passwords = || SECRETS.map(Password::new).to_vec();
    for call in [
        Call::CreateGroup {
            id: "lp-a".into(),
            settings: Settings::default(),
            shards: 1,
            replicas: 0,
            token: Some(token()),
            user_group: None,
            snapshot: None,
            kms_key: None,
            tags: Tags::new(),
        },
        Call::SetToken { id: "lp-a".into(), token: token(), strategy: Strategy::Rotate },
        Call::CreateUser {
            id: "lp-u".into(),
            name: "app".into(),
            engine: "valkey".into(),
            access: "on ~* +@all".into(),
            passwords: passwords(),
            tags: Tags::new(),
        },
        Call::ModifyUser { id: "lp-u".into(), access: None, passwords: Some(passwords()) },
    ] {
        let words = "neither correct-horse-battery-staple nor another-horse-another-staple will do";
        bench.proxy.fail(call.operation(), 1, Fault::Says(words));
        let error = cache.send(&call).await.expect_err("it is refused");
        assert!(error.message.starts_with("neither … nor"), "{error:?}");
        assert!(!format!("{error:?}").contains(SECRETS[0]), "{error:?}");
        let log = bench.proxy.log();
        assert!(log.last().is_some_and(|one| one.form.contains(SECRETS[0])), "{} was sent", call.operation());
    }
    assert!(!format!("{cache:?}").contains("secret-of-nobody"));
}

#[tokio::test]
async fn lists_of_many_pages_are_read_to_their_end() {
    let bench = Bench::new().await;
    let cache = SdkElastiCache::new(bench.clients.elasticache.clone(), bench.now());
    for (operation, list, name, id) in [
        ("DescribeReplicationGroups", "ReplicationGroups", "ReplicationGroup", "ReplicationGroupId"),
        ("DescribeCacheClusters", "CacheClusters", "CacheCluster", "CacheClusterId"),
        ("DescribeSnapshots", "Snapshots", "Snapshot", "SnapshotName"),
        ("DescribeUsers", "Users", "member", "UserId"),
        ("DescribeUserGroups", "UserGroups", "member", "UserGroupId"),
    ] {
        bench.proxy.pages(operation, move |marker| {
            let next = match marker {
                None => "<Marker>second</Marker>",
                Some("second") => "<Marker>third</Marker>",
                Some(_) => "",
            };
            let marker = marker.unwrap_or("first");
            // Each group has the member of its page.
            let member = format!("<MemberClusters><ClusterId>{marker}</ClusterId></MemberClusters>");
            let status = "<CacheClusterStatus>available</CacheClusterStatus>";
            let one = format!("<{name}><{id}>{marker}</{id}>{member}{status}</{name}>");
            let result = format!("<{operation}Result><{list}>{one}</{list}>{next}</{operation}Result>");
            format!("<{operation}Response>{result}</{operation}Response>")
        });
    }
    bench.proxy.pages("ListTagsForResource", |_| {
        let tags = "<ListTagsForResourceResult><TagList></TagList></ListTagsForResourceResult>";
        format!("<ListTagsForResourceResponse>{tags}</ListTagsForResourceResponse>")
    });
    let pages = ["first", "second", "third"];
    let groups = cache.groups().await.expect("three pages");
    assert_eq!(groups.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), pages);
    for group in groups.iter() {
        assert_eq!(group.members[&group.id], "available", "of the same page of another list");
    }
    let snapshots = cache.snapshots().await.expect("three pages");
    assert_eq!(snapshots.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), pages);
    let users = cache.users().await.expect("three pages");
    assert_eq!(users.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), pages);
    let user_groups = cache.user_groups().await.expect("three pages");
    assert_eq!(user_groups.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), pages);
    // A page that fails is no end.
    bench.proxy.fail("DescribeReplicationGroups", 1, Fault::Code(500, "InternalFailure"));
    cache.groups().await.expect_err("half a list is none");
}

//! Two hundred caches on one account, at rest: what their looks cost, in requests of the real SDK.

use super::{bench::Bench, driver::owner};
use crate::proxy::field;
use aws::{Identity, elasticache::ElastiCache};
use learningplatform_aws_edge::Windows;
use std::{collections::BTreeMap, time::Duration};

const PLATFORMS: usize = 200;
const SHARDS: usize = 3;
/// Automatic snapshots that are kept of each, one a day.
const SNAPSHOTS: usize = 7;
/// How often each is looked at when nothing happens.
const STEADY: Duration = Duration::from_secs(450);

fn id(platform: usize) -> String {
    owner(&format!("p{platform}"), "uid-1").identity.replication_group()
}

fn element(name: &str, content: impl AsRef<str>) -> String {
    format!("<{name}>{}</{name}>", content.as_ref())
}

fn arn(kind: &str, id: &str) -> String {
    element("ARN", format!("arn:aws:elasticache:eu-central-1:123456789012:{kind}:{id}"))
}

/// Serves a list in pages, which the marker is the number of.
fn serve(bench: &Bench, operation: &'static str, list: &'static str, size: usize, all: Vec<String>) {
    bench.proxy.pages(operation, move |marker| {
        let at: usize = marker.and_then(|marker| marker.parse().ok()).unwrap_or(0);
        let page: String = all.iter().skip(at * size).take(size).cloned().collect();
        let is_last = (at + 1) * size >= all.len();
        let next = if is_last { String::new() } else { element("Marker", (at + 1).to_string()) };
        let result = element(&format!("{operation}Result"), element(list, page) + &next);
        element(&format!("{operation}Response"), result)
    });
}

fn serve_all(bench: &Bench) {
    let members = |id: &str| -> Vec<String> {
        let of_shard = |shard: usize| [1, 2].map(|node| format!("{id}-{shard:04}-{node:03}"));
        (1..=SHARDS).flat_map(of_shard).collect()
    };
    let (mut groups, mut clusters, mut snapshots) = (Vec::new(), Vec::new(), Vec::new());
    let (mut users, mut user_groups) = (Vec::new(), Vec::new());
    for id in (0..PLATFORMS).map(id) {
        let listed: String = members(&id).iter().map(|member| element("ClusterId", member)).collect();
        let status = element("Status", "available");
        let group = element("ReplicationGroupId", &id) + &status + &arn("replicationgroup", &id);
        groups.push(element("ReplicationGroup", group + &element("MemberClusters", listed)));
        for member in members(&id) {
            let cluster = element("CacheClusterId", member) + &element("CacheClusterStatus", "available");
            clusters.push(element("CacheCluster", cluster));
        }
        for day in 0..=SNAPSHOTS {
            // One that a former platform left.
            let source = element("SnapshotSource", if day == 0 { "manual" } else { "automated" });
            let name = format!("{id}-{day}");
            snapshots.push(element("Snapshot", element("SnapshotName", &name) + &source + &arn("snapshot", &name)));
        }
        for user in ["app", "reader"].map(|name| Identity::user(&id, name)) {
            users.push(element("member", element("UserId", &user) + &arn("user", &user)));
        }
        user_groups.push(element("member", element("UserGroupId", &id) + &arn("usergroup", &id)));
    }
    serve(bench, "DescribeReplicationGroups", "ReplicationGroups", 100, groups);
    serve(bench, "DescribeCacheClusters", "CacheClusters", 100, clusters);
    serve(bench, "DescribeSnapshots", "Snapshots", 50, snapshots);
    serve(bench, "DescribeUsers", "Users", 50, users);
    serve(bench, "DescribeUserGroups", "UserGroups", 50, user_groups);
    let one = element("CacheParameterGroup", arn("parametergroup", "lp-any"));
    serve(bench, "DescribeCacheParameterGroups", "CacheParameterGroups", 1, vec![one]);
    serve(bench, "DescribeCacheParameters", "Parameters", 1, Vec::new());
    serve(bench, "ListTagsForResource", "TagList", 1, Vec::new());
}

#[tokio::test]
async fn two_hundred_caches_with_users_read_little_at_rest() {
    let bench = Bench::new().await;
    serve_all(&bench);
    let seats: Vec<_> = (0..PLATFORMS).map(|_| bench.shared.seat()).collect();
    // None of them has changed anything for long.
    bench.clock.advance(Windows::default().calm.unsigned_abs() + STEADY);
    let names: Vec<String> = (0..PLATFORMS).map(|platform| format!("{}-valkey7", id(platform))).collect();
    // The first looks, and then as many as there are in three hours.
    let hours = 3.0;
    let mut before = 0;
    let rounds = (hours * 3600.0 / STEADY.as_secs_f64()) as usize;
    for round in 0..=rounds {
        for (seat, name) in seats.iter().zip(&names) {
            assert_eq!(seat.groups().await.expect("it answers").len(), PLATFORMS);
            seat.snapshots().await.expect("it answers");
            seat.users().await.expect("it answers");
            seat.user_groups().await.expect("it answers");
            seat.parameter_group(name).await.expect("it answers");
            bench.clock.advance(STEADY / PLATFORMS as u32);
        }
        if round == 0 {
            before = bench.proxy.log().len();
        }
    }
    let log = bench.proxy.log().split_off(before);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for one in &log {
        *counts.entry(field(&one.form, "Action").unwrap_or_default()).or_default() += 1;
    }
    let each = log.len() as f64 / hours / PLATFORMS as f64;
    println!("at rest {each:.2} requests per cache and hour: {counts:?}");
    assert!(each <= 12.0, "{each} requests per cache and hour: {counts:?}");
    assert!(each > 1.0, "{each}: they look");
}

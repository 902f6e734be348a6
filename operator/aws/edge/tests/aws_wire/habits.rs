//! What AWS does and the server does not: of a change of replicas it shows the members, of a change of a group those of its
//! members, it takes a final snapshot, and it writes times as it does everywhere.

use crate::proxy::{each, field, within};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// What a form asks for besides, in a request each.
pub fn besides(operation: &str, form: &str, answer: &str) -> Vec<String> {
    let Some(group) = field(form, "ReplicationGroupId") else { return Vec::new() };
    let request = |action: &str, fields: &str| format!("Action={action}&Version=2015-02-02&{fields}");
    let cluster = |action: &str, id: &String, fields: &str| request(action, &format!("CacheClusterId={id}{fields}"));
    let members = members(answer);
    let listed: BTreeSet<String> = texts(answer, "ClusterId").into_iter().collect();
    match operation {
        "IncreaseReplicaCount" => {
            let fields = format!("&ReplicationGroupId={group}&Engine=valkey");
            members.difference(&listed).map(|id| cluster("CreateCacheCluster", id, &fields)).collect()
        }
        "DecreaseReplicaCount" => listed.difference(&members).map(|id| cluster("DeleteCacheCluster", id, "")).collect(),
        "ModifyReplicationGroup" => {
            let copied = ["EngineVersion", "CacheParameterGroupName", "PreferredMaintenanceWindow"];
            let fields: String =
                copied.iter().filter_map(|name| Some(format!("&{name}={}", field(form, name)?))).collect();
            let all = if fields.is_empty() { BTreeSet::new() } else { members };
            all.iter().map(|id| cluster("ModifyCacheCluster", id, &fields)).collect()
        }
        "DeleteReplicationGroup" => field(form, "FinalSnapshotIdentifier")
            .map(|name| request("CreateSnapshot", &format!("SnapshotName={name}&ReplicationGroupId={group}")))
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}

/// An answer as AWS gives it.
pub fn corrected(operation: &str, content: String) -> String {
    match operation {
        "DescribeReplicationGroups" => each(&content, "ReplicationGroup", |block| {
            let ids: String = members(&block).iter().map(|id| format!("<ClusterId>{id}</ClusterId>")).collect();
            within(&block, "MemberClusters", &ids)
        }),
        "DescribeSnapshots" => each(&content, "SnapshotCreateTime", time),
        "DescribeEvents" => each(&content, "Date", time),
        _ => content,
    }
}

/// Members of the shards.
fn members(answer: &str) -> BTreeSet<String> {
    texts(answer, "CacheClusterId").into_iter().collect()
}

fn texts(content: &str, name: &str) -> Vec<String> {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    content.split(&begin).skip(1).filter_map(|part| Some(part.split_once(&end)?.0.to_owned())).collect()
}

/// The server writes seconds.
fn time(seconds: String) -> String {
    let whole = seconds.split('.').next().and_then(|whole| whole.parse().ok());
    whole.and_then(|whole| Timestamp::from_second(whole).ok()).map_or(seconds, |time| time.to_string())
}

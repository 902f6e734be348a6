//! Answers, as plain values.

use aws::{
    Endpoint, Tags, Value,
    elasticache::{Event, Field, Group, Settings, Shard, Snapshot, Strategy, User, UserGroup},
};
use aws_sdk_elasticache::types::{
    self, AuthTokenUpdateStatus, AutomaticFailoverStatus, CacheCluster, ClusterMode, MultiAzStatus, NodeGroup,
    Parameter, PendingAutomaticFailoverStatus, ReplicationGroup,
};
use aws_smithy_types::DateTime;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// `Source` of a parameter that was set in its group.
pub(super) const USER: &str = "user";
/// `ParameterApplyStatus` of what waits for a reboot.
const PENDING_REBOOT: &str = "pending-reboot";
/// Status of a member that the list of all members does not have: not one of AWS's, and not available.
const NOT_SEEN: &str = "not seen";
const REDIS: &str = "redis";
const VALKEY: &str = "valkey";
/// The first version of Valkey; Redis OSS ends with 7.1 at AWS.
const FIRST_VALKEY: (u32, u32) = (7, 2);

/// An empty word says the same as none.
fn said(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn text(text: Option<String>) -> Option<Value> {
    said(text).map(Value::Text)
}

/// Nothing that is counted is negative.
fn number(number: Option<i32>) -> Option<Value> {
    number.and_then(|number| u32::try_from(number).ok()).map(Value::Number)
}

fn set<const N: usize>(fields: [(Field, Option<Value>); N]) -> Settings {
    fields.into_iter().filter_map(|(field, value)| Some((field, value?))).collect()
}

fn time(time: &DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), time.subsec_nanos().cast_signed()).ok()
}

fn endpoint(of: Option<types::Endpoint>) -> Option<Endpoint> {
    let of = of?;
    let port = of.port.and_then(|port| u32::try_from(port).ok())?;
    Some(Endpoint { address: said(of.address)?, port })
}

/// A group, of its own record and of those of its members. Without tags it is one that AWS does not tell them of.
pub(super) fn group(seen: ReplicationGroup, members: &BTreeMap<String, CacheCluster>, tags: Option<Tags>) -> Group {
    let ids: BTreeSet<String> = seen.member_clusters.clone().unwrap_or_default().into_iter().collect();
    let own: Vec<&CacheCluster> = ids.iter().filter_map(|id| members.get(id)).collect();
    let statuses = ids.iter().map(|id| {
        let status = members.get(id).and_then(|member| member.cache_cluster_status.clone());
        (id.clone(), status.unwrap_or_else(|| NOT_SEEN.to_owned()))
    });
    let statuses = statuses.collect();
    let is_clustered = match &seen.cluster_mode {
        Some(ClusterMode::Enabled) => true,
        Some(ClusterMode::Disabled) => false,
        _ => seen.cluster_enabled == Some(true),
    };
    let nodes = seen.node_groups.clone().unwrap_or_default();
    let of_members = nodes.iter().flat_map(|shard| shard.node_group_members.iter().flatten());
    let each =
        of_members.filter_map(|member| endpoint(member.read_endpoint.clone())).filter(|_| !is_clustered).collect();
    let first = nodes.first().cloned();
    let (primary, reader) = first.map_or((None, None), |first| (first.primary_endpoint, first.reader_endpoint));
    let (at, reader) =
        if is_clustered { (seen.configuration_endpoint.clone(), None) } else { (primary, endpoint(reader)) };
    let endpoint = endpoint(at);
    let settings = settings(&seen, own.first().copied(), is_clustered, endpoint.as_ref());
    let pending = pending(&seen, &own, settings.text(Field::Engine));
    let of_group = seen.pending_modified_values.as_ref();
    let of_members = own.iter().filter_map(|one| one.pending_modified_values.as_ref()?.auth_token_status.as_ref());
    let of_token = of_group.and_then(|pending| pending.auth_token_status.as_ref());
    let pending_token = of_token.into_iter().chain(of_members).find_map(|status| match status {
        AuthTokenUpdateStatus::Rotating => Some(Strategy::Rotate),
        AuthTokenUpdateStatus::Setting => Some(Strategy::Set),
        _ => None,
    });
    let reboots = |one: &&CacheCluster| {
        let status = one.cache_parameter_group.as_ref().and_then(|group| group.parameter_apply_status());
        status == Some(PENDING_REBOOT)
    };
    Group {
        untold: tags.is_none(),
        tags: tags.unwrap_or_default(),
        pending_token,
        resharding: of_group.is_some_and(|pending| pending.resharding.is_some()),
        pending_reboot: own.iter().any(reboots),
        settings,
        pending,
        shards: nodes.into_iter().map(shard).collect(),
        members: statuses,
        endpoint,
        reader,
        nodes: each,
        token: seen.auth_token_enabled == Some(true),
        user_groups: seen.user_group_ids.unwrap_or_default().into_iter().collect(),
        id: seen.replication_group_id.unwrap_or_default(),
        status: seen.status.unwrap_or_default(),
    }
}

/// What the group says, and what only its members do: they are all set alike.
fn settings(
    seen: &ReplicationGroup,
    member: Option<&CacheCluster>,
    is_clustered: bool,
    endpoint: Option<&Endpoint>,
) -> Settings {
    let of = |which: fn(&CacheCluster) -> Option<&str>| member.and_then(which).map(str::to_owned);
    let failover = match &seen.automatic_failover {
        Some(AutomaticFailoverStatus::Enabled | AutomaticFailoverStatus::Enabling) => Some(true),
        Some(AutomaticFailoverStatus::Disabled | AutomaticFailoverStatus::Disabling) => Some(false),
        _ => None,
    };
    let parameters = member.and_then(|member| member.cache_parameter_group.as_ref());
    let security_groups = member.and_then(|member| member.security_groups.clone()).map(|groups| {
        let names: BTreeSet<String> = groups.into_iter().filter_map(|group| said(group.security_group_id)).collect();
        Value::Names(names)
    });
    set([
        (Field::Engine, text(said(seen.engine.clone()).or_else(|| of(CacheCluster::engine)))),
        (Field::EngineVersion, text(of(CacheCluster::engine_version))),
        (Field::NodeType, text(said(seen.cache_node_type.clone()).or_else(|| of(CacheCluster::cache_node_type)))),
        (Field::ParameterGroup, text(parameters.and_then(|group| group.cache_parameter_group_name.clone()))),
        (Field::SubnetGroup, text(of(CacheCluster::cache_subnet_group_name))),
        (Field::SecurityGroups, security_groups),
        (Field::Port, endpoint.map(|endpoint| Value::Number(endpoint.port))),
        (Field::Retention, number(seen.snapshot_retention_limit)),
        (Field::SnapshotWindow, text(seen.snapshot_window.clone())),
        (Field::MaintenanceWindow, text(of(CacheCluster::preferred_maintenance_window))),
        (Field::Failover, failover.map(Value::Flag)),
        (Field::MultiAz, seen.multi_az.as_ref().map(|status| Value::Flag(*status == MultiAzStatus::Enabled))),
        (Field::AutoMinorUpgrade, seen.auto_minor_version_upgrade.map(Value::Flag)),
        (Field::Tls, seen.transit_encryption_enabled.map(Value::Flag)),
        (Field::AtRest, seen.at_rest_encryption_enabled.map(Value::Flag)),
        (Field::ClusterMode, Some(Value::Flag(is_clustered))),
    ])
}

/// What waits: failover is the group's, versions and node types are its members'.
fn pending(seen: &ReplicationGroup, members: &[&CacheCluster], engine: Option<&str>) -> Settings {
    let of_group = seen.pending_modified_values.as_ref();
    let failover = of_group.and_then(|pending| match pending.automatic_failover_status {
        Some(PendingAutomaticFailoverStatus::Enabled) => Some(true),
        Some(PendingAutomaticFailoverStatus::Disabled) => Some(false),
        _ => None,
    });
    let waits = members.iter().filter_map(|member| member.pending_modified_values.as_ref());
    let version = waits.clone().find_map(|pending| said(pending.engine_version.clone()));
    let node_type = waits.clone().find_map(|pending| said(pending.cache_node_type.clone()));
    // AWS tells a change of the engine by its version only.
    let to_valkey = engine == Some(REDIS) && version.as_deref().is_some_and(is_of_valkey);
    set([
        (Field::Engine, to_valkey.then(|| VALKEY.into())),
        (Field::EngineVersion, text(version)),
        (Field::NodeType, text(node_type)),
        (Field::Failover, failover.map(Value::Flag)),
    ])
}

fn is_of_valkey(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= FIRST_VALKEY
}

fn shard(seen: NodeGroup) -> Shard {
    let members = seen.node_group_members.unwrap_or_default().into_iter();
    Shard {
        id: seen.node_group_id.unwrap_or_default(),
        status: seen.status.unwrap_or_default(),
        slots: said(seen.slots),
        members: members.filter_map(|member| member.cache_cluster_id).collect(),
    }
}

pub(super) fn snapshot(seen: types::Snapshot, tags: Tags) -> Snapshot {
    // All shards have their time; it is there when the last has.
    let nodes = seen.node_snapshots.unwrap_or_default();
    let created =
        nodes.iter().map(|node| node.snapshot_create_time.as_ref().and_then(time)).collect::<Option<Vec<_>>>();
    // Of a group without cluster mode AWS may name the member only: `GROUP-001`.
    let of_member = |id: String| Some(id.rsplit_once('-')?.0.to_owned());
    let group = said(seen.replication_group_id).or_else(|| said(seen.cache_cluster_id).and_then(of_member));
    Snapshot {
        name: seen.snapshot_name.unwrap_or_default(),
        group: group.unwrap_or_default(),
        status: seen.snapshot_status.unwrap_or_default(),
        tags,
        created: created.and_then(|times| times.into_iter().max()),
    }
}

/// What was set in a group, of what is told of it.
pub(super) fn values(seen: Vec<Parameter>) -> BTreeMap<String, String> {
    let is_set = |one: &Parameter| one.source.as_deref().is_none_or(|source| source == USER);
    let set = seen.into_iter().filter(is_set);
    set.filter_map(|one| Some((one.parameter_name?, one.parameter_value?))).collect()
}

pub(super) fn user(seen: types::User, tags: Tags) -> User {
    let passwords = seen.authentication.and_then(|how| how.password_count);
    User {
        id: seen.user_id.unwrap_or_default(),
        name: seen.user_name.unwrap_or_default(),
        engine: seen.engine.unwrap_or_default(),
        status: seen.status.unwrap_or_default(),
        tags,
        access: seen.access_string.unwrap_or_default(),
        passwords: passwords.and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        groups: seen.user_group_ids.unwrap_or_default().into_iter().collect(),
    }
}

pub(super) fn user_group(seen: types::UserGroup, tags: Tags) -> UserGroup {
    UserGroup {
        id: seen.user_group_id.unwrap_or_default(),
        engine: seen.engine.unwrap_or_default(),
        status: seen.status.unwrap_or_default(),
        tags,
        users: seen.user_ids.unwrap_or_default().into_iter().collect(),
        used_by: seen.replication_groups.unwrap_or_default().into_iter().collect(),
    }
}

pub(super) fn event(seen: types::Event) -> Option<Event> {
    Some(Event { at: time(seen.date.as_ref()?)?, message: seen.message.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_elasticache::types::{
        CacheParameterGroupStatus, NodeSnapshot, PendingModifiedValues, ReplicationGroupPendingModifiedValues,
    };

    #[test]
    fn a_group_is_what_it_and_its_members_say() {
        let waits = ReplicationGroupPendingModifiedValues::builder()
            .automatic_failover_status(PendingAutomaticFailoverStatus::Enabled)
            .auth_token_status(AuthTokenUpdateStatus::Rotating)
            .build();
        let seen = ReplicationGroup::builder()
            .replication_group_id("a")
            .status("available")
            .engine(REDIS)
            .cluster_mode(ClusterMode::Compatible)
            .automatic_failover(AutomaticFailoverStatus::Enabling)
            .pending_modified_values(waits)
            .member_clusters("a-001")
            .member_clusters("a-002")
            .build();
        let of_member =
            PendingModifiedValues::builder().engine_version("8.0").cache_node_type("cache.r7g.xlarge").build();
        let parameters = CacheParameterGroupStatus::builder()
            .cache_parameter_group_name("Mine")
            .parameter_apply_status(PENDING_REBOOT)
            .build();
        let member = CacheCluster::builder()
            .cache_cluster_status("modifying")
            .engine_version("7.1")
            .preferred_maintenance_window("")
            .cache_parameter_group(parameters)
            .pending_modified_values(of_member)
            .build();
        let group = group(seen, &BTreeMap::from([("a-001".to_owned(), member)]), None);
        let wished = Settings::default()
            .with(Field::Engine, VALKEY)
            .with(Field::EngineVersion, "8.0")
            .with(Field::NodeType, "cache.r7g.xlarge")
            .with(Field::Failover, true);
        assert_eq!(group.pending, wished);
        let set = Settings::default()
            .with(Field::Engine, REDIS)
            .with(Field::EngineVersion, "7.1")
            .with(Field::ParameterGroup, "mine")
            .with(Field::Failover, true)
            .with(Field::ClusterMode, false);
        assert_eq!(group.settings, set, "what is not said is not there");
        assert_eq!(
            (group.pending_token, group.pending_reboot, group.resharding),
            (Some(Strategy::Rotate), true, false)
        );
        assert!(group.untold && group.tags.is_empty());
        // A member that the other list does not have is not taken for available.
        let members = [("a-001", "modifying"), ("a-002", NOT_SEEN)];
        assert_eq!(group.members, members.map(|(id, status)| (id.to_owned(), status.to_owned())).into());
    }

    #[test]
    fn each_member_is_told_where_it_answers_without_cluster_mode_alone() {
        let at = |port| types::Endpoint::builder().address("node.example").port(port).build();
        let member = |port| types::NodeGroupMember::builder().read_endpoint(at(port)).build();
        let shard = NodeGroup::builder()
            .node_group_members(member(6379))
            .node_group_members(member(6380))
            .node_group_members(types::NodeGroupMember::builder().build())
            .build();
        let of = |mode| {
            let seen = ReplicationGroup::builder().cluster_mode(mode).node_groups(shard.clone()).build();
            group(seen, &BTreeMap::new(), None).nodes.iter().map(|node| node.port).collect::<Vec<_>>()
        };
        assert_eq!((of(ClusterMode::Disabled), of(ClusterMode::Enabled)), (vec![6379, 6380], Vec::new()));
    }

    #[test]
    fn versions_tell_the_engine() {
        for (version, is) in [("6.2", false), ("7.1", false), ("7.2", true), ("8", true), ("8.0.1", true), ("", false)]
        {
            assert_eq!(is_of_valkey(version), is, "{version}");
        }
    }

    #[test]
    fn a_snapshot_was_taken_when_all_its_nodes_were() {
        let at = |second| NodeSnapshot::builder().snapshot_create_time(DateTime::from_secs(second)).build();
        let of = |nodes: Vec<NodeSnapshot>| {
            let seen = types::Snapshot::builder().snapshot_name("one").cache_cluster_id("lp-a-001");
            snapshot(seen.set_node_snapshots(Some(nodes)).build(), Tags::new())
        };
        assert_eq!(of(vec![at(3), at(7), at(5)]).created, Timestamp::from_second(7).ok());
        assert_eq!(of(vec![at(3), NodeSnapshot::builder().build()]).created, None);
        assert_eq!((of(vec![]).created, of(vec![]).group.as_str()), (None, "lp-a"));
    }
}

//! The acceptance scenarios of a cache at ElastiCache that a server can serve, through the real SDK.

use super::{
    bench::Bench,
    driver::{FIRST, SECOND, credential, has, owner, says, wish, wish_of_one_shard, wish_of_users},
};
use crate::proxy::{Fault, Lasting, each, group, within};
use aws::{
    Allow, DeletionPolicy, Identity, Kind, Tags, When,
    elasticache::{Access, Auth, Call, ElastiCache, Field, Settings, Strategy, TOKEN},
};
use std::{collections::BTreeSet, time::Duration};

#[tokio::test]
async fn a_cache_is_created_as_it_is_wished_and_a_second_pass_changes_nothing() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(wish());
    let step = operator.synced().await;
    let id = operator.id();
    let made = bench.group(&id).await;
    for (field, value) in [
        (Field::Engine, "valkey"),
        (Field::EngineVersion, "7.2"),
        (Field::NodeType, "cache.r7g.large"),
        (Field::ParameterGroup, &*format!("{id}-valkey7")),
        (Field::SubnetGroup, "private"),
        (Field::SecurityGroups, "sg-1,sg-2"),
        (Field::Port, "6379"),
        (Field::Retention, "7"),
        (Field::SnapshotWindow, "03:00-04:00"),
        (Field::MaintenanceWindow, "sun:04:00-sun:05:00"),
        (Field::Failover, "true"),
        (Field::MultiAz, "true"),
        (Field::Tls, "true"),
        (Field::AtRest, "true"),
        (Field::ClusterMode, "true"),
    ] {
        assert_eq!(made.settings.get(field).expect("set").to_string(), value, "{field:?}");
    }
    assert_eq!((&made.tags, made.untold, made.token), (&operator.wish.owner.tags(), false, true));
    let shards: Vec<_> = made.shards.iter().map(|shard| (shard.id.as_str(), shard.replicas())).collect();
    assert_eq!(shards, [("0001", 1), ("0002", 1), ("0003", 1)]);
    assert!(made.members.len() == 6 && made.members.values().all(|status| status == "available"), "{made:?}");
    assert!(made.pending.is_empty() && made.unready().is_none() && made.reader.is_none());
    let parameters = bench.truth().parameter_group(&format!("{id}-valkey7")).await.expect("it answers");
    let parameters = parameters.expect("it is there");
    assert_eq!((parameters.family.as_str(), &parameters.tags), ("valkey7", &operator.wish.owner.tags()));
    let values = [("cluster-enabled", "yes"), ("maxmemory-policy", "allkeys-lru"), ("timeout", "300")];
    assert_eq!(parameters.values, values.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert!(step.view.serves && step.view.endpoint.is_some() && step.view.shape == (3, 1));
    assert_eq!(
        bench.changes(0),
        [
            format!("CreateCacheParameterGroup {id}-valkey7"),
            format!("ModifyCacheParameterGroup {id}-valkey7"),
            format!("CreateReplicationGroup {id}"),
        ]
    );
    for _ in 0..10 {
        let step = operator.synced().await;
        operator.clock.advance(step.requeue);
    }
    assert_eq!(bench.proxy.writes(), 3);
}

#[tokio::test]
async fn a_cache_without_cluster_mode_has_a_primary_and_a_reader() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(wish_of_one_shard());
    let step = operator.synced().await;
    assert_eq!(step.view.shape, (1, 1));
    assert!(step.view.endpoint.is_some() && step.view.reader.is_some());
    assert_eq!(bench.group(&operator.id()).await.settings.flag(Field::ClusterMode), Some(false));
    assert_eq!(bench.proxy.writes(), 3);
}

#[tokio::test]
async fn users_and_their_group_come_change_and_go_before_and_after_the_cache() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(wish_of_users());
    operator.synced().await;
    let id = operator.id();
    let user = |name: &str| Identity::user(&operator.wish.owner.identity.replication_group(), name);
    let (app, reader, writer) = (user("app"), user("reader"), user("writer"));
    let made = bench.changes(2);
    assert_eq!(
        made,
        [
            format!("CreateUser {app}"),
            format!("CreateUser {reader}"),
            format!("CreateUserGroup {id}"),
            format!("CreateReplicationGroup {id}"),
        ]
    );
    let group = bench.group(&id).await;
    assert_eq!((group.token, group.user_groups), (false, BTreeSet::from([id.clone()])));
    for user in bench.users().await.iter() {
        assert_eq!((&user.tags, user.passwords, user.status.as_str()), (&operator.wish.owner.tags(), 1, "active"));
        assert_eq!((user.engine.as_str(), &user.groups), ("valkey", &BTreeSet::from([id.clone()])));
        assert_eq!(user.access, if user.name == "app" { "on ~app:* +@all" } else { "on ~* +@read" });
    }
    let Auth::Users(users) = &mut operator.wish.spec.auth else { panic!("users") };
    users.remove("reader");
    users.insert("writer".into(), Access { rules: "on ~w:* +@write".into(), credential: credential(FIRST) });
    operator.wish.generation += 1;
    operator.synced().await;
    let changed = bench.changes(6);
    assert_eq!(
        changed,
        [format!("CreateUser {writer}"), format!("ModifyUserGroup {id}"), format!("DeleteUser {reader}")]
    );
    let of_group = bench.user_groups().await;
    assert_eq!(of_group[0].users, BTreeSet::from([app.clone(), writer.clone()]));
    assert_eq!((&of_group[0].tags, &of_group[0].used_by), (&operator.wish.owner.tags(), &BTreeSet::from([id])));
    operator.wish.deleted = true;
    assert!(operator.settle().await.finished);
    assert!(bench.users().await.is_empty() && bench.user_groups().await.is_empty());
    assert!(bench.changes(0).iter().all(|change| !change.ends_with("refused")), "{:?}", bench.changes(0));
}

#[tokio::test]
async fn scenario_27_of_changes_of_size_in_one_edit_each_waits_until_all_is_available() {
    let bench = Bench::new().await;
    bench.proxy.lasting(&[
        Lasting { operation: "CreateReplicationGroup", status: "creating", looks: 3 },
        Lasting { operation: "IncreaseReplicaCount", status: "modifying", looks: 4 },
        Lasting { operation: "ModifyReplicationGroup", status: "modifying", looks: 3 },
    ]);
    let mut operator = bench.operator(wish());
    operator.synced().await;
    operator.wish.generation += 1;
    operator.wish.spec.replicas = 2;
    operator.wish.spec.node_type = "cache.r7g.xlarge".into();
    operator.wish.spec.apply.insert(Field::NodeType, When::Immediate);
    operator.wish.spec.snapshot_retention = Some(3);
    operator.synced().await;
    let id = operator.id();
    // Whatever is sent while it changes is refused.
    let (more, modify) = (format!("IncreaseReplicaCount {id}"), format!("ModifyReplicationGroup {id}"));
    assert_eq!(bench.changes(3), [more, modify.clone(), modify]);
    let made = bench.group(&id).await;
    assert_eq!(made.settings.text(Field::NodeType), Some("cache.r7g.xlarge"));
    assert_eq!(made.settings.number(Field::Retention), Some(3));
    assert_eq!((made.shards.iter().map(|shard| shard.replicas()).min(), made.members.len()), (Some(2), 9));
}

#[tokio::test]
async fn scenario_27_nothing_is_sent_while_a_member_a_shard_or_a_token_changes() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(wish());
    operator.synced().await;
    let id = operator.id();
    operator.wish.generation += 1;
    operator.wish.spec.replicas = 2;
    let writes = bench.proxy.writes();
    let waits = |content: &str, words: &str| {
        each(content, "ReplicationGroup", |block| {
            format!("{block}<PendingModifiedValues>{words}</PendingModifiedValues>")
        })
    };
    for what in ["member", "missing", "shard", "token", "shards"] {
        let id = id.clone();
        bench.proxy.rewrite(move |operation, content| match (operation, what) {
            ("DescribeCacheClusters", "member") => each(&content, "CacheCluster", |block| {
                let is_it = block.contains(&format!("{id}-0002-002"));
                if is_it { within(&block, "CacheClusterStatus", "rebooting cluster nodes") } else { block }
            }),
            ("DescribeCacheClusters", "missing") => content.replace(&format!("{id}-0002-002"), "another"),
            ("DescribeReplicationGroups", "shard") => {
                group(&content, &id, |block| each(&block, "NodeGroup", |shard| within(&shard, "Status", "modifying")))
            }
            ("DescribeReplicationGroups", "token") => waits(&content, "<AuthTokenStatus>ROTATING</AuthTokenStatus>"),
            ("DescribeReplicationGroups", "shards") => waits(
                &content,
                "<Resharding><SlotMigration><ProgressPercentage>3</ProgressPercentage></SlotMigration></Resharding>",
            ),
            _ => content,
        });
        operator.clock.advance(Duration::from_secs(600));
        let step = operator.go_on(Duration::from_secs(600)).await;
        assert!(step.send.is_none() && !has(&step, Kind::Synced), "{what}: {:?}", step.conditions);
        assert!(step.plan.calls.iter().all(|one| one.hold.is_some()), "{what}: {:?}", step.plan);
        assert_eq!(bench.proxy.writes(), writes, "{what}");
    }
    bench.proxy.rewrite(|_, content| content);
    operator.synced().await;
    assert_eq!(bench.group(&id).await.members.len(), 9);
}

#[tokio::test]
async fn scenario_28_the_shards_that_go_are_named_and_need_a_word_while_nobody_tells_how_full_they_are() {
    let bench = Bench::new().await;
    let mut wish = wish();
    wish.spec.shards = 4;
    let mut operator = bench.operator(wish);
    operator.synced().await;
    operator.wish.generation += 1;
    operator.wish.spec.shards = 3;
    let step = operator.settle().await;
    assert!(says(&step, Kind::NeedsConsent).contains("how full shard 0001 is cannot be seen"), "{:?}", step.conditions);
    let before = bench.proxy.writes();
    operator.allow(Allow::RemoveShardsUnchecked);
    // The server has no such operation: the request is what is shown here.
    operator.until(|_| bench.proxy.writes() > before).await;
    let log = bench.proxy.log();
    let sent: Vec<_> = log.iter().filter(|one| one.operation.ends_with("ShardConfiguration")).collect();
    let [sent] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!((sent.resource.clone(), bench.proxy.writes()), (operator.id(), before + 1));
    for field in ["NodeGroupCount=3", "ApplyImmediately=true", "NodeGroupsToRemove.NodeGroupToRemove.1=0004"] {
        assert!(sent.form.split('&').any(|pair| pair == field), "{field}: {}", sent.form);
    }
    assert!(!sent.form.contains("NodeGroupToRemove.2"), "{}", sent.form);
}

#[tokio::test]
async fn scenario_29_what_aws_takes_back_is_told_and_not_tried_again_before_the_spec_changes() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(wish());
    operator.synced().await;
    // It is accepted, and nothing comes of it.
    bench.proxy.pages("IncreaseReplicaCount", |_| {
        let group = "<ReplicationGroup><Status>modifying</Status></ReplicationGroup>";
        let result = format!("<IncreaseReplicaCountResult>{group}</IncreaseReplicaCountResult>");
        format!("<IncreaseReplicaCountResponse>{result}</IncreaseReplicaCountResponse>")
    });
    bench.proxy.pages("DescribeEvents", |_| {
        let event =
            "<Event><Date>2099-01-01T00:00:00Z</Date><Message>no capacity for cache.r7g.large</Message></Event>";
        let result = format!("<DescribeEventsResult><Events>{event}</Events></DescribeEventsResult>");
        format!("<DescribeEventsResponse>{result}</DescribeEventsResponse>")
    });
    operator.wish.generation += 1;
    operator.wish.spec.replicas = 2;
    let step = operator.until(|step| has(step, Kind::ResizeRolledBack)).await;
    let told = says(&step, Kind::ResizeRolledBack);
    assert!(told.contains("raise replicas") && told.contains("no capacity for cache.r7g.large"), "{told}");
    let tries = || bench.proxy.log().iter().filter(|one| one.operation == "IncreaseReplicaCount").count();
    let step = operator.go_on(Duration::from_secs(7200)).await;
    assert!(has(&step, Kind::ResizeRolledBack) && !has(&step, Kind::Synced), "{:?}", step.conditions);
    assert_eq!(tries(), 1);
    operator.wish.generation += 1;
    operator.until(|_| tries() == 2).await;
}

#[tokio::test]
async fn scenario_30_a_token_is_rotated_published_taken_by_all_clients_and_set() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(wish());
    operator.synced().await;
    assert_eq!(operator.clients.published(TOKEN), Some(FIRST));
    operator.rotate(SECOND);
    let is = |strategy| move |call: &Option<Call>| matches!(call, Some(Call::SetToken { strategy: of, .. }) if *of == strategy);
    operator.until(|step| is(Strategy::Rotate)(&step.send)).await;
    assert_eq!(operator.clients.published(TOKEN), Some(FIRST), "it is published when it is taken");
    // Who comes next knows what the one before wrote down, and nothing else.
    let mut next = bench.restarted(operator.wish.clone());
    (next.memory, next.clients) = (operator.memory.clone(), operator.clients.clone());
    next.until(|step| is(Strategy::Set)(&step.send)).await;
    assert_eq!(next.clients.published(TOKEN), Some(SECOND));
    next.synced().await;
    let strategies: Vec<String> =
        bench.proxy.log().iter().filter_map(|one| crate::proxy::field(&one.form, "AuthTokenUpdateStrategy")).collect();
    assert_eq!(strategies, ["ROTATE", "SET"]);
}

#[tokio::test]
async fn scenario_31_a_deletion_leaves_a_final_snapshot_that_says_whose_it_is() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(wish());
    operator.synced().await;
    let id = operator.id();
    operator.wish.deleted = true;
    assert!(operator.settle().await.finished);
    assert_eq!(
        bench.changes(3),
        [
            format!("DeleteReplicationGroup {id}"),
            "AddTagsToResource ".to_owned(),
            format!("DeleteCacheParameterGroup {id}-valkey7"),
        ]
    );
    let snapshots = bench.snapshots().await;
    let [snapshot] = &*snapshots else { panic!("{snapshots:?}") };
    assert_eq!((snapshot.name.clone(), snapshot.group.clone()), (format!("{id}-final-1"), id));
    assert_eq!((snapshot.status.as_str(), &snapshot.tags), ("available", &operator.wish.owner.tags()));
    assert!(snapshot.created.is_some() && bench.groups().await.is_empty());

    // Applied again it is retained, and goes on with its data once adopted.
    let mut again = bench.operator(wish());
    again.wish.owner.uid = "uid-2".into();
    let writes = bench.proxy.writes();
    let step = again.settle().await;
    assert!(says(&step, Kind::Retained).contains("set adopt: true"), "{:?}", step.conditions);
    assert_eq!(bench.proxy.writes(), writes);
    again.wish.adopt = true;
    again.until(|step| matches!(&step.send, Some(Call::CreateGroup { snapshot: Some(_), .. }))).await;
}

#[tokio::test]
async fn what_retain_left_is_retained_and_goes_on_once_adopted() {
    for wish in [wish(), wish_of_users()] {
        let bench = Bench::new().await;
        let mut operator = bench.operator(wish.clone());
        operator.synced().await;
        (operator.wish.deleted, operator.wish.deletion_policy) = (true, DeletionPolicy::Retain);
        assert!(operator.settle().await.finished);
        let writes = bench.proxy.writes();
        let mut again = bench.operator(wish);
        again.wish.owner.uid = "uid-2".into();
        let step = again.settle().await;
        assert!(says(&step, Kind::Retained).contains("set adopt: true"), "{:?}", step.conditions);
        assert_eq!(bench.proxy.writes(), writes, "nothing is sent before it is adopted");
        again.wish.adopt = true;
        again.synced().await;
        let tags = again.wish.owner.tags();
        assert_eq!(bench.group(&again.id()).await.tags, tags);
        assert!(bench.users().await.iter().all(|user| user.tags == tags));
        assert!(bench.user_groups().await.iter().all(|group| group.tags == tags));
        assert_eq!(bench.proxy.done("CreateReplicationGroup").len(), 1);
    }
}

#[tokio::test]
async fn somebody_elses_group_of_our_name_is_left_alone() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(wish());
    let id = operator.id();
    let theirs = Call::CreateGroup {
        id: id.clone(),
        settings: Settings::default().with(Field::Engine, "valkey").with(Field::NodeType, "cache.t4g.micro"),
        shards: 1,
        replicas: 0,
        token: None,
        user_group: None,
        snapshot: None,
        kms_key: None,
        tags: Tags::from([("team".to_owned(), "other".to_owned())]),
    };
    bench.truth().send(&theirs).await.expect("it is made");
    let before = bench.group(&id).await;
    operator.wish.adopt = true;
    let step = operator.settle().await;
    assert!(has(&step, Kind::NameConflict), "{:?}", step.conditions);
    operator.wish.deleted = true;
    assert!(operator.settle().await.finished);
    assert_eq!((bench.proxy.writes(), bench.group(&id).await), (0, before));
}

#[tokio::test]
async fn a_group_that_is_not_available_yet_is_known_to_who_made_it_and_waited_for_by_who_did_not() {
    let bench = Bench::new().await;
    bench.proxy.lasting(&[Lasting { operation: "CreateReplicationGroup", status: "creating", looks: 12 }]);
    // A token that nobody remembers would be set anew.
    let mut wish = wish();
    wish.spec.auth = Auth::Open;
    let mut operator = bench.operator(wish.clone());
    operator.until(|step| matches!(step.send, Some(Call::CreateGroup { .. }))).await;
    let mut next = bench.restarted(wish);
    for _ in 0..4 {
        operator.clock.advance(Duration::from_secs(40));
        let step = operator.round().await.0.expect("it is seen");
        assert!(says(&step, Kind::Synced).contains("is creating") && !has(&step, Kind::NameConflict), "{step:?}");
        assert_eq!(step.view.identifier, Some(operator.id()));
        let step = next.round().await.0.expect("it is seen");
        assert!(says(&step, Kind::Synced).contains("does not tell whose it is"), "{:?}", step.conditions);
        assert_eq!((step.send, step.view.identifier), (None, None));
    }
    next.synced().await;
    operator.synced().await;
    assert_eq!(bench.changes(0).len(), 3, "{:?}", bench.changes(0));
    // Known once, it is known while it changes.
    bench.proxy.lasting(&[Lasting { operation: "ModifyReplicationGroup", status: "modifying", looks: 3 }]);
    let of_it = |form: &str| form.contains("Action=ListTagsForResource") && form.contains("replicationgroup");
    let calls = || bench.proxy.log().iter().filter(|one| of_it(&one.form)).count();
    let before = calls();
    operator.wish.spec.snapshot_retention = Some(2);
    operator.synced().await;
    assert_eq!(calls(), before, "tags are remembered");
}

#[tokio::test]
async fn platforms_converge_though_a_quarter_of_all_requests_is_throttled() {
    let bench = Bench::new().await;
    let mixed = |number: u64| {
        let bits = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (bits ^ (bits >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 62 == 0
    };
    bench.proxy.fail_some(mixed, Fault::Code(400, "Throttling"));
    let mut operators: Vec<_> = (0..4)
        .map(|number| {
            let mut wish = wish();
            wish.owner = owner(&format!("p{number}"), &format!("uid-{number}"));
            bench.operator(wish)
        })
        .collect();
    for operator in &mut operators {
        operator.synced().await;
    }
    assert_eq!(bench.groups().await.len(), 4);
    assert_eq!(bench.proxy.done("CreateReplicationGroup").len(), 4);
}

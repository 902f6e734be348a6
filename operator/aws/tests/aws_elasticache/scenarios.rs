//! The acceptance scenarios of a cache at ElastiCache that lives.

use crate::driver::{Operator, condition, has, says, wish, wish_of_one_shard};
use learningplatform_aws::{
    Allow, Call as _, Kind, Parameters, When,
    elasticache::{Call, Field, Usage},
};
use std::{collections::BTreeSet, time::Duration};

#[tokio::test]
async fn a_cache_is_created_as_it_is_wished_and_a_second_pass_changes_nothing() {
    let mut operator = Operator::new(wish());
    operator.cache.hide_new(2);
    let step = operator.synced().await;
    let id = operator.id();
    let group = operator.cache.group(&id).expect("it is there");
    for (field, value) in [
        (Field::Engine, "valkey"),
        (Field::EngineVersion, "7.2"),
        (Field::Failover, "true"),
        (Field::MultiAz, "true"),
        (Field::Tls, "true"),
        (Field::AtRest, "true"),
        (Field::Retention, "7"),
        (Field::SecurityGroups, "sg-1,sg-2"),
        (Field::MaintenanceWindow, "sun:04:00-sun:05:00"),
    ] {
        assert_eq!(group.settings.get(field).expect("set").to_string(), value, "{field:?}");
    }
    assert_eq!(group.tags, operator.wish.owner.tags());
    assert_eq!((group.shards.len(), group.members.len(), group.token), (3, 6, true));
    let parameters = operator.cache.parameters(&format!("{id}-valkey7")).expect("it is there");
    assert_eq!(parameters.values["cluster-enabled"], "yes", "by cluster mode, without a word of the user");
    assert!(step.view.serves && step.view.endpoint.is_some());
    assert_eq!(step.view.shape, (3, 1));
    assert!(operator.refused().is_empty(), "{:?}", operator.refused());
    let (writes, log) = (operator.cache.writes(), operator.cache.log().len());
    for _ in 0..20 {
        let step = operator.synced().await;
        assert!((360..=540).contains(&step.requeue.as_secs()), "{:?}", step.requeue);
        operator.clock.advance(step.requeue);
    }
    assert_eq!((operator.cache.writes(), operator.cache.log().len()), (writes, log));
}

#[tokio::test]
async fn scenario_27_of_changes_of_size_in_one_edit_each_waits_until_every_member_is_available() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    let before = operator.cache.log().len();
    operator.wish.generation += 1;
    operator.wish.spec.shards = 4;
    operator.wish.spec.replicas = 2;
    operator.wish.spec.node_type = "cache.r7g.xlarge".into();
    operator.wish.spec.apply.insert(Field::NodeType, When::Immediate);
    operator.wish.spec.snapshot_retention = Some(3);
    // All of it is in the plan, in order.
    let planned: Vec<String> = operator.look().await.plan.calls.iter().map(|one| one.call.operation().into()).collect();
    let (more, modify) = ("IncreaseReplicaCount", "ModifyReplicationGroup");
    let order = [more, modify, "ModifyReplicationGroupShardConfiguration", modify];
    assert_eq!(planned, order);
    let mut sent = 0;
    operator
        .until(|step| {
            sent += usize::from(step.send.is_some());
            step.send.is_none() && has(step, Kind::Synced)
        })
        .await;
    let log = operator.cache.log().split_off(before);
    assert_eq!(log.iter().map(|one| one.call.operation()).collect::<Vec<_>>(), order);
    // The fake refuses what comes while a shard or a member is not available, though the group is.
    assert!(operator.refused().is_empty(), "{:?}", operator.refused());
    for pair in log.windows(2) {
        let gap = pair[1].at.duration_since(pair[0].at).as_secs();
        assert!(gap >= 120, "{gap} s after {}", pair[0].call.sentence());
    }
    let group = operator.cache.group(&operator.id()).expect("it is there");
    assert_eq!((sent, group.shards.len(), group.members.len()), (4, 4, 12));
    assert_eq!(group.settings.text(Field::NodeType), Some("cache.r7g.xlarge"));
}

#[tokio::test]
async fn scenario_27_nothing_is_sent_while_a_member_is_missing_or_not_available() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    operator.wish.spec.shards = 4;
    operator.wish.generation += 1;
    let id = operator.id();
    let whole = operator.cache.group(&id).expect("it is there");
    let writes = operator.cache.writes();
    for what in ["member", "missing", "shard", "group", "token"] {
        operator.cache.meddle(&id, |group| {
            *group = whole.clone();
            match what {
                "member" => drop(group.members.insert(format!("{id}-0001-002"), "rebooting cluster nodes".into())),
                "missing" => drop(group.members.remove(&format!("{id}-0001-002"))),
                "shard" => group.shards[1].status = "modifying".into(),
                "group" => group.status = "snapshotting".into(),
                _ => group.pending_token = Some(learningplatform_aws::elasticache::Strategy::Rotate),
            }
        });
        let step = operator.go_on(Duration::from_secs(600)).await;
        assert!(step.send.is_none() && !has(&step, Kind::Synced), "{what}: {:?}", step.conditions);
        assert!(step.plan.calls.iter().all(|one| one.hold.is_some()), "{what}: {:?}", step.plan);
        assert_eq!(operator.cache.writes(), writes, "{what}");
    }
    operator.cache.meddle(&id, |group| *group = whole.clone());
    operator.synced().await;
    assert_eq!(operator.cache.group(&id).expect("it is there").shards.len(), 4);
}

#[tokio::test]
async fn scenario_28_the_shards_that_go_are_named_and_the_others_have_room() {
    let mut operator = Operator::new(wish());
    operator.wish.spec.shards = 4;
    operator.synced().await;
    operator.wish.spec.shards = 3;
    operator.wish.generation += 1;
    operator.synced().await;
    let calls = operator.cache.done("ModifyReplicationGroupShardConfiguration");
    let [Call::Reshard { shards: 3, remove, .. }] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!(*remove, BTreeSet::from(["0004".to_owned()]));
    // Exactly half as much again as leaves is enough; one byte less is not.
    let full = |used, most| Usage { used, most };
    for (free, is_enough) in [(1500, true), (1499, false)] {
        let mut operator = Operator::new(wish());
        operator.synced().await;
        operator.cache.set_usage("0001", full(500, 500 + free));
        operator.cache.set_usage("0002", full(700, 700));
        operator.cache.set_usage("0003", full(1000, 5000));
        operator.wish.spec.shards = 2;
        operator.wish.generation += 1;
        let step = operator.settle().await;
        assert_eq!(has(&step, Kind::NeedsConsent), !is_enough, "{:?}", step.conditions);
        let done = |operator: &Operator| operator.cache.done("ModifyReplicationGroupShardConfiguration").len();
        assert_eq!(done(&operator), usize::from(is_enough));
        if !is_enough {
            assert!(
                says(&step, Kind::NeedsConsent).contains("1000 bytes leave, and 1499 are free"),
                "{:?}",
                step.conditions
            );
            // Once there is room it goes on by itself.
            operator.cache.set_usage("0001", full(500, 2000));
            operator.cache.set_usage("0002", full(0, 700));
            operator.synced().await;
            assert_eq!(done(&operator), 1);
        }
    }
}

#[tokio::test]
async fn scenario_28_the_users_word_overrides_the_check_and_the_check_is_of_a_fresh_read() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    for shard in ["0001", "0002", "0003"] {
        operator.cache.set_usage(shard, Usage { used: 900, most: 1000 });
    }
    operator.wish.spec.shards = 2;
    operator.wish.generation += 1;
    let step = operator.settle().await;
    operator.wish.approved = step.plan.hash();
    let step = operator.until(|step| step.send.is_some()).await;
    assert!(matches!(step.send, Some(Call::Reshard { .. })));
    // AWS has no room, and takes it back.
    let step = operator.settle().await;
    assert!(says(&step, Kind::ResizeRolledBack).contains("not enough memory"), "{:?}", step.conditions);
    let mut operator = Operator::new(wish());
    operator.synced().await;
    operator.cache.set_usage("0001", Usage { used: 1000, most: 1000 });
    operator.allow(Allow::RemoveShardsUnchecked);
    operator.wish.spec.shards = 2;
    operator.synced().await;
    assert_eq!(operator.cache.group(&operator.id()).expect("it is there").shards.len(), 2);
}

#[tokio::test]
async fn scenario_29_what_aws_takes_back_is_told_and_not_tried_again_before_the_spec_changes() {
    type Edit = fn(&mut Operator);
    let edits: [(&str, Edit); 4] = [
        ("ModifyReplicationGroupShardConfiguration", |operator| operator.wish.spec.shards = 4),
        ("IncreaseReplicaCount", |operator| operator.wish.spec.replicas = 3),
        ("DecreaseReplicaCount", |operator| {
            (operator.wish.spec.replicas, operator.wish.spec.multi_az) = (0, Some(false));
        }),
        ("ModifyReplicationGroup", |operator| operator.wish.spec.node_type = "cache.r7g.2xlarge".into()),
    ];
    for (operation, edit) in edits {
        let mut operator = Operator::new(wish());
        operator.wish.spec.apply.insert(Field::NodeType, When::Immediate);
        operator.synced().await;
        let before = operator.cache.done(operation).len();
        edit(&mut operator);
        operator.wish.spec.snapshot_retention = Some(9);
        operator.wish.generation += 1;
        operator.cache.roll_back_next("Insufficient capacity in eu-central-1b");
        let step = operator.until(|step| has(step, Kind::ResizeRolledBack)).await;
        assert!(says(&step, Kind::ResizeRolledBack).contains("Insufficient capacity in eu-central-1b"));
        let sizes = |operator: &Operator| {
            let done = operator.cache.done(operation);
            done.iter()
                .filter(|call| !call.sentence().contains("Retention") && !call.sentence().contains("MultiAz"))
                .count()
        };
        let tried = sizes(&operator);
        assert_eq!(tried, before + 1, "{operation}");
        let step = operator.go_on(Duration::from_secs(24 * 3600)).await;
        assert!(has(&step, Kind::ResizeRolledBack) && !has(&step, Kind::Synced), "{operation}");
        assert_eq!(sizes(&operator), tried, "{operation} is not tried again");
        // What has nothing to do with it goes on.
        let group = operator.cache.group(&operator.id()).expect("it is there");
        assert_eq!(group.settings.number(Field::Retention), Some(9), "{operation}");
        operator.wish.generation += 1;
        let step = operator.synced().await;
        assert!(condition(&step, Kind::ResizeRolledBack).is_none());
        assert_eq!(sizes(&operator), tried + 1, "{operation}");
    }
}

#[tokio::test]
async fn failover_goes_off_before_the_last_replica_and_on_after_the_first() {
    let mut operator = Operator::new(wish_of_one_shard());
    let step = operator.synced().await;
    assert!(step.view.reader.is_some());
    let before = operator.cache.log().len();
    for replicas in [0, 2] {
        operator.wish.spec.replicas = replicas;
        operator.wish.generation += 1;
        operator.synced().await;
    }
    let sent: Vec<String> = operator.cache.log().split_off(before).iter().map(|one| one.call.sentence()).collect();
    let id = operator.id();
    assert_eq!(
        sent,
        [
            format!("change {id} at once, with all that waits: Failover=false"),
            format!("lower replicas of {id} to 0 in all shards"),
            format!("raise replicas of {id} to 2 in all shards"),
            format!("change {id} at once, with all that waits: Failover=true"),
        ]
    );
    assert!(operator.refused().is_empty(), "{:?}", operator.refused());
}

#[tokio::test]
async fn shards_that_differ_are_named() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    // A half-done change of somebody else's: one shard has two replicas, and one none.
    let id = operator.id();
    operator.cache.meddle(&id, |group| {
        let lost = format!("{id}-0001-002");
        group.shards[0].members.remove(&lost);
        group.members.remove(&lost);
        let more = format!("{id}-0002-003");
        group.shards[1].members.insert(more.clone());
        group.members.insert(more, "available".into());
    });
    operator.synced().await;
    let [Call::IncreaseReplicas { shards, .. }] = &operator.cache.done("IncreaseReplicaCount")[..] else { panic!() };
    assert_eq!(*shards, BTreeSet::from(["0001".to_owned()]));
    let [Call::DecreaseReplicas { shards, .. }] = &operator.cache.done("DecreaseReplicaCount")[..] else { panic!() };
    assert_eq!(*shards, BTreeSet::from(["0002".to_owned()]));
    assert!(operator.refused().is_empty(), "{:?}", operator.refused());
}

#[tokio::test]
async fn a_smaller_node_type_comes_after_the_shards_and_waits_for_the_window() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    let before = operator.cache.log().len();
    operator.wish.spec.shards = 4;
    operator.wish.spec.node_type = "cache.r7g.medium".into();
    operator.wish.generation += 1;
    let step = operator.synced().await;
    let operations: Vec<&str> = operator.cache.log().split_off(before).iter().map(|one| one.call.operation()).collect();
    assert_eq!(operations, ["ModifyReplicationGroupShardConfiguration", "ModifyReplicationGroup"]);
    assert!(says(&step, Kind::PendingMaintenance).contains("NodeType=cache.r7g.medium"), "{:?}", step.conditions);
    let log = operator.cache.log().len();
    operator.go_on(Duration::from_secs(3600)).await;
    assert_eq!(operator.cache.log().len(), log, "what waits is not sent again");
    operator.cache.open_window();
    let step = operator.synced().await;
    assert!(condition(&step, Kind::PendingMaintenance).is_none());
    let group = operator.cache.group(&operator.id()).expect("it is there");
    assert_eq!(group.settings.text(Field::NodeType), Some("cache.r7g.medium"));
}

#[tokio::test]
async fn parameters_are_set_and_reset() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    let Some(Parameters::Own { values, .. }) = &mut operator.wish.spec.parameters else { panic!("its own") };
    values.remove("timeout");
    // More than one call takes.
    values.extend((0..45).map(|number| (format!("p{number}"), "1".to_owned())));
    operator.synced().await;
    assert_eq!(operator.cache.done("ModifyCacheParameterGroup").len(), 1 + 3);
    assert_eq!(operator.cache.done("ResetCacheParameterGroup").len(), 1);
    assert!(operator.refused().is_empty(), "{:?}", operator.refused());
}

#[tokio::test]
async fn what_is_ahead_of_the_spec_or_set_at_creation_only_is_told_and_left() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    let log = operator.cache.log().len();
    operator.cache.meddle(&operator.id(), |group| group.settings.set(Field::EngineVersion, "7.3"));
    operator.wish.spec.port = Some(7000);
    operator.wish.spec.tls = true;
    operator.wish.spec.at_rest_encryption = false;
    let step = operator.synced().await;
    let told: Vec<&str> =
        step.conditions.iter().filter(|told| told.kind == Kind::Drift).map(|told| told.message.as_str()).collect();
    for words in [
        "EngineVersion 7.3 is ahead of spec, which says 7.2",
        "Port is 6379, not 7000: it is set at creation only",
        "AtRest is true, not false: it is set at creation only",
    ] {
        assert!(told.iter().any(|told| told.contains(words)), "{words}: {told:?}");
    }
    assert_eq!(operator.cache.log().len(), log);
}

#[tokio::test]
async fn a_status_that_is_not_known_has_a_deadline() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    operator.cache.meddle(&operator.id(), |group| group.status = "contemplating".into());
    operator.wish.spec.shards = 5;
    let writes = operator.cache.writes();
    let step = operator.until(|step| has(step, Kind::Broken)).await;
    assert!(says(&step, Kind::Broken).contains("\"contemplating\" since"), "{:?}", step.conditions);
    assert_eq!(operator.cache.writes(), writes);
}

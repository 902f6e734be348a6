//! Every operation fails once by every kind of error, on the wire: the same end, nothing made twice, nothing left over.

use super::{
    bench::Bench,
    driver::{FIRST, Operator, SECOND, credential, wish_of_users},
};
use crate::{
    faults::{all_were_asked_for, each_kind_of_error},
    proxy::Fault,
};
use aws::{
    Identity, Parameters, When,
    elasticache::{Access, Auth, ElastiCache, Field},
};
use learningplatform_aws_edge::{Settings, elasticache::Seat};
use std::{collections::BTreeSet, time::Duration};

/// All that a cache with users asks for in its life, but for what is adopted and for shards that come or go.
const OPERATIONS: [&str; 24] = [
    "DescribeReplicationGroups",
    "DescribeCacheClusters",
    "DescribeSnapshots",
    "DescribeUsers",
    "DescribeUserGroups",
    "DescribeCacheParameterGroups",
    "DescribeCacheParameters",
    "DescribeEvents",
    "ListTagsForResource",
    "CreateCacheParameterGroup",
    "ModifyCacheParameterGroup",
    "ResetCacheParameterGroup",
    "DeleteCacheParameterGroup",
    "CreateUser",
    "ModifyUser",
    "DeleteUser",
    "CreateUserGroup",
    "ModifyUserGroup",
    "DeleteUserGroup",
    "CreateReplicationGroup",
    "ModifyReplicationGroup",
    "IncreaseReplicaCount",
    "DecreaseReplicaCount",
    "DeleteReplicationGroup",
];

/// A whole life, checked on the way.
pub async fn life(bench: &Bench, operator: &mut Operator<Seat>) {
    operator.synced().await;
    everything_is_there(bench, operator).await;

    operator.wish.generation += 1;
    operator.rotate(SECOND);
    let Auth::Users(users) = &mut operator.wish.spec.auth else { panic!("users") };
    users.remove("reader");
    users.insert("writer".into(), Access { rules: "on ~w:* +@write".into(), credential: credential(FIRST) });
    operator.wish.spec.replicas = 2;
    operator.wish.spec.node_type = "cache.r7g.xlarge".into();
    operator.wish.spec.apply.insert(Field::NodeType, When::Immediate);
    if let Some(Parameters::Own { values, .. }) = &mut operator.wish.spec.parameters {
        values.remove("timeout");
    }
    operator.synced().await;
    everything_is_there(bench, operator).await;

    operator.wish.generation += 1;
    operator.wish.spec.replicas = 1;
    operator.synced().await;
    everything_is_there(bench, operator).await;

    operator.wish.generation += 1;
    operator.wish.deleted = true;
    operator.until(|step| step.finished).await;
    nothing_is_left(bench, operator).await;
}

async fn everything_is_there(bench: &Bench, operator: &Operator<Seat>) {
    let (id, spec, tags) = (operator.id(), &operator.wish.spec, operator.wish.owner.tags());
    assert_eq!(bench.groups().await.len(), 1);
    let group = bench.group(&id).await;
    assert_eq!(group.tags, tags);
    assert_eq!(group.settings.text(Field::NodeType), Some(&*spec.node_type));
    assert!(group.shards.len() == 3 && group.shards.iter().all(|shard| shard.replicas() == spec.replicas), "{group:?}");
    assert_eq!(group.unready(), None);
    let Auth::Users(wished) = &spec.auth else { panic!("users") };
    let ids: BTreeSet<String> = wished.keys().map(|name| Identity::user(&id, name)).collect();
    let users = bench.users().await;
    assert_eq!(users.iter().map(|user| user.id.clone()).collect::<BTreeSet<_>>(), ids);
    assert!(users.iter().all(|user| user.tags == tags && user.access == wished[&user.name].rules), "{users:?}");
    let user_groups = bench.user_groups().await;
    let [user_group] = &*user_groups else { panic!("{user_groups:?}") };
    assert_eq!((&user_group.users, &user_group.tags), (&ids, &tags));
    let parameters = bench.truth().parameter_group(&format!("{id}-valkey7")).await.expect("it answers");
    let Some(Parameters::Own { values, .. }) = &spec.parameters else { panic!("its own") };
    let mut values = values.clone();
    values.insert("cluster-enabled".into(), "yes".into());
    assert_eq!(parameters.expect("it is there").values, values);
}

async fn nothing_is_left(bench: &Bench, operator: &Operator<Seat>) {
    let id = operator.id();
    assert!(bench.groups().await.is_empty());
    assert!(bench.users().await.is_empty() && bench.user_groups().await.is_empty());
    assert_eq!(bench.truth().parameter_group(&format!("{id}-valkey7")).await, Ok(None));
    let snapshots = bench.snapshots().await;
    let [snapshot] = &*snapshots else { panic!("{snapshots:?}") };
    assert_eq!((snapshot.name.clone(), &snapshot.tags), (format!("{id}-final-1"), &operator.wish.owner.tags()));
    // Carried out once each, whatever became of the answer.
    for operation in ["CreateReplicationGroup", "CreateUserGroup", "DeleteReplicationGroup", "DeleteUserGroup"] {
        assert_eq!(bench.proxy.done(operation), std::slice::from_ref(&id), "{operation}");
    }
    assert_eq!(bench.proxy.done("CreateCacheParameterGroup"), [format!("{id}-valkey7")]);
    for operation in ["CreateUser", "DeleteUser"] {
        let mut done = bench.proxy.done(operation);
        done.sort();
        let mut all = ["app", "reader", "writer"].map(|name| Identity::user(&id, name));
        all.sort();
        assert_eq!(done, all, "{operation}");
    }
}

/// Each operation fails at its first time, and in another life at its first two.
async fn each_fails(fault: Fault) {
    for times in [1, 2] {
        let bench = Bench::new().await;
        for operation in OPERATIONS.into_iter().chain(["AddTagsToResource"]) {
            bench.proxy.fail(operation, times, fault);
        }
        life(&bench, &mut bench.operator(wish_of_users())).await;
        all_were_asked_for(&bench.proxy, &OPERATIONS);
    }
}

each_kind_of_error!(each_fails);

#[tokio::test]
async fn every_answer_is_late_for_the_client() {
    let bench = Bench::with(|settings| Settings { read: Duration::from_millis(300), ..settings }).await;
    for operation in OPERATIONS {
        bench.proxy.fail(operation, 1, Fault::Late(Duration::from_millis(600)));
    }
    life(&bench, &mut bench.operator(wish_of_users())).await;
}

#[tokio::test]
async fn what_the_sdk_repeats_by_itself_is_made_once() {
    let bench = Bench::with(|settings| Settings { attempts: 3, ..settings }).await;
    for operation in OPERATIONS {
        bench.proxy.fail(operation, 1, Fault::Lost);
    }
    life(&bench, &mut bench.operator(wish_of_users())).await;
    let log = bench.proxy.log();
    let sent = log.iter().filter(|one| one.operation == "CreateReplicationGroup").map(|one| one.done);
    assert_eq!(sent.collect::<Vec<_>>(), [true, false]);
}

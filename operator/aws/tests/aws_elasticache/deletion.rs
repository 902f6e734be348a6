//! The end of a cache.

use crate::driver::{Operator, has, says, text, wish, wish_of_users};
use learningplatform_aws::{
    Allow, Call as _, DeletionPolicy, Kind, Mode, Tags,
    elasticache::{Call, Memory, Snapshot, Wish},
};

async fn made(wish: Wish) -> Operator {
    let mut operator = Operator::new(wish);
    operator.synced().await;
    operator
}

#[tokio::test]
async fn scenario_31_a_deletion_leaves_a_final_snapshot_that_says_whose_it_is() {
    for wish in [wish(), wish_of_users()] {
        let mut operator = made(wish).await;
        let (id, before) = (operator.id(), operator.cache.log().len());
        let step = operator.look().await;
        assert!(says(&step, Kind::Deletion).starts_with("Snapshot: deleting it takes a final snapshot"));
        operator.wish.deleted = true;
        // The name of the snapshot is written down before the call is sent.
        let step = operator.until(|step| matches!(&step.send, Some(Call::DeleteGroup { snapshot: Some(_), .. }))).await;
        assert_eq!(step.remember.final_snapshots, [format!("{id}-final-1")]);
        // It is not finished before reads have proved that the group is gone, and the snapshot is there.
        let step = operator.until(|step| step.finished).await;
        assert!(operator.cache.ids().is_empty() && step.plan.calls.is_empty());
        let snapshots = operator.cache.kept_snapshots();
        let [(snapshot, 1)] = snapshots.as_slice() else { panic!("{snapshots:?}") };
        assert_eq!((snapshot.name.clone(), snapshot.status.as_str()), (format!("{id}-final-1"), "available"));
        assert_eq!(snapshot.tags, operator.wish.owner.tags());
        let sent: Vec<&str> = operator.cache.log().split_off(before).iter().map(|one| one.call.operation()).collect();
        assert_eq!(sent[..2], ["DeleteReplicationGroup", "AddTagsToResource"]);
        assert!(operator.cache.parameter_names().is_empty() && operator.cache.user_ids().is_empty());
        assert!(operator.cache.user_group(&id).is_none() && operator.cache.destroyed().is_empty());
        assert!(operator.refused().is_empty(), "{:?}", operator.refused());
    }
}

#[tokio::test]
async fn what_stays_is_as_the_policy_says() {
    let mut operator = made(wish()).await;
    let writes = operator.cache.writes();
    (operator.wish.deleted, operator.wish.deletion_policy) = (true, DeletionPolicy::Retain);
    assert!(operator.settle().await.finished);
    assert_eq!((operator.cache.writes(), operator.cache.ids().len()), (writes, 1), "everything is left as it is");
    operator.wish.deletion_policy = DeletionPolicy::Delete;
    operator.wish.deleted = false;
    let step = operator.look().await;
    assert!(says(&step, Kind::Deletion).contains("DESTROYS ALL DATA"), "it is said before");
    operator.wish.deleted = true;
    assert!(operator.settle().await.finished);
    assert!(operator.cache.ids().is_empty() && operator.cache.kept_snapshots().is_empty());
    assert_eq!(operator.cache.destroyed(), [1]);
}

#[tokio::test]
async fn a_group_that_never_came_to_be_is_deleted_at_the_users_word() {
    let mut operator = made(wish()).await;
    operator.cache.meddle(&operator.id(), |group| group.status = "create-failed".into());
    let step = operator.settle().await;
    assert!(says(&step, Kind::Broken).contains("create-failed"), "{:?}", step.conditions);
    operator.wish.deleted = true;
    let step = operator.settle().await;
    assert!(has(&step, Kind::NeedsConsent) && !step.finished, "{:?}", step.conditions);
    assert_eq!(operator.cache.ids().len(), 1);
    operator.allow(Allow::DeleteWithoutSnapshot);
    assert!(operator.settle().await.finished);
    assert!(operator.cache.ids().is_empty());
}

#[tokio::test]
async fn a_taken_name_of_a_snapshot_is_passed_over_and_the_deletion_never_skips_it() {
    let mut operator = made(wish()).await;
    operator.wish.deleted = true;
    assert!(operator.settle().await.finished);
    // The same platform again, adopted from its snapshot, and deleted again.
    (operator.wish.deleted, operator.wish.adopt) = (false, true);
    operator.wish.owner.uid = "uid-2".into();
    operator.memory = text(&Memory::default());
    operator.clients = Default::default();
    operator.synced().await;
    operator.wish.deleted = true;
    assert!(operator.settle().await.finished);
    let names: Vec<String> = operator.cache.kept_snapshots().into_iter().map(|(snapshot, _)| snapshot.name).collect();
    assert_eq!(names, [format!("{}-final-1", operator.id()), format!("{}-final-2", operator.id())]);
    assert!(operator.cache.kept_snapshots().iter().all(|(_, data)| *data == 1));
}

#[tokio::test]
async fn a_vanished_group_without_its_snapshot_holds_the_deletion() {
    let mut operator = made(wish()).await;
    operator.wish.deleted = true;
    // The call is written down, and never arrives: somebody deletes the group in that moment.
    let mut memory = operator.memory();
    memory.final_snapshots = vec!["never-taken".into()];
    operator.memory = text(&memory);
    operator.cache.vanish(&operator.id());
    let step = operator.until(|step| has(step, Kind::Missing)).await;
    assert!(!step.finished && says(&step, Kind::Missing).contains("never-taken"), "{:?}", step.conditions);
    operator.wish.deletion_policy = DeletionPolicy::Retain;
    assert!(operator.settle().await.finished);
}

#[tokio::test]
async fn a_snapshot_that_failed_holds_the_deletion() {
    let mut operator = made(wish()).await;
    let id = operator.id();
    operator.wish.deleted = true;
    operator.until(|step| matches!(step.send, Some(Call::DeleteGroup { .. }))).await;
    let (name, status) = (format!("{id}-final-1"), "failed".to_owned());
    operator.cache.put_snapshot(Snapshot { name, group: id, status, tags: Tags::new(), created: None });
    let step = operator.until(|step| has(step, Kind::Broken)).await;
    assert!(says(&step, Kind::Broken).contains("has failed") && !step.finished);
}

#[tokio::test]
async fn an_observer_deletes_nothing() {
    let mut operator = made(wish()).await;
    let writes = operator.cache.writes();
    (operator.wish.deleted, operator.wish.mode) = (true, Mode::Observe);
    assert!(operator.settle().await.finished);
    operator.wish.mode = Mode::Plan;
    let step = operator.look().await;
    let planned: Vec<&str> = step.plan.calls.iter().map(|one| one.call.operation()).collect();
    assert!(!step.finished && step.send.is_none());
    assert_eq!(planned, ["DeleteReplicationGroup", "DeleteCacheParameterGroup"]);
    assert_eq!(operator.cache.writes(), writes);
}

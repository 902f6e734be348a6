//! The end of a database.

use crate::driver::{Operator, has, says, wish};
use learningplatform_aws::{
    Allow, Call as _, Kind, Mode,
    rds::{Call, DeletionPolicy, Field},
};

async fn made() -> Operator {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    operator
}

#[tokio::test]
async fn scenario_25_a_deletion_takes_replicas_first_lifts_the_protection_last_and_leaves_a_snapshot() {
    let mut operator = made().await;
    let (id, before) = (operator.id(), operator.rds.log().len());
    let step = operator.look().await;
    assert!(says(&step, Kind::Deletion).starts_with("Snapshot: deleting it takes a final snapshot"));
    operator.wish.deleted = true;
    let planned: Vec<String> = operator.look().await.plan.calls.iter().map(|one| one.call.operation().into()).collect();
    let end = "DeleteDBParameterGroup";
    assert_eq!(planned, ["DeleteDBInstance", "DeleteDBInstance", "ModifyDBInstance", "DeleteDBInstance", end]);
    // The name of the snapshot is written down before the call is sent.
    let step = operator.until(|step| matches!(&step.send, Some(Call::DeleteInstance { snapshot: Some(_), .. }))).await;
    assert_eq!(step.remember.final_snapshots, [format!("{id}-final-1")]);
    let step = operator.settle().await;
    assert!(step.finished);
    let sent: Vec<String> = operator.rds.log().split_off(before).iter().map(|logged| logged.call.sentence()).collect();
    assert_eq!(
        sent,
        [
            format!("delete {id}-r1 without a snapshot; automated backups are deleted"),
            format!("delete {id}-r0 without a snapshot; automated backups are deleted"),
            format!("change {id} when AWS does so by itself, or in the window: DeletionProtection=false"),
            format!("delete {id} with final snapshot {id}-final-1; automated backups are kept as long as they are"),
            format!("delete parameter group {id}-postgres16"),
        ]
    );
    let snapshots = operator.rds.kept_snapshots();
    assert_eq!(snapshots.len(), 1);
    assert_eq!(snapshots[0].0.tags, operator.wish.owner.tags());
    assert!(operator.rds.ids().is_empty() && operator.rds.group_names().is_empty());
    assert!(operator.rds.promoted().is_empty() && operator.rds.destroyed().is_empty());
    assert_eq!(operator.rds.kept_backups(), [id]);
}

#[tokio::test]
async fn the_snapshot_is_told_whose_it_is_where_aws_did_not_copy_the_tags() {
    let mut operator = made().await;
    operator.rds.meddle(&operator.id(), |instance| instance.settings.set(Field::CopyTags, false));
    operator.wish.deleted = true;
    assert!(operator.settle().await.finished);
    assert_eq!(operator.rds.kept_snapshots()[0].0.tags, operator.wish.owner.tags());
}

#[tokio::test]
async fn it_is_not_finished_before_a_read_proves_that_the_instance_is_gone() {
    let mut operator = made().await;
    operator.wish.deleted = true;
    for _ in 0..500 {
        let (step, wait) = operator.round().await;
        if step.is_some_and(|step| step.finished) {
            break;
        }
        operator.clock.advance(wait);
    }
    assert!(operator.rds.ids().is_empty());
}

#[tokio::test]
async fn what_stays_is_as_the_policy_says() {
    let mut operator = made().await;
    let writes = operator.rds.writes();
    (operator.wish.deleted, operator.wish.deletion_policy) = (true, DeletionPolicy::Retain);
    assert!(operator.settle().await.finished);
    assert_eq!((operator.rds.writes(), operator.rds.ids().len()), (writes, 3), "everything is left as it is");

    operator.wish.deletion_policy = DeletionPolicy::Delete;
    operator.wish.deleted = false;
    let step = operator.look().await;
    assert!(says(&step, Kind::Deletion).contains("DESTROYS ALL DATA"), "it is said before");
    operator.wish.deleted = true;
    assert!(operator.settle().await.finished);
    assert!(operator.rds.ids().is_empty() && operator.rds.kept_snapshots().is_empty());
    assert_eq!(operator.rds.destroyed(), [1]);
    assert!(operator.rds.kept_backups().is_empty());
}

#[tokio::test]
async fn a_deletion_that_can_have_no_snapshot_waits_for_the_users_word() {
    for status in ["failed", "incompatible-restore", "incompatible-network"] {
        let mut operator = made().await;
        operator.rds.meddle(&operator.id(), |instance| instance.status = status.into());
        operator.wish.deleted = true;
        let step = operator.until(|step| has(step, Kind::NeedsConsent) && operator_is_alone(step)).await;
        assert!(says(&step, Kind::NeedsConsent).contains("its data are lost"), "{:?}", step.conditions);
        for _ in 0..30 {
            let (_, wait) = operator.round().await;
            operator.clock.advance(wait);
        }
        assert_eq!(operator.rds.ids(), [operator.id()], "{status}");
        operator.allow(Allow::DeleteWithoutSnapshot);
        assert!(operator.settle().await.finished);
        assert!(operator.rds.ids().is_empty());
    }
}

fn operator_is_alone(step: &learningplatform_aws::rds::Step) -> bool {
    step.view.replicas.is_empty() && step.send.is_none()
}

#[tokio::test]
async fn a_taken_name_of_a_snapshot_is_passed_over_and_the_deletion_never_skips_it() {
    let mut operator = made().await;
    operator.wish.deleted = true;
    assert!(operator.settle().await.finished);
    // The same platform again, adopted from its snapshot, and deleted again.
    (operator.wish.deleted, operator.wish.adopt) = (false, true);
    operator.wish.owner.uid = "uid-2".into();
    operator.memory = crate::driver::text(&Default::default());
    operator.synced().await;
    operator.wish.deleted = true;
    assert!(operator.settle().await.finished);
    let names: Vec<String> = operator.rds.kept_snapshots().into_iter().map(|(snapshot, _)| snapshot.id).collect();
    assert_eq!(names, [format!("{}-final-1", operator.id()), format!("{}-final-2", operator.id())]);
    assert!(operator.rds.kept_snapshots().iter().all(|(_, data)| *data == 1));
}

#[tokio::test]
async fn a_vanished_instance_without_its_snapshot_holds_the_deletion() {
    let mut operator = made().await;
    operator.wish.spec.replicas = 0;
    operator.synced().await;
    operator.wish.deleted = true;
    operator.until(|step| matches!(step.send, Some(Call::ModifyInstance { .. }))).await;
    // The call is written down, and never arrives: somebody deletes the instance in that moment.
    operator.until(|step| matches!(step.plan.calls.first(), Some(one) if one.hold.is_none())).await;
    let mut memory = operator.memory();
    memory.final_snapshots = vec!["never-taken".into()];
    operator.memory = crate::driver::text(&memory);
    operator.rds.vanish(&operator.id());
    let step = operator.until(|step| has(step, Kind::Missing)).await;
    assert!(!step.finished && says(&step, Kind::Missing).contains("never-taken"), "{:?}", step.conditions);
    operator.wish.deletion_policy = DeletionPolicy::Retain;
    assert!(operator.settle().await.finished);
}

#[tokio::test]
async fn an_observer_deletes_nothing() {
    let mut operator = made().await;
    let writes = operator.rds.writes();
    (operator.wish.deleted, operator.wish.mode) = (true, Mode::Observe);
    assert!(operator.settle().await.finished);
    operator.wish.mode = Mode::Plan;
    let step = operator.look().await;
    assert!(!step.finished && step.send.is_none() && step.plan.calls.len() == 5, "{:?}", step.plan);
    assert_eq!(operator.rds.writes(), writes);
}

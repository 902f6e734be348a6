//! Whose what is found is: after a crash, after a deletion, in another cluster, and with names that collide.

use crate::driver::{Operator, has, owner, says, text, wish};
use aws_fake::rds::FakeRds;
use learningplatform_aws::{
    Call as _, Identity, Kind, Owner, TAGS, Tags,
    rds::{DeletionPolicy, Endpoint, Instance, Memory, Settings, Step},
};
use std::collections::BTreeSet;

/// The platform applied again: another UID, and nothing remembered.
fn again(operator: &mut Operator, uid: &str) {
    operator.wish.deleted = false;
    operator.wish.owner.uid = uid.into();
    operator.memory = text(&Memory::default());
}

fn foreign(id: &str, tags: Tags) -> Instance {
    Instance {
        id: id.to_owned(),
        status: "available".into(),
        tags,
        settings: Settings::default(),
        pending: Settings::default(),
        password_pending: false,
        pending_reboot: false,
        endpoint: Some(Endpoint { address: "theirs".into(), port: 5432 }),
        source: None,
        replicas: BTreeSet::new(),
        username: "them".into(),
    }
}

/// What changed something, of calls that name these instances.
fn touched(rds: &FakeRds, ids: &[&str]) -> usize {
    rds.log().iter().filter(|logged| ids.contains(&logged.call.resource())).count()
}

async fn retained(operator: &mut Operator) -> Step {
    let writes = operator.rds.log().len();
    let step = operator.settle().await;
    assert!(has(&step, Kind::Retained), "{:?}", step.conditions);
    assert!(!has(&step, Kind::Synced) && step.plan.calls.is_empty() && step.view.endpoint.is_none());
    assert_eq!(operator.rds.log().len(), writes, "nothing is sent before it is adopted");
    step
}

#[tokio::test]
async fn scenario_24_an_instance_that_was_created_before_a_crash_is_known_by_name_and_tags() {
    for forgets in [false, true] {
        let mut operator = Operator::new(wish());
        operator.forgets = forgets;
        operator.rds.hide_new(3);
        // The third call that changes something is the creation.
        operator.rds.crash_after(3);
        operator.synced().await;
        assert_eq!(operator.kills, 1);
        assert_eq!(operator.rds.done("CreateDBInstance").len(), 1);
        assert_eq!(operator.rds.data(&operator.id()), Some(1));
    }
}

#[tokio::test]
async fn scenario_24_what_retain_left_is_retained_and_goes_on_with_its_data_once_adopted() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    (operator.wish.deleted, operator.wish.deletion_policy) = (true, DeletionPolicy::Retain);
    assert!(operator.settle().await.finished);
    again(&mut operator, "uid-2");
    let step = retained(&mut operator).await;
    assert!(says(&step, Kind::Retained).contains("set adopt: true"), "{:?}", step.conditions);
    operator.wish.adopt = true;
    operator.synced().await;
    let id = operator.id();
    assert_eq!(operator.rds.ids(), [id.clone(), format!("{id}-r0"), format!("{id}-r1")]);
    for one in operator.rds.ids() {
        assert_eq!(operator.rds.instance(&one).expect("it is there").tags, operator.wish.owner.tags());
        assert_eq!(operator.rds.data(&one), Some(1));
    }
    assert_eq!(operator.rds.done("CreateDBInstance").len(), 1);
    assert_eq!(operator.rds.done("CreateDBInstanceReadReplica").len(), 2);
}

#[tokio::test]
async fn scenario_24_what_snapshot_left_is_retained_and_restored_once_adopted() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    operator.wish.deleted = true;
    assert!(operator.settle().await.finished);
    again(&mut operator, "uid-2");
    retained(&mut operator).await;
    operator.wish.adopt = true;
    operator.wish.spec.password = Some(learningplatform_aws::Password::new("a-new-secret-that-was-generated"));
    operator.synced().await;
    let id = operator.id();
    assert_eq!(operator.rds.data(&id), Some(1));
    assert_eq!(operator.rds.password(&id).as_deref(), Some("a-new-secret-that-was-generated"));
    let instance = operator.rds.instance(&id).expect("it is there");
    assert_eq!(instance.settings.number(learningplatform_aws::rds::Field::Retention), Some(7));
    assert_eq!(operator.rds.done("CreateDBInstance").len(), 1);
}

#[tokio::test]
async fn the_same_platform_in_another_cluster_finds_the_data_by_their_tags() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    let former = operator.id();
    (operator.wish.deleted, operator.wish.deletion_policy) = (true, DeletionPolicy::Retain);
    assert!(operator.settle().await.finished);

    again(&mut operator, "uid-of-green");
    let identity = Identity::new("green", "learning", "story", "main").expect("legal");
    operator.wish.owner = Owner { identity, uid: "uid-of-green".into() };
    assert_ne!(operator.id(), former);
    let step = retained(&mut operator).await;
    assert!(says(&step, Kind::Retained).contains(&former), "{:?}", step.conditions);
    operator.wish.adopt = true;
    let step = operator.synced().await;
    assert_eq!(step.view.identifier.as_ref(), Some(&former), "it keeps its name, and so its address");
    assert_eq!(operator.rds.data(&former), Some(1));
    for one in operator.rds.ids() {
        assert_eq!(operator.rds.instance(&one).expect("it is there").tags, operator.wish.owner.tags());
    }
    assert_eq!(operator.rds.done("CreateDBInstance").len(), 1);
    // What was remembered is lost: it is found once more, and nothing is made.
    operator.memory = text(&Memory::default());
    let step = operator.synced().await;
    assert_eq!(step.view.identifier.as_ref(), Some(&former));
    assert_eq!(operator.rds.done("CreateDBInstance").len(), 1);
    // And it is deleted whole.
    (operator.wish.deleted, operator.wish.deletion_policy) = (true, DeletionPolicy::Snapshot);
    assert!(operator.settle().await.finished);
    assert!(operator.rds.ids().is_empty(), "{:?}", operator.rds.ids());
    assert_eq!(operator.rds.kept_snapshots()[0].1, 1);
}

#[tokio::test]
async fn scenario_24_somebody_elses_instance_of_our_name_is_left_alone() {
    let mut nearly = owner("story", "uid-1").tags();
    nearly.insert(TAGS[2].into(), "another".into());
    let mut incomplete = owner("story", "uid-1").tags();
    incomplete.remove(TAGS[4]);
    let mut other_cluster = owner("story", "uid-1").tags();
    other_cluster.insert(TAGS[0].into(), "green".into());
    for tags in [Tags::new(), nearly, incomplete, other_cluster] {
        let mut operator = Operator::new(wish());
        let id = operator.id();
        operator.rds.put(foreign(&id, tags.clone()));
        operator.wish.adopt = true;
        let step = operator.settle().await;
        assert!(has(&step, Kind::NameConflict), "{tags:?}: {:?}", step.conditions);
        operator.wish.deleted = true;
        assert!(operator.settle().await.finished);
        assert!(operator.rds.log().is_empty(), "{:?}", operator.rds.log());
        assert_eq!(operator.rds.instance(&id).expect("it is there"), foreign(&id, tags));
    }
}

#[tokio::test]
async fn somebody_elses_replica_and_parameter_group_of_our_name_are_left_alone() {
    let mut operator = Operator::new(wish());
    let id = operator.id();
    let theirs = format!("{id}-r1");
    operator.rds.put(foreign(&theirs, Tags::new()));
    let step = operator.settle().await;
    assert!(has(&step, Kind::NameConflict), "{:?}", step.conditions);
    assert!(!has(&step, Kind::Synced));
    assert_eq!(operator.rds.ids(), [id.clone(), format!("{id}-r0"), theirs.clone()]);
    operator.wish.deleted = true;
    assert!(operator.settle().await.finished);
    assert_eq!(operator.rds.ids(), std::slice::from_ref(&theirs));
    assert_eq!(touched(&operator.rds, &[&theirs]), 0);

    let operator = Operator::new(wish());
    let group = format!("{}-postgres16", operator.id());
    use learningplatform_aws::rds::{Call, Rds};
    let call = Call::CreateParameterGroup { name: group, family: "postgres16".into(), tags: Tags::new() };
    operator.rds.send(&call).await.expect("theirs");
    let mut operator = operator;
    let step = operator.settle_or_wait().await;
    assert!(has(&step, Kind::NameConflict), "{:?}", step.conditions);
    assert_eq!(operator.rds.log().len(), 1, "nothing is made that would use it");
}

impl Operator {
    /// Rounds for a while.
    async fn settle_or_wait(&mut self) -> Step {
        let mut last = None;
        for _ in 0..30 {
            let (step, wait) = self.round().await;
            last = step.or(last);
            self.clock.advance(wait);
        }
        last.expect("it looked")
    }
}

#[tokio::test]
async fn a_copy_that_aws_made_is_named_and_left_alone() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    let copy = format!("{}-old1", operator.id());
    operator.rds.put(foreign(&copy, operator.wish.owner.tags()));
    let log = operator.rds.log().len();
    let step = operator.synced().await;
    assert!(says(&step, Kind::LeftAlone).contains(&copy), "{:?}", step.conditions);
    operator.wish.deleted = true;
    assert!(operator.settle().await.finished);
    assert_eq!(operator.rds.ids(), std::slice::from_ref(&copy));
    assert!(operator.rds.log().len() > log && touched(&operator.rds, &[&copy]) == 0);
}

#[tokio::test]
async fn of_several_that_could_be_meant_none_is_taken() {
    let mut operator = Operator::new(wish());
    let mut tags = owner("story", "uid-0").tags();
    operator.rds.put(foreign("one", tags.clone()));
    tags.insert(TAGS[0].into(), "green".into());
    operator.rds.put(foreign("two", tags));
    operator.wish.adopt = true;
    let step = operator.settle().await;
    assert!(
        says(&step, Kind::Retained).contains("DB instance one, DB instance two")
            || says(&step, Kind::Retained).contains("DB instance two, DB instance one")
    );
    assert!(operator.rds.log().is_empty());
}

#[tokio::test]
async fn names_that_look_alike_are_not_the_same() {
    // Platform and item, read together, are the same text for all of these.
    let all = [("a-b", "c"), ("a", "b-c"), ("A-b", "c"), ("a.b", "c"), ("a_b", "c")];
    let first = Operator::new(wish());
    let mut operators: Vec<Operator> = all
        .iter()
        .enumerate()
        .map(|(at, (platform, item))| {
            let mut wish = wish();
            let identity = Identity::new("blue", "learning", platform, item).expect("legal");
            wish.owner = Owner { identity, uid: format!("uid-{at}") };
            first.beside(wish)
        })
        .collect();
    for operator in &mut operators {
        operator.synced().await;
    }
    assert_eq!(first.rds.ids().len(), all.len() * 3);
    operators[0].wish.deleted = true;
    assert!(operators[0].settle().await.finished);
    assert_eq!(first.rds.ids().len(), (all.len() - 1) * 3);
    for operator in &mut operators[1..] {
        operator.synced().await;
    }
    assert_eq!(first.rds.done("CreateDBInstance").len(), all.len());
}

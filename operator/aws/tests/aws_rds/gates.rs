//! What is held until the user says so, and what is only shown.

use crate::driver::{Operator, has, says, wish};
use learningplatform_aws::{
    Allow, Call as _, Kind, Mode,
    rds::{Call, Field, Parameters, When},
};
use std::time::Duration;

fn upgraded(operator: &mut Operator) {
    let Some(Parameters::Own { family, .. }) = &mut operator.wish.spec.parameters else { panic!("its own") };
    *family = "postgres17".into();
    operator.wish.spec.engine_version = Some("17.2".into());
    operator.wish.spec.apply.insert(Field::EngineVersion, When::Immediate);
}

#[tokio::test]
async fn another_major_version_needs_the_hash_of_its_plan_and_takes_replicas_and_parameters_along() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    upgraded(&mut operator);
    let step = operator.settle().await;
    let hash = step.plan.hash().expect("it needs a word");
    assert!(says(&step, Kind::NeedsConsent).contains(&hash), "{:?}", step.conditions);
    let id = operator.id();
    let version = |operator: &Operator, id: &str| {
        operator.rds.instance(id).expect("it is there").settings.text(Field::EngineVersion).map(str::to_owned)
    };
    assert_eq!(version(&operator, &id).as_deref(), Some("16.3"));
    operator.wish.approved = Some("0123456789abcdef".into());
    assert!(has(&operator.settle().await, Kind::NeedsConsent), "another plan's hash says nothing");
    operator.wish.approved = Some(hash);
    operator.synced().await;
    assert!(operator.rds.log().iter().all(|logged| logged.refused.is_none()), "{:?}", operator.rds.log());
    for one in operator.rds.ids() {
        let settings = operator.rds.instance(&one).expect("it is there").settings;
        assert_eq!(settings.text(Field::EngineVersion), Some("17.2"), "{one}");
        assert_eq!(settings.text(Field::ParameterGroup), Some(&*format!("{id}-postgres17")), "{one}");
    }
    assert_eq!(operator.rds.group_names(), [format!("{id}-postgres17")], "the former group is gone");
}

#[tokio::test]
async fn an_approval_is_for_what_it_named_and_for_once() {
    let mut operator = Operator::new(wish());
    operator.wish.spec.replicas = 0;
    operator.synced().await;
    operator.rds.vanish(&operator.id());
    let step = operator.settle().await;
    assert!(has(&step, Kind::Missing) && has(&step, Kind::NeedsConsent), "{:?}", step.conditions);
    assert_eq!(operator.rds.done("CreateDBInstance").len(), 1, "an empty one does not take its place");
    operator.wish.approved = step.plan.hash();
    operator.synced().await;
    assert_eq!(operator.rds.done("CreateDBInstance").len(), 2);
    // It vanishes once more; the word was for the other time.
    operator.rds.vanish(&operator.id());
    assert!(has(&operator.settle().await, Kind::NeedsConsent));
    assert_eq!(operator.rds.done("CreateDBInstance").len(), 2);
    operator.allow(Allow::StartEmpty);
    operator.synced().await;
    assert_eq!(operator.rds.done("CreateDBInstance").len(), 3);
}

#[tokio::test]
async fn a_change_at_once_does_not_drag_along_what_waits_for_the_window() {
    let mut operator = Operator::new(wish());
    operator.wish.spec.replicas = 0;
    operator.synced().await;
    operator.wish.spec.instance_class = "db.r6g.large".into();
    operator.synced().await;
    operator.wish.spec.storage = 50;
    let step = operator.settle().await;
    assert!(says(&step, Kind::NeedsConsent).contains("it also applies what waits for the window: Class"), "{step:?}");
    // What AWS does by itself without the window goes on meanwhile.
    operator.wish.spec.security_groups.insert("sg-3".into());
    operator.settle().await;
    let settings = |operator: &Operator| operator.rds.instance(&operator.id()).expect("it is there").settings;
    assert!(settings(&operator).get(Field::SecurityGroups).expect("set").to_string().contains("sg-3"));
    assert_eq!(settings(&operator).text(Field::Class), Some("db.t4g.medium"));
    operator.rds.open_window();
    operator.synced().await;
    assert_eq!(settings(&operator).number(Field::Storage), Some(50));
    // Wished in one edit, what is for now goes first, and finds nothing that waits.
    operator.wish.spec.instance_class = "db.r6g.xlarge".into();
    operator.wish.spec.storage = 60;
    operator.synced().await;
    assert_eq!(settings(&operator).number(Field::Storage), Some(60));
    assert_eq!(settings(&operator).text(Field::Class), Some("db.r6g.large"));
}

#[tokio::test]
async fn a_promoted_replica_is_not_deleted_unasked() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    let promoted = format!("{}-r1", operator.id());
    operator.rds.meddle(&promoted, |instance| instance.source = None);
    operator.rds.meddle(&operator.id(), |instance| {
        instance.replicas.pop_last();
    });
    let step = operator.settle().await;
    assert!(says(&step, Kind::Broken).contains("it was promoted"), "{:?}", step.conditions);
    operator.wish.spec.replicas = 1;
    let step = operator.settle().await;
    assert!(says(&step, Kind::NeedsConsent).contains("may hold what the primary does not"), "{:?}", step.conditions);
    assert!(operator.rds.ids().contains(&promoted));
    operator.wish.approved = step.plan.hash();
    operator.synced().await;
    assert!(!operator.rds.ids().contains(&promoted));
}

#[tokio::test]
async fn observe_shows_what_differs_and_plan_what_would_be_done() {
    let mut operator = Operator::new(wish());
    operator.wish.mode = Mode::Plan;
    let step = operator.settle_in(Duration::from_secs(3600)).await;
    assert!(step.send.is_none() && step.plan.calls.len() == 5);
    let create = &step.plan.calls[2];
    assert_eq!(create.costs.as_deref(), Some("an instance of class db.t4g.medium with 20 GiB"));
    operator.wish.mode = Mode::Observe;
    let step = operator.look().await;
    assert!(step.plan.calls.is_empty() && !has(&step, Kind::Synced), "{:?}", step.conditions);
    assert!(operator.rds.log().is_empty());
    operator.wish.mode = Mode::Apply;
    operator.synced().await;
    operator.wish.mode = Mode::Observe;
    assert!(has(&operator.look().await, Kind::Synced));
}

impl Operator {
    /// Rounds for so long.
    async fn settle_in(&mut self, time: Duration) -> learningplatform_aws::rds::Step {
        let end = self.clock.now().checked_add(time).expect("a time");
        loop {
            let (step, wait) = self.round().await;
            self.clock.advance(wait);
            if let Some(step) = step.filter(|_| self.clock.now() > end) {
                return step;
            }
        }
    }
}

#[tokio::test]
async fn what_is_refused_is_told_and_tried_again_with_another_wish_or_after_half_an_hour() {
    let mut operator = Operator::new(wish());
    operator.wish.spec.subnet_group = Some("nowhere".into());
    let step = operator.until(|step| has(step, Kind::Refused)).await;
    assert!(
        says(&step, Kind::Refused).contains("DBSubnetGroupNotFoundFault: DB subnet group 'nowhere' does not exist")
    );
    let tries = |operator: &Operator| operator.rds.log().iter().filter(|one| one.refused.is_some()).count();
    assert_eq!(tries(&operator), 1);
    operator.settle_in(Duration::from_secs(25 * 60)).await;
    assert_eq!(tries(&operator), 1);
    operator.settle_in(Duration::from_secs(15 * 60)).await;
    assert_eq!(tries(&operator), 2, "nothing is refused for ever");
    operator.wish.spec.subnet_group = Some("private".into());
    operator.wish.generation = 2;
    let start = operator.clock.now();
    operator.synced().await;
    assert!(operator.clock.now().duration_since(start).as_mins() < 25, "a changed wish is tried at once");
    assert_eq!(tries(&operator), 2);
}

#[tokio::test]
async fn two_calls_that_do_not_do_the_same_do_not_read_the_same() {
    let operator = Operator::new(wish());
    let mut sentences: Vec<String> = operator.look().await.plan.calls.iter().map(|one| one.call.sentence()).collect();
    let mut other = Operator::new(wish());
    other.wish.owner.uid = "uid-2".into();
    sentences.extend(
        other
            .look()
            .await
            .plan
            .calls
            .iter()
            .filter(|one| !matches!(one.call, Call::SetParameters { .. }))
            .map(|one| one.call.sentence()),
    );
    let count = sentences.len();
    sentences.sort();
    sentences.dedup();
    assert_eq!(sentences.len(), count);
}

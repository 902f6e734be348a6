//! The acceptance scenarios of a database at RDS that lives.

use crate::driver::{Operator, PASSWORD, condition, has, says, wish};
use aws_fake::rds::Durations;
use learningplatform_aws::{
    Call as _, Kind, Password,
    rds::{Call, Field, When},
};
use std::time::Duration;

#[tokio::test]
async fn scenario_20_replicas_without_backups_are_refused_before_anything_is_sent() {
    let mut operator = Operator::new(wish());
    operator.wish.spec.backup_retention = Some(0);
    let step = operator.settle().await;
    assert!(says(&step, Kind::Invalid).starts_with("backupRetention 0 turns backups off"), "{:?}", step.conditions);
    assert!(step.plan.calls.is_empty());
    assert!(operator.rds.log().is_empty());
    // Nor are replicas made where somebody else turned the backups off, and the spec does not speak of them.
    operator.wish.spec.backup_retention = None;
    operator.wish.spec.replicas = 0;
    operator.synced().await;
    operator.rds.meddle(&operator.id(), |instance| instance.settings.set(Field::Retention, 0));
    operator.wish.spec.replicas = 1;
    let step = operator.settle().await;
    assert!(says(&step, Kind::Invalid).contains("has no backups"), "{:?}", step.conditions);
    assert!(operator.rds.done("CreateDBInstanceReadReplica").is_empty());
}

#[tokio::test]
async fn scenario_21_no_replica_is_created_before_the_primary_is_available() {
    let mut operator = Operator::new(wish());
    let id = operator.id();
    operator
        .until(|step| step.send.as_ref().is_some_and(|call| call.operation() == "CreateDBInstanceReadReplica"))
        .await;
    for logged in operator.rds.log() {
        assert_eq!(logged.refused, None, "{}", logged.call.sentence());
    }
    assert_eq!(operator.rds.instance(&id).expect("it is there").status, "available");
    // All that is to come was in the plan from the start, in order.
    let plan = Operator::new(wish()).look().await.plan;
    let operations: Vec<&str> = plan.calls.iter().map(|planned| planned.call.operation()).collect();
    let replica = "CreateDBInstanceReadReplica";
    assert_eq!(operations, ["CreateDBParameterGroup", "ModifyDBParameterGroup", "CreateDBInstance", replica, replica]);
}

#[tokio::test]
async fn a_database_is_created_as_it_is_wished_and_a_second_pass_changes_nothing() {
    let mut operator = Operator::new(wish());
    operator.rds.hide_new(2);
    let step = operator.synced().await;
    let id = operator.id();
    assert_eq!(operator.rds.ids(), [id.clone(), format!("{id}-r0"), format!("{id}-r1")]);
    let primary = operator.rds.instance(&id).expect("it is there");
    for (field, value) in [
        (Field::DeletionProtection, "true"),
        (Field::CopyTags, "true"),
        (Field::Retention, "7"),
        // Off unless it is asked for.
        (Field::ExtendedSupport, "false"),
        (Field::SecurityGroups, "sg-1,sg-2"),
        (Field::MaintenanceWindow, "sun:04:00-sun:04:30"),
    ] {
        assert_eq!(primary.settings.get(field).expect("set").to_string(), value, "{field:?}");
    }
    assert_eq!(primary.tags, operator.wish.owner.tags());
    let replica = operator.rds.instance(&format!("{id}-r1")).expect("it is there");
    assert_eq!(replica.settings.flag(Field::DeletionProtection), Some(false));
    assert_eq!(replica.settings.get(Field::SecurityGroups), primary.settings.get(Field::SecurityGroups));
    assert_eq!(replica.tags, operator.wish.owner.tags());
    assert!(step.view.serves && step.view.password_set);
    assert_eq!(step.view.replicas.len(), 2);
    let (writes, log) = (operator.rds.writes(), operator.rds.log().len());
    for _ in 0..20 {
        let step = operator.synced().await;
        assert!((360..=540).contains(&step.requeue.as_secs()), "{:?}", step.requeue);
        operator.clock.advance(step.requeue);
    }
    assert_eq!((operator.rds.writes(), operator.rds.log().len()), (writes, log));
}

#[tokio::test]
async fn scenario_22_a_change_for_the_window_waits_there_and_is_not_sent_again() {
    let mut operator = Operator::new(wish());
    operator.wish.spec.replicas = 0;
    operator.synced().await;
    operator.wish.spec.instance_class = "db.r6g.large".into();
    let step = operator.synced().await;
    assert!(says(&step, Kind::PendingMaintenance).contains("Class=db.r6g.large"), "{:?}", step.conditions);
    for _ in 0..10 {
        operator.clock.advance(Duration::from_secs(600));
        operator.synced().await;
    }
    assert_eq!(operator.rds.done("ModifyDBInstance").len(), 1);
    operator.rds.open_window();
    let step = operator.synced().await;
    assert!(condition(&step, Kind::PendingMaintenance).is_none());
    let class = operator.rds.instance(&operator.id()).expect("it is there").settings;
    assert_eq!(class.text(Field::Class), Some("db.r6g.large"));
    // A change that is taken back while it waits.
    operator.wish.spec.instance_class = "db.r6g.xlarge".into();
    operator.synced().await;
    operator.wish.spec.instance_class = "db.r6g.large".into();
    let step = operator.synced().await;
    assert!(condition(&step, Kind::PendingMaintenance).is_none(), "{:?}", step.conditions);
}

#[tokio::test]
async fn scenario_23_what_is_ahead_of_the_spec_is_told_and_not_taken_back() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    let log = operator.rds.log().len();
    operator.rds.meddle(&operator.id(), |instance| instance.settings.set(Field::EngineVersion, "16.4"));
    operator.rds.meddle(&operator.id(), |instance| instance.settings.set(Field::Storage, 100));
    let step = operator.synced().await;
    let told: Vec<&str> =
        step.conditions.iter().filter(|told| told.kind == Kind::Drift).map(|told| told.message.as_str()).collect();
    assert!(told.iter().any(|told| told.contains("EngineVersion 16.4 is ahead of spec, which says 16.3")), "{told:?}");
    assert!(told.iter().any(|told| told.contains("Storage 100 is ahead of spec, which says 20")), "{told:?}");
    assert_eq!(operator.rds.log().len(), log);
    // What AWS may grow is not ahead, and a major version alone is any of its minor ones.
    operator.wish.spec.max_storage = Some(200);
    operator.wish.spec.engine_version = Some("16".into());
    let step = operator.synced().await;
    assert!(condition(&step, Kind::Drift).is_none(), "{:?}", step.conditions);
    let others = |field: Field| field != Field::MaxStorage;
    for call in operator.rds.done("ModifyDBInstance") {
        let Call::ModifyInstance { change, .. } = call else { panic!("{call:?}") };
        assert!(change.only(|field| others(field) && field != Field::MaintenanceWindow).is_empty(), "{change}");
    }
}

#[tokio::test]
async fn a_minor_version_comes_to_the_replicas_first() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    operator.wish.spec.apply.insert(Field::EngineVersion, When::Immediate);
    operator.wish.spec.engine_version = Some("16.4".into());
    operator.synced().await;
    let order: Vec<String> = operator
        .rds
        .log()
        .into_iter()
        .filter(|logged| logged.call.sentence().contains("EngineVersion=16.4"))
        .map(|logged| format!("{} {:?}", logged.call.resource(), logged.refused))
        .collect();
    let id = operator.id();
    assert_eq!(order, [format!("{id}-r0 None"), format!("{id}-r1 None"), format!("{id} None")]);
}

#[tokio::test]
async fn a_changed_password_is_set_once_and_a_missing_secret_does_nothing() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    let id = operator.id();
    assert_eq!(operator.rds.password(&id).as_deref(), Some(PASSWORD));
    assert!(operator.rds.done("ModifyDBInstance").iter().all(|call| !matches!(call, Call::SetPassword { .. })));
    operator.wish.spec.password = None;
    let step = operator.until(|step| !has(step, Kind::Synced)).await;
    assert!(step.plan.calls.is_empty(), "{:?}", step.plan);
    operator.wish.spec.password = Some(Password::new("another-horse-another-staple"));
    operator.synced().await;
    assert_eq!(operator.rds.password(&id).as_deref(), Some("another-horse-another-staple"));
    operator.synced().await;
    let set = operator.rds.done("ModifyDBInstance").into_iter();
    assert_eq!(set.filter(|call| matches!(call, Call::SetPassword { .. })).count(), 1);
}

#[tokio::test]
async fn parameters_are_set_reset_and_reported_without_a_reboot() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    let Some(learningplatform_aws::rds::Parameters::Own { values, .. }) = &mut operator.wish.spec.parameters else {
        panic!("its own")
    };
    values.insert("max_connections".into(), "400".into());
    values.remove("work_mem");
    // More than one call takes.
    values.extend((0..45).map(|number| (format!("custom.p{number}"), "1".to_owned())));
    let step = operator.synced().await;
    assert!(has(&step, Kind::PendingReboot), "{:?}", step.conditions);
    assert_eq!(operator.rds.done("ModifyDBParameterGroup").len(), 1 + 3);
    assert_eq!(operator.rds.done("ResetDBParameterGroup").len(), 1);
    assert!(operator.rds.log().iter().all(|logged| logged.refused.is_none()));
}

#[tokio::test]
async fn what_takes_long_is_waited_for_and_what_is_not_known_has_a_deadline() {
    let mut operator = Operator::new(wish());
    operator.rds.set_durations(Durations { creating: Duration::from_secs(7200), ..Durations::default() });
    operator.synced().await;
    operator.rds.meddle(&operator.id(), |instance| instance.status = "contemplating".into());
    operator.wish.spec.instance_class = "db.r6g.large".into();
    let writes = operator.rds.writes();
    let step = operator.until(|step| has(step, Kind::Broken)).await;
    assert!(says(&step, Kind::Broken).contains("\"contemplating\" since"), "{:?}", step.conditions);
    // Replicas are changed meanwhile; the primary is not.
    let sent = operator.rds.log().split_off(writes as usize);
    assert!(sent.iter().all(|logged| logged.call.resource() != operator.id()), "{sent:?}");
}

#[tokio::test]
async fn full_storage_is_told_and_more_of_it_is_taken() {
    let mut operator = Operator::new(wish());
    operator.wish.spec.replicas = 0;
    operator.synced().await;
    operator.rds.meddle(&operator.id(), |instance| instance.status = "storage-full".into());
    operator.wish.spec.instance_class = "db.r6g.large".into();
    let (step, _) = operator.round().await;
    let step = step.expect("it looked");
    assert!(has(&step, Kind::Broken));
    assert_eq!(step.send, None, "nothing but storage can be changed now");
    operator.wish.spec.storage = 50;
    operator.synced().await;
    assert_eq!(operator.rds.instance(&operator.id()).expect("it is there").settings.number(Field::Storage), Some(50));
}

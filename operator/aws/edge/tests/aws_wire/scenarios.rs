//! The acceptance scenarios of a database at RDS that a server can serve, through the real SDK.

use crate::{
    bench::{Bench, served, tags},
    driver::{condition, has, says, text},
    proxy::{Fault, Lasting, instance, within},
};
use aws::{
    Kind, Password, Tags,
    rds::{Call, DeletionPolicy, Field, Memory, Parameters, Rds, Settings, When},
};
use std::time::Duration;

#[tokio::test]
async fn a_database_is_created_as_it_is_wished_and_a_second_pass_changes_nothing() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(served());
    let step = operator.synced().await;
    let id = operator.id();
    assert_eq!(bench.ids().await, [id.clone(), format!("{id}-r0")]);
    let primary = bench.instance(&id).await;
    for (field, value) in [
        (Field::EngineVersion, "16.3"),
        (Field::Class, "db.t4g.medium"),
        (Field::Storage, "20"),
        (Field::StorageType, "gp3"),
        (Field::ParameterGroup, &*format!("{id}-postgres16")),
        (Field::SecurityGroups, "sg-1,sg-2"),
        (Field::Retention, "7"),
        (Field::BackupWindow, "03:00-03:30"),
        (Field::MaintenanceWindow, "sun:04:00-sun:04:30"),
        (Field::DeletionProtection, "true"),
        (Field::CopyTags, "true"),
    ] {
        assert_eq!(primary.settings.get(field).expect("set").to_string(), value, "{field:?}");
    }
    assert_eq!((primary.tags.clone(), primary.username.as_str()), (tags(&operator), "lp"));
    let replica = bench.instance(&format!("{id}-r0")).await;
    assert_eq!(replica.source.as_ref(), Some(&id));
    assert_eq!(replica.settings.flag(Field::DeletionProtection), Some(false));
    assert_eq!(replica.tags, tags(&operator));
    let group =
        bench.truth.parameter_group(&format!("{id}-postgres16")).await.expect("it answers").expect("it is there");
    assert_eq!((group.family.as_str(), &group.tags), ("postgres16", &tags(&operator)));
    assert_eq!(group.values["work_mem"], "64MB");
    assert!(group.at_reboot.contains("shared_buffers") && !group.at_reboot.contains("work_mem"), "{group:?}");
    assert!(step.view.serves && step.view.password_set && step.view.endpoint.is_some());

    let writes = bench.proxy.writes();
    for _ in 0..10 {
        let step = operator.synced().await;
        operator.clock.advance(step.requeue);
    }
    assert_eq!(bench.proxy.writes(), writes);
}

#[tokio::test]
async fn scenario_20_replicas_without_backups_are_refused_before_anything_is_sent() {
    let bench = Bench::new().await;
    let mut wish = served();
    wish.spec.backup_retention = Some(0);
    let step = bench.operator(wish).settle().await;
    assert!(says(&step, Kind::Invalid).starts_with("backupRetention 0 turns backups off"), "{:?}", step.conditions);
    assert_eq!(bench.proxy.writes(), 0);
}

#[tokio::test]
async fn scenario_21_no_replica_is_created_before_the_primary_is_available() {
    let bench = Bench::new().await;
    bench.proxy.lasting(&[
        Lasting { operation: "CreateDBInstance", status: "creating", looks: 4 },
        Lasting { operation: "CreateDBInstanceReadReplica", status: "creating", looks: 3 },
        Lasting { operation: "ModifyDBInstance", status: "modifying", looks: 2 },
    ]);
    let mut operator = bench.operator(served());
    let step =
        operator.until(|step| condition(step, Kind::Synced).is_some_and(|it| it.message.contains("creating"))).await;
    assert!(step.send.is_none() && step.view.endpoint.is_none(), "{step:?}");
    assert!(bench.proxy.done("CreateDBInstanceReadReplica").is_empty());
    operator.synced().await;
    let refused: Vec<_> =
        bench.proxy.log().into_iter().filter(|one| !one.done && one.operation != "DescribeDBParameterGroups").collect();
    assert!(refused.is_empty(), "nothing is sent to what changes: {refused:?}");
    assert_eq!(bench.ids().await.len(), 2);
}

#[tokio::test]
async fn scenario_22_a_change_for_the_window_waits_there_and_is_not_sent_again() {
    let bench = Bench::new().await;
    let mut wish = served();
    wish.spec.replicas = 0;
    let mut operator = bench.operator(wish);
    operator.synced().await;
    let before = bench.proxy.done("ModifyDBInstance").len();
    operator.wish.spec.instance_class = "db.r6g.large".into();
    let step = operator.synced().await;
    assert!(says(&step, Kind::PendingMaintenance).contains("Class=db.r6g.large"), "{:?}", step.conditions);
    for _ in 0..5 {
        operator.clock.advance(Duration::from_secs(600));
        operator.synced().await;
    }
    assert_eq!(bench.proxy.done("ModifyDBInstance").len(), before + 1);
    let instance = bench.instance(&operator.id()).await;
    assert_eq!(instance.settings.text(Field::Class), Some("db.t4g.medium"));
    assert_eq!(instance.pending, Settings::default().with(Field::Class, "db.r6g.large"));
}

#[tokio::test]
async fn scenario_23_what_is_ahead_of_the_spec_is_told_and_not_taken_back() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(served());
    operator.synced().await;
    let writes = bench.proxy.writes();
    let id = operator.id();
    bench.proxy.rewrite(move |operation, content| match operation {
        "DescribeDBInstances" => instance(&content, &id, |block| within(&block, "EngineVersion", "16.4")),
        _ => content,
    });
    operator.clock.advance(Duration::from_secs(60));
    let step = operator.synced().await;
    assert!(
        says(&step, Kind::Drift).contains("EngineVersion 16.4 is ahead of spec, which says 16.3"),
        "{:?}",
        step.conditions
    );
    assert_eq!(bench.proxy.writes(), writes);
}

#[tokio::test]
async fn scenario_24_an_instance_that_was_created_before_a_crash_is_known_by_name_and_tags() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(served());
    operator.until(|step| matches!(step.send, Some(Call::CreateInstance { .. }))).await;
    // The next one has nothing of what this one knew.
    let mut next = bench.operator(served());
    next.synced().await;
    let id = next.id();
    assert_eq!(bench.proxy.done("CreateDBInstance"), std::slice::from_ref(&id));
    assert_eq!(bench.ids().await, [id.clone(), format!("{id}-r0")]);
}

#[tokio::test]
async fn scenario_24_what_retain_left_is_retained_and_goes_on_once_adopted() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(served());
    operator.synced().await;
    (operator.wish.deleted, operator.wish.deletion_policy) = (true, DeletionPolicy::Retain);
    assert!(operator.settle().await.finished);
    let writes = bench.proxy.writes();

    let mut again = bench.operator(served());
    again.wish.owner.uid = "uid-2".into();
    let step = again.settle().await;
    assert!(says(&step, Kind::Retained).contains("set adopt: true"), "{:?}", step.conditions);
    assert_eq!(bench.proxy.writes(), writes, "nothing is sent before it is adopted");
    again.wish.adopt = true;
    again.synced().await;
    assert_eq!(bench.instances().await.iter().filter(|one| one.tags == tags(&again)).count(), 2);
    assert_eq!(bench.proxy.done("CreateDBInstance").len(), 1);
    assert_eq!(bench.proxy.done("CreateDBInstanceReadReplica").len(), 1);
}

#[tokio::test]
async fn scenario_24_somebody_elses_instance_of_our_name_is_left_alone() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(served());
    let id = operator.id();
    let theirs = Call::CreateInstance {
        id: id.clone(),
        settings: Settings::default().with(Field::Class, "db.t4g.micro").with(Field::Storage, 20),
        database: None,
        username: "them".into(),
        password: Password::new("the-password-of-somebody-else"),
        kms_key: None,
        tags: Tags::from([("team".to_owned(), "<other> & \"more\"".to_owned())]),
    };
    bench.truth.send(&theirs).await.expect("it is made");
    let before = bench.instance(&id).await;
    assert_eq!(before.tags["team"], "<other> & \"more\"");
    operator.wish.adopt = true;
    let step = operator.settle().await;
    assert!(has(&step, Kind::NameConflict), "{:?}", step.conditions);
    operator.wish.deleted = true;
    assert!(operator.settle().await.finished);
    assert_eq!(bench.proxy.writes(), 0);
    assert_eq!(bench.instance(&id).await, before);
}

#[tokio::test]
async fn scenario_25_a_deletion_takes_replicas_first_lifts_the_protection_last_and_leaves_a_snapshot() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(served());
    operator.synced().await;
    let id = operator.id();
    let before = bench.proxy.writes();
    operator.wish.deleted = true;
    assert!(operator.settle().await.finished);
    let writes: Vec<String> = bench
        .proxy
        .log()
        .into_iter()
        .filter(|one| !one.operation.starts_with("Describe") && !one.operation.starts_with("List"))
        .map(|one| format!("{} {} {}", one.operation, one.resource, one.done))
        .skip(before)
        .collect();
    assert_eq!(
        writes,
        [
            format!("DeleteDBInstance {id}-r0 true"),
            format!("ModifyDBInstance {id} true"),
            format!("DeleteDBInstance {id} true"),
            format!("DeleteDBParameterGroup {id}-postgres16 true"),
        ]
    );
    let snapshots = bench.snapshots().await;
    let [snapshot] = &*snapshots else { panic!("{snapshots:?}") };
    assert_eq!((snapshot.id.clone(), snapshot.instance.clone()), (format!("{id}-final-1"), id));
    assert_eq!((snapshot.status.as_str(), &snapshot.tags), ("available", &tags(&operator)));
    assert!(snapshot.created.is_some() && bench.ids().await.is_empty());
}

#[tokio::test]
async fn scenario_26_platforms_converge_though_half_of_all_requests_are_throttled() {
    let bench = Bench::new().await;
    // Half of them, and not in turns: a round of two requests would meet the same in each.
    let mixed = |number: u64| {
        let bits = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (bits ^ (bits >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 63 == 0
    };
    bench.proxy.fail_some(mixed, Fault::Code(400, "Throttling"));
    let mut operators: Vec<_> = (0..8)
        .map(|number| {
            let mut wish = served();
            wish.owner = crate::driver::owner(&format!("p{number}"), &format!("uid-{number}"));
            bench.operator(wish)
        })
        .collect();
    for operator in &mut operators {
        operator.synced().await;
    }
    assert_eq!(bench.ids().await.len(), 16);
    assert_eq!(bench.proxy.done("CreateDBInstance").len(), 8);
    assert_eq!(bench.proxy.done("CreateDBInstanceReadReplica").len(), 8);
}

#[tokio::test]
async fn passwords_and_parameters_are_changed_once() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(served());
    operator.synced().await;
    operator.wish.spec.password = Some(Password::new("another-horse-another-staple"));
    let Some(Parameters::Own { values, .. }) = &mut operator.wish.spec.parameters else { panic!("its own") };
    values.remove("work_mem");
    values.insert("log_statement".into(), "ddl".into());
    operator.wish.spec.apply.insert(Field::Storage, When::Immediate);
    operator.wish.spec.storage = 40;
    operator.synced().await;
    let id = operator.id();
    let group =
        bench.truth.parameter_group(&format!("{id}-postgres16")).await.expect("it answers").expect("it is there");
    assert_eq!(group.values.keys().map(String::as_str).collect::<Vec<_>>(), ["log_statement", "max_connections"]);
    assert_eq!(bench.instance(&id).await.settings.number(Field::Storage), Some(40));
    assert_eq!(bench.proxy.done("ResetDBParameterGroup").len(), 1);
    let writes = bench.proxy.writes();
    operator.memory = text(&Memory { password: operator.memory().password, ..Memory::default() });
    operator.synced().await;
    assert_eq!(bench.proxy.writes(), writes, "what is forgotten but for the password changes nothing");
    assert!(bench.proxy.log().iter().all(|one| one.done || one.operation.starts_with("Describe")));
}

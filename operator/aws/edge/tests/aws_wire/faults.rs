//! Every operation fails once by every kind of error, on the wire: the same end, nothing made twice, nothing left over.

use crate::{
    bench::{Bench, served, tags},
    driver::Operator,
    proxy::{Fault, Proxy},
};
use aws::{
    Password,
    rds::{Field, Parameters, Rds, When},
};
use learningplatform_aws_edge::{Settings, rds::Seat};
use std::time::Duration;

/// All that a database asks for in its life, but for what is adopted.
const OPERATIONS: [&str; 13] = [
    "DescribeDBInstances",
    "DescribeDBSnapshots",
    "DescribeDBParameterGroups",
    "DescribeDBParameters",
    "ListTagsForResource",
    "CreateDBParameterGroup",
    "ModifyDBParameterGroup",
    "ResetDBParameterGroup",
    "DeleteDBParameterGroup",
    "CreateDBInstance",
    "CreateDBInstanceReadReplica",
    "ModifyDBInstance",
    "DeleteDBInstance",
];

/// A whole life, checked on the way.
pub async fn life(bench: &Bench, operator: &mut Operator<Seat>) {
    operator.synced().await;
    everything_is_there(bench, operator).await;

    operator.wish.generation += 1;
    operator.wish.spec.instance_class = "db.r6g.large".into();
    operator.wish.spec.apply.insert(Field::Class, When::Immediate);
    operator.wish.spec.password = Some(Password::new("another-horse-another-staple"));
    if let Some(Parameters::Own { values, .. }) = &mut operator.wish.spec.parameters {
        values.remove("work_mem");
    }
    operator.wish.spec.replicas = 2;
    operator.synced().await;
    everything_is_there(bench, operator).await;

    operator.wish.generation += 1;
    operator.wish.deleted = true;
    operator.until(|step| step.finished).await;
    nothing_is_left(bench, operator).await;
}

async fn everything_is_there(bench: &Bench, operator: &Operator<Seat>) {
    let id = operator.id();
    let mut ids = vec![id.clone()];
    ids.extend((0..operator.wish.spec.replicas).map(|index| format!("{id}-r{index}")));
    assert_eq!(bench.ids().await, ids);
    for instance in bench.instances().await {
        assert_eq!(instance.tags, tags(operator), "{}", instance.id);
        assert_eq!(instance.settings.text(Field::Class), Some(&*operator.wish.spec.instance_class), "{}", instance.id);
    }
    let group =
        bench.truth.parameter_group(&format!("{id}-postgres16")).await.expect("it answers").expect("it is there");
    let Some(Parameters::Own { values, .. }) = &operator.wish.spec.parameters else { panic!("its own") };
    assert_eq!(group.values, *values);
}

async fn nothing_is_left(bench: &Bench, operator: &Operator<Seat>) {
    let id = operator.id();
    assert!(bench.ids().await.is_empty());
    assert_eq!(bench.truth.parameter_group(&format!("{id}-postgres16")).await, Ok(None));
    let snapshots = bench.snapshots().await;
    assert_eq!(snapshots.len(), 1, "{snapshots:?}");
    assert_eq!((snapshots[0].id.clone(), &snapshots[0].tags), (format!("{id}-final-1"), &tags(operator)));
    // Carried out once each, whatever became of the answer.
    assert_eq!(bench.proxy.done("CreateDBInstance"), std::slice::from_ref(&id));
    assert_eq!(bench.proxy.done("CreateDBInstanceReadReplica"), [format!("{id}-r0"), format!("{id}-r1")]);
    assert_eq!(bench.proxy.done("DeleteDBInstance"), [format!("{id}-r1"), format!("{id}-r0"), id.clone()]);
    assert_eq!(bench.proxy.done("CreateDBParameterGroup"), [format!("{id}-postgres16")]);
}

/// Each operation fails at its first time, and in another life at its first two.
async fn each_fails(fault: Fault) {
    for times in [1, 2] {
        let bench = Bench::new().await;
        for operation in OPERATIONS {
            bench.proxy.fail(operation, times, fault);
        }
        life(&bench, &mut bench.operator(served())).await;
        all_were_asked_for(&bench.proxy, &OPERATIONS);
    }
}

/// Nothing is proved of what is never asked for.
pub fn all_were_asked_for(proxy: &Proxy, operations: &[&str]) {
    let log = proxy.log();
    let missing: Vec<_> =
        operations.iter().filter(|operation| !log.iter().any(|one| one.operation == **operation)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// A test for every kind of error, of what fails by it.
macro_rules! each_kind_of_error {
    ($each_fails:ident) => {
        #[tokio::test]
        async fn every_operation_is_throttled() {
            $each_fails(Fault::Code(400, "Throttling")).await;
        }

        #[tokio::test]
        async fn every_operation_gets_an_error_of_the_server() {
            $each_fails(Fault::Code(500, "InternalFailure")).await;
        }

        #[tokio::test]
        async fn every_operation_gets_a_page_that_is_not_of_aws() {
            $each_fails(Fault::Html(503)).await;
        }

        #[tokio::test]
        async fn every_connection_is_closed() {
            $each_fails(Fault::Closed).await;
        }

        #[tokio::test]
        async fn every_answer_is_lost() {
            $each_fails(Fault::Lost).await;
        }

        #[tokio::test]
        async fn every_answer_is_cut_in_its_middle() {
            $each_fails(Fault::Truncated).await;
        }

        #[tokio::test]
        async fn every_operation_is_denied() {
            $each_fails(Fault::Code(403, "AccessDenied")).await;
        }

        #[tokio::test]
        async fn every_read_is_stale() {
            $each_fails(Fault::Stale).await;
        }
    };
}
pub(crate) use each_kind_of_error;

each_kind_of_error!(each_fails);

#[tokio::test]
async fn every_answer_is_late_for_the_client() {
    let late = Duration::from_millis(600);
    let bench = Bench::with(|settings| Settings { read: Duration::from_millis(300), ..settings }).await;
    for operation in OPERATIONS {
        bench.proxy.fail(operation, 1, Fault::Late(late));
    }
    life(&bench, &mut bench.operator(served())).await;
}

#[tokio::test]
async fn what_the_sdk_repeats_by_itself_is_made_once() {
    // The answer to the creation is lost, and what the SDK sends once more is refused because the first was carried out.
    let bench = Bench::with(|settings| Settings { attempts: 3, ..settings }).await;
    for operation in OPERATIONS {
        bench.proxy.fail(operation, 1, Fault::Lost);
    }
    life(&bench, &mut bench.operator(served())).await;
    let log = bench.proxy.log();
    let sent = log.iter().filter(|one| one.operation == "CreateDBInstance").map(|one| one.done).collect::<Vec<_>>();
    assert_eq!(sent, [true, false], "{log:?}");
}

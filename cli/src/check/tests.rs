use super::*;
use crate::output::Style;
use std::sync::atomic::{AtomicU32, Ordering};

fn fixed(description: &str, verdict: Verdict) -> Check {
    Check::new(description, Topic::KubernetesApi, move || std::future::ready(verdict.clone()))
}

fn category(name: &str, check: Check) -> Category {
    Category { name: name.into(), checks: vec![check], essential: false }
}

async fn reports() -> Engine {
    let mut engine = Engine::new(Duration::ZERO, |_| {});
    engine
        .run(Category {
            name: "kubernetes-api".into(),
            essential: true,
            checks: vec![
                fixed("the Kubernetes API can be asked", Verdict::Good("https://10.0.0.1:6443".into())).fatal(),
                fixed("the Gateway API is there", Verdict::Note("it is not".into())),
                fixed("cpu and memory are measured", Verdict::bad("nobody does", "kubectl apply -f metrics.yaml"))
                    .warning(),
            ],
        })
        .await;
    engine
        .run(Category {
            name: "operator".into(),
            essential: true,
            checks: vec![
                fixed("the lease can be read", Verdict::Unknown("503".into())),
                fixed("the operator runs", Verdict::bad("0 of 1 pods are ready", "kubectl describe pods")).fatal(),
                fixed("its version is right", Verdict::Good(String::new())),
            ],
        })
        .await;
    engine.run(category("platforms", fixed("never asked", Verdict::Good(String::new())))).await;
    engine
}

#[tokio::test]
async fn a_fatal_failure_ends_everything_after_an_essential_category() {
    let engine = reports().await;
    let ran: Vec<_> = engine.reports.iter().map(|r| (r.category.as_str(), r.checks.len())).collect();
    assert_eq!(ran, [("kubernetes-api", 3), ("operator", 2)]);
    assert_eq!(engine.exit(), Exit::Found);
}

#[tokio::test]
async fn as_text_and_json() {
    let engine = reports().await;
    let unicode = Style { color: false, unicode: true, width: 60 };
    insta::assert_snapshot!("table", table(&engine.reports, &unicode));
    insta::assert_snapshot!("short", short(&engine.reports, &Style::PLAIN));
    insta::assert_json_snapshot!("json", engine.reports);
}

#[tokio::test]
async fn warnings_change_no_exit_and_doubt_is_2() {
    for (check, exit) in [
        (fixed("x", Verdict::bad("a", "b")).warning(), Exit::Good),
        (fixed("x", Verdict::Unknown("a".into())).warning(), Exit::Good),
        (fixed("x", Verdict::Unknown("a".into())), Exit::Unknown),
        (fixed("x", Verdict::bad("a", "b")), Exit::Found),
    ] {
        let mut engine = Engine::new(Duration::ZERO, |_| {});
        engine.run(category("c", check)).await;
        assert_eq!(engine.exit(), exit);
    }
}

#[tokio::test]
async fn failures_are_tried_again_while_there_is_time() {
    static ATTEMPTS: AtomicU32 = AtomicU32::new(0);
    let check = || {
        Check::new("it heals", Topic::KubernetesApi, || async {
            let attempt = ATTEMPTS.fetch_add(1, Ordering::SeqCst);
            if attempt < 3 { Verdict::bad("not yet", "wait") } else { Verdict::Good("now".into()) }
        })
    };
    let mut engine = Engine { pause: Duration::from_millis(1), ..Engine::new(Duration::from_secs(3600), |_| {}) };
    engine.run(category("c", check().retry())).await;
    assert_eq!((engine.exit(), ATTEMPTS.load(Ordering::SeqCst)), (Exit::Good, 4));

    ATTEMPTS.store(0, Ordering::SeqCst);
    let mut engine = Engine::new(Duration::from_secs(3600), |_| {});
    engine.run(category("c", check())).await;
    assert_eq!(engine.exit(), Exit::Found, "without retry the first failure is final");
}

#[tokio::test]
async fn a_check_that_hangs_could_not_be_told() {
    let mut engine = Engine::new(Duration::ZERO, |_| {});
    let check = Check {
        deadline: Duration::from_millis(5),
        ..Check::new("it answers", Topic::KubernetesApi, std::future::pending::<Verdict>)
    };
    engine.run(category("c", check)).await;
    assert_eq!(engine.exit(), Exit::Unknown);
    assert_eq!(engine.reports[0].checks[0].problem, "it could not be told: no answer within 0.005 s");
}

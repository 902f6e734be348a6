//! What is refused before anything is sent, what is held until the user says so, and what is only shown.

use crate::driver::{Operator, SECOND, credential, has, says, wish, wish_of_one_shard, wish_of_users};
use learningplatform_aws::{
    Allow, Call as _, Kind, Mode, Parameters, When,
    elasticache::{Access, Auth, Call, Engine, Field, Snapshot, Wish},
};
use std::time::Duration;

type Edit = fn(&mut Wish);

#[tokio::test]
async fn what_cannot_be_is_refused_by_the_name_of_its_field_before_anything_is_sent() {
    let edits: [(&str, Edit); 18] = [
        ("authToken: use 16 to 128", |wish| wish.spec.auth = Auth::Token(credential("too-short"))),
        ("authToken: use 16 to 128", |wish| wish.spec.auth = Auth::Token(credential(&"x".repeat(129)))),
        ("authToken: use 16 to 128", |wish| wish.spec.auth = Auth::Token(credential("with-a-slash/in-the-middle"))),
        ("auth needs tls", |wish| wish.spec.tls = false),
        ("replicasPerShard 6", |wish| wish.spec.replicas = 6),
        ("shards 0", |wish| wish.spec.shards = 0),
        ("are more than 500 nodes", |wish| (wish.spec.shards, wish.spec.replicas) = (200, 2)),
        ("automaticFailover false", |wish| wish.spec.automatic_failover = Some(false)),
        ("without clusterMode", |wish| wish.spec.cluster_mode = false),
        ("multiAz needs", |wish| wish.spec.replicas = 0),
        ("snapshotRetentionDays", |wish| wish.spec.snapshot_retention = Some(36)),
        ("apply.SecurityGroups", |wish| wish.spec.apply = [(Field::SecurityGroups, When::Window)].into()),
        ("apply.Failover", |wish| wish.spec.apply = [(Field::Failover, When::Window)].into()),
        ("parameters.family valkey7 is not that of engine redis", |wish| wish.spec.engine = Engine::Redis),
        ("parameters.values.cluster-enabled", |wish| {
            let values = [("cluster-enabled".to_owned(), "no".to_owned())].into();
            wish.spec.parameters = Some(Parameters::Own { family: "valkey7".into(), values });
        }),
        ("auth.users: name at least one", |wish| wish.spec.auth = Auth::Users([].into())),
        ("user.access of app: take the password out", |wish| {
            let access = Access { rules: "on >a-secret ~* +@all".into(), credential: credential("a-legal-password") };
            wish.spec.auth = Auth::Users([("app".to_owned(), access)].into());
        }),
        ("user.name default: use another", |wish| {
            let access = Access { rules: " ".into(), credential: credential("short") };
            wish.spec.auth = Auth::Users([("default".to_owned(), access)].into());
        }),
    ];
    for (words, edit) in edits {
        let mut operator = Operator::new(wish());
        edit(&mut operator.wish);
        let step = operator.settle().await;
        let told: Vec<_> = step.conditions.iter().filter(|one| one.kind == Kind::Invalid).collect();
        assert!(told.iter().any(|one| one.message.contains(words)), "{words}: {told:?}");
        assert!(step.plan.calls.is_empty() && !has(&step, Kind::Synced));
        assert!(operator.cache.log().is_empty());
    }
    let mut operator = Operator::new(wish_of_one_shard());
    (operator.wish.spec.replicas, operator.wish.spec.automatic_failover) = (0, Some(true));
    assert!(says(&operator.settle().await, Kind::Invalid).starts_with("automaticFailover needs a replica"));
}

#[tokio::test]
async fn a_cache_is_made_from_the_snapshot_that_is_named_and_not_without_it() {
    let mut operator = Operator::new(wish());
    operator.wish.spec.restore_from = Some("theirs".into());
    let step = operator.settle().await;
    assert!(says(&step, Kind::Invalid).contains("restoreFrom: there is no snapshot theirs"), "{:?}", step.conditions);
    assert!(operator.cache.done("CreateReplicationGroup").is_empty());
    let (name, group, status) = ("theirs".to_owned(), "their-group".to_owned(), "creating".to_owned());
    operator.cache.put_snapshot(Snapshot { name, group, status, tags: [].into(), created: None });
    operator.synced().await;
    let made = operator.cache.done("CreateReplicationGroup");
    assert!(matches!(&made[..], [Call::CreateGroup { snapshot: Some(name), .. }] if name == "theirs"), "{made:?}");
    assert_eq!(operator.cache.data(&operator.id()), Some(1), "it has the snapshot's data");
    assert!(operator.refused().is_empty(), "{:?}", operator.refused());
}

#[tokio::test]
async fn what_is_refused_keeps_back_nothing_else() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    operator.wish.spec.engine_version = Some("7.9".into());
    operator.wish.spec.snapshot_retention = Some(3);
    operator.rotate(SECOND);
    operator.wish.generation += 1;
    let step = operator.go_on(Duration::from_secs(1800)).await;
    assert!(says(&step, Kind::Refused).contains("Cannot find version 7.9"), "{:?}", step.conditions);
    assert_eq!(operator.cache.tokens(&operator.id()), [SECOND]);
    let group = operator.cache.group(&operator.id()).expect("it is there");
    assert_eq!(group.settings.number(Field::Retention), Some(3));
}

#[tokio::test]
async fn every_legal_token_character_is_taken() {
    let mut operator = Operator::new(wish());
    operator.wish.spec.auth = Auth::Token(credential("aZ09!&#$^<>-aZ09!&#$^<>-"));
    operator.synced().await;
}

#[tokio::test]
async fn another_engine_or_major_version_needs_the_hash_of_its_plan_and_takes_parameters_along() {
    let mut operator = Operator::new(wish_of_one_shard());
    operator.wish.spec.engine = Engine::Redis;
    operator.wish.spec.engine_version = Some("7.1".into());
    operator.wish.spec.parameters = Some(Parameters::Own { family: "redis7".into(), values: [].into() });
    operator.synced().await;
    operator.wish.spec.engine = Engine::Valkey;
    operator.wish.spec.engine_version = Some("8".into());
    operator.wish.spec.parameters = Some(Parameters::Own { family: "valkey8".into(), values: [].into() });
    operator.wish.generation += 1;
    let step = operator.settle().await;
    assert!(says(&step, Kind::NeedsConsent).contains("no way back"), "{:?}", step.conditions);
    let settings = |operator: &Operator| operator.cache.group(&operator.id()).expect("it is there").settings;
    assert_eq!(settings(&operator).text(Field::Engine), Some("redis"));
    operator.wish.approved = Some("0123456789abcdef".into());
    assert!(has(&operator.settle().await, Kind::NeedsConsent), "another plan's hash says nothing");
    operator.wish.approved = step.plan.hash();
    let step = operator.synced().await;
    // All of it waits for the window, and is done there.
    assert!(says(&step, Kind::PendingMaintenance).contains("Engine=valkey EngineVersion=8.0"), "{:?}", step.conditions);
    assert_eq!(settings(&operator).text(Field::Engine), Some("redis"));
    operator.cache.open_window();
    operator.synced().await;
    let after = settings(&operator);
    assert_eq!((after.text(Field::Engine), after.text(Field::EngineVersion)), (Some("valkey"), Some("8.0")));
    assert_eq!(operator.cache.parameter_names(), [format!("{}-valkey8", operator.id())], "the former group is gone");
    assert!(operator.refused().is_empty(), "{:?}", operator.refused());
    // And never back.
    operator.wish.spec.engine = Engine::Redis;
    operator.wish.spec.engine_version = Some("7.1".into());
    operator.wish.spec.parameters = None;
    let log = operator.cache.log().len();
    let step = operator.settle().await;
    assert!(says(&step, Kind::Drift).contains("Engine valkey is ahead of spec"), "{:?}", step.conditions);
    let more = operator.cache.log().split_off(log);
    assert!(more.iter().all(|one| one.call.operation() == "DeleteCacheParameterGroup"), "{more:?}");
}

#[tokio::test]
async fn a_cache_that_vanished_is_not_replaced_by_an_empty_one_unasked() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    operator.cache.vanish(&operator.id());
    let step = operator.settle().await;
    assert!(has(&step, Kind::Missing) && has(&step, Kind::NeedsConsent), "{:?}", step.conditions);
    assert_eq!(operator.cache.done("CreateReplicationGroup").len(), 1);
    operator.wish.approved = step.plan.hash();
    operator.synced().await;
    assert_eq!(operator.cache.done("CreateReplicationGroup").len(), 2);
    // It vanishes once more; the word was for the other time.
    operator.cache.vanish(&operator.id());
    assert!(has(&operator.settle().await, Kind::NeedsConsent));
    operator.allow(Allow::StartEmpty);
    operator.synced().await;
    assert_eq!(operator.cache.done("CreateReplicationGroup").len(), 3);
}

#[tokio::test]
async fn observe_shows_what_differs_and_plan_what_would_be_done() {
    let mut operator = Operator::new(wish_of_users());
    operator.wish.mode = Mode::Plan;
    let step = operator.go_on(Duration::from_secs(3600)).await;
    let planned: Vec<&str> = step.plan.calls.iter().map(|one| one.call.operation()).collect();
    let [parameters, set] = ["CreateCacheParameterGroup", "ModifyCacheParameterGroup"];
    assert_eq!(planned, [parameters, set, "CreateUser", "CreateUser", "CreateUserGroup", "CreateReplicationGroup"]);
    assert_eq!(step.plan.calls[5].costs.as_deref(), Some("6 nodes of type cache.r7g.large"));
    operator.wish.mode = Mode::Observe;
    let step = operator.look().await;
    assert!(step.plan.calls.is_empty() && !has(&step, Kind::Synced), "{:?}", step.conditions);
    assert!(operator.cache.log().is_empty());
    operator.wish.mode = Mode::Apply;
    operator.synced().await;
    operator.wish.mode = Mode::Observe;
    assert!(has(&operator.look().await, Kind::Synced));
}

#[tokio::test]
async fn what_is_refused_is_told_and_tried_again_with_another_wish_or_after_half_an_hour() {
    let mut operator = Operator::new(wish());
    operator.wish.spec.subnet_group = Some("nowhere".into());
    let step = operator.until(|step| has(step, Kind::Refused)).await;
    assert!(says(&step, Kind::Refused).contains("CacheSubnetGroupNotFoundFault"), "{:?}", step.conditions);
    assert_eq!(operator.refused().len(), 1);
    operator.go_on(Duration::from_secs(25 * 60)).await;
    assert_eq!(operator.refused().len(), 1);
    operator.go_on(Duration::from_secs(15 * 60)).await;
    assert_eq!(operator.refused().len(), 2, "nothing is refused for ever");
    operator.wish.spec.subnet_group = Some("private".into());
    operator.wish.generation = 2;
    let start = operator.clock.now();
    operator.synced().await;
    assert!(operator.clock.now().duration_since(start).as_mins() < 25, "a changed wish is tried at once");
}

#[tokio::test]
async fn two_calls_that_do_not_do_the_same_do_not_read_the_same() {
    let mut sentences = Vec::new();
    for (uid, wish) in [("uid-1", wish_of_users()), ("uid-2", wish_of_users())] {
        let mut operator = Operator::new(wish);
        operator.wish.owner.uid = uid.into();
        let calls = operator.look().await.plan.calls;
        let calls = calls.iter().filter(|one| one.call.operation().starts_with("Create"));
        sentences.extend(calls.map(|one| one.call.sentence()));
    }
    let count = sentences.len();
    sentences.sort();
    sentences.dedup();
    assert_eq!(sentences.len(), count);
}

//! Tokens and users, and how they are changed without a client being refused: the driver checks that at every look.

use crate::driver::{FIRST, Operator, SECOND, THIRD, credential, has, says, wish, wish_of_users};
use learningplatform_aws::{
    Allow, Call as _, Identity, Kind, Password, When,
    elasticache::{Access, Auth, Call, Engine, Field, Memory, Strategy, TOKEN},
};
use std::time::Duration;

fn token_calls(operator: &Operator) -> Vec<Strategy> {
    let calls = operator.cache.done("ModifyReplicationGroup").into_iter();
    calls.filter_map(|call| if let Call::SetToken { strategy, .. } = call { Some(strategy) } else { None }).collect()
}

#[tokio::test]
async fn scenario_30_a_token_is_rotated_published_taken_by_all_clients_and_set() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    let id = operator.id();
    assert_eq!((operator.cache.tokens(&id), operator.clients.published(TOKEN)), (vec![FIRST.into()], Some(FIRST)));
    operator.rotate(SECOND);
    operator.clients.asleep = true;
    let step = operator.until(|step| matches!(step.send, Some(Call::SetToken { .. }))).await;
    assert!(matches!(step.send, Some(Call::SetToken { strategy: Strategy::Rotate, .. })));
    assert_eq!(operator.clients.published(TOKEN), Some(FIRST), "not published before AWS takes it");
    // A client sleeps: the Secret is new, and the former token is kept for as long as it takes.
    let step = operator.go_on(Duration::from_secs(24 * 3600)).await;
    assert!(!has(&step, Kind::Synced) && step.plan.calls.is_empty(), "{:?}", step.conditions);
    assert_eq!(operator.clients.published(TOKEN), Some(SECOND));
    assert_eq!(operator.cache.tokens(&id), [FIRST, SECOND]);
    operator.clients.asleep = false;
    operator.synced().await;
    assert_eq!(operator.cache.tokens(&id), [SECOND]);
    assert_eq!(token_calls(&operator), [Strategy::Rotate, Strategy::Set]);
    assert_eq!(operator.cache.done("CreateReplicationGroup").len(), 1, "never made anew for a token");
    assert!(operator.refused().is_empty(), "{:?}", operator.refused());
    operator.go_on(Duration::from_secs(3600)).await;
    assert_eq!(token_calls(&operator).len(), 2);
}

/// A rotation that is killed after each of its calls, its memory kept or lost.
#[tokio::test]
async fn scenario_30_a_rotation_that_is_killed_at_any_step_is_gone_on_with() {
    for forgets in [false, true] {
        for (kill, asleep) in [(1, false), (2, false), (1, true), (3, false)] {
            let mut operator = Operator::new(wish());
            operator.synced().await;
            operator.forgets = forgets;
            operator.rotate(SECOND);
            operator.clients.asleep = asleep;
            operator.cache.crash_after(operator.cache.writes() + kill);
            operator.go_on(Duration::from_secs(1800)).await;
            operator.clients.asleep = false;
            operator.synced().await;
            assert_eq!(operator.cache.tokens(&operator.id()), [SECOND], "{forgets} {kill}");
            assert_eq!(operator.clients.published(TOKEN), Some(SECOND));
            // Only without a memory are there more calls than two: which tokens are taken cannot be read.
            let calls = token_calls(&operator).len();
            assert!(calls == 2 || (forgets && calls <= 5), "{calls}");
        }
    }
}

#[tokio::test]
async fn scenario_30_an_operator_whose_memory_is_lost_at_any_look_of_a_rotation_refuses_no_client() {
    // The rotation has about this many looks.
    for at in 0..25 {
        let mut operator = Operator::new(wish());
        operator.synced().await;
        operator.rotate(SECOND);
        for _ in 0..at {
            let (_, wait) = operator.round().await;
            operator.pass(wait.min(Duration::from_secs(15)));
        }
        operator.memory = crate::driver::text(&Memory::default());
        operator.synced().await;
        assert_eq!(operator.cache.tokens(&operator.id()), [SECOND], "lost at look {at}");
    }
}

#[tokio::test]
async fn scenario_30_a_third_token_in_the_middle_of_a_rotation_waits_for_the_clients_of_the_second() {
    for back in [THIRD, FIRST] {
        let mut operator = Operator::new(wish());
        operator.synced().await;
        operator.clients.asleep = true;
        operator.rotate(SECOND);
        operator.go_on(Duration::from_secs(1800)).await;
        operator.rotate(back);
        operator.go_on(Duration::from_secs(1800)).await;
        operator.clients.asleep = false;
        operator.synced().await;
        assert_eq!(operator.cache.tokens(&operator.id()), [back]);
        assert_eq!(operator.clients.published(TOKEN), Some(back));
    }
}

#[tokio::test]
async fn a_missing_secret_does_nothing() {
    for wish in [wish(), wish_of_users()] {
        let mut operator = Operator::new(wish);
        operator.synced().await;
        let log = operator.cache.log().len();
        match &mut operator.wish.spec.auth {
            Auth::Token(credential) => credential.wished = None,
            Auth::Users(users) => users.values_mut().for_each(|access| access.credential.wished = None),
            Auth::Open => {}
        }
        let step = operator.go_on(Duration::from_secs(1800)).await;
        assert!(!has(&step, Kind::Synced) && step.plan.calls.is_empty(), "{:?}", step.plan);
        assert_eq!(operator.cache.log().len(), log);
    }
}

#[tokio::test]
async fn users_are_made_before_the_group_that_they_log_in_to() {
    for engine in [Engine::Valkey, Engine::Redis] {
        let mut operator = Operator::new(wish_of_users());
        operator.cache.hide_new(2);
        (operator.wish.spec.engine, operator.wish.spec.parameters) = (engine, None);
        if engine == Engine::Redis {
            operator.wish.spec.engine_version = Some("7.1".into());
        }
        operator.synced().await;
        let mut made = vec!["CreateUser"; if engine == Engine::Redis { 3 } else { 2 }];
        made.extend(["CreateUserGroup", "CreateReplicationGroup"]);
        assert_eq!(operator.operations(), made);
        assert!(operator.refused().is_empty(), "{:?}", operator.refused());
        let id = operator.id();
        let group = operator.cache.group(&id).expect("it is there");
        assert_eq!(group.user_groups.iter().collect::<Vec<_>>(), [&id]);
        for user in operator.cache.user_ids() {
            let user = operator.cache.user(&user).expect("it is there");
            assert_eq!(user.tags, operator.wish.owner.tags());
            // Who names no user gets nothing.
            assert_eq!(user.name == "default", user.access == "off -@all", "{user:?}");
        }
        let log = operator.cache.log().len();
        operator.go_on(Duration::from_secs(3600)).await;
        assert_eq!(operator.cache.log().len(), log, "a second pass changes nothing");
    }
}

#[tokio::test]
async fn a_users_password_is_changed_with_two_that_are_taken_meanwhile() {
    let mut operator = Operator::new(wish_of_users());
    operator.synced().await;
    let app = Identity::user(&operator.id(), "app");
    operator.rotate(SECOND);
    operator.clients.asleep = true;
    operator.go_on(Duration::from_secs(3600)).await;
    assert_eq!(operator.cache.passwords(&app), [FIRST, SECOND]);
    assert_eq!(operator.clients.published("app"), Some(SECOND));
    operator.clients.asleep = false;
    operator.synced().await;
    assert_eq!(operator.cache.passwords(&app), [SECOND]);
    assert_eq!(operator.cache.done("ModifyUser").len(), 4, "twice for each of two users");
    // A third while a client sleeps with the second.
    operator.rotate(THIRD);
    operator.clients.asleep = true;
    operator.go_on(Duration::from_secs(3600)).await;
    operator.rotate(FIRST);
    operator.go_on(Duration::from_secs(3600)).await;
    operator.clients.asleep = false;
    operator.synced().await;
    assert_eq!(operator.cache.passwords(&app), [FIRST]);
    assert!(operator.refused().is_empty(), "{:?}", operator.refused());
}

#[tokio::test]
async fn an_operator_whose_memory_is_lost_at_any_look_refuses_no_client_of_a_user() {
    for at in 0..20 {
        let mut operator = Operator::new(wish_of_users());
        operator.synced().await;
        operator.rotate(SECOND);
        for _ in 0..at {
            let (_, wait) = operator.round().await;
            operator.pass(wait.min(Duration::from_secs(15)));
        }
        operator.memory = crate::driver::text(&Memory::default());
        operator.synced().await;
        let app = Identity::user(&operator.id(), "app");
        assert_eq!(operator.cache.passwords(&app), [SECOND], "lost at look {at}");
    }
}

#[tokio::test]
async fn users_come_go_and_get_other_rights() {
    let mut operator = Operator::new(wish_of_users());
    operator.synced().await;
    let before = operator.cache.log().len();
    let Auth::Users(users) = &mut operator.wish.spec.auth else { panic!("users") };
    let mut writer = users.remove("reader").expect("it is there");
    writer.credential.wished = Some(Password::new(SECOND));
    users.insert("writer".into(), writer);
    users.get_mut("app").expect("it is there").rules = "on ~app:* +@read".into();
    operator.synced().await;
    let id = operator.id();
    let group = operator.cache.user_group(&id).expect("it is there");
    let all: Vec<String> = ["app", "writer"].map(|name| Identity::user(&id, name)).into();
    let mut have = operator.cache.user_ids();
    have.sort();
    let mut sorted = all.clone();
    sorted.sort();
    assert_eq!((group.users.into_iter().collect::<Vec<_>>(), have), (sorted.clone(), sorted));
    assert_eq!(operator.cache.user(&all[0]).expect("it is there").access, "on ~app:* +@read");
    let operations: Vec<&str> = operator.cache.log().split_off(before).iter().map(|one| one.call.operation()).collect();
    let last = operations.iter().rposition(|one| *one == "ModifyUserGroup");
    assert!(last < operations.iter().position(|one| *one == "DeleteUser"), "{operations:?}");
    assert!(operator.refused().is_empty(), "{:?}", operator.refused());
}

#[tokio::test]
async fn the_users_of_redis_stay_when_the_cache_becomes_one_of_valkey() {
    let mut operator = Operator::new(wish_of_users());
    (operator.wish.spec.engine, operator.wish.spec.parameters) = (Engine::Redis, None);
    operator.wish.spec.engine_version = Some("7.1".into());
    operator.synced().await;
    operator.allow(Allow::MajorUpgrade);
    operator.wish.spec.engine = Engine::Valkey;
    operator.wish.spec.engine_version = Some("8.0".into());
    operator.wish.spec.apply.insert(Field::EngineVersion, When::Immediate);
    let Auth::Users(users) = &mut operator.wish.spec.auth else { panic!("users") };
    let more = users["app"].clone();
    users.insert("more".into(), Access { credential: credential(SECOND), ..more });
    operator.synced().await;
    let id = operator.id();
    let group = operator.cache.user_group(&id).expect("it is there");
    assert_eq!((group.engine.as_str(), group.users.len()), ("redis", 4), "the one of the name default is among them");
    let engine = operator.cache.group(&id).expect("it is there").settings.text(Field::Engine).map(str::to_owned);
    assert_eq!(engine.as_deref(), Some("valkey"));
    assert!(operator.refused().is_empty(), "{:?}", operator.refused());
}

#[tokio::test]
async fn what_clients_show_is_set_at_creation_only_and_said_so() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    let log = operator.cache.log().len();
    operator.wish.spec.auth = Auth::Open;
    let step = operator.synced().await;
    assert!(says(&step, Kind::Drift).contains("clients show a token, not nothing"), "{:?}", step.conditions);
    assert_eq!(operator.cache.log().len(), log);
}

#[tokio::test]
async fn what_waits_for_the_window_is_not_dragged_along_by_a_token() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    operator.wish.spec.node_type = "cache.r7g.xlarge".into();
    operator.synced().await;
    operator.rotate(SECOND);
    let step = operator.settle().await;
    assert!(
        says(&step, Kind::NeedsConsent).contains("it also applies what waits for the window: NodeType"),
        "{step:?}"
    );
    assert!(token_calls(&operator).is_empty());
    operator.cache.open_window();
    operator.synced().await;
    assert_eq!(operator.cache.tokens(&operator.id()), [SECOND]);
}

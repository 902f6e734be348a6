//! Whose what is found is: after a crash, after a deletion, in another cluster, and with names that collide.

use crate::driver::{Operator, has, owner, says, text, wish, wish_of_users};
use learningplatform_aws::{
    Call as _, DeletionPolicy, Endpoint, Identity, Kind, Owner, TAGS, Tags,
    elasticache::{Call, ElastiCache, Group, Memory, Settings, Snapshot, Step, User},
};
use std::collections::BTreeMap;

/// The platform applied again: another UID, nothing remembered, and its apps not started yet.
fn again(operator: &mut Operator, uid: &str) {
    operator.wish.deleted = false;
    operator.wish.owner.uid = uid.into();
    operator.memory = text(&Memory::default());
    operator.clients = Default::default();
}

fn foreign(id: &str, tags: Tags) -> Group {
    Group {
        id: id.to_owned(),
        status: "available".into(),
        tags,
        untold: false,
        settings: Settings::default(),
        pending: Settings::default(),
        pending_token: None,
        resharding: false,
        pending_reboot: false,
        shards: Vec::new(),
        members: BTreeMap::new(),
        endpoint: Some(Endpoint { address: "theirs".into(), port: 6379 }),
        reader: None,
        nodes: Vec::new(),
        token: false,
        user_groups: Default::default(),
    }
}

/// Tags that are nearly ours.
fn others() -> [Tags; 4] {
    let mut nearly = owner("story", "uid-1").tags();
    nearly.insert(TAGS[2].into(), "another".into());
    let mut incomplete = owner("story", "uid-1").tags();
    incomplete.remove(TAGS[4]);
    let mut other_cluster = owner("story", "uid-1").tags();
    other_cluster.insert(TAGS[0].into(), "green".into());
    [Tags::new(), nearly, incomplete, other_cluster]
}

async fn retained(operator: &mut Operator) -> Step {
    let log = operator.cache.log().len();
    let step = operator.settle().await;
    assert!(has(&step, Kind::Retained), "{:?}", step.conditions);
    assert!(!has(&step, Kind::Synced) && step.plan.calls.is_empty() && step.view.endpoint.is_none());
    assert!(says(&step, Kind::Retained).contains("set adopt: true"), "{:?}", step.conditions);
    assert_eq!(operator.cache.log().len(), log, "nothing is sent before it is adopted");
    step
}

#[tokio::test]
async fn a_group_that_was_created_before_a_crash_is_known_by_name_and_tags() {
    for forgets in [false, true] {
        let mut operator = Operator::new(wish());
        operator.forgets = forgets;
        operator.cache.hide_new(3);
        // The third call that changes something is the creation.
        operator.cache.crash_after(3);
        operator.synced().await;
        assert_eq!(operator.kills, 1);
        assert_eq!(operator.cache.done("CreateReplicationGroup").len(), 1);
        assert_eq!(operator.cache.data(&operator.id()), Some(1));
    }
}

#[tokio::test]
async fn whose_a_group_is_that_is_not_available_is_waited_for() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    let (id, writes) = (operator.id(), operator.cache.writes());
    operator.cache.meddle(&id, |group| group.status = "modifying".into());
    // Whoever knows it goes on with it.
    let step = operator.look().await;
    assert!(step.view.serves && step.view.endpoint.is_some(), "{:?}", step.view);
    // Who does not neither takes it for somebody else's nor lets it go.
    operator.memory = text(&Memory::default());
    for deleted in [false, true] {
        operator.wish.deleted = deleted;
        let step = operator.go_on(std::time::Duration::from_secs(900)).await;
        assert!(
            !step.finished && step.plan.calls.is_empty() && !has(&step, Kind::NameConflict),
            "{:?}",
            step.conditions
        );
        assert!(says(&step, Kind::Synced).contains("does not tell whose it is"), "{:?}", step.conditions);
    }
    // Nor is anything made beside what may be a former platform's.
    let mut other = operator.beside(wish());
    other.wish.owner.identity = Identity::new("green", "learning", "story", "cache").expect("legal");
    let step = other.go_on(std::time::Duration::from_secs(900)).await;
    assert!(says(&step, Kind::Synced).contains("does not tell whose it is"), "{:?}", step.conditions);
    assert_eq!(operator.cache.writes(), writes);
    operator.cache.meddle(&id, |group| group.status = "available".into());
    retained(&mut other).await;
    assert!(operator.settle().await.finished);
}

#[tokio::test]
async fn what_retain_left_is_retained_and_goes_on_with_its_data_once_adopted() {
    for wish in [wish(), wish_of_users()] {
        let mut operator = Operator::new(wish);
        operator.synced().await;
        (operator.wish.deleted, operator.wish.deletion_policy) = (true, DeletionPolicy::Retain);
        assert!(operator.settle().await.finished);
        again(&mut operator, "uid-2");
        retained(&mut operator).await;
        operator.wish.adopt = true;
        operator.synced().await;
        let id = operator.id();
        assert_eq!((operator.cache.ids(), operator.cache.data(&id)), (vec![id.clone()], Some(1)));
        let tags = operator.wish.owner.tags();
        assert_eq!(operator.cache.group(&id).expect("it is there").tags, tags);
        assert_eq!(operator.cache.parameters(&format!("{id}-valkey7")).expect("it is there").tags, tags);
        for user in operator.cache.user_ids() {
            assert_eq!(operator.cache.user(&user).expect("it is there").tags, tags);
        }
        assert_eq!(operator.cache.done("CreateReplicationGroup").len(), 1);
    }
}

#[tokio::test]
async fn what_snapshot_left_is_retained_and_restored_once_adopted() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    operator.wish.deleted = true;
    assert!(operator.settle().await.finished);
    again(&mut operator, "uid-2");
    retained(&mut operator).await;
    operator.wish.adopt = true;
    operator.synced().await;
    let id = operator.id();
    assert_eq!(operator.cache.data(&id), Some(1));
    let made = operator.cache.done("CreateReplicationGroup");
    let Some(Call::CreateGroup { snapshot, .. }) = made.last() else { panic!("{made:?}") };
    assert_eq!(*snapshot, Some(format!("{id}-final-1")));
}

#[tokio::test]
async fn a_final_snapshot_that_was_never_tagged_counts_too() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    let id = operator.id();
    operator.wish.deleted = true;
    operator.until(|step| matches!(step.send, Some(Call::DeleteGroup { .. }))).await;
    // The operator never comes back to the deletion; the platform is applied again, with another UID.
    again(&mut operator, "uid-2");
    operator.clock.advance(std::time::Duration::from_secs(3600));
    let step = retained(&mut operator).await;
    assert!(says(&step, Kind::Retained).contains(&format!("{id}-final-1")), "{:?}", step.conditions);
    operator.wish.adopt = true;
    operator.synced().await;
    assert_eq!(operator.cache.data(&id), Some(1));
}

#[tokio::test]
async fn the_same_platform_in_another_cluster_finds_the_data_by_their_tags() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    let former = operator.id();
    (operator.wish.deleted, operator.wish.deletion_policy) = (true, DeletionPolicy::Retain);
    assert!(operator.settle().await.finished);
    again(&mut operator, "uid-of-green");
    let identity = Identity::new("green", "learning", "story", "cache").expect("legal");
    operator.wish.owner = Owner { identity, uid: "uid-of-green".into() };
    assert_ne!(operator.id(), former);
    let step = retained(&mut operator).await;
    assert!(says(&step, Kind::Retained).contains(&former), "{:?}", step.conditions);
    operator.wish.adopt = true;
    let step = operator.synced().await;
    assert_eq!(step.view.identifier.as_ref(), Some(&former), "it keeps its name, and so its address");
    assert_eq!(operator.cache.data(&former), Some(1));
    // What was remembered is lost: it is found once more, and nothing is made.
    operator.memory = text(&Memory::default());
    let step = operator.synced().await;
    assert_eq!(step.view.identifier.as_ref(), Some(&former));
    assert_eq!(operator.cache.done("CreateReplicationGroup").len(), 1);
    // And it is deleted whole.
    (operator.wish.deleted, operator.wish.deletion_policy) = (true, DeletionPolicy::Snapshot);
    assert!(operator.settle().await.finished);
    assert!(operator.cache.ids().is_empty() && operator.cache.parameter_names().is_empty());
    assert_eq!(operator.cache.kept_snapshots()[0].1, 1);
}

#[tokio::test]
async fn somebody_elses_group_of_our_name_is_left_alone() {
    for tags in others() {
        let mut operator = Operator::new(wish());
        let id = operator.id();
        operator.cache.put(foreign(&id, tags.clone()));
        operator.wish.adopt = true;
        let step = operator.settle().await;
        assert!(has(&step, Kind::NameConflict), "{tags:?}: {:?}", step.conditions);
        operator.wish.deleted = true;
        assert!(operator.settle().await.finished);
        assert!(operator.cache.log().is_empty(), "{:?}", operator.cache.log());
        assert_eq!(operator.cache.group(&id).expect("it is there"), foreign(&id, tags));
    }
}

#[tokio::test]
async fn somebody_elses_user_user_group_and_parameter_group_of_our_name_are_left_alone() {
    for tags in others() {
        let mut operator = Operator::new(wish_of_users());
        let id = operator.id();
        let app = Identity::user(&id, "app");
        let theirs = User {
            id: app.clone(),
            name: "app".into(),
            engine: "valkey".into(),
            status: "active".into(),
            tags: tags.clone(),
            access: "on ~* +@all".into(),
            passwords: 1,
            groups: Default::default(),
        };
        operator.cache.put_user(theirs.clone());
        let step = operator.settle().await;
        assert!(has(&step, Kind::NameConflict), "{tags:?}: {:?}", step.conditions);
        assert!(operator.cache.ids().is_empty(), "nothing is made that would use it");
        operator.wish.deleted = true;
        operator.until(|step| step.finished).await;
        assert_eq!(operator.cache.user_ids(), std::slice::from_ref(&app));
        assert_eq!(operator.cache.user(&app).expect("it is there"), theirs);
        assert_eq!(operator.cache.passwords(&app), ["theirs"]);

        let mut operator = Operator::new(wish());
        let name = format!("{id}-valkey7");
        let call = Call::CreateParameterGroup { name: name.clone(), family: "valkey7".into(), tags: tags.clone() };
        operator.cache.send(&call).await.expect("theirs");
        let step = operator.settle().await;
        assert!(has(&step, Kind::NameConflict), "{:?}", step.conditions);
        assert_eq!(operator.cache.log().len(), 1, "nothing is made that would use it");

        let mut operator = Operator::new(wish_of_users());
        let (mine, theirs) = ("somebody".to_owned(), [learningplatform_aws::Password::new("x".repeat(20))]);
        let call = Call::CreateUser {
            id: mine.clone(),
            name: mine.clone(),
            engine: "valkey".into(),
            access: "on ~* +@all".into(),
            passwords: theirs.into(),
            tags: tags.clone(),
        };
        operator.cache.send(&call).await.expect("theirs");
        operator.clock.advance(std::time::Duration::from_secs(60));
        let call =
            Call::CreateUserGroup { id: id.clone(), engine: "valkey".into(), users: [mine.clone()].into(), tags };
        operator.cache.send(&call).await.expect("theirs");
        operator.clock.advance(std::time::Duration::from_secs(60));
        let before = operator.cache.user_group(&id);
        let step = operator.settle().await;
        assert!(has(&step, Kind::NameConflict), "{:?}", step.conditions);
        operator.wish.deleted = true;
        operator.until(|step| step.finished).await;
        assert_eq!(operator.cache.user_group(&id), before);
        assert_eq!(operator.cache.user_ids(), [mine], "ours are gone, theirs is not");
    }
}

#[tokio::test]
async fn a_copy_with_our_tags_is_named_and_left_alone() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    let copy = format!("{}-copy", operator.id());
    operator.cache.put(foreign(&copy, operator.wish.owner.tags()));
    let step = operator.synced().await;
    assert!(says(&step, Kind::LeftAlone).contains(&copy), "{:?}", step.conditions);
    operator.wish.deleted = true;
    assert!(operator.settle().await.finished);
    assert_eq!(operator.cache.ids(), std::slice::from_ref(&copy));
    assert!(operator.cache.log().iter().all(|one| one.call.resource() != copy));
}

#[tokio::test]
async fn somebody_elses_snapshot_is_neither_restored_nor_tagged() {
    let mut operator = Operator::new(wish());
    let id = operator.id();
    for (name, group, tags) in [
        (format!("{id}-final-1"), "another", Tags::new()),
        (format!("{id}-by-hand"), &*id, Tags::new()),
        (format!("{id}-final-2"), &*id, owner("another", "uid-9").tags()),
    ] {
        let (group, status) = (group.to_owned(), "available".to_owned());
        operator.cache.put_snapshot(Snapshot { name, group, status, tags, created: None });
    }
    let before = operator.cache.kept_snapshots();
    operator.synced().await;
    let made = operator.cache.done("CreateReplicationGroup");
    assert!(matches!(&made[..], [Call::CreateGroup { snapshot: None, .. }]), "{made:?}");
    operator.wish.deleted = true;
    assert!(operator.settle().await.finished);
    let after = operator.cache.kept_snapshots();
    assert_eq!(after.len(), 4);
    assert!(before.iter().all(|one| after.contains(one)), "{after:?}");
}

#[tokio::test]
async fn of_several_that_could_be_meant_none_is_taken() {
    let mut operator = Operator::new(wish());
    let mut tags = owner("story", "uid-0").tags();
    operator.cache.put(foreign("one", tags.clone()));
    tags.insert(TAGS[0].into(), "green".into());
    operator.cache.put(foreign("two", tags));
    operator.wish.adopt = true;
    let step = operator.settle().await;
    let words = says(&step, Kind::Retained);
    assert!(words.contains("replication group one, replication group two"), "{:?}", step.conditions);
    assert!(operator.cache.log().is_empty());
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
            let mut wish = wish_of_users();
            let identity = Identity::new("blue", "learning", platform, item).expect("legal");
            wish.owner = Owner { identity, uid: format!("uid-{at}") };
            first.beside(wish)
        })
        .collect();
    for operator in &mut operators {
        operator.synced().await;
    }
    assert_eq!((first.cache.ids().len(), first.cache.user_ids().len()), (all.len(), 2 * all.len()));
    operators[0].wish.deleted = true;
    assert!(operators[0].settle().await.finished);
    assert_eq!((first.cache.ids().len(), first.cache.user_ids().len()), (all.len() - 1, 2 * (all.len() - 1)));
    for operator in &mut operators[1..] {
        operator.synced().await;
    }
    assert_eq!(first.cache.done("CreateReplicationGroup").len(), all.len());
}

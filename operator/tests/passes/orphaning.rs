//! A platform that is deleted with `--cascade=orphan` leaves its objects. They are let go of while its last pass may still be under
//! way: taken back by it, they would be collected with the platform.

use crate::world::*;
use serde_json::{Value, json};

/// What was made for the platform.
fn children(world: &World) -> Vec<String> {
    let paths = world.api.dump().into_keys();
    paths.filter(|path| path.contains("/story-") && !path.contains("events.k8s.io")).collect()
}

/// What the garbage collector does first: nothing names its owner any more.
fn let_go(world: &World) {
    for path in children(world) {
        world.api.edit(&path, |live| drop(live["metadata"].as_object_mut().unwrap().remove("ownerReferences")));
    }
}

fn owned(world: &World) -> Vec<String> {
    let owned = |path: &String| !world.api.get(path).unwrap()["metadata"]["ownerReferences"].is_null();
    children(world).into_iter().filter(owned).collect()
}

#[tokio::test]
async fn a_pass_takes_nothing_back_from_a_platform_that_goes_meanwhile() {
    type Goes = fn(&World, Value);
    let table: [(Goes, &str); 3] = [
        (
            |world, mut platform| {
                platform["metadata"]["deletionTimestamp"] = json!("2026-09-01T08:00:00Z");
                platform["metadata"]["finalizers"] = json!(["orphan"]);
                world.api.put(PLATFORM, platform);
            },
            "it is being deleted",
        ),
        (|world, _| world.api.remove(PLATFORM), "it is gone"),
        (
            |world, mut platform| {
                platform["metadata"]["uid"] = json!("uid-2");
                world.api.put(PLATFORM, platform);
            },
            "another one has its name",
        ),
    ];
    for (goes, why) in table {
        let world = World::new(spec());
        let operator = world.operator().await;
        world.settle(&operator).await;
        let all = owned(&world);
        assert!(all.iter().any(|path| path == DEPLOYMENT) && all.len() >= 8, "{all:?}");
        let seen = world.api.get(PLATFORM).unwrap();
        goes(&world, seen.clone());
        let_go(&world);
        let left = world.api.dump();
        world.api.writes();
        // The one that was there before, and one that has just begun to lead.
        for operator in [operator, world.operator().await] {
            world.pass_over(&operator, seen.clone()).await;
            assert_eq!(owned(&world), [""; 0], "{why}");
            let found = world.api.dump();
            let same = |path: &&String| left.get(*path) == found.get(*path);
            assert_eq!(left.keys().filter(|path| path.contains("/story-")).find(|path| !same(path)), None, "{why}");
        }
        assert_eq!(children(&world), all, "{why}: everything is left");
    }
}

#[tokio::test]
async fn what_lost_its_owner_by_hand_is_taken_back() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.settle(&operator).await;
    let all = owned(&world);
    let_go(&world);
    assert_eq!(owned(&world), [""; 0]);
    world.settle(&operator).await;
    assert_eq!(owned(&world), all);
}

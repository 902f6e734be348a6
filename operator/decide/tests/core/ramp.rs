//! How fast floor and cap move, by tables.

use crate::common::*;
use learningplatform_decide::*;

#[test]
fn the_story_guides_floors() {
    let mut policy = rate_policy(3, 20);
    policy.behavior = story_behavior();
    policy.tunables.collapse_hold = Duration::ZERO;
    let mut world = World::new(policy, 3);
    world.run(600, 100.0);

    // Up: the window of 60 s first, then a doubling every 15 s.
    let mut floors = vec![world.until_change(300, 2000.0).unwrap()];
    for _ in 0..2 {
        floors.push(world.until_change(300, 2000.0).unwrap());
    }
    assert_eq!(
        floors,
        [(60, 6), (10, 12), (10, 20)],
        "a change is seen one tick later than 15 s because counting begins after it"
    );

    // Down: the window of 300 s first, then 10 % every 60 s.
    world.run(600, 2000.0);
    let mut floors = vec![world.until_change(900, 10.0).unwrap()];
    while world.state.floor() > 3 {
        floors.push(world.until_change(900, 10.0).unwrap());
    }
    let steps: Vec<u32> = floors.iter().map(|(_, floor)| *floor).collect();
    assert_eq!(steps, [18, 16, 14, 12, 10, 9, 8, 7, 6, 5, 4, 3]);
    assert_eq!(floors[0].0, 300);
    assert!(floors[1..].iter().all(|(seconds, _)| *seconds == 55), "{floors:?}");
}

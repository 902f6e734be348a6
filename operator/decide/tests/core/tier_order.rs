//! Which tier moves first, and for how long the others wait.

use crate::common::script::{Seen, script};
use crate::common::*;
use crate::invariants::config;
use learningplatform_decide::tier_size::{Proposal, waits_for};
use learningplatform_decide::*;
use proptest::prelude::*;
use std::cmp::Ordering;

use learningplatform_decide::TierKind::{App, Cache, ReadReplicas};

fn proposal(kind: TierKind, grows: bool, since: Time) -> Proposal {
    Proposal { tier: kind.to_string().into(), kind, grows, since }
}

/// What else moves beside a tier, if anything.
pub fn beside() -> impl Strategy<Value = Vec<Proposal>> {
    let one = (prop::sample::select(vec![ReadReplicas, Cache, App]), prop::bool::ANY, 0..300_u64)
        .prop_map(|(kind, grows, since)| proposal(kind, grows, START.plus(secs(since))));
    prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(one, 1..4)]
}

#[test]
fn tiers_grow_from_what_others_lean_on_and_shrink_in_reverse() {
    // What is proposed, and what each waits for.
    type Wanted = &'static [(TierKind, bool)];
    let table: [(Wanted, &[Option<TierKind>]); 9] = [
        (&[(Cache, true)], &[None]),
        (&[(Cache, true), (ReadReplicas, true)], &[Some(ReadReplicas), None]),
        (&[(App, true), (Cache, true), (ReadReplicas, true)], &[Some(ReadReplicas), Some(ReadReplicas), None]),
        (&[(App, true), (Cache, true)], &[Some(Cache), None]),
        (&[(ReadReplicas, false), (Cache, false)], &[Some(Cache), None]),
        (&[(ReadReplicas, false), (Cache, false), (App, false)], &[Some(App), Some(App), None]),
        (&[(ReadReplicas, false), (Cache, true), (App, false)], &[Some(Cache), None, None]),
        (&[(Cache, false), (App, true)], &[Some(App), None]),
        (&[(Cache, true), (Cache, true), (ReadReplicas, false)], &[None, None, Some(Cache)]),
    ];
    let waits = |kind, grows, now, all: &[Proposal]| {
        waits_for(&Tunables::default(), now, kind, grows, all).map(|other| other.kind)
    };
    for (wanted, expected) in table {
        let all: Vec<Proposal> = wanted.iter().map(|(kind, grows)| proposal(*kind, *grows, START)).collect();
        let found: Vec<_> = wanted.iter().map(|(kind, grows)| waits(*kind, *grows, START, &all)).collect();
        assert_eq!(found, expected, "{wanted:?}");
    }
    // Growth waits for half a minute, shrinking for as long as it takes, and neither for what has not begun.
    let grows = [proposal(ReadReplicas, true, START)];
    for (second, expected) in [(0, Some(ReadReplicas)), (29, Some(ReadReplicas)), (30, None), (4000, None)] {
        assert_eq!(waits(App, true, START.plus(secs(second)), &grows), expected, "after {second} s");
        assert_eq!(waits(Cache, false, START.plus(secs(second)), &grows), Some(ReadReplicas), "after {second} s");
    }
    assert_eq!(waits(App, true, START.minus(secs(1)), &grows), None, "a clock that was set back");
}

#[test]
fn new_pods_wait_for_a_growing_store_and_what_is_planned_or_runs_does_not() {
    let growing = |kind| vec![proposal(kind, true, START.plus(secs(20)))];
    let raised = |world: &mut World, demand: f64, seconds: u64| {
        world.until_change(seconds, demand).map(|(after, floor)| (world.elapsed() - TICK, after, floor))
    };
    for kind in [ReadReplicas, Cache] {
        let mut world = World::new(eager_policy(2, 20), 2);
        world.run(20, 200.0);
        world.tiers.growing = growing(kind);
        let decision = world.tick(500.0);
        assert_eq!((decision.floor, decision.reason, decision.heads()), (2, Reason::Ramping, Ordering::Greater));
        let stage = &decision.stages[6];
        assert_eq!((stage.name, stage.before, stage.after), (StageName::Ramp, 5, 2));
        assert!(decision.sentence().contains("first: no pods are added for load"), "{}", decision.sentence());
        assert_eq!(raised(&mut world, 500.0, 60), Some((50, 25, 5)), "half a minute after the growth began");
    }

    // It ends with the growth.
    let mut world = World::new(eager_policy(2, 20), 2);
    world.tiers.growing = vec![proposal(Cache, true, START)];
    assert_eq!(world.run(25, 500.0).floor, 2);
    world.tiers.growing.clear();
    assert_eq!(world.tick(500.0).floor, 5);

    // A minimum, a hold by hand, and pods that the HPA has added by its own metrics.
    let mut world = World::new(eager_policy(2, 20), 2);
    world.run(20, 200.0);
    world.tiers.growing = growing(Cache);
    world.policy.min_replicas = 3;
    assert_eq!(world.tick(500.0).floor, 3);
    let until = START.plus(secs(1000));
    world.input.holds = vec![ManualHold { floor: 4, until, reason: "exam".into(), by: None }];
    assert_eq!(world.tick(600.0).floor, 4);
    world.hpa_wish = 5;
    world.tick(600.0);
    assert_eq!(world.tick(600.0).floor, 5, "what runs is carried");

    // Nothing answers without a pod.
    let mut world = World::new(eager_policy(0, 20), 0);
    world.tiers.growing = vec![proposal(ReadReplicas, true, START)];
    assert_eq!(world.tick(500.0).floor, 1);
}

#[test]
fn waiting_is_news_once_and_lowering_never_waits() {
    let mut world = World::new(eager_policy(2, 20), 2);
    let before = world.run(20, 200.0);
    world.tiers.growing = vec![proposal(ReadReplicas, true, world.now)];
    let waits = world.tick(500.0);
    assert!(waits.differs_in_meaning(&before));
    assert!(!world.tick(510.0).differs_in_meaning(&waits));

    let mut policy = eager_policy(2, 20);
    policy.behavior.down.stabilization_window = secs(30);
    let lowered = |growing: bool| {
        let mut world = World::new(policy.clone(), 6);
        world.run(60, 600.0);
        if growing {
            world.tiers.growing = vec![proposal(ReadReplicas, true, world.now)];
        }
        world.until_change(200, 300.0)
    };
    assert_eq!(lowered(true), lowered(false));
    assert!(lowered(true).is_some());
}

proptest! {
    #![proptest_config(config())]

    /// INV-ORDER: growth of a tier never lowers, never holds an app back for longer than the wait, and takes nothing of what a
    /// plan, a hold, a fallback or the minimum asks for.
    #[test]
    fn inv_order(script in script()) {
        script.live(|Seen { policy, before, input, tiers, decision, .. }| {
            let without = decide_with(policy, before, input, &Tiers { growing: Vec::new(), ..tiers.clone() }).0;
            let due = |other: &Proposal| other.since <= input.now && input.now.since(other.since) < policy.tunables.tier_wait;
            assert!(decision.floor <= without.floor && decision.cap == without.cap);
            if !tiers.growing.iter().any(due) {
                assert_eq!(decision.floor, without.floor, "held back for longer than half a minute");
            }
            let kept = without.floor.min(before.floor()).max(without.floor.min(policy.min_replicas.max(input.replicas.desired)));
            assert!(decision.floor >= kept, "{} of {}, from {}", decision.floor, without.floor, before.floor());
        });
    }

    #[test]
    fn the_order_of_tiers_never_locks(all in prop::collection::vec((0..3_usize, prop::bool::ANY), 1..8)) {
        let all: Vec<Proposal> =
            all.into_iter().map(|(kind, grows)| proposal([ReadReplicas, Cache, App][kind], grows, START)).collect();
        let waits = |proposal: &Proposal, now| waits_for(&Tunables::default(), now, proposal.kind, proposal.grows, &all).is_some();
        prop_assert!(all.iter().any(|proposal| !waits(proposal, START)), "somebody can always move");
        let later = START.plus(secs(30));
        prop_assert!(all.iter().all(|proposal| !proposal.grows || !waits(proposal, later)), "growth waits for a while only");
    }
}

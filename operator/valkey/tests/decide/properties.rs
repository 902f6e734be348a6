//! Decisions over a simulated cluster: whatever happens to it, no key and no slot is lost, and it ends as wished.

use crate::simulation::World;
use learningplatform_valkey::*;
use proptest::prelude::*;

/// What may happen between rounds.
#[derive(Clone, Debug)]
enum Event {
    /// A round of the keeper that is killed after so many acts, each move after so many slots.
    Round(usize, usize),
    /// Other shards or replicas are wished.
    Wish(u32, u32),
    /// A pod is away for some rounds.
    Down(usize, u32),
    /// A replica takes its place, where it has one.
    Elect(usize),
    /// The template changes.
    Outdate,
    /// Keys are written.
    Write(u16),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0..20_usize, 0..3000_usize).prop_map(|(cut, moved)| Event::Round(cut, moved)),
        2 => (1..5_u32, 0..3_u32).prop_map(|(shards, replicas)| Event::Wish(shards, replicas)),
        1 => (0..20_usize, 1..6_u32).prop_map(|(pod, rounds)| Event::Down(pod, rounds)),
        1 => (0..20_usize).prop_map(Event::Elect),
        1 => Just(Event::Outdate),
        1 => (500..3000_u16).prop_map(Event::Write),
    ]
}

fn happen(world: &mut World, event: &Event, written: &mut u64) {
    match *event {
        Event::Round(cut, moved) => drop(world.round(cut, moved)),
        Event::Wish(shards, replicas) => {
            (world.wish.shards, world.wish.replicas) = (shards, replicas);
            world.provide();
        }
        Event::Down(pod, rounds) => {
            let at = world.index(pod);
            world.nodes[at].down = rounds;
        }
        Event::Elect(pod) => {
            let at = world.index(pod);
            if world.nodes[at].down == 0 {
                world.promote(at);
            }
        }
        Event::Outdate => world.nodes.iter_mut().for_each(|node| node.pod.outdated = true),
        Event::Write(step) => {
            if world.wish.formed {
                world.write(step);
                *written = world.keys();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_all_ends_as_wished(
        events in proptest::collection::vec(event(), 0..40),
        shards in 1..5_u32,
        replicas in 0..3_u32,
        made in any::<bool>(),
    ) {
        let mut world = if made { settled(shards, replicas) } else { World::new(shards, replicas) };
        let mut written = 0;
        if made {
            happen(&mut world, &Event::Write(3), &mut written);
        }
        for event in &events {
            happen(&mut world, event, &mut written);
            prop_assert_eq!(world.keys(), written, "after {:?}:\n{}", event, world.log.join("\n"));
        }
        let mut last = None;
        for _ in 0..150 {
            let decision = world.round(usize::MAX, usize::MAX);
            let ready = decision.view.verdict == Verdict::Ready;
            last = Some(decision);
            if ready {
                break;
            }
        }
        let last = last.unwrap();
        prop_assert_eq!(&last.view.verdict, &Verdict::Ready, "{:?}\n{}", last, world.log.join("\n"));
        prop_assert_eq!(world.keys(), written);
        let sizes = world.sizes();
        let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
        prop_assert!(most - least <= 1 && sizes.len() == world.wish.shards as usize, "{:?}", sizes);
        prop_assert_eq!(world.nodes.len() as u32, world.wish.shards * (world.wish.replicas + 1));
        // What is as wished is left alone.
        let again = world.round(usize::MAX, usize::MAX);
        prop_assert!(again.acts.is_empty() && again.restart.is_none(), "{:?}", again);
    }
}

fn settled(shards: u32, replicas: u32) -> World {
    let mut world = World::new(shards, replicas);
    for _ in 0..20 {
        world.round(usize::MAX, usize::MAX);
    }
    world
}

#[test]
fn as_few_slots_move_as_can_be() {
    for (from, to, expected) in [(3, 4, 4096), (4, 3, 4096), (2, 4, 8192), (5, 5, 0), (1, 3, 10922)] {
        let mut world = settled(from, 0);
        world.wish.shards = to;
        world.provide();
        let mut moved = 0;
        for _ in 0..30 {
            let decision = world.round(usize::MAX, usize::MAX);
            moved +=
                decision.acts.iter().map(|act| if let Act::Move(one) = act { one.slots.len() } else { 0 }).sum::<u32>();
        }
        assert_eq!(moved, expected, "{from} to {to} shards");
    }
}

#[test]
fn no_node_gives_and_takes_slots_at_once() {
    let mut world = settled(4, 0);
    world.wish.shards = 2;
    world.round(usize::MAX, 10);
    world.wish.shards = 4;
    let decision = world.round(usize::MAX, 10);
    let moves: Vec<&Move> =
        decision.acts.iter().filter_map(|act| if let Act::Move(one) = act { Some(one) } else { None }).collect();
    assert!(!moves.is_empty());
    assert!(moves.iter().all(|one| moves.iter().all(|other| one.from != other.to)), "{moves:?}");
}

/// Changes what a pod's server says.
fn amend(seen: &mut Seen, pod: &str, change: impl FnOnce(&mut Node)) {
    let sighting = seen.sightings.iter_mut().find(|sighting| sighting.pod.name == pod).unwrap();
    let Answer::Node(node) = &mut sighting.answer else { panic!("{pod} does not answer") };
    change(node);
}

#[test]
fn slots_wait_for_room() {
    let mut world = settled(3, 0);
    world.write(7);
    world.wish.shards = 2;
    let mut seen = world.seen();
    amend(&mut seen, "s2-0", |node| node.store.memory.data = 300 << 20);
    for pod in ["s0-0", "s1-0"] {
        amend(&mut seen, pod, |node| {
            node.store.memory = Memory { used: 100 << 20, data: 90 << 20, max: 256 << 20, evicts: false };
        });
    }
    let decision = decide(&world.wish, &seen);
    assert!(decision.acts.is_empty(), "{:?}", decision.acts);
    let Verdict::ScaleInBlocked { shards, why } = decision.view.verdict else { panic!("{}", decision.view.verdict) };
    assert_eq!(
        (shards.as_slice(), why.as_str()),
        (&[2][..], "s1-0 has 156 MiB free, and 225 MiB are wanted for what would arrive")
    );
    // One that makes room for itself is not waited for.
    for pod in ["s0-0", "s1-0"] {
        amend(&mut seen, pod, |node| node.store.memory.evicts = true);
    }
    assert!(matches!(decide(&world.wish, &seen).acts.as_slice(), [Act::Move(_)]));
}

#[test]
fn no_pod_follows_one_that_its_new_template_left_unready() {
    let mut world = settled(2, 1);
    let mut with = |ready, outdated: &[&str]| {
        let mut seen = world.seen();
        for sighting in &mut seen.sightings {
            sighting.pod.outdated = outdated.contains(&sighting.pod.name.as_str());
            sighting.pod.ready = ready || sighting.pod.name != "s0-1";
        }
        decide(&world.wish, &seen)
    };
    for outdated in [&["s1-1"][..], &["s0-0"]] {
        let waiting = with(false, outdated);
        assert!(waiting.acts.is_empty() && waiting.restart.is_none(), "{waiting:?}");
        let Verdict::Restarting { waits, .. } = waiting.view.verdict else { panic!("{}", waiting.view.verdict) };
        assert_eq!(waits.as_deref(), Some("s0-1 is not ready"));
    }
    assert_eq!(with(true, &["s1-1"]).restart.as_deref(), Some("s1-1"));
    assert!(matches!(with(true, &["s0-0"]).acts.as_slice(), [Act::Failover { pod, .. }] if pod == "s0-1"));
    // The template was mended: it is the first to get it.
    assert_eq!(with(false, &["s0-0", "s0-1", "s1-0", "s1-1"]).restart.as_deref(), Some("s0-1"));
}

#[test]
fn a_node_of_another_history_is_left_alone() {
    let world = &mut settled(2, 1);
    world.write(5);
    let mut seen = world.seen();
    // It knows nobody and claims what it has keys for, as a server does that lost its nodes.conf.
    amend(&mut seen, "s1-1", |node| {
        node.role = Role::Primary;
        let cluster = node.cluster.as_mut().unwrap();
        cluster.peers.retain(|peer| peer.myself);
        cluster.peers[0].replica_of = None;
        cluster.peers[0].slots = Slots::range(9000, 9100);
        cluster.id = NodeId::new("ff");
        cluster.peers[0].id = NodeId::new("ff");
    });
    let decision = decide(&world.wish, &seen);
    assert_eq!((decision.acts, decision.view.verdict), (vec![], Verdict::Stranger { pod: "s1-1".to_owned() }));
}

#[test]
fn nothing_is_made_anew_where_the_record_knows_of_a_store() {
    let mut world = World::new(3, 0);
    world.wish.formed = true;
    let decision = world.round(usize::MAX, usize::MAX);
    assert!(decision.acts.is_empty(), "{:?}", decision.acts);
    assert_eq!(decision.view.verdict, Verdict::SlotsLost { slots: 16384 });
}

#[test]
fn a_replica_that_holds_to_an_old_address_is_told_again_or_restarted() {
    let world = &mut settled(2, 1);
    for (server, told) in [("redis 7.0.15", true), ("valkey 9.1.2", false)] {
        let mut seen = world.seen();
        amend(&mut seen, "s0-1", |node| {
            node.server = server.to_owned();
            node.role = Role::Replica { of: "10.9.9.9:6379".to_owned(), link_up: false, syncing: false };
        });
        let decision = decide(&world.wish, &seen);
        let again = Act::Replicate { pod: "s0-1".to_owned(), primary: "s0-0".to_owned() };
        assert_eq!(decision.acts.contains(&again), told, "{:?}", decision.acts);
        assert_eq!(decision.restart.as_deref(), (!told).then_some("s0-1"));
    }
}

#[test]
fn passwords_are_spread_before_they_are_used_and_used_before_the_old_ones_go() {
    let world = &mut settled(1, 1);
    let login =
        |current, replicates_by_current, others| Login { current, previous: false, others, replicates_by_current };
    let behind = |pod: &str| pod.to_owned();
    for (first, second, act, rotation) in [
        (
            login(true, false, false),
            login(false, false, true),
            Act::AcceptPasswords { pod: behind("s0-1") },
            Rotation::Spreading,
        ),
        (
            login(true, true, true),
            login(true, false, true),
            Act::UsePassword { pod: behind("s0-1") },
            Rotation::Spreading,
        ),
        (
            login(true, true, true),
            login(true, true, false),
            Act::DropPasswords { pod: behind("s0-0") },
            Rotation::Spread,
        ),
    ] {
        let mut seen = world.seen();
        amend(&mut seen, "s0-0", |node| node.login = first.clone());
        amend(&mut seen, "s0-1", |node| node.login = second.clone());
        let decision = decide(&world.wish, &seen);
        assert_eq!((decision.acts, decision.view.rotation), (vec![act], rotation));
    }
}

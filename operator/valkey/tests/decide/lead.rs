//! Which pod leads a store of mode `single`: tables, and what holds in any world.

use learningplatform_valkey::*;
use proptest::prelude::*;
use std::net::SocketAddr;

/// What is told, what is wished, what is seen, and who leads.
type Case = (&'static str, Wish, Vec<Sighting>, Result<u32, Verdict>);

fn address(ordinal: u32) -> SocketAddr {
    format!("10.0.0.{}:6379", ordinal + 1).parse().expect("an address")
}

fn pod(ordinal: u32) -> Pod {
    Pod {
        name: format!("s0-{ordinal}"),
        shard: 0,
        ordinal,
        address: Some(address(ordinal)),
        ready: true,
        outdated: false,
        terminating: false,
        gone: false,
        gate: None,
    }
}

/// A server: whom it follows, its keys, its history and how far it is in it.
fn server(ordinal: u32, of: Option<u32>, keys: u64, history: &str, offset: u64) -> Sighting {
    let role =
        of.map_or(Role::Primary, |of| Role::Replica { of: address(of).to_string(), link_up: true, syncing: false });
    let node = Node {
        certificate_ends: None,
        server: "valkey 9.1.2".to_owned(),
        role,
        history: history.to_owned(),
        history_before: None,
        offset,
        attached: Vec::new(),
        store: Store { keys, memory: Memory::default() },
        rewriting: false,
        work: Work::default(),
        login: Login { current: true, previous: false, others: false, replicates_by_current: true },
        cluster: None,
    };
    Sighting { pod: pod(ordinal), answer: Answer::Node(Box::new(node)) }
}

fn silent(ordinal: u32) -> Sighting {
    Sighting { pod: pod(ordinal), answer: Answer::Unreachable("timed out".to_owned()) }
}

fn gated(ordinal: u32) -> Sighting {
    let mut sighting = silent(ordinal);
    sighting.pod.gate = Some(Gate::DataMissing);
    sighting
}

fn gone(ordinal: u32) -> Sighting {
    let mut sighting = silent(ordinal);
    sighting.pod.gone = true;
    sighting
}

fn wish(replicas: u32, primary: Option<u32>) -> Wish {
    let passwords = Passwords { current: Password::new("x"), previous: None };
    let primary = primary.map(|ordinal| format!("s0-{ordinal}"));
    Wish { mode: Mode::Single, shards: 1, replicas, passwords, formed: primary.is_some(), primary }
}

fn decided(wish: &Wish, sightings: Vec<Sighting>) -> Decision {
    decide(wish, &Seen { sightings, failures: Vec::new() })
}

#[test]
fn who_leads_follows_from_proof_alone() {
    let waiting = |ordinal: u32| Err(Verdict::WaitingForOldPrimary { pod: format!("s0-{ordinal}") });
    let ambiguous =
        |pods: &[&str]| Err(Verdict::Ambiguous { pods: pods.iter().map(|pod| (*pod).to_owned()).collect() });
    let follower = |ordinal, offset| server(ordinal, Some(0), 9, "a", offset);
    let cases: Vec<Case> = vec![
        ("all are new", wish(1, None), vec![server(0, None, 0, "a", 0), server(1, None, 0, "b", 0)], Ok(0)),
        ("not all are heard", wish(1, None), vec![server(0, None, 0, "a", 0), silent(1)], Err(Verdict::Forming)),
        ("one has data", wish(1, None), vec![server(0, None, 0, "a", 0), server(1, None, 5, "b", 0)], Ok(1)),
        (
            "two have data",
            wish(1, None),
            vec![server(0, None, 3, "a", 5), server(1, None, 5, "b", 4)],
            ambiguous(&["s0-0", "s0-1"]),
        ),
        ("it leads", wish(1, Some(0)), vec![server(0, None, 9, "a", 5), follower(1, 5)], Ok(0)),
        ("silence is no proof", wish(1, Some(0)), vec![silent(0), follower(1, 5)], waiting(0)),
        ("it is gone", wish(2, Some(0)), vec![gone(0), follower(1, 50), follower(2, 60)], Ok(2)),
        ("its object is gone", wish(2, Some(0)), vec![follower(1, 70), follower(2, 60)], Ok(1)),
        ("its data are gone", wish(1, Some(0)), vec![gated(0), follower(1, 50)], Ok(1)),
        (
            "all data are gone",
            wish(1, Some(0)),
            vec![gated(0), gated(1)],
            Err(Verdict::DataMissing { pods: vec!["s0-0".to_owned(), "s0-1".to_owned()] }),
        ),
        (
            "another may be ahead",
            wish(2, Some(0)),
            vec![gone(0), follower(1, 50), silent(2)],
            Err(Verdict::Unreachable { pods: vec!["s0-2".to_owned()] }),
        ),
        (
            "one knows no history",
            wish(2, Some(0)),
            vec![gone(0), server(1, Some(0), 9, "z", 1), follower(2, 60)],
            Ok(2),
        ),
        (
            "it has handed over",
            wish(1, Some(0)),
            vec![server(0, Some(1), 9, "a", 5), server(1, None, 9, "b", 6)],
            Ok(1),
        ),
        ("its heir is silent", wish(1, Some(0)), vec![server(0, Some(1), 9, "a", 5), silent(1)], waiting(1)),
        ("the other is back", wish(1, Some(1)), vec![server(0, None, 9, "c", 5), follower(1, 50)], Ok(0)),
    ];
    for (case, wish, sightings, expected) in cases {
        let view = decided(&wish, sightings).view;
        match expected {
            Ok(lead) => assert_eq!(view.lead, Some(format!("s0-{lead}")), "{case}: {view:?}"),
            Err(verdict) => assert_eq!((view.verdict, view.lead, view.primary), (verdict, None, None), "{case}"),
        }
    }
}

#[test]
fn nobody_is_promoted_before_the_record_names_it() {
    let world = || vec![gone(0), server(1, Some(0), 9, "a", 50)];
    let before = decided(&wish(1, Some(0)), world());
    assert_eq!((before.acts.len(), before.view.lead.as_deref(), before.view.primary), (0, Some("s0-1"), None));
    let after = decided(&wish(1, Some(1)), world());
    assert_eq!(after.acts, [Act::Promote { pod: "s0-1".to_owned() }]);
}

#[test]
fn a_primary_hands_over_to_one_that_services_lead_to() {
    let world = |ready| {
        let mut sightings =
            vec![server(0, None, 9, "a", 50), server(1, Some(0), 9, "a", 50), server(2, Some(0), 9, "a", 50)];
        sightings[0].pod.outdated = true;
        // It answers, and a probe or a container beside its server does not say so yet.
        sightings[1].pod.ready = ready;
        sightings
    };
    let waiting = decided(&wish(2, Some(0)), world(false));
    let Verdict::Restarting { waits, .. } = waiting.view.verdict else { panic!("{}", waiting.view.verdict) };
    assert_eq!((waiting.acts, waiting.restart, waits.as_deref()), (vec![], None, Some("s0-1 is not ready")));
    let going = decided(&wish(2, Some(0)), world(true));
    assert!(matches!(going.acts.as_slice(), [Act::HandOver { from, .. }] if from == "s0-0"), "{:?}", going.acts);

    // One that is told to stop hands over all the same, to the readiest.
    let mut leaving = world(false);
    leaving[0].pod.terminating = true;
    let to = "s0-2".to_owned();
    assert_eq!(decided(&wish(2, Some(0)), leaving).acts, [Act::HandOver { from: "s0-0".to_owned(), to }]);
}

#[test]
fn one_with_data_is_not_made_the_replica_of_an_empty_one() {
    let mut other = server(1, Some(0), 9, "b", 50);
    if let Answer::Node(node) = &mut other.answer {
        node.role = Role::Replica { of: "10.9.9.9:6379".to_owned(), link_up: false, syncing: false };
    }
    let decision = decided(&wish(1, Some(0)), vec![server(0, None, 0, "a", 0), other]);
    assert_eq!(decision.acts, []);
    assert_eq!(decision.view.primary, None, "and no client is led to the empty one");
    assert!(matches!(decision.view.verdict, Verdict::Ambiguous { .. }), "{}", decision.view.verdict);
}

fn any_pod(ordinal: u32) -> impl Strategy<Value = Option<Sighting>> {
    let following = prop_oneof![Just(None), (0..3_u32).prop_map(Some)];
    let histories = prop::sample::select(vec!["a", "b", "c"]);
    let states = prop_oneof![
        4 => (following, 0..3_u64, histories, 0..9_u64).prop_map(move |(of, keys, history, offset)| {
            Some(server(ordinal, of.filter(|of| *of != ordinal), keys, history, offset))
        }),
        1 => Just(Some(silent(ordinal))),
        1 => Just(Some(gated(ordinal))),
        1 => Just(Some(gone(ordinal))),
        1 => Just(None),
    ];
    (states, any::<bool>(), any::<bool>()).prop_map(|(sighting, outdated, terminating)| {
        sighting.map(|mut sighting| {
            (sighting.pod.outdated, sighting.pod.terminating) = (outdated, terminating);
            sighting
        })
    })
}

fn keys_of(sightings: &[Sighting], pod: &str) -> u64 {
    let found = sightings.iter().find(|sighting| sighting.pod.name == pod);
    match found.map(|sighting| &sighting.answer) {
        Some(Answer::Node(node)) => node.store.keys,
        _ => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_any_world_at_most_one_leads_and_no_data_are_given_up_for_none(
        pods in (any_pod(0), any_pod(1), any_pod(2)),
        recorded in prop_oneof![Just(None), (0..3_u32).prop_map(Some)],
    ) {
        let sightings: Vec<Sighting> = [pods.0, pods.1, pods.2].into_iter().flatten().collect();
        let wish = wish(2, recorded);
        let decision = decided(&wish, sightings.clone());
        let unheard = sightings.iter().any(|sighting| {
            matches!(sighting.answer, Answer::Unreachable(_)) && !sighting.pod.gone && sighting.pod.gate.is_none()
        });
        for act in &decision.acts {
            match act {
                Act::Promote { pod } => {
                    prop_assert_eq!(Some(pod), wish.primary.as_ref());
                    prop_assert!(!unheard, "somebody may be taking writes");
                    let most = sightings.iter().map(|sighting| keys_of(&sightings, &sighting.pod.name)).max();
                    prop_assert!(keys_of(&sightings, pod) > 0 || most == Some(0));
                }
                Act::Follow { pod, primary } => {
                    prop_assert_eq!(Some(primary), decision.view.primary.as_ref());
                    let gives_up = keys_of(&sightings, pod) > 0 && keys_of(&sightings, primary) == 0;
                    let history = |name: &str| sightings.iter().find(|s| s.pod.name == name).and_then(|s| match &s.answer {
                        Answer::Node(node) => Some(node.history.clone()),
                        _ => None,
                    });
                    prop_assert!(!gives_up || history(pod) == history(primary));
                }
                Act::HandOver { from, to } => {
                    prop_assert_eq!(Some(from), decision.view.primary.as_ref());
                    prop_assert!(from != to);
                }
                other => prop_assert!(false, "{} in a single store", other),
            }
        }
        prop_assert!(decision.view.primary.is_none() || decision.view.primary == wish.primary);
    }
}

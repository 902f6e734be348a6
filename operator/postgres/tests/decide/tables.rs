//! Tables.

use crate::world::{part, primary, reasons, replica, restarted, set, silence, wish, world};
use learningplatform_postgres::{
    Act, Durability, DurabilityNow, Gate, GateReason, Lsn, Reason, ReplicaState, Role, Seen, Slot, WalSender,
    WalStatus, Wish, Write, config::Encryption, decide,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

#[test]
fn a_world_as_wished_needs_nothing() {
    let wish = wish(2);
    let decision = decide(&wish, &world(&wish));
    assert_eq!((decision.acts, decision.restart), (vec![], None));
    let view = decision.view;
    assert_eq!(view.verdicts.first().map(|verdict| verdict.reason), Some(Reason::Ready));
    assert!(view.ready() && view.accepts_writes && view.primary_up);
    assert_eq!((view.routable(), view.replicas_allowed), ([0, 1].into(), 2));
    assert_eq!(view.record, wish.record);
    assert_eq!(view.major, Some(15));
}

#[test]
fn a_server_that_is_not_the_recorded_primary_is_left_alone() {
    let wish = wish(1);
    let strangers: [(fn(&mut Seen), Reason); 4] = [
        (|seen| primary(seen).settings.system_identifier = "1".into(), Reason::WrongCluster),
        (|seen| primary(seen).settings.in_recovery = true, Reason::NotPrimary),
        (|seen| primary(seen).settings.timeline = 0, Reason::WrongCluster),
        (|seen| seen.primary = Err(silence()), Reason::Starting),
    ];
    for (change, reason) in strangers {
        let mut seen = world(&wish);
        change(&mut seen);
        let decision = decide(&wish, &seen);
        assert_eq!((decision.acts.len(), &decision.restart, &decision.view.record), (0, &None, &None), "{reason:?}");
        assert_eq!(reasons(&decision)[0], reason);
        assert!(!decision.view.ready());
    }
    let mut seen = world(&wish);
    replica(&mut seen, 0).settings.system_identifier = "1".into();
    let decision = decide(&wish, &seen);
    assert_eq!(decision.view.replicas[0].state, ReplicaState::Stranger);
    assert!(decision.view.routable().is_empty());
}

#[test]
fn a_refusal_of_the_start_script_is_what_is_said() {
    let wish = wish(0);
    for (message, reason) in [
        ("DataMissing: x", Reason::DataMissing),
        ("WrongCluster: x", Reason::WrongCluster),
        ("NotPrimary: x\n", Reason::NotPrimary),
        ("SetupFailed: x", Reason::StartRefused),
        ("Error: out of memory", Reason::Starting),
    ] {
        let mut seen = world(&wish);
        seen.primary = Err(silence());
        seen.pods[0].gate = Gate::parse(message);
        assert_eq!(reasons(&decide(&wish, &seen))[0], reason, "{message}");
    }
    assert_eq!(Gate::parse("DataMissing: x").map(|gate| gate.reason), Some(GateReason::DataMissing));
}

#[test]
fn durability_is_set_when_enough_replicas_follow_and_never_taken_back() {
    let required = |replicas| Durability::Required { replicas };
    let any = |count, names: &[u32]| {
        let names: Vec<String> = names.iter().map(|ordinal| format!("\"pg-ro-{ordinal}\"")).collect();
        format!("ANY {count} ({})", names.join(", "))
    };
    let nothing = String::new;
    // Wished; in force (commit, names); who follows of three; what is set.
    let table: [(Durability, (&str, String), &[u32], &[(&str, String)]); 15] = [
        (Durability::Local, ("local", nothing()), &[0, 1, 2], &[]),
        (Durability::Local, ("on", nothing()), &[], &[("synchronous_commit", "local".into())]),
        (required(1), ("local", nothing()), &[], &[]),
        (required(2), ("local", nothing()), &[1], &[]),
        (
            required(1),
            ("local", nothing()),
            &[1],
            &[("synchronous_commit", "on".into()), ("synchronous_standby_names", any(1, &[1]))],
        ),
        (required(1), ("on", any(1, &[1])), &[0, 1], &[("synchronous_standby_names", any(1, &[0, 1]))]),
        // One is away for a while: the list stays as it is.
        (required(1), ("on", any(1, &[0, 1])), &[0], &[]),
        // Nobody follows any more: commits wait.
        (required(1), ("on", any(1, &[0, 1])), &[], &[]),
        (required(2), ("on", any(2, &[0, 1])), &[0], &[]),
        // More is wished than there is: what holds, holds.
        (required(2), ("on", any(1, &[0])), &[0], &[]),
        (required(2), ("on", any(1, &[0])), &[0, 1], &[("synchronous_standby_names", any(2, &[0, 1]))]),
        // The wish itself asks for less.
        (required(1), ("on", any(2, &[0, 1])), &[], &[("synchronous_standby_names", any(1, &[0, 1]))]),
        (
            Durability::Local,
            ("on", any(2, &[0, 1])),
            &[],
            &[("synchronous_commit", "local".into()), ("synchronous_standby_names", nothing())],
        ),
        (Durability::RemoteWrite, ("on", any(1, &[0])), &[0], &[("synchronous_commit", "remote_write".into())]),
        // Somebody else's list stays until ours can take its place.
        (required(1), ("on", "FIRST 1 (x)".into()), &[], &[]),
    ];
    for (durability, (commit, names), follow, expected) in table {
        let mut wish = wish(3);
        wish.durability = durability;
        let mut seen = world(&wish);
        (0..3).filter(|ordinal| !follow.contains(ordinal)).for_each(|ordinal| part(&wish, &mut seen, ordinal));
        primary(&mut seen).synchronous_commit = commit.into();
        primary(&mut seen).synchronous_standby_names = names.clone();
        let expected: BTreeMap<&str, String> = expected.iter().cloned().collect();
        assert_eq!(set(&decide(&wish, &seen)), expected, "{durability:?} with {commit} {names}, {follow:?}");
    }
}

#[test]
fn what_holds_now_is_said() {
    let mut wish = wish(2);
    wish.durability = Durability::Required { replicas: 2 };
    let mut seen = world(&wish);
    part(&wish, &mut seen, 1);
    let decision = decide(&wish, &seen);
    assert_eq!(decision.view.durability, DurabilityNow::Local { lag: Some(0) });
    assert!(reasons(&decision).contains(&Reason::DurabilityPending) && !decision.view.ready());

    primary(&mut seen).synchronous_commit = "on".into();
    primary(&mut seen).synchronous_standby_names = "ANY 2 (\"pg-ro-0\", \"pg-ro-1\")".into();
    primary(&mut seen).write = Write::Hangs(Duration::from_secs(7));
    let decision = decide(&wish, &seen);
    assert_eq!(decision.view.durability, DurabilityNow::Required { waits_for: 2, answering: 1 });
    assert!(decision.view.durability.waits() && !reasons(&decision).contains(&Reason::DurabilityPending));
    let verdict = &decision.view.verdicts[0];
    assert_eq!((verdict.reason, verdict.message.contains("1 of the 2 replicas")), (Reason::WritesHang, true));

    // All answer, and it hangs: it is the volume.
    primary(&mut seen).synchronous_standby_names = "ANY 1 (\"pg-ro-0\")".into();
    let message = decide(&wish, &seen).view.verdicts[0].message.clone();
    assert!(message.contains("waited for 7 s") && message.contains("volume"), "{message}");
}

#[test]
fn replicas_leave_only_when_nobody_needs_them() {
    let mut wish = wish(3);
    wish.durability = Durability::Required { replicas: 1 };
    let mut seen = world(&wish);
    primary(&mut seen).synchronous_commit = "on".into();
    primary(&mut seen).synchronous_standby_names = "ANY 1 (\"pg-ro-0\")".into();
    wish.replicas = 1;
    let allowed = |seen: &Seen| decide(&wish, seen).view.replicas_allowed;
    assert_eq!(allowed(&seen), 1);
    let held: [(&str, fn(&Wish, &mut Seen)); 6] = [
        ("readers", |_, seen| seen.routed = [2].into()),
        ("the primary is silent", |_, seen| seen.primary = Err(silence())),
        ("the staying one does not follow", |wish, seen| part(wish, seen, 0)),
        ("commits may wait for a leaving one", |_, seen| {
            primary(seen).synchronous_standby_names = "ANY 1 (\"pg-ro-0\", \"pg-ro-2\")".into();
        }),
        ("the staying one lacks commits", |_, seen| primary(seen).senders[0].flushed = Some(Lsn(999))),
        ("no write", |_, seen| primary(seen).write = Write::Hangs(Duration::ZERO)),
    ];
    for (name, change) in held {
        let mut seen = seen.clone();
        change(&wish, &mut seen);
        let decision = decide(&wish, &seen);
        assert_eq!(decision.view.replicas_allowed, 3, "{name}");
        assert!(reasons(&decision).contains(&Reason::ShrinkHeld), "{name}");
        assert!(decision.view.routable().is_subset(&[0].into()), "{name}");
    }
    // Never below what commits wait for.
    wish.replicas = 0;
    assert_eq!(decide(&wish, &seen).view.replicas_allowed, 1);
    // It grows at once, and slots are made before the pods clone.
    wish.replicas = 5;
    let decision = decide(&wish, &seen);
    let create = |ordinal| Act::CreateSlot { slot: format!("lp_ro_{ordinal}") };
    assert_eq!((decision.view.replicas_allowed, decision.acts[..2].to_vec()), (5, vec![create(3), create(4)]));
}

#[test]
fn a_lost_replica_gets_a_new_slot_and_a_new_start() {
    let wish = wish(2);
    let mut seen = world(&wish);
    part(&wish, &mut seen, 1);
    primary(&mut seen).slots[1].status = WalStatus::Lost;
    let slot = || "lp_ro_1".to_owned();
    let decision = decide(&wish, &seen);
    assert_eq!(decision.acts, [Act::DropSlot { slot: slot() }, Act::CreateSlot { slot: slot() }]);
    assert_eq!((restarted(&decision), decision.view.replicas[1].state), (Some(Role::Replica(1)), ReplicaState::Lost));
    // Cut off after the slots: its server still runs with what cannot be continued.
    primary(&mut seen).slots[1].status = WalStatus::Unused;
    let decision = decide(&wish, &seen);
    assert_eq!((decision.acts.len(), restarted(&decision)), (0, Some(Role::Replica(1))));
    // Its server does not answer: it is in its start script, and clones or waits.
    seen.replica.insert(1, Err(silence()));
    assert_eq!(restarted(&decide(&wish, &seen)), None);

    // The primary went on without it on another timeline.
    let mut seen = world(&wish);
    primary(&mut seen).settings.timeline = 2;
    assert_eq!(restarted(&decide(&wish, &seen)), None);
    part(&wish, &mut seen, 1);
    assert_eq!(restarted(&decide(&wish, &seen)), Some(Role::Replica(1)));

    // The slot is whole and the log that the replica needs is not: its volume is older than the slot.
    let mut seen = world(&wish);
    part(&wish, &mut seen, 0);
    replica(&mut seen, 0).received = Some(Lsn(499));
    assert_eq!((decide(&wish, &seen).acts.len(), restarted(&decide(&wish, &seen))), (2, Some(Role::Replica(0))));
    replica(&mut seen, 0).received = Some(Lsn(500));
    assert_eq!((decide(&wish, &seen).acts.len(), restarted(&decide(&wish, &seen))), (0, None));
}

#[test]
fn a_replica_ahead_of_its_primary_is_stopped_and_kept() {
    let wish = Wish { may_restart: false, ..wish(2) };
    let mut seen = world(&wish);
    replica(&mut seen, 1).received = Some(Lsn(1001));
    let decision = decide(&wish, &seen);
    assert_eq!((decision.acts.len(), restarted(&decision)), (0, Some(Role::Replica(1))));
    assert_eq!((decision.view.replicas[1].state, decision.view.routable()), (ReplicaState::Ahead, [0].into()));
    assert!(reasons(&decision).contains(&Reason::ReplicaAhead) && !decision.view.ready());
}

#[test]
fn restarts_come_one_at_a_time_replicas_first_and_wait_for_what_is_unsettled() {
    let wish = wish(2);
    let all = || {
        let mut seen = world(&wish);
        seen.pods.iter_mut().for_each(|pod| pod.outdated = true);
        seen
    };
    assert_eq!(restarted(&decide(&wish, &all())), Some(Role::Replica(0)));
    let mut seen = all();
    seen.pods[1].outdated = false;
    assert_eq!(restarted(&decide(&wish, &seen)), Some(Role::Replica(1)));
    seen.pods[2].outdated = false;
    assert_eq!(restarted(&decide(&wish, &seen)), Some(Role::Primary));

    let waits: [(&str, fn(&Wish, &mut Seen)); 8] = [
        ("another restarts", |_, seen| seen.pods[2].terminating = true),
        ("another does not follow", |wish, seen| {
            part(wish, seen, 1);
            seen.pods[2].outdated = false;
        }),
        ("another is cloned", |wish, seen| {
            part(wish, seen, 1);
            seen.replica.insert(1, Err(silence()));
            let sender = WalSender { name: wish.replica(1), state: "backup".into(), flushed: None, lag: None };
            primary(seen).senders.push(sender);
        }),
        ("the configuration is refused", |_, seen| replica(seen, 1).settings.config.errors = vec!["work_mem".into()]),
        ("writes hang", |_, seen| primary(seen).write = Write::Hangs(Duration::ZERO)),
        ("the primary is not ready", |_, seen| seen.pods[0].ready = false),
        ("one that was made anew is led to by nothing", |_, seen| {
            seen.pods[2].outdated = false;
            seen.pods[2].ready = false;
        }),
        ("the primary is silent", |_, seen| seen.primary = Err(silence())),
    ];
    for (name, change) in waits {
        let mut seen = all();
        change(&wish, &mut seen);
        let decision = decide(&wish, &seen);
        assert_eq!(restarted(&decision), None, "{name}");
        assert!(reasons(&decision).contains(&Reason::PendingRestart), "{name}");
    }
    let frozen = Wish { may_restart: false, ..wish.clone() };
    assert_eq!(restarted(&decide(&frozen, &all())), None);
    // What is broken is replaced even then, and first.
    let mut seen = all();
    part(&wish, &mut seen, 1);
    assert_eq!(restarted(&decide(&frozen, &seen)), Some(Role::Replica(1)));
    let mut seen = all();
    seen.primary = Err(silence());
    seen.pods[0].stuck = true;
    assert_eq!(restarted(&decide(&frozen, &seen)), Some(Role::Primary));
}

/// A replica with certificates does not follow a primary without, while one without follows any.
#[test]
fn the_primary_gets_certificates_before_its_replicas() {
    let plain = wish(2);
    let mut wish = plain.clone();
    wish.server.tls = Some(Encryption::Required);
    let restart = |with: &[Role], outdated: &[Role]| {
        let mut seen = world(&wish);
        for pod in &mut seen.pods {
            pod.tls = with.contains(&pod.role);
            pod.outdated = outdated.contains(&pod.role);
        }
        // One that was made anew meanwhile waits for the primary.
        for replica in seen.replica.iter_mut().filter(|(ordinal, _)| with.contains(&Role::Replica(**ordinal))) {
            if !with.contains(&Role::Primary) {
                *replica.1 = Err(silence());
            }
        }
        decide(&wish, &seen).restart.map(|restart| restart.role)
    };
    let [primary, first, second] = [Role::Primary, Role::Replica(0), Role::Replica(1)];
    assert_eq!(restart(&[], &[primary, first, second]), Some(primary));
    assert_eq!(restart(&[first], &[primary, second]), Some(primary));
    assert_eq!(restart(&[primary], &[first, second]), Some(first));
    assert_eq!(restart(&[primary, first], &[second]), Some(second));
    // Any other change begins with the replicas.
    assert_eq!(restart(&[primary, first, second], &[primary, first, second]), Some(first));
}

#[test]
fn readers_are_sent_where_the_lag_is_known_and_small() {
    let wish = wish(1);
    let late = Some(Duration::from_secs(11));
    // Lag, routed before; routable.
    for (lag, routed, routable) in
        [(Some(Duration::ZERO), false, true), (late, true, false), (None, false, false), (None, true, true)]
    {
        let mut seen = world(&wish);
        replica(&mut seen, 0).lag = lag;
        seen.routed = if routed { [0].into() } else { BTreeSet::new() };
        assert_eq!(decide(&wish, &seen).view.routable().contains(&0), routable, "{lag:?} {routed}");
    }
    // Nothing was learnt of the replica this time; the primary still sends to it.
    let mut seen = world(&wish);
    seen.replica.insert(0, Err(silence()));
    assert!(decide(&wish, &seen).view.routable().is_empty());
    seen.routed = [0].into();
    assert_eq!(decide(&wish, &seen).view.routable(), [0].into());
    seen.pods[1].ready = false;
    assert!(decide(&wish, &seen).view.routable().is_empty());
}

#[test]
fn a_filling_volume_names_the_slot_that_fills_it() {
    let wish = wish(1);
    let mut seen = world(&wish);
    primary(&mut seen).bytes = Some(7 << 30);
    assert!(!reasons(&decide(&wish, &seen)).contains(&Reason::DiskFilling));
    primary(&mut seen).bytes = Some(8 << 30);
    let slot = Slot { name: "debezium".into(), active: false, status: WalStatus::Kept, kept: 5 << 30 };
    primary(&mut seen).slots.push(slot);
    let decision = decide(&wish, &seen);
    let verdict = decision.view.verdicts.iter().find(|verdict| verdict.reason == Reason::DiskFilling).unwrap();
    assert!(verdict.message.contains("slot debezium"), "{}", verdict.message);
    assert!(decision.acts.is_empty(), "it is not ours");
}

//! What holds for whatever is wished and seen.

use crate::world::{part, primary, replica, silence, wish, world};
use learningplatform_postgres::{Act, Durability, Lsn, ReplicaState, Role, Seen, Slot, WalStatus, Wish, Write, decide};
use proptest::prelude::*;
use std::{collections::BTreeSet, time::Duration};

/// Any wish, and any world that could be seen under it.
fn any_world() -> impl Strategy<Value = (Wish, Seen)> {
    let durability = prop_oneof![
        Just(Durability::Local),
        Just(Durability::RemoteWrite),
        (1..4u32).prop_map(|replicas| Durability::Required { replicas })
    ];
    let wished = (0..4u32, durability, any::<bool>(), 50..53u32);
    let status = || prop_oneof![Just(WalStatus::Unused), Just(WalStatus::Kept), Just(WalStatus::Lost)];
    let one = (any::<[bool; 8]>(), status(), 50..53u32, 400..1100u64);
    let force = (0..4u32, any::<[bool; 4]>(), prop_oneof![Just("local"), Just("on"), Just("remote_write")]);
    let rest = (0..5u32, any::<[bool; 6]>(), 50..53u32, 50..53u32, prop::collection::btree_set(0..4u32, 0..3));
    (wished, prop::collection::vec(one, 4), force, rest).prop_map(|(wished, ones, force, rest)| {
        let (replicas, durability, may_restart, connections) = wished;
        let mut wish = wish(4);
        wish.server.parameters.insert("max_connections".into(), connections.to_string());
        let mut seen = world(&wish);
        (wish.replicas, wish.durability, wish.may_restart) = (replicas, durability, may_restart);
        for (ordinal, (flags, status, limit, at)) in (0..4).zip(ones).rev() {
            let [follows, answers, exists, outdated, terminating, slot, stuck, behind] = flags;
            let one = replica(&mut seen, ordinal);
            one.settings.limits.set("max_connections", limit);
            one.received = Some(Lsn(at));
            one.replayed = Some(Lsn(if behind { 900 } else { 1000 }));
            primary(&mut seen).slots[ordinal as usize].status = status;
            primary(&mut seen).senders.iter_mut().for_each(|sender| sender.flushed = Some(Lsn(at)));
            let pod = &mut seen.pods[ordinal as usize + 1];
            (pod.outdated, pod.terminating, pod.stuck) = (outdated, terminating, stuck);
            if !follows {
                part(&wish, &mut seen, ordinal);
            }
            if !answers {
                seen.replica.insert(ordinal, Err(silence()));
            }
            if !exists {
                seen.pods.retain(|pod| pod.role != Role::Replica(ordinal));
                seen.replica.remove(&ordinal);
            }
            if !slot {
                primary(&mut seen).slots.retain(|slot| slot.active || slot.name != format!("lp_ro_{ordinal}"));
            }
        }
        let (waits_for, members, commit) = force;
        let members: Vec<_> =
            (0..4).filter(|at| members[*at]).map(|at| format!("\"{}\"", wish.replica(at as u32))).collect();
        let [silent, hangs, outdated, ready, errors, foreign] = rest.1;
        let one = primary(&mut seen);
        one.synchronous_commit = commit.into();
        if waits_for > 0 && !members.is_empty() {
            one.synchronous_standby_names = format!("ANY {waits_for} ({})", members.join(", "));
        }
        one.settings.limits.set("max_connections", rest.2);
        one.settings.config.limits.set("max_connections", rest.3);
        if hangs {
            one.write = Write::Hangs(Duration::from_secs(1));
        }
        if errors {
            one.settings.config.errors.push("work_mem".into());
        }
        if foreign {
            let slot = |name: &str| Slot { name: name.into(), active: false, status: WalStatus::Lost, kept: 0 };
            one.slots.extend(["other", "lp_ro_", "lp_ro_x", "lp_ro_01", "lp_ro_9"].map(slot));
        }
        (seen.pods[0].outdated, seen.pods[0].ready) = (outdated, ready);
        (seen.replicas, seen.routed) = (rest.0, rest.4);
        if silent {
            seen.primary = Err(silence());
        }
        (wish, seen)
    })
}

/// `ANY n (…)` and whether it must be flushed; nothing of commits that wait for nobody.
fn force(commit: &str, names: &str) -> Option<(usize, bool, BTreeSet<String>)> {
    if names.is_empty() || commit == "local" {
        return None;
    }
    let (count, names) = names.strip_prefix("ANY ")?.split_once(" (")?;
    let names = names.trim_end_matches(')').split(", ").map(|name| name.trim_matches('"').to_owned()).collect();
    Some((count.parse().ok()?, commit == "on", names))
}

/// What the acts make of the world.
fn apply(wish: &Wish, seen: &mut Seen, acts: &[Act]) {
    for act in acts {
        match act {
            Act::CreateSlot { slot } => {
                let slot = Slot { name: slot.clone(), active: false, status: WalStatus::Unused, kept: 0 };
                primary(seen).slots.push(slot);
            }
            Act::DropSlot { slot } => primary(seen).slots.retain(|seen| seen.name != *slot),
            Act::SetParameters(parameters) => {
                for (name, value) in parameters {
                    match *name {
                        "synchronous_commit" => primary(seen).synchronous_commit = value.clone(),
                        "synchronous_standby_names" => primary(seen).synchronous_standby_names = value.clone(),
                        name => primary(seen).settings.config.limits.set(name, value.parse().unwrap()),
                    }
                }
            }
            Act::Reload(_) => {}
            other => panic!("{other:?} in a world with {:?}", wish.databases),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn durability_is_never_weakened_but_by_the_wish((wish, mut seen) in any_world()) {
        let before = seen.primary.as_ref().ok().and_then(|one| force(&one.synchronous_commit, &one.synchronous_standby_names));
        let decision = decide(&wish, &seen);
        apply(&wish, &mut seen, &decision.acts);
        let after = seen.primary.as_ref().ok().and_then(|one| force(&one.synchronous_commit, &one.synchronous_standby_names));
        let wished = wish.durability.waits_for() as usize;
        if let Some((count, flushed, names)) = before
            && wished > 0
        {
            let (new_count, new_flushed, new_names) = after.expect("it still waits");
            prop_assert!(new_count >= count.min(wished));
            prop_assert!(new_flushed || !flushed || wish.durability == Durability::RemoteWrite);
            // Who is taken from the list is not needed: enough others follow.
            if !new_names.is_superset(&names) {
                let senders = &seen.primary.as_ref().unwrap().senders;
                prop_assert!(senders.iter().filter(|sender| new_names.contains(&sender.name)).count() >= new_count);
            }
        }
    }

    #[test]
    fn slots_of_wanted_replicas_and_of_others_are_kept((wish, seen) in any_world()) {
        let decision = decide(&wish, &seen);
        for act in &decision.acts {
            let Act::DropSlot { slot } = act else { continue };
            let primary = seen.primary.as_ref().unwrap();
            let dropped = primary.slots.iter().find(|seen| seen.name == *slot).unwrap();
            prop_assert!(!dropped.active);
            let ordinal: u32 = slot.strip_prefix("lp_ro_").unwrap().parse().unwrap();
            prop_assert_eq!(slot, &format!("lp_ro_{ordinal}"));
            let behind = seen.answer(ordinal).is_some_and(|replica| !replica.streaming && replica.received < primary.oldest);
            let lost = dropped.status == WalStatus::Lost || behind;
            prop_assert!(lost || ordinal >= wish.replicas.max(seen.replicas), "{slot} {seen:?}");
            let created = Act::CreateSlot { slot: slot.clone() };
            prop_assert!(ordinal >= wish.replicas || decision.acts.contains(&created));
        }
    }

    #[test]
    fn restarts_disturb_nobody((wish, seen) in any_world()) {
        let decision = decide(&wish, &seen);
        let Some(restart) = &decision.restart else { return Ok(()) };
        let state = |role| decision.view.replicas.iter().find(|one| Role::Replica(one.ordinal) == role).map(|one| one.state);
        let pod = seen.pod(restart.role).expect("a pod");
        prop_assert!(state(restart.role) != Some(ReplicaState::Cloning) || pod.stuck);
        prop_assert!(!pod.terminating);
        let serves = match restart.role {
            Role::Primary => !pod.stuck,
            role => matches!(state(role), Some(ReplicaState::Streaming | ReplicaState::Late | ReplicaState::Mixed)) && !pod.stuck,
        };
        if serves {
            prop_assert!(wish.may_restart);
            let primary = seen.primary.as_ref().expect("it answers");
            prop_assert!(primary.settings.config.errors.is_empty() && matches!(primary.write, Write::Done(_)));
            for one in decision.view.replicas.iter().filter(|one| one.ordinal < wish.replicas) {
                let settled = matches!(one.state, ReplicaState::Streaming | ReplicaState::Mixed);
                prop_assert!(settled || Role::Replica(one.ordinal) == restart.role, "{one:?}");
            }
        }
    }

    #[test]
    fn the_primary_never_has_more_than_a_replica_that_runs((wish, mut seen) in any_world()) {
        let before = seen.clone();
        let decision = decide(&wish, &seen);
        apply(&wish, &mut seen, &decision.acts);
        let Ok(primary) = &seen.primary else { return Ok(()) };
        let was = before.primary.as_ref().unwrap();
        // What its next start has, whoever causes it.
        if !was.settings.limits.covers(primary.settings.config.limits) {
            for pod in &seen.pods {
                let Role::Replica(ordinal) = pod.role else { continue };
                let covers = seen.answer(ordinal).is_some_and(|one| one.settings.limits.covers(primary.settings.config.limits));
                prop_assert!(covers, "{pod:?}");
            }
        }
    }

    #[test]
    fn pods_go_only_when_they_may((wish, seen) in any_world()) {
        let decision = decide(&wish, &seen);
        let allowed = decision.view.replicas_allowed;
        prop_assert!(allowed >= wish.replicas && allowed >= seen.replicas.min(wish.durability.waits_for()));
        if allowed < seen.replicas {
            prop_assert!(seen.routed.iter().all(|ordinal| *ordinal < allowed));
            let primary = seen.primary.as_ref().expect("it answers");
            for ordinal in 0..allowed {
                prop_assert!(primary.senders.iter().any(|sender| sender.name == wish.replica(ordinal)));
            }
            if let Some((count, _, names)) = force(&primary.synchronous_commit, &primary.synchronous_standby_names) {
                prop_assert!(names.iter().all(|name| wish.ordinal(name).unwrap() < allowed));
                let have = primary.senders.iter().filter(|sender| names.contains(&sender.name) && sender.flushed >= Some(Lsn(1000)));
                prop_assert!(have.count() >= count);
            }
        }
        prop_assert!(decision.view.routable().iter().all(|ordinal| *ordinal < wish.replicas));
    }

    #[test]
    fn what_was_done_is_not_done_again((wish, mut seen) in any_world()) {
        let first = decide(&wish, &seen);
        apply(&wish, &mut seen, &first.acts);
        let second = decide(&wish, &seen);
        prop_assert_eq!(second.acts, vec![], "after {:?}", first.acts);
        prop_assert_eq!(decide(&wish, &seen), decide(&wish, &seen));
    }

    #[test]
    fn nothing_is_done_without_the_primary((wish, mut seen) in any_world()) {
        seen.primary = Err(silence());
        let decision = decide(&wish, &seen);
        prop_assert!(decision.acts.is_empty() && decision.view.record.is_none());
        prop_assert_eq!(decision.view.replicas_allowed, seen.replicas.max(wish.replicas));
    }
}

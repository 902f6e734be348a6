//! What holds for whatever is wished, seen and remembered.

use crate::driver::{owner, wish};
use jiff::Timestamp;
use learningplatform_aws::{
    Allow, Call as _, Mode, Standing, TAGS, Tags,
    rds::{
        Call, DeletionPolicy, Endpoint, Field, Instance, Memory, ParameterGroup, Seen, Settings, Snapshot, Wish, plan,
    },
};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

const STATES: [&str; 12] = [
    "available",
    "available",
    "available",
    "creating",
    "modifying",
    "deleting",
    "stopped",
    "storage-full",
    "failed",
    "incompatible-restore",
    "incompatible-parameters",
    "contemplating",
];

/// Ours, a former platform's, another cluster's, somebody else's.
fn tags(kind: usize) -> Tags {
    let mut tags = owner("story", if kind == 1 { "uid-0" } else { "uid-1" }).tags();
    match kind {
        2 => drop(tags.insert(TAGS[0].into(), "green".into())),
        3 => drop(tags.insert(TAGS[3].into(), "another".into())),
        4 => tags.clear(),
        _ => {}
    }
    tags
}

fn any_instance(id: String, source: Option<String>) -> impl Strategy<Value = Instance> {
    let settings = (prop::sample::select(vec!["15.8", "16.3", "16.4", "17.2"]), any::<[bool; 4]>(), 0..3u32, 10..60u32);
    (
        prop_oneof![6 => Just(0usize), 2 => 1..5usize],
        prop::sample::select(STATES.to_vec()),
        settings,
        any::<[bool; 3]>(),
    )
        .prop_map(move |(kind, status, (version, flags, retention, storage), more)| {
            let [protected, class, pending, backups] = flags;
            let set = Settings::default()
                .with(Field::EngineVersion, version)
                .with(Field::DeletionProtection, protected)
                .with(Field::Class, if class { "db.t4g.medium" } else { "db.r6g.large" })
                .with(Field::Retention, if backups { retention } else { 7 })
                .with(Field::Storage, storage);
            let waits = Settings::default().with(Field::Class, "db.r6g.xlarge");
            let [promoted, endpoint, reboot] = more;
            Instance {
                id: id.clone(),
                status: status.into(),
                tags: tags(kind),
                settings: set,
                pending: if pending { waits } else { Settings::default() },
                password_pending: false,
                pending_reboot: reboot,
                endpoint: endpoint.then(|| Endpoint { address: id.clone(), port: 5432 }),
                source: source.clone().filter(|_| !promoted),
                replicas: BTreeSet::new(),
                username: "lp".into(),
            }
        })
}

fn any_world() -> impl Strategy<Value = (Wish, Seen, Memory, Timestamp)> {
    let id = wish().owner.identity.instance();
    let mut instances = vec![prop::option::weighted(0.8, any_instance(id.clone(), None)).boxed()];
    for index in 0..4 {
        let replica = any_instance(format!("{id}-r{index}"), Some(id.clone()));
        instances.push(prop::option::weighted(0.5, replica).boxed());
    }
    instances.push(prop::option::weighted(0.2, any_instance(format!("{id}-old1"), None)).boxed());
    // One of each name at most, as at AWS.
    let snapshot = (0..5usize, prop::sample::select(vec!["available", "creating"]));
    let snapshots = prop::collection::hash_map(1..4u32, snapshot, 0..3);
    let group = prop::option::weighted(0.8, prop_oneof![4 => Just(0usize), 1 => 1..5usize]);
    let policy =
        prop_oneof![Just(DeletionPolicy::Retain), Just(DeletionPolicy::Snapshot), Just(DeletionPolicy::Delete)];
    let mode = prop_oneof![1 => Just(Mode::Observe), 1 => Just(Mode::Plan), 6 => Just(Mode::Apply)];
    let allow = prop::collection::btree_set(
        prop_oneof![Just(Allow::DeleteWithoutSnapshot), Just(Allow::MajorUpgrade), Just(Allow::DeletePromoted)],
        0..3,
    );
    let wished = (0..4u32, any::<[bool; 4]>(), policy, mode, allow);
    let remembered = (any::<[bool; 3]>(), 1..3u32, 0..100i64);
    (instances, snapshots, group, wished, remembered).prop_map(
        move |(instances, snapshots, group, wished, remembered)| {
            let mut wish = wish();
            let (replicas, [deleted, adopt, secret, windowed], policy, mode, allow) = wished;
            (wish.spec.replicas, wish.deleted, wish.adopt, wish.deletion_policy) = (replicas, deleted, adopt, policy);
            (wish.mode, wish.allow) = (mode, allow);
            if !secret {
                wish.spec.password = None;
            }
            if !windowed {
                wish.spec.maintenance_window = None;
            }
            let snapshots = snapshots.into_iter().map(|(number, (kind, status))| Snapshot {
                id: format!("{id}-final-{number}"),
                instance: id.clone(),
                status: status.into(),
                tags: tags(kind),
                created: None,
            });
            let mut groups = BTreeMap::new();
            if let Some(kind) = group {
                let group =
                    ParameterGroup { family: "postgres16".into(), tags: tags(kind), ..ParameterGroup::default() };
                groups.insert(format!("{id}-postgres16"), group);
            }
            let now = Timestamp::from_second(1_790_000_000).expect("a time");
            let ([seen, deleting, gone], names, ago) = remembered;
            let then = Timestamp::from_second(1_790_000_000 - ago).expect("a time");
            let mut memory = Memory { seen, ..Memory::default() };
            if deleting {
                memory.final_snapshots.extend((1..=names).map(|number| format!("{id}-final-{number}")));
            }
            if gone {
                memory.absent_since = Some(then);
            }
            memory.created.insert(format!("{id}-r2"), then);
            let seen =
                Seen { instances: instances.into_iter().flatten().collect(), snapshots: snapshots.collect(), groups };
            (wish, seen, memory, now)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sent_is_allowed((wish, seen, memory, now) in any_world()) {
        let step = plan(&wish, &seen, &memory, now);
        let id = wish.owner.identity.instance();
        let of = |id: &str| seen.instances.iter().find(|instance| instance.id == id);
        let Some(call) = &step.send else { return Ok(()) };
        prop_assert!(wish.mode == Mode::Apply && !step.finished);
        let planned = step.plan.calls.iter().find(|one| one.call == *call).expect("it is of the plan");
        prop_assert!(planned.hold.is_none());
        prop_assert!(planned.consent.as_ref().is_none_or(|consent| wish.allow.contains(&consent.allow)));
        prop_assert!(!call.sentence().contains("old1") || (wish.adopt && matches!(call, Call::Tag { .. })), "{:?}", call);
        // Only what is ours is changed, but for the tags of what is adopted.
        if let Some(instance) = of(call.resource()) {
            let standing = wish.owner.standing(&instance.tags);
            match call {
                Call::Tag { .. } => prop_assert!(wish.adopt),
                _ => prop_assert_eq!(standing, Standing::Ours, "{:?}", call),
            }
        }
        if let Some(group) = seen.groups.get(call.resource()) {
            let ours = wish.owner.standing(&group.tags) == Standing::Ours;
            prop_assert!(ours || (wish.adopt && matches!(call, Call::Tag { .. })), "{:?}", call);
        }
        match call {
            Call::CreateInstance { id: new, .. } | Call::RestoreInstance { id: new, .. } => {
                prop_assert!(of(new).is_none() && !wish.deleted && !memory.seen);
                prop_assert!(*new == id);
            }
            Call::CreateReplica { id: new, source, .. } => {
                prop_assert!(of(new).is_none() && !wish.deleted);
                let source = of(source).expect("it is there");
                prop_assert!(source.status == "available" && source.settings.number(Field::Retention) != Some(0));
            }
            Call::DeleteInstance { id: gone, snapshot, .. } if *gone == id => {
                prop_assert!(wish.deleted && wish.deletion_policy != DeletionPolicy::Retain);
                let allowed = wish.deletion_policy == DeletionPolicy::Delete || wish.allow.contains(&Allow::DeleteWithoutSnapshot);
                prop_assert!(snapshot.is_some() || allowed, "{:?}", call);
                prop_assert!(of(&id).expect("it is there").settings.flag(Field::DeletionProtection) == Some(false));
                // None of ours is left that AWS would promote.
                let ours = |one: &&Instance| one.source.as_ref() == Some(&id) && wish.owner.standing(&one.tags) == Standing::Ours;
                prop_assert!(!seen.instances.iter().any(|one| ours(&one)));
                if let Some(name) = snapshot {
                    prop_assert!(seen.snapshots.iter().all(|taken| taken.id != *name));
                    prop_assert!(step.remember.final_snapshots.contains(name));
                }
            }
            Call::DeleteInstance { id: gone, snapshot, .. } => {
                prop_assert!(snapshot.is_none());
                let replica = of(gone).expect("it is there");
                let index: u32 = gone.rsplit("-r").next().and_then(|index| index.parse().ok()).expect("a replica");
                prop_assert!(wish.deleted || index >= wish.spec.replicas);
                prop_assert!(replica.source.is_some() || wish.allow.contains(&Allow::DeletePromoted));
            }
            Call::ModifyInstance { id, change, .. } => {
                let instance = of(id).expect("it is there");
                let version = change.text(Field::EngineVersion).unwrap_or("99");
                prop_assert!(version > instance.settings.text(Field::EngineVersion).unwrap_or_default());
                let storage = change.number(Field::Storage).unwrap_or(u32::MAX);
                prop_assert!(storage > instance.settings.number(Field::Storage).unwrap_or(0));
                let lifts = change.flag(Field::DeletionProtection) == Some(false);
                prop_assert!(!lifts || wish.deleted || id.contains("-r"), "{:?}", call);
            }
            _ => {}
        }
    }

    #[test]
    fn the_order_of_what_aws_lists_says_nothing((wish, mut seen, memory, now) in any_world(), by in 0..6usize) {
        let step = plan(&wish, &seen, &memory, now);
        let by = by % seen.instances.len().max(1);
        let instances = Arc::make_mut(&mut seen.instances);
        instances.rotate_left(by);
        instances.reverse();
        Arc::make_mut(&mut seen.snapshots).reverse();
        let again = plan(&wish, &seen, &memory, now);
        prop_assert_eq!((step.send, step.plan, step.remember), (again.send, again.plan, again.remember));
    }

    #[test]
    fn nothing_is_finished_while_something_of_ours_is_there((mut wish, seen, memory, now) in any_world()) {
        (wish.deleted, wish.mode) = (true, Mode::Apply);
        let step = plan(&wish, &seen, &memory, now);
        let ours = |one: &Instance| wish.owner.standing(&one.tags) == Standing::Ours && !one.id.contains("old1");
        let primary = seen.instances.iter().find(|one| one.id == wish.owner.identity.instance());
        let theirs = primary.is_some_and(|one| !ours(one));
        if wish.deletion_policy != DeletionPolicy::Retain && !theirs && seen.instances.iter().any(ours) {
            prop_assert!(!step.finished);
        }
    }

    #[test]
    fn no_look_is_too_soon_or_too_late((wish, seen, memory, now) in any_world()) {
        let step = plan(&wish, &seen, &memory, now);
        prop_assert!((1..=600).contains(&step.requeue.as_secs()), "{:?}", step.requeue);
    }
}

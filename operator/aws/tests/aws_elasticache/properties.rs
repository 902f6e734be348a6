//! What holds for whatever is wished, seen and remembered.

use crate::driver::{FIRST, SECOND, owner, wish, wish_of_users};
use jiff::Timestamp;
use learningplatform_aws::{
    Allow, Call as _, DeletionPolicy, Identity, Mode, Password, Planned, Standing, TAGS, Tags, When,
    elasticache::{
        Auth, Call, Field, Group, Memory, ParameterGroup, Resize, Seen, Settings, Shard, Snapshot, Strategy, Tokens,
        Usage, User, UserGroup, Wish, plan,
    },
};
use proptest::prelude::*;
use std::{collections::BTreeSet, sync::Arc};

const STATES: [&str; 9] = [
    "available",
    "available",
    "available",
    "creating",
    "modifying",
    "snapshotting",
    "deleting",
    "create-failed",
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

fn any_kind() -> impl Strategy_<usize> {
    prop_oneof![6 => Just(0usize), 2 => 1..5usize]
}

use proptest::strategy::Strategy as PropStrategy;
trait Strategy_<T>: PropStrategy<Value = T> {}
impl<T, S: PropStrategy<Value = T>> Strategy_<T> for S {}

fn any_group(id: String) -> impl Strategy_<Group> {
    let state = || prop::sample::select(STATES.to_vec());
    let member = prop::sample::select(vec!["available", "available", "available", "creating"]);
    let shards = prop::collection::vec((prop::sample::select(STATES[..5].to_vec()), 0..4u32), 1..5);
    let set = (any::<[bool; 5]>(), prop::sample::select(vec!["7.2", "8.0"]));
    let token = prop_oneof![12 => Just(None), 1 => Just(Some(Strategy::Rotate)), 1 => Just(Some(Strategy::Set))];
    let likely = prop::bool::weighted;
    let rest = (likely(0.8), likely(0.1), any::<bool>(), likely(0.8), any::<bool>());
    (any_kind(), state(), member, shards, set, token, rest).prop_map(
        move |(
            kind,
            status,
            member,
            shards,
            (flags, version),
            pending_token,
            (is_whole, resharding, guarded, clustered, untold),
        )| {
            let [failover, big, pending, retention, multi_az] = flags;
            let settings = Settings::default()
                .with(Field::Engine, "valkey")
                .with(Field::EngineVersion, version)
                .with(Field::ClusterMode, clustered)
                .with(Field::Failover, failover)
                .with(Field::MultiAz, multi_az)
                .with(Field::Retention, if retention { 7 } else { 1 })
                .with(Field::NodeType, if big { "cache.r7g.xlarge" } else { "cache.r7g.large" });
            let shards: Vec<Shard> = (1..)
                .zip(shards)
                .map(|(number, (status, replicas))| Shard {
                    id: format!("{number:04}"),
                    status: if is_whole { "available".into() } else { status.into() },
                    slots: None,
                    members: (0..=replicas).map(|at| format!("{id}-{number:04}-{at}")).collect(),
                })
                .collect();
            let members = shards.iter().flat_map(|shard| shard.members.clone()).map(|name| (name, member.to_owned()));
            let waits = Settings::default().with(Field::EngineVersion, "8.0");
            let untold = untold && status != "available";
            Group {
                id: id.clone(),
                status: status.into(),
                tags: if untold { Tags::new() } else { tags(kind) },
                untold,
                settings,
                pending: if pending { waits } else { Settings::default() },
                pending_token,
                resharding,
                pending_reboot: false,
                members: members.skip(usize::from(!is_whole)).collect(),
                shards,
                endpoint: None,
                reader: None,
                nodes: Vec::new(),
                token: guarded,
                user_groups: if guarded { BTreeSet::new() } else { [id.clone()].into() },
            }
        },
    )
}

fn any_memory(id: String) -> impl Strategy_<Memory> {
    let print = |text: &str| Password::new(text).fingerprint();
    let tokens = prop_oneof![
        2 => Just(None),
        2 => Just(Some(Tokens { last: print(FIRST), former: None, set: true })),
        2 => Just(Some(Tokens { last: print(SECOND), former: Some(print(FIRST)), set: false })),
        1 => Just(Some(Tokens { last: print(SECOND), former: None, set: true })),
    ];
    (any::<[bool; 5]>(), tokens, 0..100i64, 1..3u32).prop_map(move |(flags, tokens, ago, names)| {
        let [seen, deleting, gone, sent, resized] = flags;
        let then = Timestamp::from_second(1_790_000_000 - ago).expect("a time");
        let mut memory = Memory { seen, made: seen && gone, tokens: tokens.clone(), ..Memory::default() };
        memory.token_sent = tokens.filter(|_| sent).map(|tokens| (Strategy::Rotate, tokens));
        memory.final_snapshots = (1..=names).filter(|_| deleting).map(|at| format!("{id}-final-{at}")).collect();
        memory.absent_since = gone.then_some(then);
        let resize = Resize { what: "it".into(), from: "was".into(), at: then, accepted: sent, back_since: Some(then) };
        memory.resize = resized.then_some(resize);
        memory
    })
}

fn any_wish() -> impl Strategy_<Wish> {
    let policy =
        prop_oneof![Just(DeletionPolicy::Retain), Just(DeletionPolicy::Snapshot), Just(DeletionPolicy::Delete)];
    let mode = prop_oneof![1 => Just(Mode::Observe), 1 => Just(Mode::Plan), 6 => Just(Mode::Apply)];
    let allow = prop_oneof![
        Just(Allow::DeleteWithoutSnapshot),
        Just(Allow::MajorUpgrade),
        Just(Allow::ApplyPending),
        Just(Allow::RemoveShardsUnchecked)
    ];
    let allow = prop::collection::btree_set(allow, 0..3);
    let token = (prop::option::weighted(0.9, any::<bool>()), prop::option::weighted(0.7, any::<bool>()));
    let flags = (prop::bool::weighted(0.3), prop::bool::weighted(0.8), any::<[bool; 5]>());
    (1..5u32, 0..4u32, flags, policy, mode, allow, token).prop_map(
        |(shards, replicas, (deleted, clustered, flags), policy, mode, allow, (wished, published))| {
            let [adopt, users, immediate, big, taken] = flags;
            let mut wish = if users { wish_of_users() } else { wish() };
            let spec = &mut wish.spec;
            (spec.cluster_mode, spec.shards) = if clustered { (true, shards) } else { (false, 1) };
            (spec.replicas, spec.multi_az) = (replicas, None);
            if big {
                spec.node_type = "cache.r7g.xlarge".into();
            }
            if immediate {
                spec.apply = [(Field::NodeType, When::Immediate), (Field::EngineVersion, When::Immediate)].into();
            }
            let secret = |second| Password::new(if second { SECOND } else { FIRST });
            if let Auth::Token(credential) = &mut spec.auth {
                (credential.wished, credential.published) = (wished.map(secret), published.map(secret));
                credential.taken = taken;
            }
            (wish.deleted, wish.adopt, wish.deletion_policy) = (deleted, adopt, policy);
            (wish.mode, wish.allow) = (mode, allow);
            wish
        },
    )
}

fn any_world() -> impl Strategy_<(Wish, Seen, Memory, Timestamp)> {
    let id = wish().owner.identity.replication_group();
    let user = |name: &'static str| {
        let id = Identity::user(&wish().owner.identity.replication_group(), name);
        (any_kind(), prop::sample::select(vec!["active", "active", "modifying", "deleting"]), any::<bool>()).prop_map(
            move |(kind, status, is_in)| User {
                id: id.clone(),
                name: name.into(),
                engine: "valkey".into(),
                status: status.into(),
                tags: tags(kind),
                access: "on ~app:* +@all".into(),
                passwords: 1,
                groups: if is_in { [wish().owner.identity.replication_group()].into() } else { BTreeSet::new() },
            },
        )
    };
    let users = (
        prop::option::weighted(0.7, user("app")),
        prop::option::weighted(0.7, user("reader")),
        prop::option::weighted(0.3, user("left")),
    );
    let user_group = (any_kind(), prop::sample::select(vec!["active", "active", "modifying"]));
    let groups = (
        prop::option::weighted(0.8, any_group(id.clone())),
        prop::option::weighted(0.2, any_group(format!("{id}-copy"))),
    );
    let snapshot = (0..5usize, prop::sample::select(vec!["available", "creating"]), any::<bool>());
    let snapshots = prop::collection::hash_map(1..4u32, snapshot, 0..3);
    let parameters = prop::option::weighted(0.8, any_kind());
    let full = || (0..1000u64, 0..1000u64);
    let usage = prop_oneof![4 => prop::collection::vec(full(), 4), 1 => prop::collection::vec(full(), 0..4)];
    let seen = (groups, users, prop::option::weighted(0.7, user_group), snapshots, parameters, usage);
    (any_wish(), seen, any_memory(id.clone())).prop_map(move |(wish, seen, memory)| {
        let ((group, copy), (app, reader, left), user_group, snapshots, parameters, usage) = seen;
        let users: Vec<User> = [app, reader, left].into_iter().flatten().collect();
        let in_it = |user: &&User| !user.groups.is_empty();
        let seen = Seen {
            groups: [group, copy].into_iter().flatten().collect(),
            snapshots: snapshots
                .into_iter()
                .map(|(number, (kind, status, is_of_it))| Snapshot {
                    name: format!("{id}-final-{number}"),
                    group: if is_of_it { id.clone() } else { "another".into() },
                    status: status.into(),
                    tags: tags(kind),
                    created: None,
                })
                .collect(),
            parameter_groups: parameters
                .map(|kind| {
                    let group = ParameterGroup { family: "valkey7".into(), tags: tags(kind), values: [].into() };
                    (format!("{id}-valkey7"), group)
                })
                .into_iter()
                .collect(),
            user_groups: user_group
                .map(|(kind, status)| UserGroup {
                    id: id.clone(),
                    engine: "valkey".into(),
                    status: status.into(),
                    tags: tags(kind),
                    users: users.iter().filter(in_it).map(|user| user.id.clone()).collect(),
                    used_by: BTreeSet::new(),
                })
                .into_iter()
                .collect(),
            users: users.into(),
            usage: (1..)
                .zip(usage)
                .map(|(at, (used, free))| (format!("{at:04}"), Usage { used, most: used + free }))
                .collect(),
            events: Vec::new(),
        };
        (wish, seen, memory, Timestamp::from_second(1_790_000_000).expect("a time"))
    })
}

/// Tags of what a call names; none where it is not there.
fn tags_of<'a>(seen: &'a Seen, call: &Call) -> Option<&'a Tags> {
    let name = call.resource();
    let operation = call.operation();
    if operation.contains("ParameterGroup") {
        return seen.parameter_groups.get(name).map(|group| &group.tags);
    }
    if operation.contains("UserGroup") {
        return seen.user_groups.iter().find(|group| group.id == name).map(|group| &group.tags);
    }
    if operation.contains("User") {
        return seen.users.iter().find(|user| user.id == name).map(|user| &user.tags);
    }
    seen.groups.iter().find(|group| group.id == name).map(|group| &group.tags)
}

/// Whether it waits for nothing, and needs no word or has it.
fn may_be_sent(wish: &Wish, planned: &Planned<Call>) -> bool {
    planned.hold.is_none() && planned.consent.as_ref().is_none_or(|consent| wish.allow.contains(&consent.allow))
}

/// What must hold of a call that is sent.
fn is_allowed(wish: &Wish, seen: &Seen, memory: &Memory, call: &Call) -> Result<(), TestCaseError> {
    let id = wish.owner.identity.replication_group();
    // Only what is ours is changed, but for the tags of what is adopted, and of a final snapshot.
    match call {
        Call::Tag { resource, id: name, .. } => {
            let is_final = seen.snapshots.iter().any(|one| one.name == *name && one.group == id);
            let is_noted = memory.final_snapshots.contains(name);
            prop_assert!(wish.adopt || (wish.deleted && (is_final || is_noted)), "{:?} {}", resource, name);
        }
        _ => {
            let untold = seen.groups.iter().any(|group| group.id == call.resource() && group.untold);
            if call.operation().contains("Replica") && untold {
                prop_assert!(memory.seen || memory.made, "{:?}", call);
            } else if let Some(tags) = tags_of(seen, call) {
                prop_assert_eq!(wish.owner.standing(tags), Standing::Ours, "{:?}", call);
            }
        }
    }
    let group = seen.groups.iter().find(|group| group.id == id);
    let is_of_group = call.operation().contains("Replica");
    let creates = matches!(call, Call::CreateGroup { .. });
    if let Some(group) = group.filter(|_| is_of_group && !creates) {
        let fails = group.status == "create-failed" && matches!(call, Call::DeleteGroup { .. });
        prop_assert!(fails || group.unready().is_none(), "{:?} while {:?}", call, group.unready());
    }
    match call {
        Call::CreateGroup { id: new, user_group, snapshot, .. } => {
            prop_assert!(group.is_none() && !wish.deleted && *new == id && (!memory.seen || snapshot.is_some()));
            let there = user_group
                .as_ref()
                .is_none_or(|name| seen.user_groups.iter().any(|one| one.id == *name && one.status == "active"));
            prop_assert!(there, "{:?}", call);
            let status =
                |name: &String| seen.snapshots.iter().find(|one| one.name == *name).map(|one| one.status.clone());
            prop_assert!(snapshot.as_ref().is_none_or(|name| status(name).as_deref() == Some("available")));
        }
        Call::DeleteGroup { snapshot, .. } => {
            prop_assert!(wish.deleted && wish.deletion_policy != DeletionPolicy::Retain);
            let allowed =
                wish.deletion_policy == DeletionPolicy::Delete || wish.allow.contains(&Allow::DeleteWithoutSnapshot);
            prop_assert!(snapshot.is_some() || allowed, "{:?}", call);
            if let Some(name) = snapshot {
                prop_assert!(seen.snapshots.iter().all(|taken| taken.name != *name));
            }
        }
        Call::Reshard { shards, remove, .. } => {
            let group = group.expect("it is there");
            prop_assert_eq!(group.shards.len() - remove.len(), (*shards as usize).min(group.shards.len()));
            prop_assert!(remove.iter().all(|id| group.shards.iter().any(|shard| shard.id == *id)));
            let sum = |stays: bool, of: fn(&Usage) -> u64| -> Option<u64> {
                let shards = group.shards.iter().filter(|shard| remove.contains(&shard.id) != stays);
                shards.map(|shard| seen.usage.get(&shard.id).map(of)).sum()
            };
            let has_room = sum(true, |usage| usage.most - usage.used).zip(sum(false, |usage| usage.used));
            let has_room = has_room.is_some_and(|(free, leaves)| 2 * free >= 3 * leaves);
            prop_assert!(remove.is_empty() || has_room || wish.allow.contains(&Allow::RemoveShardsUnchecked));
        }
        Call::DecreaseReplicas { replicas: 0, .. } => {
            let group = group.expect("it is there");
            prop_assert!(group.is_clustered() || group.effective().flag(Field::Failover) != Some(true));
        }
        Call::SetToken { token, strategy, .. } => {
            let Auth::Token(credential) = &wish.spec.auth else { panic!("no token is wished") };
            prop_assert!(credential.wished.as_ref() == Some(token) || credential.published.as_ref() == Some(token));
            // A client may show what another token than the last drops.
            let is_single = memory.tokens.as_ref().is_some_and(|tokens| tokens.set) && memory.token_sent.is_none();
            prop_assert!(is_single || credential.published.is_none() || credential.taken);
            prop_assert!(
                *strategy == Strategy::Rotate || (credential.taken && credential.published.as_ref() == Some(token))
            );
        }
        Call::ModifyGroup { change, .. } => {
            let group = group.expect("it is there");
            let version = change.text(Field::EngineVersion).unwrap_or("9");
            prop_assert!(version > group.settings.text(Field::EngineVersion).unwrap_or_default());
            prop_assert!(change.only(Field::is_fixed).is_empty());
            prop_assert!(
                group.is_clustered()
                    || change.flag(Field::Failover) != Some(true)
                    || group.shards.iter().all(|shard| shard.replicas() > 0)
            );
        }
        _ => {}
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sent_is_allowed((wish, seen, memory, now) in any_world()) {
        let step = plan(&wish, &seen, &memory, now);
        if let Some(call) = &step.send {
            prop_assert!(wish.mode == Mode::Apply && !step.finished);
            prop_assert!(step.plan.calls.iter().any(|one| one.call == *call && may_be_sent(&wish, one)));
            if let Call::DeleteGroup { snapshot: Some(name), .. } = call {
                prop_assert!(step.remember.final_snapshots.contains(name));
            }
        }
        // All that could be sent, though another comes first.
        for planned in step.plan.calls.iter().filter(|one| may_be_sent(&wish, one)) {
            is_allowed(&wish, &seen, &memory, &planned.call)?;
        }
    }

    #[test]
    fn the_order_of_what_aws_lists_says_nothing((wish, mut seen, memory, now) in any_world()) {
        let step = plan(&wish, &seen, &memory, now);
        let groups = Arc::make_mut(&mut seen.groups);
        groups.reverse();
        groups.iter_mut().for_each(|group| group.shards.reverse());
        Arc::make_mut(&mut seen.snapshots).reverse();
        Arc::make_mut(&mut seen.users).reverse();
        let again = plan(&wish, &seen, &memory, now);
        prop_assert_eq!((step.send, step.plan, step.remember), (again.send, again.plan, again.remember));
    }

    #[test]
    fn nothing_is_finished_while_something_of_ours_is_there((mut wish, seen, memory, now) in any_world()) {
        (wish.deleted, wish.mode) = (true, Mode::Apply);
        let step = plan(&wish, &seen, &memory, now);
        let id = wish.owner.identity.replication_group();
        let ours = |tags: &Tags| wish.owner.standing(tags) == Standing::Ours;
        let group = seen.groups.iter().find(|group| group.id == id);
        let theirs = group.is_some_and(|group| !group.untold && !ours(&group.tags));
        let is_left = group.is_some_and(|group| group.untold || ours(&group.tags)) || seen.parameter_groups.values().any(|one| ours(&one.tags));
        if wish.deletion_policy != DeletionPolicy::Retain && !theirs && is_left {
            prop_assert!(!step.finished);
        }
    }

    #[test]
    fn no_look_is_too_soon_or_too_late((wish, seen, memory, now) in any_world()) {
        let step = plan(&wish, &seen, &memory, now);
        prop_assert!((1..=600).contains(&step.requeue.as_secs()), "{:?}", step.requeue);
    }
}

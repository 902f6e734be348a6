//! A cluster in memory that follows the servers' rules as far as decisions depend on them: what they refuse, what they drop, and that
//! a node that was down comes back as it was.

use learningplatform_valkey::*;
use std::collections::{BTreeMap, BTreeSet};

pub struct Node {
    pub pod: Pod,
    id: NodeId,
    epoch: u64,
    known: BTreeSet<NodeId>,
    replica_of: Option<NodeId>,
    /// Keys by slot.
    keys: BTreeMap<u16, u64>,
    migrating: BTreeMap<u16, NodeId>,
    importing: BTreeMap<u16, NodeId>,
    /// Rounds until it answers again.
    pub down: u32,
}

pub struct World {
    pub wish: Wish,
    pub nodes: Vec<Node>,
    /// Owners, as everybody who knows anybody knows: gossip is taken to be done between rounds.
    owners: BTreeMap<u16, NodeId>,
    births: u64,
    pub failures: Vec<Failure>,
    pub log: Vec<String>,
}

impl World {
    pub fn new(shards: u32, replicas: u32) -> Self {
        let passwords = Passwords { current: Password::new("x"), previous: None };
        let wish = Wish { mode: Mode::Cluster, shards, replicas, passwords, formed: false, primary: None };
        let mut world =
            Self { wish, nodes: Vec::new(), owners: BTreeMap::new(), births: 0, failures: Vec::new(), log: Vec::new() };
        world.provide();
        world
    }

    pub fn provide(&mut self) {
        for shard in 0..self.wish.shards {
            for ordinal in 0..=self.wish.replicas {
                if !self.nodes.iter().any(|node| node.pod.shard == shard && node.pod.ordinal == ordinal) {
                    self.births += 1;
                    let number = self.births;
                    let pod = Pod {
                        name: format!("s{shard}-{ordinal}"),
                        shard,
                        ordinal,
                        address: Some(format!("10.0.{}.{}:6379", number / 250, number % 250).parse().unwrap()),
                        ready: true,
                        outdated: false,
                        terminating: false,
                        gone: false,
                        gate: None,
                    };
                    let node = Node {
                        pod,
                        id: NodeId::new(&format!("{number:040x}")),
                        epoch: 0,
                        known: BTreeSet::new(),
                        replica_of: None,
                        keys: BTreeMap::new(),
                        migrating: BTreeMap::new(),
                        importing: BTreeMap::new(),
                        down: 0,
                    };
                    self.nodes.push(node);
                }
            }
        }
    }

    fn at(&self, pod: &str) -> usize {
        self.nodes.iter().position(|node| node.pod.name == pod).unwrap()
    }

    fn by_id(&self, id: &NodeId) -> Option<usize> {
        self.nodes.iter().position(|node| node.id == *id)
    }

    fn owned(&self, id: &NodeId) -> Slots {
        self.owners.iter().filter(|(_, owner)| *owner == id).map(|(slot, _)| *slot).collect()
    }

    fn shares(&self) -> BTreeMap<NodeId, Slots> {
        self.nodes.iter().map(|node| (node.id.clone(), self.owned(&node.id))).collect()
    }

    /// Keys that clients can reach: at the owner of their slot, or where that is handing it to.
    pub fn keys(&self) -> u64 {
        let of =
            |id: &NodeId, slot: &u16| self.by_id(id).and_then(|at| self.nodes[at].keys.get(slot)).copied().unwrap_or(0);
        let count = |(slot, owner): (&u16, &NodeId)| {
            let taking =
                self.nodes.iter().filter(|node| node.importing.contains_key(slot) && node.replica_of.is_none());
            of(owner, slot) + taking.map(|node| of(&node.id, slot)).sum::<u64>()
        };
        self.owners.iter().map(count).sum()
    }

    /// Three keys more in each of some slots.
    pub fn write(&mut self, step: u16) {
        for (slot, owner) in self.owners.clone() {
            if slot % step == 0
                && let Some(at) = self.by_id(&owner)
            {
                *self.nodes[at].keys.entry(slot).or_default() += 3;
            }
        }
        self.replicate();
    }

    fn replicate(&mut self) {
        for at in 0..self.nodes.len() {
            if let Some(primary) = self.nodes[at].replica_of.clone().and_then(|id| self.by_id(&id)) {
                self.nodes[at].keys = self.nodes[primary].keys.clone();
            }
        }
    }

    fn answer(&self, node: &Node, shares: &BTreeMap<NodeId, Slots>) -> Answer {
        if node.down > 0 {
            return Answer::Unreachable("down".to_owned());
        }
        let peer = |id: &NodeId| {
            let other = self.by_id(id).map(|at| &self.nodes[at]);
            Peer {
                id: id.clone(),
                address: other.and_then(|other| other.pod.address),
                myself: *id == node.id,
                replica_of: other.and_then(|other| other.replica_of.clone()),
                failed: other.is_none_or(|other| other.down > 2),
                handshake: false,
                epoch: other.map_or(0, |other| other.epoch),
                slots: shares.get(id).cloned().unwrap_or_default(),
            }
        };
        let alone = node.known.is_empty();
        let peers: Vec<Peer> = node.known.iter().chain([&node.id]).map(peer).collect();
        let up = self.nodes.iter().filter(|node| node.down <= 2).filter_map(|node| shares.get(&node.id));
        let served = up.fold(Slots::none(), |all, slots| all.or(slots)) == Slots::all();
        let role = match node.replica_of.as_ref().map(|id| self.by_id(id)) {
            None => Role::Primary,
            Some(primary) => Role::Replica {
                of: primary
                    .and_then(|at| self.nodes[at].pod.address)
                    .map_or_else(String::new, |address| address.to_string()),
                link_up: primary.is_some_and(|at| self.nodes[at].down == 0),
                syncing: false,
            },
        };
        let keys = node.keys.values().sum();
        Answer::Node(Box::new(learningplatform_valkey::Node {
            certificate_ends: None,
            server: "redis 7.0.15".to_owned(),
            role,
            history: String::new(),
            history_before: None,
            offset: keys,
            attached: Vec::new(),
            store: Store { keys, memory: Memory::default() },
            rewriting: false,
            work: Work::default(),
            login: Login { current: true, previous: false, others: false, replicates_by_current: true },
            cluster: Some(Cluster {
                id: node.id.clone(),
                ok: served && (!alone || shares.get(&node.id) == Some(&Slots::all())),
                epoch: node.epoch,
                peers,
                migrating: node.migrating.iter().map(|(slot, id)| (*slot, id.clone())).collect(),
                importing: node.importing.iter().map(|(slot, id)| (*slot, id.clone())).collect(),
                moves_slots: false,
                jobs: Vec::new(),
            }),
        }))
    }

    pub fn seen(&mut self) -> Seen {
        let failures = std::mem::take(&mut self.failures);
        let shares = self.shares();
        let sighting = |node: &Node| Sighting { pod: node.pod.clone(), answer: self.answer(node, &shares) };
        Seen { sightings: self.nodes.iter().map(sighting).collect(), failures }
    }

    /// A round of which only the first `cut` acts are done, and of its moves only `moved` slots each.
    pub fn round(&mut self, cut: usize, moved: usize) -> Decision {
        let seen = self.seen();
        let decision = decide(&self.wish, &seen);
        for act in decision.acts.iter().take(cut) {
            self.log.push(act.to_string());
            if let Err(problem) = self.carry_out(act, moved) {
                self.log.push(format!("  {problem}"));
            }
            self.gossip();
        }
        if let Some(pod) = &decision.restart {
            let at = self.at(pod);
            self.log.push(format!("{pod}: restart"));
            assert!(
                self.owned(&self.nodes[at].id).is_empty() || self.wish.replicas == 0,
                "an owner of slots is restarted though it has replicas:\n{}",
                self.log.join("\n")
            );
            self.nodes[at].pod.outdated = false;
            self.nodes[at].down = 2;
        }
        self.wish.formed = decision.view.formed;
        self.shrink(&decision.view);
        for node in &mut self.nodes {
            node.down = node.down.saturating_sub(1);
        }
        self.replicate();
        decision
    }

    fn shrink(&mut self, view: &View) {
        let (shards, replicas) = (self.wish.shards, self.wish.replicas);
        let owners: BTreeSet<NodeId> = self.owners.values().cloned().collect();
        self.nodes.retain(|node| {
            let shrinks = || view.shards.get(&node.pod.shard).is_some_and(|shard| shard.may_shrink);
            let goes = view.removable.contains(&node.pod.shard)
                || (node.pod.shard < shards && node.pod.ordinal > replicas && shrinks());
            assert!(!goes || !owners.contains(&node.id), "{} goes with slots", node.pod.name);
            !goes
        });
    }

    fn carry_out(&mut self, act: &Act, moved: usize) -> Result<(), String> {
        match act {
            Act::SetConfigEpoch { pod, epoch } => {
                let at = self.at(pod);
                if !self.nodes[at].known.is_empty() || self.nodes[at].epoch > 0 {
                    return Err("ERR it knows others, or has an epoch".to_owned());
                }
                self.nodes[at].epoch = *epoch;
            }
            Act::Meet { via, pod } => {
                let (via, pod) = (self.at(via), self.at(pod));
                let (one, other) = (self.nodes[via].id.clone(), self.nodes[pod].id.clone());
                self.nodes[via].known.insert(other);
                self.nodes[pod].known.insert(one);
            }
            Act::AddSlots { pod, slots } => {
                assert!(
                    self.nodes.iter().all(|node| node.keys.is_empty()),
                    "slots are given out though there are keys"
                );
                let id = self.nodes[self.at(pod)].id.clone();
                for slot in slots.iter() {
                    assert!(!self.owners.contains_key(&slot), "slot {slot} has an owner");
                    self.owners.insert(slot, id.clone());
                }
            }
            Act::Replicate { pod, primary } => {
                let (at, primary) = (self.at(pod), self.at(primary));
                let id = self.nodes[primary].id.clone();
                let empty = self.owned(&self.nodes[at].id).is_empty() && self.nodes[at].keys.is_empty();
                if self.nodes[at].replica_of.is_none() && !empty {
                    return Err("ERR the node must be empty".to_owned());
                }
                if !self.nodes[at].known.contains(&id) {
                    return Err("ERR Unknown node".to_owned());
                }
                self.nodes[at].replica_of = Some(id);
            }
            Act::Failover { pod, takeover } => {
                assert!(!takeover, "nobody was proved to be gone");
                let at = self.at(pod);
                self.promote(at);
            }
            Act::Move(one) => self.carry(one, moved),
            Act::Close { pod, slot } => {
                let at = self.at(pod);
                let own = self.owners.get(slot) == Some(&self.nodes[at].id);
                assert!(own || !self.nodes[at].keys.contains_key(slot), "keys of slot {slot} are given up at {pod}");
                self.nodes[at].migrating.remove(slot);
                self.nodes[at].importing.remove(slot);
            }
            Act::Reset { pod } => {
                let at = self.at(pod);
                assert!(self.owned(&self.nodes[at].id).is_empty(), "{pod} owns slots");
                assert!(self.nodes[at].keys.is_empty(), "{pod} holds keys");
                self.births += 1;
                let id = NodeId::new(&format!("{:040x}", self.births));
                let node = &mut self.nodes[at];
                (node.id, node.epoch, node.replica_of) = (id, 0, None);
                node.known.clear();
            }
            Act::Forget { id, on } => {
                assert!(self.owned(id).is_empty(), "an owner of slots is forgotten");
                for pod in on {
                    let at = self.at(pod);
                    self.nodes[at].known.remove(id);
                }
            }
            other => panic!("{other} in a cluster"),
        }
        Ok(())
    }

    /// A replica takes its primary's place, as by an election or a failover. Open slots are not handed on (Redis 7.0).
    pub fn promote(&mut self, at: usize) {
        let Some(old) = self.nodes[at].replica_of.take() else { return };
        let id = self.nodes[at].id.clone();
        self.owners.values_mut().filter(|owner| **owner == old).for_each(|owner| *owner = id.clone());
        self.nodes[at].epoch = self.nodes.iter().map(|node| node.epoch).max().unwrap_or(0) + 1;
        if let Some(old) = self.by_id(&old) {
            self.nodes[old].replica_of = Some(id.clone());
            // A restarted node that holds keys of slots that it does not own takes itself to be importing them.
            let importing = std::mem::take(&mut self.nodes[old].importing);
            self.nodes[old].migrating.clear();
            self.nodes[at].importing = importing;
        }
        for node in self.nodes.iter_mut().filter(|node| node.replica_of.as_ref() == Some(&old)) {
            node.replica_of = Some(id.clone());
        }
        self.nodes[at].replica_of = None;
    }

    /// Moves so many slots, and cuts the next one in the middle of its keys.
    fn carry(&mut self, one: &Move, moved: usize) {
        let (from, to) = (self.at(&one.from), self.at(&one.to));
        let (source, target) = (self.nodes[from].id.clone(), self.nodes[to].id.clone());
        for (done, slot) in one.slots.iter().enumerate() {
            assert_eq!(self.owners.get(&slot), Some(&source), "slot {slot} is moved by one who does not own it");
            let keys = self.nodes[from].keys.remove(&slot).unwrap_or(0);
            if done >= moved {
                let stays = keys / 2;
                if stays > 0 {
                    self.nodes[from].keys.insert(slot, stays);
                }
                if keys > stays {
                    *self.nodes[to].keys.entry(slot).or_default() += keys - stays;
                }
                self.nodes[from].migrating.insert(slot, target.clone());
                self.nodes[to].importing.insert(slot, source.clone());
                break;
            }
            if keys > 0 {
                *self.nodes[to].keys.entry(slot).or_default() += keys;
            }
            self.nodes[from].migrating.remove(&slot);
            self.nodes[to].importing.remove(&slot);
            self.owners.insert(slot, target.clone());
            self.nodes[to].epoch = self.nodes.iter().map(|node| node.epoch).max().unwrap_or(0) + 1;
        }
    }

    /// Those who know each other tell each other of all they know; one who was forgotten by one alone comes back.
    fn gossip(&mut self) {
        let ids: Vec<NodeId> = self.nodes.iter().map(|node| node.id.clone()).collect();
        for at in 0..self.nodes.len() {
            for other in 0..self.nodes.len() {
                let (one, two) = (&self.nodes[at], &self.nodes[other]);
                let acquainted = one.known.contains(&two.id) && two.known.contains(&one.id);
                if at != other && acquainted && one.down == 0 && two.down == 0 {
                    let news: Vec<NodeId> = two.known.iter().filter(|id| **id != ids[at]).cloned().collect();
                    let living = news.into_iter().filter(|id| ids.contains(id));
                    self.nodes[at].known.extend(living);
                }
            }
        }
    }

    pub fn index(&self, number: usize) -> usize {
        number % self.nodes.len()
    }

    pub fn sizes(&self) -> Vec<u32> {
        let primaries = self.nodes.iter().filter(|node| node.replica_of.is_none());
        primaries.map(|node| self.owned(&node.id).len()).collect()
    }
}

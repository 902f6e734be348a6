//! What was seen of a cluster, with names for what the rules ask.

use crate::{
    model::{Gate, Pod, Wish},
    seen::{Answer, Cluster, Node, NodeId, Peer, Role, Seen, Sighting},
    slots::Slots,
};
use std::collections::{BTreeMap, BTreeSet};

/// A pod whose server answered as a node of a cluster.
#[derive(Clone, Copy)]
pub struct Member<'a> {
    pub pod: &'a Pod,
    pub node: &'a Node,
    pub cluster: &'a Cluster,
    pub myself: &'a Peer,
}

impl Member<'_> {
    pub fn name(&self) -> String {
        self.pod.name.clone()
    }

    pub fn owned(&self) -> &Slots {
        &self.myself.slots
    }

    pub fn is_primary(&self) -> bool {
        self.myself.replica_of.is_none()
    }

    /// Nothing was ever done to it, or it was reset.
    pub fn is_fresh(&self) -> bool {
        self.cluster.alone() && self.is_primary() && self.owned().is_empty() && self.node.store.keys == 0
    }

    /// Whether it knows another, and where that is now.
    pub fn knows(&self, other: &Self) -> bool {
        self.cluster.peer(&other.cluster.id).is_some_and(|peer| peer.address == other.pod.address)
    }

    pub fn follows(&self, id: &NodeId) -> bool {
        self.myself.replica_of.as_ref() == Some(id)
    }

    /// Whether it follows a primary, is connected to where that is now, and in step.
    pub fn in_step_with(&self, primary: &Self) -> bool {
        let link_up = matches!(&self.node.role, Role::Replica { link_up: true, .. });
        self.follows(&primary.cluster.id) && link_up && self.holds_to(primary)
    }

    /// Whether what it replicates from is where its primary is now. A name is resolved at each attempt and never grows old.
    pub fn holds_to(&self, primary: &Self) -> bool {
        let Role::Replica { of, .. } = &self.node.role else { return false };
        let now = primary.pod.address;
        let parsed = of.rsplit_once(':').and_then(|(host, port)| Some((host.parse().ok()?, port.parse().ok()?)));
        parsed.is_none_or(|address: (std::net::IpAddr, u16)| Some(address.into()) == now)
    }
}

pub struct World<'a> {
    pub wish: &'a Wish,
    pub seen: &'a Seen,
    /// Every pod that answered as a node of a cluster.
    pub answering: Vec<Member<'a>>,
    /// Those of them that are of this cluster, or shall be.
    pub members: Vec<Member<'a>>,
    /// Those that hold what is not this cluster's.
    pub strangers: Vec<Member<'a>>,
}

impl<'a> World<'a> {
    pub fn new(wish: &'a Wish, seen: &'a Seen) -> Self {
        let mut sightings: Vec<&Sighting> = seen.sightings.iter().collect();
        sightings.sort_by_key(|sighting| (sighting.pod.shard, sighting.pod.ordinal));
        let answering: Vec<Member<'a>> = sightings.iter().filter_map(|sighting| member(sighting)).collect();
        let leaver = |member: &Member<'_>| member.pod.shard >= wish.shards;
        let joining = answering.iter().copied().filter(|member| !(leaver(member) && member.is_fresh()));
        let (members, strangers) = apart(joining.collect());
        Self { wish, seen, answering, members, strangers }
    }

    pub fn wanted(&self, pod: &Pod) -> bool {
        pod.shard < self.wish.shards && pod.ordinal <= self.wish.replicas
    }

    pub fn leaving(&self, pod: &Pod) -> bool {
        pod.shard >= self.wish.shards
    }

    pub fn member(&self, id: &NodeId) -> Option<&Member<'a>> {
        self.members.iter().find(|member| member.cluster.id == *id)
    }

    pub fn of_shard(&self, shard: u32) -> impl Iterator<Item = &Member<'a>> {
        self.members.iter().filter(move |member| member.pod.shard == shard)
    }

    /// Every wanted pod exists, stays, and answered as a member.
    pub fn complete(&self) -> bool {
        let pods = self.members.iter().filter(|member| self.wanted(member.pod) && !member.pod.terminating).count();
        pods as u64 == u64::from(self.wish.shards) * (u64::from(self.wish.replicas) + 1)
    }

    /// Numbers of the shards that have pods.
    pub fn shards(&self) -> BTreeSet<u32> {
        self.seen.sightings.iter().map(|sighting| sighting.pod.shard).collect()
    }

    /// The node that leads a shard: who owns its slots, or who is to.
    pub fn primary(&self, shard: u32) -> Option<&Member<'a>> {
        let primaries: Vec<_> = self.of_shard(shard).filter(|member| member.is_primary()).collect();
        if let Some(owner) =
            primaries.iter().filter(|member| !member.owned().is_empty()).max_by_key(|m| m.owned().len())
        {
            return Some(owner);
        }
        let followed = |member: &Member<'_>| self.of_shard(shard).any(|other| other.follows(&member.cluster.id));
        if let Some(leader) = primaries.iter().find(|member| followed(member)) {
            return Some(leader);
        }
        // Its primary is away and has slots: it comes back, or the others elect one of its replicas.
        let lost = |member: &Member<'_>| {
            member
                .myself
                .replica_of
                .as_ref()
                .is_some_and(|id| self.member(id).is_none() && !self.slots_of(id).is_empty())
        };
        if self.of_shard(shard).any(lost) {
            return None;
        }
        primaries.into_iter().find(|member| member.node.store.keys == 0 && !member.pod.terminating)
    }

    /// Slots of a node as anybody sees them.
    pub fn slots_of(&self, id: &NodeId) -> Slots {
        let views = self.members.iter().filter_map(|member| member.cluster.peer(id));
        views.fold(Slots::none(), |all, peer| all.or(&peer.slots))
    }

    /// Slots that anybody takes to be somebody's.
    pub fn assigned(&self) -> Slots {
        let peers = self.members.iter().flat_map(|member| &member.cluster.peers);
        peers.fold(Slots::none(), |all, peer| all.or(&peer.slots))
    }

    /// Identities that members list and that are no member's.
    pub fn ghosts(&self) -> BTreeSet<NodeId> {
        let peers = self.members.iter().flat_map(|member| &member.cluster.peers).filter(|peer| !peer.handshake);
        peers.map(|peer| peer.id.clone()).filter(|id| self.member(id).is_none()).collect()
    }

    /// Slots that nobody owns though others believe so, where no pod that does not answer may own them.
    pub fn orphaned(&self) -> Slots {
        let silent =
            self.seen.sightings.iter().any(|sighting| member(sighting).is_none() && sighting.pod.gate.is_none());
        if silent || self.members.is_empty() {
            return Slots::none();
        }
        let live = self.members.iter().fold(Slots::none(), |all, member| all.or(member.owned()));
        self.assigned().without(&live)
    }

    /// Every member knows every other, where it is now.
    pub fn acquainted(&self) -> bool {
        self.members
            .iter()
            .all(|one| self.members.iter().all(|other| one.knows(other) || one.cluster.id == other.cluster.id))
    }

    /// Every member serves, says the same of all slots, takes no other member to be down, and all slots are owned by members. Their
    /// epochs belong to it: who has not heard of an owner's epoch may take a slot from it with one that is no higher, and then
    /// loses it again, with its keys.
    pub fn agreed(&self) -> bool {
        let owners = |member: &Member<'a>| -> BTreeMap<NodeId, (u64, Slots)> {
            let owners = member.cluster.peers.iter().filter(|peer| !peer.slots.is_empty());
            owners.map(|peer| (peer.id.clone(), (peer.epoch, peer.slots.clone()))).collect()
        };
        let Some(first) = self.members.first().map(owners) else { return false };
        let all = first.values().fold(Slots::none(), |all, (_, slots)| all.or(slots));
        let sound = |member: &Member<'a>| {
            let down = member.cluster.peers.iter().any(|peer| peer.failed && self.member(&peer.id).is_some());
            member.cluster.ok && !down && owners(member) == first
        };
        all == Slots::all() && first.keys().all(|id| self.member(id).is_some()) && self.members.iter().all(sound)
    }

    /// Members of shards that stay, or all, that are not in step with their shard's primary.
    pub fn out_of_step(&self) -> Vec<&Member<'a>> {
        let behind = |member: &&Member<'a>| match self.primary(member.pod.shard) {
            Some(primary) => primary.cluster.id != member.cluster.id && !member.in_step_with(primary),
            None => true,
        };
        self.members.iter().filter(|member| !self.leaving(member.pod)).filter(behind).collect()
    }

    /// Pods that exist and whose server said nothing, or not yet.
    pub fn silent(&self) -> impl Iterator<Item = &'a Sighting> {
        self.seen.sightings.iter().filter(|sighting| !matches!(sighting.answer, Answer::Node(_)))
    }

    /// Pods whose data are missing.
    pub fn gated(&self) -> impl Iterator<Item = &'a Pod> {
        let refused = |sighting: &&Sighting| sighting.pod.gate == Some(Gate::DataMissing);
        self.silent().filter(refused).map(|sighting| &sighting.pod)
    }
}

fn member(sighting: &Sighting) -> Option<Member<'_>> {
    let Answer::Node(node) = &sighting.answer else { return None };
    let cluster = node.cluster.as_ref()?;
    Some(Member { pod: &sighting.pod, node, cluster, myself: cluster.myself()? })
}

/// Members, and those who hold slots or keys of another history. A node that claims slots which the cluster knows as another's would
/// lose its keys by joining, or take the slots from their owner.
fn apart<'a>(joining: Vec<Member<'a>>) -> (Vec<Member<'a>>, Vec<Member<'a>>) {
    let mut groups: Vec<Vec<Member<'a>>> = Vec::new();
    for member in joining {
        let linked = |other: &Member<'a>| {
            other.cluster.peer(&member.cluster.id).is_some() || member.cluster.peer(&other.cluster.id).is_some()
        };
        let (with, without): (Vec<_>, Vec<_>) = groups.into_iter().partition(|group| group.iter().any(linked));
        groups = without;
        groups.push(with.into_iter().flatten().chain([member]).collect());
    }
    let weight = |group: &Vec<Member<'a>>| {
        let slots: u32 = group.iter().map(|member| member.owned().len()).sum();
        let first = group.iter().map(|member| (member.pod.shard, member.pod.ordinal)).min();
        (slots, group.len(), std::cmp::Reverse(first))
    };
    groups.sort_by_key(weight);
    let mut members = groups.pop().unwrap_or_default();
    let known =
        members.iter().flat_map(|member| &member.cluster.peers).fold(Slots::none(), |all, peer| all.or(&peer.slots));
    let foreign = |member: &Member<'a>| {
        let claims = member.cluster.peers.iter().any(|peer| !peer.slots.and(&known).is_empty());
        claims || (member.node.store.keys > 0 && member.owned().is_empty())
    };
    let (strangers, others): (Vec<_>, Vec<_>) = groups.into_iter().partition(|group| group.iter().any(foreign));
    members.extend(others.into_iter().flatten());
    members.sort_by_key(|member| (member.pod.shard, member.pod.ordinal));
    (members, strangers.into_iter().flatten().collect())
}

//! Mode `single`: which pod leads. That one does not answer proves nothing; nothing is promoted but by proof that the recorded
//! primary takes no writes, and never over data that an election would lose.

use crate::{
    model::{Pod, Wish},
    seen::{Answer, Node, Role, Seen, Sighting},
    view::Verdict,
};
use std::cmp::Reverse;

/// A pod whose server answered.
#[derive(Clone, Copy)]
pub struct Server<'a> {
    pub pod: &'a Pod,
    pub node: &'a Node,
}

impl Server<'_> {
    pub fn is_primary(&self) -> bool {
        self.node.role == Role::Primary
    }

    pub fn is_empty(&self) -> bool {
        self.node.store.keys == 0
    }

    /// Whether it follows a pod, by the address that this has now or by its name.
    pub fn follows(&self, pod: &Pod) -> bool {
        self.follows_by_name(pod) || self.follows_by_address(pod)
    }

    fn follows_by_name(&self, pod: &Pod) -> bool {
        let Role::Replica { of, .. } = &self.node.role else { return false };
        of.strip_prefix(&pod.name).is_some_and(|rest| rest.starts_with(['.', ':']))
    }

    fn follows_by_address(&self, pod: &Pod) -> bool {
        let Role::Replica { of, .. } = &self.node.role else { return false };
        let parts = of.rsplit_once(':').zip(pod.address);
        parts.is_some_and(|((host, port), now)| host.parse() == Ok(now.ip()) && port.parse() == Ok(now.port()))
    }

    /// Whether it must be told whom to follow: it does not know, or by a name that leads nowhere yet.
    pub fn is_astray(&self, primary: &Pod) -> bool {
        let connects = matches!(self.node.role, Role::Replica { link_up, syncing, .. } if link_up || syncing);
        !(self.follows_by_address(primary) || self.follows_by_name(primary) && connects)
    }

    pub fn in_step_with(&self, primary: &Pod) -> bool {
        self.follows(primary) && matches!(self.node.role, Role::Replica { link_up: true, .. })
    }

    /// Whether it has taken writes or was in step since it started. A replica that never was knows no offset, and whoever did is
    /// ahead of it.
    pub fn knows_its_history(&self) -> bool {
        self.is_primary() || self.node.offset > 1
    }

    /// Whether it holds the history of writes that another holds or went on from.
    pub fn shares_history_with(&self, other: &Self) -> bool {
        let same = |a: &Node, b: &Node| a.history == b.history || a.history_before.as_ref() == Some(&b.history);
        same(self.node, other.node) || same(other.node, self.node)
    }
}

pub fn servers(seen: &Seen) -> Vec<Server<'_>> {
    let mut servers: Vec<Server<'_>> = seen.sightings.iter().filter_map(server).collect();
    servers.sort_by_key(|server| server.pod.ordinal);
    servers
}

fn server(sighting: &Sighting) -> Option<Server<'_>> {
    match &sighting.answer {
        Answer::Node(node) if node.cluster.is_none() => Some(Server { pod: &sighting.pod, node }),
        _ => None,
    }
}

/// Pods that may be at work without our hearing of them.
fn unheard(seen: &Seen) -> impl Iterator<Item = &Sighting> {
    let proved_idle = |pod: &Pod| pod.gone || pod.gate.is_some();
    seen.sightings.iter().filter(move |sighting| server(sighting).is_none() && !proved_idle(&sighting.pod))
}

/// The pod that leads or shall lead, or why that cannot be told.
pub fn lead(wish: &Wish, seen: &Seen) -> Result<String, Verdict> {
    let servers = servers(seen);
    let Some(recorded) = &wish.primary else { return first(wish, seen, &servers) };
    let sighting = seen.sightings.iter().find(|sighting| sighting.pod.name == *recorded);
    if let Some(server) = sighting.and_then(server) {
        return if server.is_primary() { Ok(recorded.clone()) } else { successor(seen, &servers, server) };
    }
    match sighting {
        Some(Sighting { answer: Answer::Loading, .. }) => Err(Verdict::Loading { pods: vec![recorded.clone()] }),
        Some(Sighting { answer: Answer::Refused, .. }) => Err(Verdict::Refused { pods: vec![recorded.clone()] }),
        Some(Sighting { pod, .. }) if !pod.gone && pod.gate.is_none() => {
            Err(Verdict::WaitingForOldPrimary { pod: recorded.clone() })
        }
        _ => elect(seen, &servers),
    }
}

/// The first one, where no record names it: all must have been heard.
fn first(wish: &Wish, seen: &Seen, servers: &[Server<'_>]) -> Result<String, Verdict> {
    let here = |ordinal: u32| servers.iter().any(|server| server.pod.ordinal == ordinal);
    if !(0..=wish.replicas).all(here) || unheard(seen).next().is_some() {
        return Err(Verdict::Forming);
    }
    if servers.iter().all(Server::is_empty) {
        let followed = |server: &&Server<'_>| servers.iter().any(|other| other.follows(server.pod));
        let primaries = || servers.iter().filter(|server| server.is_primary());
        let first = primaries().find(followed).or_else(|| primaries().next()).or_else(|| servers.first());
        return first.map(|server| server.pod.name.clone()).ok_or(Verdict::Forming);
    }
    most_advanced(servers)
}

/// The recorded primary says that it follows another: that one leads if it knows it.
fn successor(seen: &Seen, servers: &[Server<'_>], recorded: Server<'_>) -> Result<String, Verdict> {
    let followed = seen.sightings.iter().find(|sighting| recorded.follows(&sighting.pod));
    match followed.map(|sighting| (server(sighting), sighting)) {
        Some((Some(server), _)) if server.is_primary() => Ok(server.pod.name.clone()),
        Some((None, sighting)) if !sighting.pod.gone && sighting.pod.gate.is_none() => {
            Err(Verdict::WaitingForOldPrimary { pod: sighting.pod.name.clone() })
        }
        // It follows somebody at an old address: whoever is not heard may be the one.
        _ => match unheard(seen).next() {
            Some(sighting) => Err(Verdict::WaitingForOldPrimary { pod: sighting.pod.name.clone() }),
            None => match elect(seen, servers) {
                // The record named it by proof, and nobody has taken writes since.
                Err(Verdict::Ambiguous { .. }) if !recorded.is_empty() => Ok(recorded.pod.name.clone()),
                elected => elected,
            },
        },
    }
}

/// The heir of a primary that is proved to be gone. Whoever was not heard may be further ahead.
fn elect(seen: &Seen, servers: &[Server<'_>]) -> Result<String, Verdict> {
    let silent: Vec<String> = unheard(seen).map(|sighting| sighting.pod.name.clone()).collect();
    if !silent.is_empty() {
        return Err(Verdict::Unreachable { pods: silent });
    }
    if servers.is_empty() {
        let gated: Vec<String> =
            seen.sightings.iter().filter(|s| s.pod.gate.is_some()).map(|s| s.pod.name.clone()).collect();
        return Err(if gated.is_empty() {
            Verdict::Unreachable { pods: vec!["all pods".to_owned()] }
        } else {
            Verdict::DataMissing { pods: gated }
        });
    }
    // One that is about to stop may be the only one with data: it leads, and hands over.
    most_advanced(servers)
}

/// The one whose data all others' are part of; where some hold data of another history, nobody can tell.
fn most_advanced(servers: &[Server<'_>]) -> Result<String, Verdict> {
    let mut holders: Vec<&Server<'_>> = servers.iter().filter(|server| !server.is_empty()).collect();
    if holders.is_empty() {
        holders = servers.iter().collect();
    }
    if holders.iter().any(|server| server.knows_its_history()) {
        holders.retain(|server| server.knows_its_history());
    }
    // One that went on as a primary is ahead of those that hold what it went on from.
    holders.sort_by_key(|server| {
        let leads = server.is_primary() && holders_follow(&holders_of(servers), server);
        (Reverse(leads), Reverse(server.node.offset), server.pod.ordinal)
    });
    let Some(first) = holders.first() else { return Err(Verdict::Forming) };
    let related = |other: &&Server<'_>| other.shares_history_with(first) || other.follows(first.pod);
    if first.is_empty() || holders.iter().all(|holder| holder.pod.name == first.pod.name || related(holder)) {
        return Ok(first.pod.name.clone());
    }
    Err(Verdict::Ambiguous { pods: holders.iter().map(|server| server.pod.name.clone()).collect() })
}

fn holders_of<'a>(servers: &[Server<'a>]) -> Vec<Server<'a>> {
    servers.iter().copied().filter(|server| !server.is_empty() && server.knows_its_history()).collect()
}

fn holders_follow(holders: &[Server<'_>], leader: &Server<'_>) -> bool {
    let mut others = holders.iter().filter(|server| server.pod.name != leader.pod.name);
    others.all(|other| other.follows(leader.pod) || other.shares_history_with(leader))
}

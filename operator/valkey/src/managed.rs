//! Servers that somebody else keeps: they are asked what they hold and do, by the commands that such services leave to their clients
//! (`INFO`, `CLUSTER NODES`), and nothing is changed.

use crate::{
    client::{Link, command, open},
    error::{Error, Result},
    model::{Mode, Password},
    parse::{self, Info},
    seen::{Peer, Role, Store, Work},
    slots::Slots,
    view::{Figures, ShardFigures},
};
use futures::future::join_all;
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use tls::Connector;
use tokio::time::timeout;

/// The way to servers that somebody else keeps.
#[derive(Clone, Debug)]
pub struct Guest {
    /// How they belong together.
    pub mode: Mode,
    /// Where they listen: in mode `Cluster` one that answers is enough, for it names all others; in mode `Single` all of them.
    pub addresses: Vec<SocketAddr>,
    /// As whom; the default user without.
    pub user: Option<String>,
    /// None where they want none.
    pub password: Option<Password>,
    /// Without it the connection is not encrypted.
    pub tls: Option<Connector>,
    /// How long to wait for each answer.
    pub patience: Duration,
}

/// Servers that somebody else keeps, as they say themselves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Managed {
    /// By their lowest slots; those without slots come last.
    pub shards: Vec<ManagedShard>,
}

/// A primary with its replicas.
#[derive(Clone, Debug, PartialEq)]
pub struct ManagedShard {
    /// Slots that it owns; in mode `Single` all of them.
    pub slots: Slots,
    /// Its primary.
    pub primary: ManagedNode,
    /// Its replicas.
    pub replicas: Vec<ManagedNode>,
}

/// A server.
#[derive(Clone, Debug, PartialEq)]
pub struct ManagedNode {
    /// Its address, in words: unique.
    pub name: String,
    /// What it says of itself.
    pub said: Result<Said>,
}

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// It is a primary or a replica.
    pub role: Role,
    /// What it holds.
    pub store: Store,
    /// What it has done; none where it does not count that.
    pub work: Option<Work>,
    /// How far it is in the history of writes, in bytes.
    pub offset: u64,
}

impl ManagedNode {
    /// Whether it is a replica that is connected and in step.
    pub fn is_linked(&self) -> bool {
        matches!(&self.said, Ok(Said { role: Role::Replica { link_up: true, .. }, .. }))
    }
}

impl Managed {
    /// All servers.
    pub fn nodes(&self) -> impl Iterator<Item = &ManagedNode> {
        self.shards.iter().flat_map(|shard| std::iter::once(&shard.primary).chain(&shard.replicas))
    }

    /// Replicas in step, of each shard by its place.
    pub fn linked(&self) -> BTreeMap<u32, usize> {
        let linked = |shard: &ManagedShard| shard.replicas.iter().filter(|node| node.is_linked()).count();
        (0..).zip(self.shards.iter().map(linked)).collect()
    }

    /// Figures of each shard by its place; none of one whose primary does not answer as such.
    pub fn figures(&self) -> Figures {
        let shards = (0..).zip(&self.shards).filter_map(|(number, shard)| Some((number, shard.figures()?)));
        Figures { shards: shards.collect(), to_move: 0 }
    }
}

impl ManagedShard {
    fn figures(&self) -> Option<ShardFigures> {
        let said = self.primary.said.as_ref().ok().filter(|said| said.role == Role::Primary)?;
        let behind = |node: &ManagedNode| Some(said.offset.saturating_sub(node.said.as_ref().ok()?.offset));
        Some(ShardFigures {
            slots: self.slots.len(),
            keys: said.store.keys,
            memory: said.store.memory.used,
            memory_max: said.store.memory.max,
            lag: self.replicas.iter().filter_map(behind).max(),
        })
    }
}

impl Guest {
    /// Asks all servers at once.
    ///
    /// # Errors
    /// None of them answers, or they do not say which of them is the primary.
    pub async fn observe(&self) -> Result<Managed> {
        match self.mode {
            Mode::Cluster => {
                let peers = self.peers().await?;
                let asked = peers.iter().filter_map(|peer| peer.address).map(|address| self.node(address));
                Ok(cluster(&peers, join_all(asked).await))
            }
            Mode::Single => single(join_all(self.addresses.iter().map(|address| self.node(*address))).await),
        }
    }

    /// All nodes of a cluster that are there, as the first one says that answers.
    async fn peers(&self) -> Result<Vec<Peer>> {
        let mut failed = Error::Changed("there is no address to ask at".to_owned());
        for address in &self.addresses {
            match self.bounded(*address, self.listed(*address)).await {
                Ok(peers) => return Ok(present(peers)),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    async fn listed(&self, address: SocketAddr) -> Result<Vec<Peer>> {
        let mut link = self.connect(address).await?;
        let nodes = link.text("CLUSTER NODES", &command(&["CLUSTER", "NODES"])).await?;
        let mut peers = parse::peers(&nodes);
        // Before others have told it, a node does not know where it is.
        for myself in peers.iter_mut().filter(|peer| peer.myself) {
            myself.address = myself.address.or(Some(address));
        }
        Ok(peers)
    }

    async fn node(&self, address: SocketAddr) -> ManagedNode {
        ManagedNode { name: address.to_string(), said: self.bounded(address, self.said(address)).await }
    }

    async fn said(&self, address: SocketAddr) -> Result<Said> {
        let mut link = self.connect(address).await?;
        let info = Info::parse(&link.text("INFO", &redis::cmd("INFO")).await?);
        if info.text("role").is_empty() {
            let problem = "it does not say what it is".to_owned();
            return Err(Error::Unreachable { pod: address.to_string(), problem });
        }
        if info.flag("loading") || info.flag("async_loading") {
            return Err(Error::Loading { pod: address.to_string() });
        }
        Ok(Said { role: info.role(), store: info.store(), work: info.counted_work(), offset: info.offset() })
    }

    /// Every single answer is bounded, but there are several.
    async fn bounded<T>(&self, address: SocketAddr, asked: impl Future<Output = Result<T>>) -> Result<T> {
        let late = || Error::Unreachable { pod: address.to_string(), problem: "timed out".to_owned() };
        timeout(self.patience * 2, asked).await.unwrap_or_else(|_| Err(late()))
    }

    async fn connect(&self, address: SocketAddr) -> Result<Link> {
        let name = address.to_string();
        let mut link = open(&name, address, self.tls.as_ref(), (self.patience, self.patience)).await?;
        if let Some(password) = &self.password
            && !link.log_in_as(self.user.as_deref(), password).await?
        {
            return Err(Error::Refused { pod: name });
        }
        Ok(link)
    }
}

/// Without those that are not nodes yet, and those that are gone: a primary without slots, or a replica, that is taken to be down.
fn present(peers: Vec<Peer>) -> Vec<Peer> {
    let is_there = |peer: &Peer| {
        let is_gone = peer.failed && (peer.replica_of.is_some() || peer.slots.is_empty());
        !peer.handshake && !is_gone && peer.address.is_some()
    };
    peers.into_iter().filter(is_there).collect()
}

/// The shards of a cluster, of its nodes and what each of them says.
fn cluster(peers: &[Peer], nodes: Vec<ManagedNode>) -> Managed {
    let all: Vec<(&Peer, ManagedNode)> = peers.iter().zip(nodes).collect();
    let (primaries, replicas): (Vec<_>, Vec<_>) = all.into_iter().partition(|(peer, _)| peer.replica_of.is_none());
    let mut shards: Vec<(&Peer, ManagedShard)> = primaries
        .into_iter()
        .map(|(peer, primary)| (peer, ManagedShard { slots: peer.slots.clone(), primary, replicas: Vec::new() }))
        .collect();
    for (peer, node) in replicas {
        if let Some((_, shard)) = shards.iter_mut().find(|(primary, _)| Some(&primary.id) == peer.replica_of.as_ref()) {
            shard.replicas.push(node);
        }
    }
    shards.sort_by_key(|(peer, shard)| (shard.slots.iter().next().unwrap_or(u16::MAX), peer.id.clone()));
    Managed { shards: shards.into_iter().map(|(_, shard)| shard).collect() }
}

/// The one shard of servers without slots.
fn single(nodes: Vec<ManagedNode>) -> Result<Managed> {
    let is_primary = |node: &ManagedNode| matches!(&node.said, Ok(Said { role: Role::Primary, .. }));
    let (mut primaries, replicas): (Vec<_>, Vec<_>) = nodes.into_iter().partition(is_primary);
    match (primaries.pop(), primaries.is_empty()) {
        (Some(primary), true) => Ok(Managed { shards: vec![ManagedShard { slots: Slots::all(), primary, replicas }] }),
        (Some(_), false) => Err(Error::Changed("several servers say that they are the primary".to_owned())),
        (None, _) => {
            let failed = replicas.into_iter().find_map(|node| node.said.err());
            Err(failed.unwrap_or_else(|| Error::Changed("no server says that it is the primary".to_owned())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(role: Role, used: u64) -> Result<Said> {
        let mut store = Store::default();
        (store.memory.used, store.memory.max) = (used, 100);
        Ok(Said { role, store, work: None, offset: used })
    }

    fn replica(link_up: bool) -> Role {
        Role::Replica { of: "10.0.0.1:6379".to_owned(), link_up, syncing: false }
    }

    fn node(name: &str, said: Result<Said>) -> ManagedNode {
        ManagedNode { name: name.to_owned(), said }
    }

    fn away() -> Error {
        Error::Unreachable { pod: "a".to_owned(), problem: "timed out".to_owned() }
    }

    #[test]
    fn shards_are_told_by_their_slots_and_what_is_gone_is_left_out() {
        let text = "\
aa 10.0.0.4:6379@1122,one.example master - 0 0 4 connected 8192-16383
bb 10.0.0.1:6379@1122 myself,master - 0 0 2 connected 0-8191
cc 10.0.0.2:6379@1122 slave bb 0 0 2 connected
dd 10.0.0.3:6379@1122 slave,fail bb 0 0 2 disconnected
ee 10.0.0.5:6379@1122 master,fail - 0 0 1 disconnected
ff 10.0.0.6:6379@1122 master - 0 0 0 connected
99 :0@0 master,noaddr - 0 0 3 disconnected
88 10.0.0.9:6379@1122 handshake - 0 0 0 disconnected
";
        let peers = present(parse::peers(text));
        let names: Vec<&str> = peers.iter().map(|peer| peer.id.as_str()).collect();
        assert_eq!(names, ["aa", "bb", "cc", "ff"]);
        let answers = [said(Role::Primary, 30), said(Role::Primary, 20), said(replica(true), 12), Err(away())];
        let nodes = names.iter().zip(answers).map(|(name, said)| node(name, said)).collect();
        let seen = cluster(&peers, nodes);
        let shards: Vec<_> = seen.shards.iter().map(|it| (it.primary.name.as_str(), it.slots.len())).collect();
        assert_eq!(shards, [("bb", 8192), ("aa", 8192), ("ff", 0)]);
        assert_eq!(seen.linked(), BTreeMap::from([(0, 1), (1, 0), (2, 0)]));
        let figures = seen.figures().shards;
        assert_eq!(figures.keys().copied().collect::<Vec<_>>(), [0, 1], "the third one does not answer");
        assert_eq!((figures[&0].memory, figures[&0].memory_max, figures[&0].lag), (20, 100, Some(8)));
        assert_eq!(seen.nodes().count(), 4);
    }

    #[test]
    fn of_servers_without_slots_exactly_one_is_the_primary() {
        let of = |answers: Vec<Result<Said>>| single(answers.into_iter().map(|said| node("a", said)).collect());
        let seen = of(vec![said(replica(false), 1), said(Role::Primary, 5), Err(away())]).unwrap();
        assert_eq!((seen.shards.len(), seen.shards[0].replicas.len()), (1, 2));
        assert_eq!(seen.linked(), BTreeMap::from([(0, 0)]));
        assert!(matches!(of(vec![said(Role::Primary, 5), said(Role::Primary, 6)]), Err(Error::Changed(_))));
        assert!(matches!(of(vec![said(replica(true), 5)]), Err(Error::Changed(_))));
        assert_eq!(of(vec![said(replica(true), 5), Err(away())]), Err(away()));
    }

    #[test]
    fn what_is_not_counted_is_not_none() {
        let counted = "used_cpu_user_main_thread:1.5\r\nused_cpu_sys_main_thread:0.5\r\n";
        let work = Info::parse(counted).counted_work();
        assert_eq!(work.map(|work| work.cpu), Some(Duration::from_secs(2)));
        assert_eq!(Info::parse("used_cpu_user:1.5\r\n").counted_work(), None);
    }
}

//! Carrying out what was decided.

use crate::{
    client::{Edge, Link, command, find},
    decide::{Act, Move, Way},
    error::{Error, Result},
    parse::Info,
    seen::{Answer, Failure, NodeId, Seen},
};
use redis::{Cmd, Value};
use std::time::Duration;

/// How long the server itself waits for a replica that is to lead to catch up, while writes wait.
const HAND_OVER: Duration = Duration::from_secs(5);

impl Edge {
    /// Carries out the acts of a decision, in order; moves that follow each other at once, each for about `budget`. One that fails
    /// does not keep the next from being done.
    pub async fn carry_out(&self, acts: &[Act], seen: &Seen, budget: Duration) -> Vec<Failure> {
        let mut failures = Vec::new();
        for group in acts.chunk_by(|one, other| matches!((one, other), (Act::Move(_), Act::Move(_)))) {
            let done = group.iter().map(|act| async move {
                tracing::info!(%act, "at the servers");
                self.carry_out_one(act, seen, budget).await.map_err(|error| Failure { act: act.clone(), error })
            });
            let done = futures::future::join_all(done).await;
            failures.extend(done.into_iter().filter_map(Result::err));
        }
        failures
    }

    async fn carry_out_one(&self, act: &Act, seen: &Seen, budget: Duration) -> Result<()> {
        match act {
            Act::SetConfigEpoch { pod, epoch } => {
                self.tell(seen, pod, "CLUSTER SET-CONFIG-EPOCH", &[&epoch.to_string()]).await
            }
            Act::Meet { via, pod } => {
                let address = address(seen, pod)?;
                self.tell(seen, via, "CLUSTER MEET", &[&address.0, &address.1]).await
            }
            Act::AddSlots { pod, slots } => {
                let mut add = command(&["CLUSTER", "ADDSLOTSRANGE"]);
                for (first, last) in slots.ranges() {
                    add.arg(first).arg(last);
                }
                self.link(seen, pod).await?.ask("CLUSTER ADDSLOTSRANGE", &add).await.map(drop)
            }
            Act::Replicate { pod, primary } => self.replicate(seen, pod, primary).await,
            Act::Failover { pod, takeover: false } => self.tell(seen, pod, "CLUSTER FAILOVER", &[]).await,
            Act::Failover { pod, takeover: true } => self.tell(seen, pod, "CLUSTER FAILOVER", &["TAKEOVER"]).await,
            Act::Move(Move { from, to, slots, way }) => match way {
                Way::Keys => self.move_keys(seen, from, to, slots, budget).await,
                Way::Whole => self.move_whole(seen, from, to, slots, budget).await,
            },
            Act::Close { pod, slot } => self.close(seen, pod, *slot).await,
            Act::Reset { pod } => self.reset(seen, pod).await,
            Act::Forget { id, on } => self.forget(seen, id, on).await,
            Act::Follow { pod, primary } => {
                let address = address(seen, primary)?;
                self.tell(seen, pod, "REPLICAOF", &[&address.0, &address.1]).await
            }
            Act::HandOver { from, to } => {
                let address = address(seen, to)?;
                let timeout = HAND_OVER.as_millis().to_string();
                self.tell(seen, from, "FAILOVER", &["TO", &address.0, &address.1, "TIMEOUT", &timeout]).await
            }
            Act::Promote { pod } => self.tell(seen, pod, "REPLICAOF", &["NO", "ONE"]).await,
            Act::AcceptPasswords { pod } => self.passwords(seen, pod, false).await,
            Act::DropPasswords { pod } => self.passwords(seen, pod, true).await,
            Act::UsePassword { pod } => {
                let set = ["CONFIG", "SET", "masterauth", self.passwords.current.reveal()];
                self.link(seen, pod).await?.ask("CONFIG SET", &command(&set)).await.map(drop)
            }
        }
    }

    /// One command of one or two words, with its arguments.
    async fn tell(&self, seen: &Seen, pod: &str, name: &'static str, arguments: &[&str]) -> Result<()> {
        let mut command = Cmd::new();
        command.arg(name.split(' ').collect::<Vec<_>>()).arg(arguments);
        self.link(seen, pod).await?.ask(name, &command).await.map(drop)
    }

    async fn passwords(&self, seen: &Seen, pod: &str, nothing_else: bool) -> Result<()> {
        let mut set = command(&["ACL", "SETUSER", "default"]);
        if nothing_else {
            set.arg("resetpass");
        }
        for password in [Some(&self.passwords.current), self.passwords.previous.as_ref()].into_iter().flatten() {
            set.arg(format!(">{}", password.reveal()));
        }
        self.link(seen, pod).await?.ask("ACL SETUSER", &set).await.map(drop)
    }

    /// Whether a server holds no key and owns no slot is asked again at the last moment: a reset would drop them.
    async fn reset(&self, seen: &Seen, pod: &str) -> Result<()> {
        let mut link = self.link(seen, pod).await?;
        let keys = Info::parse(&link.text("INFO", &command(&["INFO", "keyspace"])).await?).store().keys;
        let info = Info::parse(&link.text("CLUSTER INFO", &command(&["CLUSTER", "INFO"])).await?);
        let nodes = link.text("CLUSTER NODES", &command(&["CLUSTER", "NODES"])).await?;
        let owned = crate::parse::cluster(&nodes, &info).and_then(|cluster| Some(cluster.myself()?.slots.len()));
        if keys > 0 || owned != Some(0) {
            return Err(Error::Changed(format!("{pod} holds {keys} keys or a slot again")));
        }
        link.ask("CLUSTER RESET", &command(&["CLUSTER", "RESET", "HARD"])).await.map(drop)
    }

    async fn forget(&self, seen: &Seen, id: &NodeId, on: &[String]) -> Result<()> {
        let told = on.iter().map(|pod| async move {
            let told = self.tell(seen, pod, "CLUSTER FORGET", &[id.as_str()]).await;
            match told {
                Err(Error::Answer { answer, .. }) if answer.contains("Unknown node") => Ok(()),
                told => told,
            }
        });
        futures::future::join_all(told).await.into_iter().collect()
    }

    async fn close(&self, seen: &Seen, pod: &str, slot: u16) -> Result<()> {
        let mut link = self.link(seen, pod).await?;
        let number = slot.to_string();
        let count = link.text("CLUSTER COUNTKEYSINSLOT", &command(&["CLUSTER", "COUNTKEYSINSLOT", &number])).await?;
        let id = node_id(seen, pod)?;
        let owns =
            cluster_of(seen, pod).and_then(|cluster| cluster.peer(&id)).is_some_and(|peer| peer.slots.contains(slot));
        if count != "0" && !owns {
            return Err(Error::Changed(format!("{pod} holds {count} keys of slot {slot}, which it does not own")));
        }
        link.ask("CLUSTER SETSLOT", &command(&["CLUSTER", "SETSLOT", &number, "STABLE"])).await.map(drop)
    }

    async fn replicate(&self, seen: &Seen, pod: &str, primary: &str) -> Result<()> {
        let id = node_id(seen, primary)?;
        self.tell(seen, pod, "CLUSTER REPLICATE", &[id.as_str()]).await
    }
}

fn address(seen: &Seen, pod: &str) -> Result<(String, String)> {
    let address = find(seen, pod)?.address.ok_or_else(|| Error::Changed(format!("{pod} has no address any more")))?;
    Ok((address.ip().to_string(), address.port().to_string()))
}

pub(crate) fn cluster_of<'a>(seen: &'a Seen, pod: &str) -> Option<&'a crate::Cluster> {
    let sighting = seen.sightings.iter().find(|sighting| sighting.pod.name == pod)?;
    match &sighting.answer {
        Answer::Node(node) => node.cluster.as_ref(),
        _ => None,
    }
}

/// Its identity, as it said it itself.
pub(crate) fn node_id(seen: &Seen, pod: &str) -> Result<NodeId> {
    let cluster = cluster_of(seen, pod).ok_or_else(|| Error::Changed(format!("{pod} did not say who it is")))?;
    Ok(cluster.id.clone())
}

/// Every primary that was seen.
pub(crate) fn primaries(seen: &Seen) -> Vec<String> {
    let is_primary =
        |pod: &str| cluster_of(seen, pod).and_then(|c| c.myself()).is_some_and(|me| me.replica_of.is_none());
    seen.sightings.iter().map(|s| s.pod.name.clone()).filter(|pod| is_primary(pod)).collect()
}

/// The first answer that is an error.
pub(crate) fn all_well(answers: Vec<Result<Value>>) -> Result<()> {
    answers.into_iter().find_map(Result::err).map_or(Ok(()), Err)
}

impl Link {
    /// `CLUSTER SETSLOT` of many slots.
    pub async fn set_slots(&mut self, slots: &[u16], words: &[&str]) -> Result<Vec<Result<Value>>> {
        let set = |slot: &u16| {
            let mut set = command(&["CLUSTER", "SETSLOT"]);
            set.arg(*slot).arg(words);
            set
        };
        self.ask_all("CLUSTER SETSLOT", slots.iter().map(set).collect()).await
    }
}

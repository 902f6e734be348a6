//! Promotion: the primary is lost, and its database goes on with the data of the read replica that is ahead of all others. Only
//! by an explicit word, and only with proof that the former primary takes no writes. Pure but for [`look()`].
//!
//! No pod changes its role. The primary's pod copies the elected replica, follows it up to what it had, and leaves for a new
//! timeline (`promote.sh`); its former volume is not touched. Until then the replica's data are only read. How far it is stands
//! in the StatefulSet and in the record, so that it goes on wherever it was cut off:
//! 1. the primary's StatefulSet has no pods;
//! 2. its claim is gone: a person deletes it, or it is lost, for it has what is to be kept;
//! 3. the keeper asks every replica, and the record names the elected one;
//! 4. the StatefulSet has its pod again, and that serves on a later timeline than the record had.

mod look;

use super::{InCluster, SeenServer, Server, TIMELINE};
use crate::{
    keeper::database::DatabaseView,
    tiers::store::record::{self, Record, SYSTEM_IDENTIFIER},
};
use crds::{status::PromotionState, tiers::database::Durability};
pub use look::{claim, look};
use postgres::{Candidate, Elected, Promise, Standing, Unelected, elect};
use std::collections::BTreeSet;

/// Key of the record: the word of the promotion that is under way.
pub const WORD: &str = "PROMOTION";
const FROM: &str = "PROMOTION_FROM";
const LSN: &str = "PROMOTION_LSN";
const REPLICAS: &str = "PROMOTION_REPLICAS";
/// Key of the record: the last word that was carried out, or came when there was nothing to promote. It asks for nothing more.
pub const SPENT: &str = "PROMOTED";
/// Key of the record: what became of it.
const TOLD: &str = "PROMOTED_TOLD";
/// Key of the record: the node on which the primary served last.
pub const NODE: &str = "NODE";
/// Key of the record: the volume with which it did.
const VOLUME: &str = "VOLUME";
const COMMIT: &str = "SYNCHRONOUS_COMMIT";
const NAMES: &str = "SYNCHRONOUS_STANDBY_NAMES";

/// The taint by which a person says that a node is off: Kubernetes then lets go of its pods and volumes.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The word; each is obeyed once.
    pub word: String,
    /// Replicas that need not be asked.
    pub without: BTreeSet<String>,
}

/// What the annotation says of a server: `main=friday`, `main/1=friday without POD POD`, between commas.
pub fn word(annotation: &str, database: &InCluster, server: &Server) -> Option<Word> {
    let shard = format!("{}/{}", database.name, server.shard);
    let whole = database.servers.len() == 1;
    annotation.split(',').find_map(|entry| {
        let (name, asked) = entry.split_once('=')?;
        let named = name.trim() == shard || (whole && name.trim() == database.name);
        let mut words = asked.split_whitespace().filter(|_| named);
        let word = words.next()?.to_owned();
        let without = words.skip_while(|word| *word == "without").map(str::to_owned).collect();
        // It stands in files, and in the environment of pods.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:+".contains(&byte);
        (word.len() <= 63 && word.bytes().all(plain)).then_some(Word { word, without })
    })
}

/// The node on which the primary served last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// It was not looked at, or the API server did not answer.
    Unknown(String),
    /// The operator may not see nodes.
    Forbidden,
    /// There is no such node any more.
    Gone,
    /// It has the taint of a node that is off.
    Fenced,
    /// Its kubelet answers, and has had the time to end what was deleted.
    Ready,
    /// Its kubelet does not answer, or has only just come back.
    NotReady,
}

/// The primary's pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodThere {
    /// Where it was put.
    pub node: Option<String>,
    /// Whether it has been told to go.
    pub terminating: bool,
}

/// What is known of a server.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What is asked for.
    pub word: Option<&'a Word>,
    /// What is known of its data.
    pub record: Option<&'a Record>,
    /// What the keeper has seen.
    pub view: Option<&'a DatabaseView>,
    /// That the keeper has seen it after the former primary was proven to take no writes, by this word.
    pub seen_after: bool,
    /// The primary's pod.
    pub pod: Option<&'a PodThere>,
    /// Whether the primary's StatefulSet has no pods, by the word of its controller.
    pub stopped: bool,
    /// The volume of the primary's claim; None where there is no claim.
    pub claim: Option<&'a str>,
    /// The node on which the primary served last.
    pub node: &'a Node,
    /// What is wished of commits.
    pub wished: postgres::Durability,
}

/// Where a promotion stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Promotion {
    /// The word that asks for it.
    pub word: Option<String>,
    /// What is told; None while the primary serves and nobody asks.
    pub state: Option<PromotionState>,
    /// In words.
    pub message: String,
    /// The pods that the primary's StatefulSet is to have; None: as many as it has.
    pub pods: Option<u32>,
    /// The word for which the former primary is proven to take no writes: the replicas are asked anew.
    pub proven: Option<String>,
    /// The replica that is to be copied, from now on.
    pub elected: Option<Elected>,
    /// The word asks for nothing any more.
    pub spent: Option<String>,
}

impl Promotion {
    fn told(word: Option<&str>, state: PromotionState, message: String) -> Self {
        Self { word: word.map(str::to_owned), state: Some(state), message, pods: Some(1), ..Self::default() }
    }

    fn stopped(self) -> Self {
        Self { pods: Some(0), ..self }
    }

    /// Whether the database waits for it.
    pub fn is_under_way(&self) -> bool {
        use PromotionState::{ClaimInTheWay, Copying, Electing, NeedsProof, Refused, Stopping};
        let waits = [Refused, NeedsProof, Stopping, ClaimInTheWay, Electing, Copying];
        self.spent.is_none() && self.state.is_some_and(|state| waits.contains(&state))
    }
}

fn text<'a>(record: Option<&'a Record>, key: &str) -> Option<&'a str> {
    record?.get(key).map(String::as_str)
}

fn timeline(record: Option<&Record>) -> u32 {
    text(record, TIMELINE).and_then(|timeline| timeline.parse().ok()).unwrap_or_default()
}

/// Where a promotion stands, and what is to be done next.
pub fn decide(server: &Server, facts: Facts<'_>) -> Promotion {
    let Facts { word, record, view, .. } = facts;
    let pod = format!("{}-0", server.primary_set());
    if let Some(going) = text(record, WORD)
        && word.is_none_or(|word| word.word == going)
    {
        return goes(going, record, view);
    }
    let serves = view.is_some_and(|view| view.accepts_writes);
    let Some(Word { word, without }) = word else { return unasked(facts, serves) };
    let told = |state, message: String| Promotion::told(Some(word), state, message);
    // Nothing is touched: what was stopped stays so, what was not is not stopped.
    let as_it_is = |promotion| Promotion { pods: None, ..promotion };
    let served = || Promotion {
        spent: Some(word.clone()),
        ..told(
            PromotionState::Refused,
            format!("the primary served when the word {word} came: it promotes nothing, now or later"),
        )
    };
    if text(record, SPENT) == Some(word) {
        let possible = unasked(facts, serves);
        if possible.state.is_some() {
            return possible;
        }
        return text(record, TOLD).map_or_else(served, |message| told(PromotionState::Done, message.to_owned()));
    }
    if text(record, SYSTEM_IDENTIFIER).is_none() {
        return told(PromotionState::Refused, "it has never served: there is nothing to go on with".to_owned());
    }
    let Some(view) = view else {
        return as_it_is(told(PromotionState::Electing, "its servers are being looked at".to_owned()));
    };
    if serves {
        return served();
    }
    let promise = promise(facts);
    let chosen = elect(&view.candidates, without, &promise);
    match &chosen {
        Err(Unelected::Nobody) => return as_it_is(told(PromotionState::Refused, nobody(&view.candidates))),
        Err(Unelected::Silent(names)) => return as_it_is(told(PromotionState::Refused, silent(server, word, names))),
        _ => {}
    }
    if let Err(lacking) = proven(server, text(record, NODE), facts.node) {
        return as_it_is(told(PromotionState::NeedsProof, lacking));
    }
    if !facts.stopped || facts.pod.is_some() {
        return told(PromotionState::Stopping, stopping(&pod, facts.pod)).stopped();
    }
    if let Some(volume) = facts.claim {
        let message = format!(
            "the claim data-{pod} still has the former primary's volume {volume}, which is kept and never used again: see that its \
             reclaim policy is Retain (kubectl get pv {volume}), then kubectl delete pvc data-{pod}, or let lpctl promote do both"
        );
        return told(PromotionState::ClaimInTheWay, message).stopped();
    }
    let looks =
        |message: String| Promotion { proven: Some(word.clone()), ..told(PromotionState::Electing, message).stopped() };
    if !facts.seen_after {
        return looks("the replicas are asked how far they are".to_owned());
    }
    match chosen {
        Ok(elected) => {
            let message = format!("{} is copied: {}", elected.name, elected.safe.sentence(None));
            Promotion { elected: Some(elected), ..told(PromotionState::Copying, message) }
        }
        Err(Unelected::Replaying(name)) => looks(format!("{name} still replays what it has")),
        Err(Unelected::Streaming(name)) => {
            looks(format!("{name} still receives log: the former primary has not ended for it; this is waited for"))
        }
        // Both were told above.
        Err(Unelected::Silent(_) | Unelected::Nobody) => looks("the replicas are asked again".to_owned()),
    }
}

/// One that is under way, or has come to its end.
fn goes(going: &str, record: Option<&Record>, view: Option<&DatabaseView>) -> Promotion {
    let from = text(record, FROM).and_then(|host| host.split('.').next()).unwrap_or_default();
    let new = view.and_then(|view| view.record.as_ref()).map(|record| record.timeline);
    if let Some(new) = new.filter(|new| *new > timeline(record)) {
        let volume = text(record, VOLUME).map(|volume| {
            format!("; the former primary's volume {volume} is not touched: delete it when you need it no more")
        });
        let message = format!(
            "the database went on with the data of {from}, from {} on, on timeline {new}{}",
            text(record, LSN).unwrap_or_default(),
            volume.unwrap_or_default()
        );
        let done = Promotion::told(Some(going), PromotionState::Done, message);
        return Promotion { spent: Some(going.to_owned()), ..done };
    }
    let message =
        format!("the primary's pod copies {from} and goes on where it ended; kubectl logs shows how far it is");
    Promotion::told(Some(going), PromotionState::Copying, message)
}

/// What could be done, where nobody asks for it.
fn unasked(facts: Facts<'_>, serves: bool) -> Promotion {
    let normal = Promotion { pods: Some(1), ..Promotion::default() };
    let Some(view) = facts.view.filter(|_| !serves && text(facts.record, SYSTEM_IDENTIFIER).is_some()) else {
        return normal;
    };
    let message = match elect(&view.candidates, &BTreeSet::new(), &promise(facts)) {
        Ok(elected) => {
            format!("{} could take over: {}", elected.name, elected.safe.sentence(view.behind(elected.ordinal)))
        }
        Err(Unelected::Silent(names)) => format!("a replica could take over; {} cannot be asked now", names.join(", ")),
        Err(Unelected::Streaming(name)) => format!("a replica could take over; {name} still receives log"),
        Err(Unelected::Replaying(name)) => format!("a replica could take over; {name} still replays what it has"),
        Err(Unelected::Nobody) => return normal,
    };
    Promotion::told(None, PromotionState::Possible, message)
}

fn promise(facts: Facts<'_>) -> Promise {
    let of = |key| text(facts.record, key).unwrap_or_default();
    Promise::read(of(COMMIT), of(NAMES), facts.wished)
}

fn nobody(candidates: &[Candidate]) -> String {
    let unfit = candidates.iter().find_map(|candidate| match candidate.standing {
        Standing::Behind(timeline) => Some(format!("{} has timeline {timeline} only", candidate.name)),
        Standing::Unfit => Some(format!("{} is no replica of this database", candidate.name)),
        _ => None,
    });
    let why = unfit.unwrap_or_else(|| "no read replica answers".to_owned());
    format!("there is no replica to go on with: {why}")
}

fn silent(server: &Server, word: &str, names: &[String]) -> String {
    let names = names.join(" ");
    format!(
        "{names} of {} cannot be asked, and may have more than the others: bring it back, or say '{word}-2 without {names}' in the \
         annotation (lpctl promote --without)",
        server.object_name
    )
}

fn stopping(pod: &str, there: Option<&PodThere>) -> String {
    match there {
        Some(PodThere { node: Some(node), .. }) => format!(
            "the pod {pod} is stopped; its kubelet on node {node} has to confirm that. If that node is lost, switch it off and run \
             kubectl taint node {node} {OUT_OF_SERVICE}=nodeshutdown:NoExecute; never delete the pod by force"
        ),
        _ => format!("the pod {pod} is stopped"),
    }
}

/// Whether it is proven that the former primary takes no writes, once its pod is gone: by a kubelet that answers, by the word that
/// its node is off, or by there being no such node. A pod that was deleted by force while its node did not answer may run on.
///
/// # Errors
/// What is lacking, and how to give it.
pub fn proven(server: &Server, name: Option<&str>, node: &Node) -> Result<(), String> {
    let Some(named) = name else {
        return Err(format!(
            "it is not recorded on which node the primary served last. If you know it, say so: kubectl patch configmap {} --type \
             merge --patch '{{\"data\":{{\"{NODE}\":\"its name\"}}}}'",
            record::name(&server.object_name)
        ));
    };
    match node {
        Node::Gone | Node::Fenced | Node::Ready => Ok(()),
        Node::NotReady => Err(format!(
            "there is no proof that the former primary takes no writes: its node {named} does not answer, or has not for a minute. \
             Bring it back, or switch it off and say so: kubectl taint node {named} {OUT_OF_SERVICE}=nodeshutdown:NoExecute"
        )),
        Node::Forbidden => Err(format!(
            "the operator may not look at node {named}: let it get nodes (a ClusterRole with nodes: get, as the chart has it)"
        )),
        Node::Unknown(why) => Err(format!("node {named} is not known yet: {why}")),
    }
}

/// The record with what a promotion has come to. Nothing of it is changed by a pass that has not seen the servers.
pub fn keep(database: &InCluster, server: &Server, known: &mut Record, seen: &SeenServer) {
    let promotion = &seen.promotion;
    if let Some(word) = &promotion.spent {
        for key in [WORD, FROM, LSN, REPLICAS, TOLD] {
            known.remove(key);
        }
        known.insert(SPENT.to_owned(), word.clone());
        if promotion.state == Some(PromotionState::Done) {
            known.insert(TOLD.to_owned(), promotion.message.clone());
        }
    }
    if let Some((word, elected)) = promotion.word.as_ref().zip(promotion.elected.as_ref()) {
        let host = database.address(&format!("{}.{}", elected.name, server.pods_service())).host;
        let replicas: Vec<String> = (0..database.wanted(Some(known))).map(|ordinal| ordinal.to_string()).collect();
        known.insert(WORD.to_owned(), word.clone());
        known.insert(FROM.to_owned(), host);
        known.insert(LSN.to_owned(), elected.at.to_string());
        known.insert(REPLICAS.to_owned(), replicas.join(" "));
    }
    let Some(view) = seen.view.as_ref().filter(|view| view.record.is_some()) else { return };
    let volume = seen.claim.as_ref().filter(|volume| !volume.is_empty());
    for (key, value) in [(NODE, view.node.as_ref()), (VOLUME, volume)] {
        if let Some(value) = value {
            known.insert(key.to_owned(), value.clone());
        }
    }
    if let Some((commit, names)) = &view.synchronous {
        known.insert(COMMIT.to_owned(), commit.clone());
        known.insert(NAMES.to_owned(), names.clone());
    }
}

/// What is wished of commits.
pub fn durability(database: &InCluster) -> postgres::Durability {
    match database.spec.durability.unwrap_or_default() {
        Durability::Local => postgres::Durability::Local,
        Durability::RemoteWrite => postgres::Durability::RemoteWrite,
        Durability::Required => {
            let replicas = u32::try_from(database.spec.sync_replicas.unwrap_or(1)).unwrap_or(1);
            postgres::Durability::Required { replicas }
        }
    }
}

#[cfg(test)]
mod tests;

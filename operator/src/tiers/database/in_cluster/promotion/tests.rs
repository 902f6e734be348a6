use super::*;
use crate::tiers::database::in_cluster::InCluster;
use crds::tiers::database::Database;
use postgres::{Lsn, Safe};
use serde_json::json;

fn database(shards: Option<u32>) -> InCluster {
    let item = json!({"name": "main", "inCluster": {
        "volume": {"storage": "1Gi"}, "readReplicas": 2, "durability": "Required", "shards": shards,
    }});
    let item: Database = serde_json::from_value(item).unwrap();
    InCluster::new("story", "learning", &item, item.in_cluster.as_ref().unwrap())
}

fn asks(word: &str) -> Word {
    Word { word: word.to_owned(), without: BTreeSet::new() }
}

fn record(more: &[(&str, &str)]) -> Record {
    let base = [
        (SYSTEM_IDENTIFIER, "7"),
        (TIMELINE, "1"),
        (NODE, "worker-1"),
        (VOLUME, "pv-1"),
        (COMMIT, "on"),
        (NAMES, r#"ANY 1 ("story-main-pg-ro-0", "story-main-pg-ro-1")"#),
    ];
    base.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn candidates(standings: [Standing; 2]) -> Vec<Candidate> {
    let one = |(ordinal, standing)| Candidate { ordinal, name: format!("story-main-pg-ro-{ordinal}"), standing };
    (0..).zip(standings).map(one).collect()
}

fn view(timeline: Option<u32>, standings: [Standing; 2]) -> DatabaseView {
    DatabaseView {
        record: timeline.map(|timeline| postgres::Record { system_identifier: "7".into(), timeline }),
        accepts_writes: timeline.is_some(),
        candidates: candidates(standings),
        last: Some(Lsn(0x300)),
        ..DatabaseView::default()
    }
}

const EVEN: [Standing; 2] = [Standing::At(1, Lsn(0x200)), Standing::At(1, Lsn(0x300))];

/// A world, of which each test changes what it is about: the word is there, the primary is gone, all is proven.
struct World {
    word: Option<Word>,
    record: Record,
    view: Option<DatabaseView>,
    seen_after: bool,
    pod: Option<PodThere>,
    stopped: bool,
    claim: Option<&'static str>,
    node: Node,
}

fn lost() -> World {
    World {
        word: Some(asks("friday")),
        record: record(&[]),
        view: Some(view(None, EVEN)),
        seen_after: true,
        pod: None,
        stopped: true,
        claim: None,
        node: Node::Ready,
    }
}

impl World {
    fn decide(&self) -> Promotion {
        let facts = Facts {
            word: self.word.as_ref(),
            record: Some(&self.record),
            view: self.view.as_ref(),
            seen_after: self.seen_after,
            pod: self.pod.as_ref(),
            stopped: self.stopped,
            claim: self.claim,
            node: &self.node,
            wished: postgres::Durability::Required { replicas: 1 },
        };
        decide(&database(None).servers[0], facts)
    }

    fn state(&self) -> (Option<PromotionState>, Option<u32>) {
        let promotion = self.decide();
        assert!(promotion.elected.is_none() || promotion.state == Some(PromotionState::Copying), "{promotion:?}");
        (promotion.state, promotion.pods)
    }
}

#[test]
fn the_annotation_names_servers_and_words() {
    let (one, two) = (database(None), database(Some(2)));
    let of = |text: &str| word(text, &one, &one.servers[0]);
    let found = |text: &str| of(text).map(|word| (word.word, word.without.into_iter().collect::<Vec<_>>().join(" ")));
    let is = |word: &str, without: &str| Some((word.to_owned(), without.to_owned()));
    assert_eq!(found("main=friday"), is("friday", ""));
    assert_eq!(found("other=x, main = friday "), is("friday", ""));
    assert_eq!(found("main=2026-11-22T08:00:00Z without a b"), is("2026-11-22T08:00:00Z", "a b"));
    assert_eq!(found("main/0=friday"), is("friday", ""));
    for none in ["", "friday", "main", "main=", "main/1=friday", "other=friday", "main=fri'day", "main=$(id)"] {
        assert_eq!(of(none), None, "{none}");
    }
    let shard = |text: &str| two.servers.iter().map(|server| word(text, &two, server).is_some()).collect::<Vec<_>>();
    assert_eq!(shard("main=friday"), [false, false], "which shard is not said");
    assert_eq!(shard("main/1=friday"), [false, true]);
}

#[test]
fn nothing_is_touched_without_proof() {
    use PromotionState::NeedsProof;
    for (node, words) in [
        (Node::NotReady, "kubectl taint node worker-1 node.kubernetes.io/out-of-service"),
        (Node::Forbidden, "get nodes"),
        (Node::Unknown("no answer".into()), "no answer"),
    ] {
        for (pod, stopped) in [(true, false), (false, false), (false, true)] {
            let there = PodThere { node: Some("worker-1".into()), terminating: false };
            let world = World { node: node.clone(), pod: pod.then_some(there), stopped, ..lost() };
            let promotion = world.decide();
            // As many pods as there are.
            assert_eq!((promotion.state, promotion.pods), (Some(NeedsProof), None));
            assert!(promotion.message.contains(words), "{}", promotion.message);
            assert!(promotion.is_under_way() && promotion.proven.is_none() && promotion.elected.is_none());
        }
    }
    let mut unrecorded = lost();
    unrecorded.record.remove(NODE);
    assert_eq!(unrecorded.state(), (Some(NeedsProof), None));
    assert!(unrecorded.decide().message.contains("kubectl patch configmap story-main-record"));
    for proof in [Node::Gone, Node::Fenced, Node::Ready] {
        assert_eq!(World { node: proof, ..lost() }.state().0, Some(PromotionState::Copying));
    }
}

/// A pod that its kubelet has not confirmed to be gone, terminating for ever, is no proof.
#[test]
fn the_steps_come_one_after_the_other() {
    use PromotionState::{ClaimInTheWay, Copying, Electing, Stopping};
    let pod = |terminating| Some(PodThere { node: Some("worker-2".into()), terminating });
    for node in [Node::Ready, Node::Fenced, Node::Gone] {
        for pod in [pod(false), pod(true)] {
            for stopped in [false, true] {
                let world = World { pod: pod.clone(), stopped, node: node.clone(), ..lost() };
                assert_eq!(world.state(), (Some(Stopping), Some(0)));
                assert!(world.decide().message.contains("kubectl taint node worker-2"));
            }
        }
    }
    assert_eq!(World { stopped: false, ..lost() }.state(), (Some(Stopping), Some(0)));
    let claimed = World { claim: Some("pv-1"), ..lost() };
    assert_eq!(claimed.state(), (Some(ClaimInTheWay), Some(0)));
    assert!(claimed.decide().message.contains("kubectl delete pvc data-story-main-pg-0"));
    assert_eq!(World { claim: Some(""), ..lost() }.state(), (Some(ClaimInTheWay), Some(0)));

    let before = World { seen_after: false, ..lost() };
    assert_eq!(before.state(), (Some(Electing), Some(0)));
    assert_eq!(before.decide().proven.as_deref(), Some("friday"));
    for waits in [Standing::Streaming, Standing::Replaying] {
        let world = World { view: Some(view(None, [EVEN[0], waits])), ..lost() };
        assert_eq!(world.state(), (Some(Electing), Some(0)));
        assert_eq!(world.decide().proven.as_deref(), Some("friday"), "it is looked at again");
    }

    let ends = lost().decide();
    assert_eq!((ends.state, ends.pods), (Some(Copying), Some(1)));
    let elected = ends.elected.unwrap();
    assert_eq!((elected.ordinal, elected.at, elected.safe), (1, Lsn(0x300), Safe::All));
}

#[test]
fn those_that_cannot_be_asked_have_to_be_named() {
    let world = |without: &[&str]| World {
        view: Some(view(None, [EVEN[0], Standing::Silent])),
        word: Some(Word { without: without.iter().map(|&name| name.to_owned()).collect(), ..asks("friday") }),
        // Nothing is stopped for a promotion that could not be.
        stopped: false,
        ..lost()
    };
    let refused = world(&[]).decide();
    assert_eq!((refused.state, refused.pods), (Some(PromotionState::Refused), None));
    assert!(refused.message.contains("without story-main-pg-ro-1"), "{}", refused.message);
    assert_eq!(refused.spent, None);
    assert_eq!(world(&["story-main-pg-ro-1"]).state().0, Some(PromotionState::Stopping));
    let ends = World { stopped: true, ..world(&["story-main-pg-ro-1"]) };
    assert_eq!(ends.decide().elected.unwrap().safe, Safe::Received);

    let nobody = World { view: Some(view(None, [Standing::Silent; 2])), stopped: false, ..lost() };
    assert_eq!(nobody.state(), (Some(PromotionState::Refused), None));
}

/// A word that is left in the annotation must not come true years later.
#[test]
fn a_word_is_obeyed_once_and_not_while_the_primary_serves() {
    let mut world = World { view: Some(view(Some(1), EVEN)), ..lost() };
    let serves = world.decide();
    assert_eq!((serves.state, serves.pods), (Some(PromotionState::Refused), Some(1)));
    assert_eq!(serves.spent.as_deref(), Some("friday"));
    assert!(!serves.is_under_way());

    let database = database(None);
    let server = &database.servers[0];
    let seen = |promotion, view: &DatabaseView, claim: Option<&str>| SeenServer {
        promotion,
        view: Some(std::sync::Arc::new(view.clone())),
        claim: claim.map(str::to_owned),
        ..SeenServer::default()
    };
    let view_now = world.view.clone().unwrap();
    keep(&database, server, &mut world.record, &seen(serves, &view_now, Some("pv-1")));
    let after = world.decide();
    assert_eq!((after.state, after.pods), (Some(PromotionState::Refused), Some(1)));
    assert!(!after.is_under_way());
    world.view = Some(view(None, EVEN));
    let after = world.decide();
    assert!(!after.is_under_way());
    assert_eq!((after.state, after.pods, after.elected), (Some(PromotionState::Possible), Some(1), None));

    // A new word is obeyed; its promotion goes on whatever becomes of the annotation, up to its end.
    world.word = Some(asks("saturday"));
    let begins = world.decide();
    keep(&database, server, &mut world.record, &seen(begins, &view(None, EVEN), None));
    assert_eq!(world.record[FROM], "story-main-pg-ro-1.story-main-pods.learning.svc");
    assert_eq!((world.record[LSN].as_str(), world.record[REPLICAS].as_str()), ("0/300", "0 1"));
    for word in [None, Some(asks("saturday"))] {
        for view in [None, Some(view(None, EVEN)), Some(view(None, [Standing::Silent; 2]))] {
            let going = World { word: word.clone(), view, node: Node::NotReady, ..lost() };
            let going = World { record: world.record.clone(), ..going };
            assert_eq!(going.state(), (Some(PromotionState::Copying), Some(1)));
        }
    }
    world.view = Some(view(Some(2), EVEN));
    let done = world.decide();
    assert_eq!((done.state, done.spent.as_deref()), (Some(PromotionState::Done), Some("saturday")));
    assert!(done.message.contains("timeline 2") && done.message.contains("pv-1"), "{}", done.message);
    let told = done.message.clone();
    keep(&database, server, &mut world.record, &seen(done, world.view.as_ref().unwrap(), Some("pv-2")));
    assert!(!world.record.contains_key(WORD) && !world.record.contains_key(FROM));
    assert_eq!((world.record[SPENT].as_str(), world.record[VOLUME].as_str()), ("saturday", "pv-2"));
    world.record.insert(TIMELINE.to_owned(), "2".to_owned());
    let after = world.decide();
    assert_eq!((after.state, after.message, after.spent), (Some(PromotionState::Done), told, None));
    assert!(World { word: None, ..world }.decide().state.is_none());
}

#[test]
fn what_is_possible_is_told_where_nobody_asks() {
    let world = World { word: None, stopped: false, ..lost() };
    let told = world.decide();
    assert_eq!((told.state, told.pods), (Some(PromotionState::Possible), Some(1)));
    assert!(told.message.contains("story-main-pg-ro-1 could take over: every acknowledged commit"), "{}", told.message);
    assert!(!told.is_under_way());
    let mut local = World { word: None, view: Some(view(None, [EVEN[0], EVEN[0]])), ..lost() };
    local.record.remove(NAMES);
    assert!(local.decide().message.contains("lacks 256 bytes"), "{}", local.decide().message);
    let none = World { word: None, view: Some(view(None, [Standing::Silent; 2])), ..lost() };
    assert_eq!(none.state(), (None, Some(1)));
    // Nobody has looked: what there is stays.
    assert_eq!(World { view: None, ..lost() }.state().1, None);
}

//! Which replica's data a database goes on with when its primary is gone. Pure: that the primary accepts no write any more has
//! to be proven elsewhere, and what is looked at here must have been seen after that.

use super::durability;
use crate::{
    lsn::Lsn,
    model::{Durability, Role, Wish},
    seen::{ReplicaSeen, Seen},
};
use std::collections::BTreeSet;

/// A replica, as an election sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its number.
    pub ordinal: u32,
    /// Its pod's name.
    pub name: String,
    /// What it could go on with.
    pub standing: Standing,
}

/// What a replica could go on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does not answer: it may have more than all others.
    Silent,
    /// It receives the log, so that some primary lives.
    Streaming,
    /// It has not replayed all that it has.
    Replaying,
    /// It has log of this timeline only, which the database has left.
    Behind(u32),
    /// Another database's server, none that replays, or one that sorts in another way.
    Unfit,
    /// It has replayed all that it has: its timeline, and up to where. That is the end of a record, so a restart never takes it
    /// back.
    At(u32, Lsn),
}

/// All replicas that there may be, those without an answer included.
pub fn candidates(wish: &Wish, seen: &Seen) -> Vec<Candidate> {
    let pods = seen.pods.iter().filter_map(|pod| match pod.role {
        Role::Replica(ordinal) => Some(ordinal + 1),
        Role::Primary => None,
    });
    let end = pods.chain([seen.replicas]).max().unwrap_or_default();
    let one = |ordinal| Candidate {
        ordinal,
        name: wish.replica(ordinal),
        standing: seen.answer(ordinal).map_or(Standing::Silent, |answer| standing(wish, answer)),
    };
    (0..end).map(one).collect()
}

fn standing(wish: &Wish, answer: &ReplicaSeen) -> Standing {
    let known = wish.record.as_ref();
    let ours = known.is_some_and(|record| record.system_identifier == answer.settings.system_identifier);
    if !ours || !answer.settings.in_recovery || !answer.settings.collations.is_empty() {
        return Standing::Unfit;
    }
    if answer.streaming {
        return Standing::Streaming;
    }
    if known.is_some_and(|record| record.timeline > answer.timeline) {
        return Standing::Behind(answer.timeline);
    }
    match answer.replayed {
        Some(at) if answer.drained => Standing::At(answer.timeline, at),
        _ => Standing::Replaying,
    }
}

/// What the primary's commits waited for when it was seen last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Promise {
    waits_for: u32,
    flushed: bool,
    names: BTreeSet<String>,
}

impl Promise {
    /// Reads `synchronous_commit` and `synchronous_standby_names` as they were in force. Where less is wished by now, less may
    /// have been in force at the end.
    pub fn read(commit: &str, names: &str, wished: Durability) -> Self {
        let force = durability::of_settings(commit, names);
        if force.foreign || wished.waits_for() == 0 {
            return Self::default();
        }
        let flushed = force.flushed && matches!(wished, Durability::Required { .. });
        Self { waits_for: force.waits_for.min(wished.waits_for()), flushed, names: force.names }
    }
}

/// The replica whose data go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elected {
    /// Its number.
    pub ordinal: u32,
    /// Its pod's name.
    pub name: String,
    /// Up to where it has the log.
    pub at: Lsn,
    /// Which acknowledged commits it has.
    pub safe: Safe,
}

/// Which acknowledged commits an elected replica has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Safe {
    /// All: each was on enough replicas that one of those asked must have it, and this one is ahead of them.
    All,
    /// All, unless the node of a replica that had one failed, too, before it was written there.
    UnlessACrash,
    /// Those that it had received: commits did not wait for replicas, or too few of these were asked.
    Received,
}

impl Safe {
    /// One sentence of what is lost.
    pub fn sentence(self, behind: Option<u64>) -> String {
        match (self, behind) {
            (Self::All, _) => "every acknowledged commit is on it".to_owned(),
            (Self::UnlessACrash, _) => {
                "every acknowledged commit is on it, unless a replica's node failed at the same time".to_owned()
            }
            (Self::Received, Some(0)) => {
                "it has all that the primary had when it was seen last; what was acknowledged after that is lost"
                    .to_owned()
            }
            (Self::Received, Some(bytes)) => format!(
                "it lacks {bytes} bytes of log that the primary had when it was seen last, and what was acknowledged after that: \
                 the commits in them are lost"
            ),
            (Self::Received, None) => "acknowledged commits that it had not received are lost".to_owned(),
        }
    }
}

/// Why no replica is elected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unelected {
    /// These do not answer, and may have more than the others.
    Silent(Vec<String>),
    /// This one still receives the log.
    Streaming(String),
    /// This one still replays.
    Replaying(String),
    /// None is left that could.
    Nobody,
}

/// Elects the replica that is ahead of all others. Those of `without` need not answer: somebody has said so.
///
/// # Errors
/// Why none is elected yet, or never.
pub fn elect(candidates: &[Candidate], without: &BTreeSet<String>, promise: &Promise) -> Result<Elected, Unelected> {
    let of = |wanted: Standing| move |candidate: &&Candidate| candidate.standing == wanted;
    if let Some(candidate) = candidates.iter().find(of(Standing::Streaming)) {
        return Err(Unelected::Streaming(candidate.name.clone()));
    }
    let silent = candidates.iter().filter(of(Standing::Silent)).map(|candidate| candidate.name.clone());
    let silent: Vec<String> = silent.filter(|name| !without.contains(name)).collect();
    if !silent.is_empty() && silent.len() < candidates.len() {
        return Err(Unelected::Silent(silent));
    }
    if let Some(candidate) = candidates.iter().find(of(Standing::Replaying)) {
        return Err(Unelected::Replaying(candidate.name.clone()));
    }
    let at = candidates.iter().filter_map(|candidate| match candidate.standing {
        Standing::At(timeline, at) => Some(((timeline, at), candidate)),
        _ => None,
    });
    // Of those that are even the first one.
    let best = at.clone().max_by(|(a, one), (b, other)| a.cmp(b).then(other.ordinal.cmp(&one.ordinal)));
    let Some(((timeline, at_best), candidate)) = best else { return Err(Unelected::Nobody) };
    let heard = at.filter(|((of, _), _)| *of == timeline).map(|(_, candidate)| candidate.name.as_str());
    let heard: BTreeSet<&str> = heard.collect();
    let unheard = promise.names.iter().filter(|name| !heard.contains(name.as_str())).count();
    // A commit is on `waits_for` of the names: with fewer unheard one of those heard has it.
    let safe = match promise {
        Promise { waits_for, .. } if *waits_for == 0 || unheard >= *waits_for as usize => Safe::Received,
        Promise { flushed: true, .. } => Safe::All,
        Promise { .. } => Safe::UnlessACrash,
    };
    Ok(Elected { ordinal: candidate.ordinal, name: candidate.name.clone(), at: at_best, safe })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(standings: &[Standing]) -> Vec<Candidate> {
        let one = |(ordinal, standing): (u32, &Standing)| Candidate {
            ordinal,
            name: format!("ro-{ordinal}"),
            standing: *standing,
        };
        (0..).zip(standings).map(one).collect()
    }

    fn promise(text: &str) -> Promise {
        Promise::read("on", text, Durability::Required { replicas: 2 })
    }

    fn without(ordinals: &[u32]) -> BTreeSet<String> {
        ordinals.iter().map(|ordinal| format!("ro-{ordinal}")).collect()
    }

    #[test]
    fn the_one_that_is_ahead_is_elected_and_what_it_has_is_told() {
        use Standing::{At, Behind, Silent, Unfit};
        let (a, b) = (At(1, Lsn(0x100)), At(1, Lsn(0x200)));
        let (one, two) = (r#"ANY 1 ("ro-0", "ro-1")"#, r#"ANY 2 ("ro-0", "ro-1", "ro-2")"#);
        for (standings, leave, names, expected) in [
            (vec![a, b], &[][..], one, Ok((1, Safe::All))),
            (vec![b, a], &[], one, Ok((0, Safe::All))),
            (vec![b, b], &[], one, Ok((0, Safe::All))),
            (vec![b, a], &[], "", Ok((0, Safe::Received))),
            // Everybody is asked, or somebody has said that it goes without them; then what only they may have is not promised.
            (vec![a, Silent], &[], one, Err(Unelected::Silent(vec!["ro-1".into()]))),
            (vec![a, Silent], &[0], one, Err(Unelected::Silent(vec!["ro-1".into()]))),
            (vec![a, Silent], &[1], one, Ok((0, Safe::Received))),
            (vec![a, b, Silent], &[2], two, Ok((1, Safe::All))),
            (vec![a, Silent, Silent], &[1, 2], two, Ok((0, Safe::Received))),
            // A later timeline is ahead, however long the one that was left had grown.
            (vec![b, At(2, Lsn(0x100))], &[], one, Ok((1, Safe::Received))),
            // One of another history or database cannot have them, and cannot be elected.
            (vec![a, Behind(1)], &[], one, Ok((0, Safe::Received))),
            (vec![a, Unfit], &[], one, Ok((0, Safe::Received))),
            (vec![Behind(1), Unfit], &[], one, Err(Unelected::Nobody)),
            (vec![Silent, Silent], &[], one, Err(Unelected::Nobody)),
            (vec![], &[], "", Err(Unelected::Nobody)),
        ] {
            let leave = without(leave);
            let got = elect(&world(&standings), &leave, &promise(names)).map(|elected| (elected.ordinal, elected.safe));
            assert_eq!(got, expected, "{standings:?} without {leave:?}, {names}");
        }
    }

    #[test]
    fn nobody_is_elected_while_one_receives_or_replays() {
        use Standing::{At, Replaying, Streaming};
        let (at, all) = (At(1, Lsn(1)), without(&[0, 1]));
        assert_eq!(elect(&world(&[at, Streaming]), &all, &promise("")), Err(Unelected::Streaming("ro-1".into())));
        assert_eq!(elect(&world(&[at, Replaying]), &all, &promise("")), Err(Unelected::Replaying("ro-1".into())));
    }

    #[test]
    fn a_promise_is_what_held_and_what_is_still_wished() {
        let (names, required) = (r#"ANY 2 ("a", "b")"#, Durability::Required { replicas: 2 });
        let read = |commit, wished| {
            let Promise { waits_for, flushed, .. } = Promise::read(commit, names, wished);
            (waits_for, flushed)
        };
        assert_eq!(read("on", required), (2, true));
        assert_eq!(read("on", Durability::Required { replicas: 1 }), (1, true));
        assert_eq!(read("on", Durability::RemoteWrite), (1, false));
        assert_eq!(read("remote_write", required), (2, false));
        assert_eq!(read("local", required), (0, false));
        assert_eq!(read("on", Durability::Local), (0, false));
        assert_eq!(Promise::read("on", "somebody_elses", required), Promise::default());
    }
}

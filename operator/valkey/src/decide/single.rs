//! Mode `single`: one primary, its replicas, and a record that is written before anybody is promoted.

use super::{
    Act, Decision,
    lead::{self, Server},
    passwords,
    restart::{self, Step},
};
use crate::{
    model::{Gate, Pod, Wish},
    seen::{Answer, Seen, Sighting},
    view::{Figures, Rotation, Shard, ShardFigures, Verdict, View},
};
use std::collections::{BTreeMap, BTreeSet};

struct Store<'a> {
    wish: &'a Wish,
    seen: &'a Seen,
    servers: Vec<Server<'a>>,
    /// Leads by record and takes writes.
    primary: Option<Server<'a>>,
}

pub fn decide(wish: &Wish, seen: &Seen) -> Decision {
    let found = lead::lead(wish, seen);
    let servers = lead::servers(seen);
    let recorded = found.as_ref().ok().filter(|lead| wish.primary.as_ref() == Some(lead));
    let leader = recorded.and_then(|lead| servers.iter().copied().find(|server| server.pod.name == *lead));
    let mut store = Store { wish, seen, servers, primary: leader.filter(Server::is_primary) };
    let mut acts = passwords::acts(wish, seen);
    let mut step = Step::Done;
    let mut problem = found.as_ref().err().cloned();
    let mut restart = restart::broken(seen);
    if let Some(strangers) = store.strangers() {
        problem = Some(strangers);
        store.primary = None;
    }
    match (leader, store.primary) {
        (Some(leader), None) if problem.is_none() => acts.push(Act::Promote { pod: leader.pod.name.clone() }),
        (_, Some(primary)) => {
            acts.extend(store.follow(primary));
            step = store.step(primary);
            match &step {
                Step::First(act) => acts.push(act.clone()),
                Step::Restart(pod) if restart.is_none() => restart = Some(pod.clone()),
                _ => {}
            }
        }
        _ => {}
    }
    let rotation = passwords::rotation(wish, seen);
    let to = found.as_ref().ok().cloned();
    let verdict = problem.unwrap_or_else(|| store.verdict(to.as_deref(), &step, rotation));
    let view = store.view(to, verdict, rotation);
    Decision { acts, restart, view, figures: store.figures() }
}

impl<'a> Store<'a> {
    fn stays(&self, pod: &Pod) -> bool {
        pod.ordinal <= self.wish.replicas
    }

    fn others(&self, primary: Server<'a>) -> impl Iterator<Item = &Server<'a>> {
        self.servers.iter().filter(move |server| server.pod.name != primary.pod.name)
    }

    /// Where the primary has nothing and another has data of another history, it is not to become the master of them.
    fn strangers(&self) -> Option<Verdict> {
        let primary = self.primary.filter(Server::is_empty)?;
        let holds = |server: &&Server<'a>| {
            !server.is_empty() && !server.shares_history_with(&primary) && !server.in_step_with(primary.pod)
        };
        let mut pods: Vec<String> = self.others(primary).filter(holds).map(|server| server.pod.name.clone()).collect();
        (!pods.is_empty()).then(|| {
            pods.insert(0, primary.pod.name.clone());
            Verdict::Ambiguous { pods }
        })
    }

    fn follow(&self, primary: Server<'a>) -> Vec<Act> {
        let astray = self.others(primary).filter(|server| server.is_astray(primary.pod));
        let act = |server: &Server<'a>| Act::Follow { pod: server.pod.name.clone(), primary: primary.pod.name.clone() };
        astray.map(act).collect()
    }

    fn heir(&self, primary: Server<'a>) -> Option<&Server<'a>> {
        let fit = |server: &&Server<'a>| {
            self.stays(server.pod) && !server.pod.terminating && server.in_step_with(primary.pod)
        };
        let rank = |server: &&Server<'a>| (server.pod.ready, !server.pod.outdated, server.node.offset);
        self.others(primary).filter(fit).max_by_key(rank)
    }

    fn hand_over(primary: Server<'a>, heir: &Server<'a>) -> Step {
        Step::First(Act::HandOver { from: primary.pod.name.clone(), to: heir.pod.name.clone() })
    }

    /// What a pod's restart or a smaller number of pods asks for next.
    fn step(&self, primary: Server<'a>) -> Step {
        let heir = self.heir(primary);
        if let (true, Some(heir)) = (!self.stays(primary.pod) || primary.pod.terminating, heir) {
            return Self::hand_over(primary, heir);
        }
        if !self.seen.sightings.iter().any(|sighting| sighting.pod.outdated) {
            return Step::Done;
        }
        if !self.complete() {
            return Step::Wait("a pod is not back yet".to_owned());
        }
        let in_step = |server: &&Server<'a>| server.in_step_with(primary.pod);
        let outdated = || self.others(primary).filter(|server| server.pod.outdated);
        if let Some(server) = outdated().find(|server| !in_step(server)) {
            return Step::Restart(server.pod.name.clone());
        }
        if !self.others(primary).all(|server| in_step(&server)) {
            return Step::Wait("a replica is not in step".to_owned());
        }
        if let Some(wait) = restart::unready(self.servers.iter().map(|server| server.pod)) {
            return wait;
        }
        if let Some(server) = self.servers.iter().find(|server| server.node.rewriting) {
            return Step::Wait(format!("{} is writing its data to its volume", server.pod.name));
        }
        if let Some(server) = outdated().next() {
            return Step::Restart(server.pod.name.clone());
        }
        match heir.filter(|heir| !heir.pod.outdated) {
            _ if !primary.pod.outdated => Step::Done,
            Some(heir) => Self::hand_over(primary, heir),
            None if self.wish.replicas == 0 => Step::Restart(primary.pod.name.clone()),
            None => Step::Wait(format!("no replica of {} is in step with it", primary.pod.name)),
        }
    }

    /// Every wished pod exists, stays, and answered.
    fn complete(&self) -> bool {
        let here = |ordinal| self.servers.iter().any(|server| server.pod.ordinal == ordinal && !server.pod.terminating);
        (0..=self.wish.replicas).all(here)
    }

    fn verdict(&self, to: Option<&str>, step: &Step, rotation: Rotation) -> Verdict {
        let Some(primary) = self.primary else {
            return match to {
                Some(to) if self.wish.formed => Verdict::FailingOver { to: to.to_owned() },
                _ => Verdict::Forming,
            };
        };
        let names = |with: fn(&Answer) -> bool| -> Vec<String> {
            let silent = self.seen.sightings.iter().filter(|sighting| with(&sighting.answer));
            silent.map(|sighting| sighting.pod.name.clone()).collect()
        };
        let refused = names(|answer| matches!(answer, Answer::Refused));
        if !refused.is_empty() {
            return Verdict::Refused { pods: refused };
        }
        let behind = self.others(primary).filter(|server| !server.in_step_with(primary.pod));
        let mut behind: Vec<String> = behind.map(|server| server.pod.name.clone()).collect();
        behind.extend(names(|answer| matches!(answer, Answer::Unreachable(_) | Answer::Loading)));
        let here = |ordinal: &u32| self.seen.sightings.iter().any(|sighting| sighting.pod.ordinal == *ordinal);
        behind.extend((0..=self.wish.replicas).filter(|ordinal| !here(ordinal)).map(|ordinal| format!("s0-{ordinal}")));
        if !behind.is_empty() {
            return Verdict::LinkDown { pods: behind };
        }
        let outdated = self.seen.sightings.iter().filter(|sighting| sighting.pod.outdated);
        let outdated: Vec<String> = outdated.map(|sighting| sighting.pod.name.clone()).collect();
        if !outdated.is_empty() {
            let waits = if let Step::Wait(why) = step { Some(why.clone()) } else { None };
            return Verdict::Restarting { pods: outdated, waits };
        }
        if self.seen.sightings.iter().any(|sighting| !self.stays(&sighting.pod)) {
            return Verdict::Leaving;
        }
        match rotation {
            Rotation::Settled => Verdict::Ready,
            Rotation::Spread | Rotation::Spreading => Verdict::Rotating,
        }
    }

    fn view(&self, lead: Option<String>, verdict: Verdict, rotation: Rotation) -> View {
        let primary = self.primary;
        let in_step = |server: &Server<'a>| primary.is_some_and(|primary| server.in_step_with(primary.pod));
        let replicas: BTreeMap<String, bool> = primary.map_or_else(BTreeMap::new, |primary| {
            self.others(primary).map(|server| (server.pod.name.clone(), in_step(server))).collect()
        });
        let stay = self.servers.iter().filter(|server| self.stays(server.pod) && in_step(server)).count();
        let may_shrink =
            primary.is_some_and(|primary| self.stays(primary.pod)) && stay as u64 == u64::from(self.wish.replicas);
        let leads = |server: &&Server<'a>| primary.is_some_and(|primary| primary.pod.name == server.pod.name);
        let holders = self.servers.iter().filter(|server| leads(server) || in_step(server));
        let refused = |sighting: &&Sighting| {
            sighting.pod.gate == Some(Gate::DataMissing) && !matches!(sighting.answer, Answer::Node(_))
        };
        let gated = self.seen.sightings.iter().filter(refused);
        let rejoin = gated.filter(|_| primary.is_some()).map(|sighting| sighting.pod.name.clone());
        let shard = Shard { primary: primary.map(|primary| primary.pod.name.clone()), replicas, may_shrink };
        View {
            formed: self.wish.formed || (primary.is_some() && self.complete()),
            agreed: primary.is_some() && self.servers.iter().filter(|server| server.is_primary()).count() == 1,
            shards: BTreeMap::from([(0, shard)]),
            lead,
            primary: primary.map(|primary| primary.pod.name.clone()),
            held: holders.map(|server| server.pod.name.clone()).collect(),
            rejoin: rejoin.collect(),
            removable: BTreeSet::new(),
            rotation,
            verdict,
        }
    }

    fn figures(&self) -> Figures {
        let Some(primary) = self.primary else { return Figures::default() };
        let behind = |server: &Server<'a>| primary.node.offset.saturating_sub(server.node.offset);
        let shard = ShardFigures {
            slots: 0,
            keys: primary.node.store.keys,
            memory: primary.node.store.memory.used,
            memory_max: primary.node.store.memory.max,
            lag: self.others(primary).map(behind).max(),
        };
        Figures { shards: BTreeMap::from([(0, shard)]), to_move: 0 }
    }
}

//! Mode `cluster`.

use super::{Act, Decision, members, passwords, plan, restart, roles, verdict, world::World};
use crate::{model::Wish, seen::Seen};

pub fn decide(wish: &Wish, seen: &Seen) -> Decision {
    let world = World::new(wish, seen);
    let mut acts = passwords::acts(wish, seen);
    let heal = heal(&world);
    let settled = heal.is_empty() && world.agreed();
    let mut findings = verdict::Findings::default();
    acts.extend(heal);
    let mut restart = restart::broken(seen);
    if settled {
        restart = restart.or_else(|| roles::stuck(&world));
        let (close, mut moves) = plan::open(&world);
        let still = close.is_empty() && moves.is_empty() && !plan::running(&world);
        let sound = world.complete() && world.out_of_step().is_empty();
        findings.plan = plan::plan(&world);
        findings.open = !still;
        acts.extend(members::reset(&world));
        acts.extend(members::forget(&world));
        acts.extend(close);
        if restart.is_none() {
            findings.restart = restart::step(&world, sound && still);
        }
        let step_down = roles::step_down(&world);
        match &findings.restart {
            // Whoever owns slots now does not own them afterwards.
            _ if !step_down.is_empty() => {
                moves.clear();
                acts.extend(step_down);
            }
            restart::Step::Restart(pod) => restart = Some(pod.clone()),
            restart::Step::First(act) => {
                moves.clear();
                acts.push(act.clone());
            }
            // A shard that does not drain holds up nobody but itself.
            restart::Step::Done if sound && restart.is_none() && !plan::running(&world) => {
                moves.extend(findings.plan.moves.iter().cloned());
            }
            restart::Step::Done | restart::Step::Wait(_) => {}
        }
        acts.extend(plan::together(moves).into_iter().map(Act::Move));
    } else if restart.is_none() {
        findings.restart = restart::step(&world, false);
    }
    let (view, figures) = verdict::view(&world, &findings);
    Decision { acts, restart, view, figures }
}

/// What makes one cluster of the servers, for the first time or again. Each part waits for the one before it.
fn heal(world: &World<'_>) -> Vec<Act> {
    if world.assigned().is_empty() {
        // A first time is only where nothing was before, and where it can be done in full.
        if world.wish.formed || !world.complete() || !world.strangers.is_empty() {
            return Vec::new();
        }
        let fresh = world.members.iter().all(|member| member.is_fresh());
        let epochs = if fresh { roles::epochs(world) } else { Vec::new() };
        let introductions = members::introduce(world);
        if !epochs.is_empty() || !introductions.is_empty() {
            return epochs.into_iter().chain(introductions).collect();
        }
    }
    let introductions = members::introduce(world);
    if !introductions.is_empty() {
        return introductions;
    }
    let mut acts = roles::first_slots(world);
    acts.extend(roles::follow(world));
    acts.extend(roles::take_over(world));
    acts
}

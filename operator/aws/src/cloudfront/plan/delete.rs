//! A distribution of our own that is to go: disabled, then everywhere, then deleted, and its policies after it.

use super::{
    super::{Call, DeletionPolicy, Distribution, companion::Companions},
    Found, GRACE, Round, companions,
};
use crate::{Kind, Mode, Planned, Standing};

pub(super) fn plan(round: &mut Round<'_>, found: &Found<'_>) {
    let wish = round.wish;
    if wish.mode == Mode::Observe || wish.policy() == DeletionPolicy::Retain {
        round.tell(Kind::Deletion, "the distribution is left enabled and as it is");
        round.finished = true;
        return;
    }
    if let (Standing::Retained { .. } | Standing::NameConflict, Some(one)) = (&found.standing, found.distribution) {
        round.tell(Kind::Deletion, format!("distribution {} is not ours, and left as it is", one.id));
        round.finished = true;
        return;
    }
    let companions = Companions::of(&wish.owner.identity, &wish.spec);
    if let Some(distribution) = found.ours() {
        round.memory.absent_since = None;
        round.memory.id = Some(distribution.id.clone());
        self::distribution(round, distribution);
    }
    companions::clean(round, &companions, found.ours().map(|one| &one.config));
    // What is missing is not taken for gone before it was missing for a while.
    let is_there = found.distribution.is_some() || !round.plan.calls.is_empty() || !round.memory.created.is_empty();
    round.memory.absent_since = if is_there { None } else { round.memory.absent_since.or(Some(round.now)) };
    round.finished = round.memory.absent_since.is_some_and(|since| round.now.duration_since(since) >= GRACE);
    if !round.finished {
        round.wait("the distribution is not gone yet");
    }
}

fn distribution(round: &mut Round<'_>, distribution: &Distribution) {
    let (id, etag) = (distribution.id.clone(), distribution.etag.clone());
    if distribution.is_enabled() {
        // What there is, and not what is wished: nothing else may change on the way out.
        let mut config = distribution.config.clone();
        config.set("Enabled", false);
        let changes = vec!["Enabled: true → false".to_owned()];
        let call = Call::Update { id: id.clone(), etag: etag.clone(), config, changes };
        round.add(Planned::new(call).costs("it answers no more"));
    }
    let hold = if distribution.is_enabled() {
        Some("it is disabled first".to_owned())
    } else {
        (!distribution.is_deployed()).then(|| "that it is disabled is not everywhere yet".to_owned())
    };
    let call = Call::Delete { id, etag };
    round.add(Planned::new(call).costs("its domain name does not come back").hold(hold));
}

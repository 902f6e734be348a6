//! A distribution of our own that is to be there.

use super::{
    super::{Call, Distribution, Element, companion::Companions, render},
    Found, Round, TAKEN, companions, deletion, invalidate,
};
use crate::{Kind, Planned, Standing};

pub(super) fn plan(round: &mut Round<'_>, found: &Found<'_>) {
    round.memory.absent_since = None;
    round.tell(Kind::Deletion, deletion(round.wish));
    if round.is_invalid() {
        return;
    }
    match (&found.standing, found.distribution) {
        (Standing::Ours, Some(distribution)) => ours(round, found, distribution),
        (Standing::Retained { cluster, uid }, Some(distribution)) => {
            let id = &distribution.id;
            if !found.others.is_empty() {
                let words = format!(
                    "of a former platform of this name there are {id}, {}: which is meant cannot be told. Remove the tags of what is \
                     not",
                    found.others.join(", ")
                );
                return round.tell(Kind::Retained, words);
            }
            if !round.wish.adopt {
                let words = format!(
                    "distribution {id} is there, and of a former platform of this name (cluster {cluster}, UID {uid}): set adopt: true \
                     to go on with it"
                );
                return round.tell(Kind::Retained, words);
            }
            let (id, arn, tags) = (id.clone(), distribution.arn.clone(), round.wish.owner.tags());
            round.add(Planned::new(Call::Tag { id, arn, tags }));
        }
        (Standing::NameConflict, Some(distribution)) => {
            // Remembered, so that it is not looked for among all of them again.
            round.memory.id = Some(distribution.id.clone());
            round.memory.taken = None;
            let words =
                "was ours or was made under our CallerReference, and bears other tags than ours: it is left alone";
            round.tell(Kind::NameConflict, format!("distribution {} {words}", distribution.id));
        }
        (_, Some(one)) => round.wait(format!("distribution {} is not listed", one.id)),
        (_, None) => absent(round),
    }
}

/// There is no distribution.
fn absent(round: &mut Round<'_>) {
    let wish = round.wish;
    if round.memory.seen {
        round.tell(Kind::Missing, "the distribution was there, and is gone: another one has another domain name");
    }
    let mut companions = Companions::of(&wish.owner.identity, &wish.spec);
    let hold = companions::plan(round, &mut companions);
    if let Some(since) = round.memory.taken {
        let is_over = round.now.duration_since(since) >= TAKEN && round.seen.all_read;
        if !is_over {
            return round.wait("AWS says that our CallerReference is used, and shows no distribution of it yet");
        }
        // That of a distribution that was deleted, and is kept blocked.
        round.memory.counter += 1;
        round.memory.taken = None;
    }
    round.memory.id = None;
    let reference = wish.owner.identity.caller_reference(round.memory.counter);
    let config = render::new_distribution(&wish.spec, &companions, &reference);
    let call = Call::Create { reference, config, tags: wish.owner.tags() };
    if round.in_grace(&call) {
        return round.wait("the distribution is being created");
    }
    let missing = wish.spec.missing_secrets();
    let hold = hold.or_else(|| (!missing.is_empty()).then(|| format!("{}: the Secret is missing", missing.join(", "))));
    let hold = round.certificate(false).or(hold);
    round.add(Planned::new(call).costs("a distribution, which costs by what it serves").hold(hold));
}

/// The distribution is there, and ours.
fn ours(round: &mut Round<'_>, found: &Found<'_>, distribution: &Distribution) {
    round.memory.id = Some(distribution.id.clone());
    (round.memory.seen, round.memory.taken) = (true, None);
    if !found.others.is_empty() {
        let words = format!("these bear our tags, and are not what we have made: {}", found.others.join(", "));
        round.tell(Kind::LeftAlone, words);
    }
    let mut companions = Companions::of(&round.wish.owner.identity, &round.wish.spec);
    let hold = companions::plan(round, &mut companions);
    let mut config = distribution.config.clone();
    render::distribution(&round.wish.spec, &companions).lay_over(&mut config);
    let named = |config: &Element| Some(config.get("ViewerCertificate")?.value("ACMCertificateArn")?.to_owned());
    let has_it = named(&config) == named(&distribution.config);
    let hold = round.certificate(has_it).or(hold);
    round.update(distribution, config, hold);
    companions::clean(round, &companions, Some(&distribution.config));
    invalidate::plan(round, &distribution.id);
    round.show(distribution, &companions);
}

//! Policies, access controls and functions: made before the distribution names them, deleted after it has ceased to.

use super::{
    super::{
        Call, Companion, CompanionKind, Distribution, Element, Wish, companion,
        companion::Companions,
        wish::{BucketAccess, OriginKind},
    },
    Round,
};
use crate::{Kind, Planned};

/// Tells whether one is ours, by what it says of itself. Every one of the account is asked.
pub fn is_ours(wish: &Wish) -> impl Fn(&Companion) -> bool + use<> {
    let identity = &wish.owner.identity;
    let (prefix, comment) = (companion::prefix(identity), companion::comment(identity));
    move |one| one.name.starts_with(&prefix) && one.comment == comment
}

/// Plans what is missing, and notes the ids of what is there. What it answers keeps back what names them.
pub(super) fn plan(round: &mut Round<'_>, companions: &mut Companions) -> Option<String> {
    let wish = round.wish;
    let is_ours = is_ours(wish);
    companions.ours = round.seen.companions.iter().filter(|one| is_ours(one)).map(|one| one.id.clone()).collect();
    let mut hold = None;
    for wanted in companions.wanted.clone() {
        let (kind, name) = (wanted.kind, wanted.name);
        let is_it = |one: &&Companion| one.kind == kind && one.name == name;
        let Some(one) = round.seen.companions.iter().find(is_it) else {
            hold.get_or_insert_with(|| format!("{} {name} comes first", kind.name()));
            let call = Call::CreateCompanion { kind, name: name.clone(), config: wanted.config, code: wanted.code };
            if round.in_grace(&call) {
                round.wait(format!("{} {name} is being created", kind.name()));
            } else {
                round.add(Planned::new(call));
            }
            continue;
        };
        if !is_ours(one) {
            let words = format!("{} {name} is somebody else's: it says {:?} of itself", kind.name(), one.comment);
            round.tell(Kind::NameConflict, words);
            hold.get_or_insert_with(|| format!("{} {name} is not ours", kind.name()));
            continue;
        }
        if !one.live {
            hold.get_or_insert_with(|| format!("function {name} is published first"));
            match &one.etag {
                Some(etag) => round.add(Planned::new(Call::Publish { name: name.clone(), etag: etag.clone() })),
                None => round.wait(format!("function {name} is not seen yet")),
            }
        }
        companions.ids.insert((kind, name), one.id.clone());
    }
    hold
}

/// Plans the end of those of ours that nothing needs any more. `config` is what the distribution says now.
pub(super) fn clean(round: &mut Round<'_>, companions: &Companions, config: Option<&Element>) {
    let wish = round.wish;
    let is_ours = is_ours(wish);
    for one in round.seen.companions.iter().filter(|one| is_ours(one)) {
        let is_wanted = companions.wanted.iter().any(|wanted| (wanted.kind, &wanted.name) == (one.kind, &one.name));
        if is_wanted && !wish.deleted {
            continue;
        }
        let Some(etag) = one.etag.clone() else {
            // It went between two looks.
            round.wait(format!("{} {} is not seen any more", one.kind.name(), one.name));
            continue;
        };
        let is_used = config.is_some_and(|config| config.mentions(&one.id));
        let hold = is_used.then(|| "the distribution names it".to_owned());
        let call = Call::DeleteCompanion { kind: one.kind, name: one.name.clone(), id: one.id.clone(), etag };
        round.add(Planned::new(call).hold(hold));
    }
}

/// What the policies of buckets need, by the origins' ids.
pub(super) fn bucket_policies(
    wish: &Wish,
    distribution: &Distribution,
    companions: &Companions,
) -> Vec<(String, String)> {
    let has_control = companions.wanted.iter().any(|wanted| wanted.kind == CompanionKind::OriginAccessControl);
    let buckets =
        wish.spec.origins.iter().filter(|origin| has_control && origin.kind == OriginKind::S3(BucketAccess::Own));
    let statement = |domain: &str| {
        let bucket = domain.split(".s3").next().unwrap_or(domain);
        format!(
            r#"{{"Effect":"Allow","Principal":{{"Service":"cloudfront.amazonaws.com"}},"Action":"s3:GetObject","Resource":"arn:aws:s3:::{bucket}/*","Condition":{{"StringEquals":{{"AWS:SourceArn":"{}"}}}}}}"#,
            distribution.arn
        )
    };
    buckets.map(|origin| (origin.id.clone(), statement(&origin.domain))).collect()
}

//! The few calls that are made.

use super::{
    Call, Companion, CompanionKind, Distribution, Listed, Memory, Scope, Seen, Wish, companion::Companions, plan,
};
use crate::{Error, acm};
use std::future::Future;

/// CloudFront, of one account. Nothing is waited for.
pub trait CloudFront: Send + Sync {
    /// All distributions, with their tags. May be answered from a common look that is a few seconds old.
    fn distributions(&self) -> impl Future<Output = Result<Vec<Listed>, Error>> + Send;

    /// A distribution as it is now, by `GetDistribution`: state, configuration and version of the same moment. None where there
    /// is none of the id.
    fn distribution(&self, id: &str) -> impl Future<Output = Result<Option<Distribution>, Error>> + Send;

    /// The account's own policies, access controls and functions, without their versions. May be answered from a common look
    /// that is a few seconds old.
    fn companions(&self) -> impl Future<Output = Result<Vec<Companion>, Error>> + Send;

    /// Version of one as it is now; a function's in stage `DEVELOPMENT`. None where there is none.
    fn version(&self, companion: &Companion) -> impl Future<Output = Result<Option<String>, Error>> + Send;

    /// A certificate of ACM, which distributions name by its ARN. May be answered from a look of some hours ago while it is issued,
    /// and of a few minutes else. None where there is none.
    fn certificate(&self, arn: &str) -> impl Future<Output = acm::Answer> + Send;

    /// Carries out a call. It returns as soon as AWS has accepted it.
    fn send(&self, call: &Call) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Looks at what the plan of this wish depends on.
///
/// # Errors
/// One of the looks failed. Then nothing is to be planned.
pub async fn observe(cloudfront: &impl CloudFront, wish: &Wish, memory: &Memory) -> Result<Seen, Error> {
    let listed = cloudfront.distributions().await?;
    let mut ids: Vec<String> = match &wish.scope {
        Scope::Attach { distribution } => vec![distribution.clone()],
        Scope::Own => memory.id.iter().cloned().collect(),
    };
    let all_read = wish.scope == Scope::Own && memory.taken.is_some();
    for one in listed.iter().filter(|one| wish.scope == Scope::Own && !ids.contains(&one.id)).collect::<Vec<_>>() {
        if all_read || wish.owner.former(&one.tags).is_some() {
            ids.push(one.id.clone());
        }
    }
    let mut read = Vec::new();
    for id in ids {
        read.extend(cloudfront.distribution(&id).await?);
    }
    let mut companions = cloudfront.companions().await?;
    let wanted = Companions::of(&wish.owner.identity, &wish.spec).wanted;
    let is_ours = plan::is_ours(wish);
    for one in companions.iter_mut().filter(|one| is_ours(one)) {
        let is_wanted = wanted.iter().any(|wanted| (wanted.kind, &wanted.name) == (one.kind, &one.name));
        // Versions are only needed for what changes one: at rest none is asked for.
        if wish.deleted || !is_wanted || (one.kind == CompanionKind::Function && !one.live) {
            one.etag = cloudfront.version(one).await?;
        }
    }
    let certificate = match &wish.spec.certificate {
        Some(named) if !wish.deleted => Some(cloudfront.certificate(&named.arn).await),
        _ => None,
    };
    Ok(Seen { listed, read, all_read, companions, certificate })
}

//! A cache that somebody else runs: nothing is made, its address and credentials are handed on.

use crate::{
    secrets::Reader,
    tiers::binding::{self, Address, Bound, CacheBinding},
};
use crds::tiers::cache::ExternalCache;

/// How it is reached.
pub(super) async fn bind(reader: &mut Reader<'_>, address: &Address, spec: &ExternalCache) -> Bound<CacheBinding> {
    let login = match &spec.secret {
        Some(secret) => Some(binding::login(reader, secret, false).await?),
        None => None,
    };
    let tls = binding::tls(reader, spec.tls.as_ref()).await?;
    Ok(CacheBinding { address: address.clone(), login, tls, cluster: None })
}

//! A database that somebody else runs: nothing is made, its addresses and credentials are handed on.

use super::External;
use crate::{
    secrets::Reader,
    tiers::binding::{self, Bound, DatabaseBinding},
};

/// How it is reached.
pub(super) async fn bind(reader: &mut Reader<'_>, external: &External) -> Bound<DatabaseBinding> {
    let External { primary, replicas, spec } = external;
    let login = binding::login(reader, &spec.secret, true).await?;
    let tls = binding::tls(reader, spec.tls.as_ref()).await?;
    Ok(DatabaseBinding {
        primary: primary.clone(),
        direct: Vec::new(),
        reader: replicas.first().unwrap_or(primary).clone(),
        replicas: replicas.clone(),
        shards: Vec::new(),
        aliased: false,
        database: spec.database.clone(),
        login,
        tls,
    })
}

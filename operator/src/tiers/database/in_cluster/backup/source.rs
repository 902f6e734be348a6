//! The snapshot that the volume of a database is to be made of: looked up here, judged by [`snapshots`].

use super::{
    super::InCluster,
    snapshots::{self, Source},
};
use crate::{
    context::Context,
    error::Error,
    kinds::Kind,
    secrets::Lack,
    tiers::{
        Children,
        store::record::{self, SYSTEM_IDENTIFIER},
    },
};
use kube::{Api, core::DynamicObject};

/// The snapshot that a database is still to be made of: only one that has never had data is.
pub fn awaited<'a>(database: &'a InCluster, children: &Children) -> Option<&'a str> {
    let name = database.spec.restore_from.as_ref()?.volume_snapshot.as_deref()?;
    let mut records = database.servers.iter().filter_map(|server| record::of(children, &server.object_name));
    let has_data = records.any(|record| record.contains_key(SYSTEM_IDENTIFIER));
    (!has_data).then_some(name)
}

/// The snapshot that the volume of a database is to be made of now, unless it has been.
pub async fn of(ctx: &Context, children: &Children, database: &InCluster) -> Result<Option<Source>, Lack> {
    let Some((name, server)) = awaited(database, children).zip(database.servers.first()) else { return Ok(None) };
    let kind = Kind::VolumeSnapshot;
    let claim = server.primary_claim();
    if let Some(there) = children.get(Kind::PersistentVolumeClaim, &claim) {
        let made_of = there.data.pointer("/spec/dataSource/name").and_then(|name| name.as_str());
        return snapshots::made_of(name, &claim, made_of).map(|()| None).map_err(Lack::NotYet);
    }
    let served = ctx.capabilities.now().volume_snapshot;
    let found = match children.get(kind, name).filter(|_| served) {
        Some(found) => Some(Ok(Some(found.clone()))),
        None if served => {
            let api: Api<DynamicObject> =
                Api::namespaced_with(ctx.client.clone(), &database.namespace, &kind.resource());
            let found = api.get_opt(name).await;
            Some(found.map_err(|error| Error::api("get", kind.as_str(), name, error).to_string()))
        }
        None => None,
    };
    snapshots::source(name, found).map(Some).map_err(Lack::NotYet)
}

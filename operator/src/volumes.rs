//! What a pass does about the volumes of stores: it looks for those that hold data of the platform, goes on with what has
//! outlived the namespace, and sees to it that data which shall stay do. What is to be done is decided in
//! [`crate::tiers::store::volumes`].

use crate::{
    apply::{Live, Mode},
    context::Context,
    error::{Error, Result},
    kinds::ObjectId,
    naming::FieldManager,
    tiers::{
        Children,
        store::{
            record,
            volumes::{
                self, Claim, KIND, Kept, StoreId,
                found::{Found, found},
            },
        },
    },
    validate::ValidPlatform,
};
use crds::tiers::in_cluster::DeletionPolicy;
use futures::{FutureExt, StreamExt, stream};
use k8s_openapi::api::core::v1::PersistentVolume;
use kube::{Api, ResourceExt, api::ListParams};
use std::collections::{BTreeMap, BTreeSet};

/// Volumes that are asked for or changed at the same time (P).
const AT_ONCE: usize = 8;

/// Why a volume goes with its namespace where its policy could not be set.
const FORBIDDEN: &str =
    "the operator may not see to the volumes: it lacks the right to get, list and patch persistentvolumes";

/// The volumes of a platform that are marked as such.
pub struct Volumes {
    /// None where the operator may not see any.
    marked: Option<BTreeMap<String, PersistentVolume>>,
}

impl Volumes {
    /// Looks for them, by one request; a platform without stores has none.
    ///
    /// # Errors
    /// What the API server answers, but for a refusal.
    pub async fn look(ctx: &Context, lp: &ValidPlatform) -> Result<Self> {
        if lp.caches.is_empty() && lp.databases.is_empty() {
            return Ok(Self { marked: Some(BTreeMap::new()) });
        }
        let api: Api<PersistentVolume> = Api::all(ctx.client.clone());
        match api.list(&ListParams::default().labels(&volumes::selector(&lp.key))).await {
            Ok(list) => Ok(Self { marked: Some(list.items.into_iter().map(|v| (v.name_any(), v)).collect()) }),
            Err(kube::Error::Api(answer)) if answer.code == 403 => Ok(Self { marked: None }),
            Err(error) => Err(Error::api("list", KIND, "", error)),
        }
    }

    /// Makes claims and records anew for what has outlived the namespace, and adds them to the children. Returns the stores that
    /// nothing may be made for, with the reason.
    pub async fn restore(
        &self,
        ctx: &Context,
        lp: &ValidPlatform,
        children: &mut Children,
    ) -> BTreeMap<StoreId, String> {
        let Some(marked) = &self.marked else { return BTreeMap::new() };
        let marked: Vec<PersistentVolume> = marked.values().cloned().collect();
        let named: BTreeSet<StoreId> = volumes::named(lp).into_keys().collect();
        let mut held = BTreeMap::new();
        for (store, found) in found(&lp.key, &named, children, &marked) {
            let done = match found {
                Ok(found) => take_up(ctx, lp, &found, children).await,
                Err(why) => Err(why),
            };
            if let Err(why) = done {
                held.insert(store, why);
            }
        }
        held
    }

    /// Sees to it that the volumes of bound claims outlive them where the data shall stay, and only there. `children` are those
    /// after the pass. Returns what becomes of the volumes of each store, and what failed.
    pub async fn keep(
        &self,
        ctx: &Context,
        lp: &ValidPlatform,
        children: &Children,
    ) -> (BTreeMap<StoreId, Kept>, Vec<Error>) {
        let named = volumes::named(lp);
        let claims = volumes::claims(children).filter_map(|claim| Some((claim, claim.policy(&named)?)));
        let looks: Vec<_> =
            claims.map(|(claim, policy)| self.see_to(ctx, lp, children, claim, policy).boxed()).collect();
        let mut looks = stream::iter(looks).buffered(AT_ONCE);
        let (mut kept, mut errors) = (BTreeMap::new(), Vec::new());
        while let Some((store, seen)) = looks.next().await {
            let seen = match seen {
                Ok(seen) => seen,
                Err(error) if error.code() == Some(403) => Kept::No(FORBIDDEN.to_owned()),
                Err(error) => {
                    let why = format!("a volume cannot be seen to: {error}");
                    errors.push(error);
                    Kept::No(why)
                }
            };
            let of_store: &mut Kept = kept.entry(store).or_default();
            if !matches!(of_store, Kept::No(_)) {
                *of_store = seen;
            }
        }
        (kept, errors)
    }

    async fn see_to(
        &self,
        ctx: &Context,
        lp: &ValidPlatform,
        children: &Children,
        claim: Claim<'_>,
        policy: DeletionPolicy,
    ) -> (StoreId, Result<Kept>) {
        (claim.store(), self.seen_to(ctx, lp, children, &claim, policy).await)
    }

    async fn seen_to(
        &self,
        ctx: &Context,
        lp: &ValidPlatform,
        children: &Children,
        claim: &Claim<'_>,
        policy: DeletionPolicy,
    ) -> Result<Kept> {
        let Some(marked) = &self.marked else { return Ok(Kept::No(FORBIDDEN.to_owned())) };
        let change = match (policy, marked.get(claim.volume)) {
            (DeletionPolicy::Retain, Some(volume)) => volumes::kept(&lp.key, children, claim, volume),
            (DeletionPolicy::Retain, None) => {
                let api: Api<PersistentVolume> = Api::all(ctx.client.clone());
                let volume = api.get(claim.volume).await;
                let volume = volume.map_err(|error| Error::api("get", KIND, claim.volume, error))?;
                volumes::kept(&lp.key, children, claim, &volume)
            }
            // One that was never changed stays as its class has it.
            (DeletionPolicy::Delete, volume) => volume.and_then(|volume| volumes::let_go(claim, volume)),
        };
        if let Some(patch) = change {
            if !ctx.writer.volume(claim.volume, &patch).await? {
                return Ok(Kept::No("the platform is suspended, and the volumes are not seen to meanwhile".to_owned()));
            }
            ctx.metrics.write(KIND, "patch");
        }
        Ok(Kept::Yes)
    }
}

/// Goes on with a store that has outlived its namespace: the record first, by which a pass that comes later knows to go on.
async fn take_up(ctx: &Context, lp: &ValidPlatform, found: &Found, children: &mut Children) -> Result<(), String> {
    if found.record.is_none() && found.unclaimed.is_empty() {
        return Ok(());
    }
    if ctx.writer.mode() != Mode::Write {
        return Err("its volumes are there, and are taken up when the platform is no longer suspended".to_owned());
    }
    let failed = |error: Error| format!("its volumes are there and cannot be taken up: {error}");
    if let Some(record) = &found.record {
        let map = record::config_map(&found.identity, &found.object_name, DeletionPolicy::Retain, record);
        let map = map.map_err(|error| failed(Error::Serialize("a record", error)))?;
        let applied = ctx.writer.apply(FieldManager::Main, &lp.owner, &map, Live::Unknown).await.map_err(failed)?;
        add(children, applied.object);
    }
    for unclaimed in &found.unclaimed {
        if let Some(patch) = &unclaimed.patch {
            ctx.writer.volume(&unclaimed.volume, patch).await.map_err(failed)?;
            ctx.metrics.write(KIND, "patch");
        }
        let claim = ctx.writer.claim(&unclaimed.claim).await.map_err(failed)?;
        add(children, claim);
    }
    Ok(())
}

fn add(children: &mut Children, object: kube::core::DynamicObject) {
    if let Some(id) = ObjectId::of(&object) {
        children.0.insert(id, object);
    }
}

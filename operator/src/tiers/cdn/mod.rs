//! The CDN room: distributions at Amazon CloudFront, from what the resource says to what [`aws::cloudfront`] plans. Nothing else of a
//! platform waits for them.

mod address;
mod behavior;
mod leaving;
pub mod objects;
mod orders;
mod origin;
pub mod status;
pub mod wish;

use super::{
    Children, Plan, Tier, TierStatus,
    aws::recorded::{Held, Kept, Recorded},
};
use crate::{
    context::Context,
    error::Result,
    keeper::{
        StoreKey,
        cloudfront::{CloudFrontOrders, CloudFrontView},
    },
    kinds::{Kind, ObjectId},
    naming::object_name,
    secrets::{KubeSecrets, Lack, Reader},
    tiers::store::{
        Identity, StoreTier,
        record::{self, Record},
    },
    validate::ValidPlatform,
};
use aws::cloudfront::{Memory, Spec};
use crds::{
    status::ConditionType,
    tiers::{
        aws::{Aws, AwsDeletionPolicy},
        cdn::{CloudFront, DeletionPolicy},
    },
};
use kube::core::DynamicObject;
pub use leaving::Leaving;
pub use orders::orders;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use wish::{Around, Unfit};

/// How the record says who keeps it.
pub const RUNNER: &str = "cloudfront";
/// Key of the record: the distribution that it is attached to, by its id.
const DISTRIBUTION: &str = "DISTRIBUTION";
/// Key of the record: the name of the distribution in DNS, once it was at all edges.
const DOMAIN: &str = "DOMAIN";

/// The CDN room.
pub struct Cdns;

/// A CDN that can be carried out.
#[derive(Clone, Debug)]
pub struct ValidCdn {
    /// Name of the item.
    pub name: String,
    /// Which one it is.
    pub identity: Identity,
    /// What the names of its objects begin with.
    pub object_name: String,
    /// Whose it is at AWS.
    pub owner: aws::Owner,
    /// Account, as written.
    pub account: Aws,
    /// The distribution, as written.
    pub spec: CloudFront,
}

impl ValidCdn {
    /// A CDN of the spec.
    pub fn new(platform: &str, owner: &aws::Owner, account: &Aws, name: &str, spec: &CloudFront) -> Self {
        Self {
            name: name.to_owned(),
            identity: Identity { platform: platform.to_owned(), id: name.to_owned(), tier: StoreTier::Cdn },
            object_name: format!("{}-{RUNNER}", object_name(platform, name)),
            owner: owner.clone(),
            account: account.clone(),
            spec: spec.clone(),
        }
    }
}

/// What becomes of a distribution when its item is deleted, as records say it.
fn deletion(spec: &CloudFront) -> AwsDeletionPolicy {
    let default = if spec.distribution_id.is_some() { DeletionPolicy::Delete } else { DeletionPolicy::Retain };
    match spec.deletion_policy.unwrap_or(default) {
        DeletionPolicy::Retain => AwsDeletionPolicy::Retain,
        DeletionPolicy::Delete => AwsDeletionPolicy::Delete,
    }
}

/// What the CDN room has observed.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The CDNs of the spec, by name.
    pub cdns: BTreeMap<String, Seen>,
    /// Those that the spec names no more.
    pub leaving: BTreeMap<StoreKey, Leaving>,
}

/// What a pass has observed of a CDN.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Why nothing may be done about it.
    pub held: Option<Held>,
    /// What is kept of it; None where nothing was done yet.
    pub record: Option<Record>,
    /// What is in the record for AWS.
    pub recorded: Option<Recorded<Memory>>,
    /// What its keeper has seen.
    pub view: Option<Arc<CloudFrontView>>,
    /// The keeper has looked at it as this generation wants it.
    pub answered: bool,
    /// What is wished of its distribution.
    pub spec: std::result::Result<Spec, Unfit>,
    /// What is lacking of the Secrets that it names. Meanwhile the distribution stays as it is.
    pub lacking: Vec<Lack>,
}

impl Seen {
    /// Name of the distribution in DNS, as far as it is known.
    fn domain(&self) -> Option<&str> {
        let now = self.view.as_ref().and_then(|view| view.at.domain_name.as_deref());
        now.or_else(|| self.record.as_ref()?.get(DOMAIN).map(String::as_str))
    }

    /// Whether it was at all edges once. A change is on its way for minutes, and what was there before serves meanwhile.
    fn has_served(&self) -> bool {
        let Some(view) = &self.view else { return false };
        let before = self.record.as_ref().and_then(|record| record.get(DOMAIN));
        view.at.domain_name.is_some() && (view.at.deployed || before == view.at.domain_name.as_ref())
    }
}

/// Which keeper keeps it.
pub fn key(lp: &ValidPlatform, cdn: &ValidCdn) -> StoreKey {
    StoreKey { platform: lp.key.clone(), object_name: cdn.object_name.clone() }
}

async fn observe(
    ctx: &Context,
    lp: &ValidPlatform,
    children: &Children,
    cdn: &ValidCdn,
    reader: &mut Reader<'_>,
) -> Seen {
    let Kept { record, recorded, held } = Kept::of(children, &cdn.object_name, (&lp.key, &cdn.account), &ctx.settings);
    let mut secrets = Vec::new();
    for header in cdn.spec.origins.iter().flat_map(|origin| &origin.headers) {
        let value = reader.text(&header.secret.name, &header.secret.key).await;
        let value = value.and_then(|text| {
            let unfit =
                |problem| Lack::Unfit { name: header.secret.name.clone(), key: header.secret.key.clone(), problem };
            if text.is_empty() { Err(unfit("is empty: store a value")) } else { Ok(aws::Password::new(text)) }
        });
        secrets.push((&header.secret, value));
    }
    let secret = |key: &crds::SecretKey| secrets.iter().find(|(known, _)| *known == key)?.1.clone().ok();
    let apps: Vec<_> = lp.apps.iter().map(|app| app.spec.clone()).collect();
    let wished = |addresses: &BTreeMap<String, String>| {
        wish::spec(&cdn.name, &cdn.spec, &Around { apps: &apps, addresses, secret: &secret })
    };
    let mut addresses = address::of_ingresses(lp, children, &cdn.spec);
    let mut spec = wished(&addresses);
    if matches!(spec, Err(Unfit::Waiting { .. })) {
        addresses.extend(address::of_gateways(ctx, lp, &cdn.spec).await);
        spec = wished(&addresses);
    }
    let answer = ctx.cloudfront.answer(&key(lp, cdn));
    Seen {
        held,
        record,
        recorded,
        answered: answer.as_ref().is_some_and(|(_, orders)| orders.wish.generation == lp.generation),
        view: answer.map(|(view, _)| view),
        spec,
        lacking: secrets.into_iter().filter_map(|(_, value)| value.err()).collect(),
    }
}

impl Tier for Cdns {
    const CONDITION: ConditionType = ConditionType::CdnReady;
    type Observed = Observed;

    async fn observe(&self, ctx: &Context, lp: &ValidPlatform, children: &Children) -> Result<Observed> {
        let secrets = KubeSecrets(ctx.client.clone());
        let mut reader = Reader::new(&secrets, &lp.key.namespace);
        let mut found = Observed { leaving: leaving::observe(ctx, lp, children), ..Observed::default() };
        for cdn in &lp.cdns {
            found.cdns.insert(cdn.name.clone(), observe(ctx, lp, children, cdn, &mut reader).await);
        }
        Ok(found)
    }

    fn plan(&self, lp: &ValidPlatform, seen: &Observed, children: &Children) -> Plan {
        let here = lp.cdns.iter().filter_map(|cdn| Some((cdn, seen.cdns.get(&cdn.name)?)));
        let mut plan: Plan =
            here.flat_map(|(cdn, seen)| super::steps(&cdn.name, objects::objects(cdn, seen))).collect();
        plan.extend(seen.leaving.iter().flat_map(|(store, leaving)| leaving.plan(lp, store, children)));
        plan
    }

    /// Every record: what is known of a distribution goes when that was seen to, and by name (see [`left`]).
    fn kept(&self, _: &ValidPlatform, _: &Observed, children: &Children) -> BTreeSet<ObjectId> {
        let maps = children.0.keys().filter(|id| id.kind == Kind::ConfigMap && id.name.ends_with(record::SUFFIX));
        maps.filter(|id| is_record(children, id)).cloned().collect()
    }

    fn status(&self, lp: &ValidPlatform, seen: &Observed, _: &Children) -> TierStatus {
        let items = lp.cdns.iter().filter_map(|cdn| {
            let found = seen.cdns.get(&cdn.name)?;
            Some((cdn.name.clone(), status::status(cdn, found)))
        });
        TierStatus { items: items.collect(), waiting: leaving::verdict(&seen.leaving) }
    }
}

fn is_record(children: &Children, id: &ObjectId) -> bool {
    let record = id.name.strip_suffix(record::SUFFIX).and_then(|object_name| record::of(children, object_name));
    record.is_some_and(|record| record.get(record::RUNNER).is_some_and(|runner| runner == RUNNER))
}

/// The records of distributions that the spec names no more and that were seen to: nothing is left to know of them.
pub fn left<'a>(seen: &'a Observed, children: &'a Children) -> Vec<(&'a ObjectId, &'a DynamicObject)> {
    let done = seen.leaving.iter().filter(|(_, leaving)| leaving.is_let_go());
    let id = |store: &StoreKey| ObjectId { kind: Kind::ConfigMap, name: record::name(&store.object_name) };
    done.filter_map(|(store, _)| children.0.get_key_value(&id(store))).collect()
}

/// What is wanted of the keepers; `children` are those after the pass.
pub fn all_orders(
    lp: &ValidPlatform,
    seen: &Observed,
    children: &Children,
    acts: bool,
) -> Vec<(StoreKey, CloudFrontOrders)> {
    let here = lp.cdns.iter().filter_map(|cdn| {
        let orders = orders(lp, cdn, seen.cdns.get(&cdn.name)?, children, acts)?;
        Some((key(lp, cdn), orders))
    });
    let leaving = seen.leaving.iter().filter_map(|(store, leaving)| Some((store.clone(), leaving.orders(acts)?)));
    here.chain(leaving).collect()
}

//! CDNs that the spec names no more: each is seen to as its record says, and then nothing is known of it any more. They hold no
//! data, so that nobody has to be asked.

use super::is_record;
use crate::{
    conditions::{State, Verdict},
    context::Context,
    keeper::{
        StoreKey,
        cloudfront::{CloudFrontOrders, CloudFrontService, CloudFrontView},
    },
    kinds::Kind,
    release,
    tiers::{
        Children, Plan,
        aws::{
            recorded::Recorded,
            released::{Released, of_record},
        },
        store::{made_for, record},
    },
    validate::ValidPlatform,
};
use aws::{Mode, Wished, cloudfront::Memory};
use crds::status::{ConditionType, Reason};
use kube::ResourceExt;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A CDN that the spec names no more.
#[derive(Clone, Debug)]
pub struct Leaving {
    /// Name of the item that it was.
    item: String,
    /// What is wanted of its keeper and what is kept of it, or why that cannot be told.
    found: Released<CloudFrontService>,
    /// What its keeper has seen since it leaves.
    view: Option<Arc<CloudFrontView>>,
    /// Whether its record is held back.
    held: bool,
}

/// Those that records tell of, and no item of the spec.
pub(super) fn observe(ctx: &Context, lp: &ValidPlatform, children: &Children) -> BTreeMap<StoreKey, Leaving> {
    let named: BTreeSet<&str> = lp.cdns.iter().map(|cdn| cdn.name.as_str()).collect();
    let records = children.0.iter().filter(|(id, _)| id.kind == Kind::ConfigMap && is_record(children, id));
    let leaving = records.filter_map(|(id, map)| {
        let item = made_for(map).filter(|item| !named.contains(item))?;
        let object_name = id.name.strip_suffix(record::SUFFIX)?;
        let store = StoreKey { platform: lp.key.clone(), object_name: object_name.to_owned() };
        let answer = ctx.cloudfront.answer(&store).filter(|(_, orders)| orders.wish.is_deleted());
        let leaving = Leaving {
            item: item.to_owned(),
            found: found(ctx, lp, children, item, object_name),
            view: answer.map(|(view, _)| view),
            held: map.finalizers().iter().any(|finalizer| finalizer == crate::apply::FINALIZER),
        };
        Some((store, leaving))
    });
    leaving.collect()
}

fn found(
    ctx: &Context,
    lp: &ValidPlatform,
    children: &Children,
    item: &str,
    object_name: &str,
) -> Released<CloudFrontService> {
    let record = record::of(children, object_name).unwrap_or_default();
    let owner = release::owner_of(&lp.owner, &ctx.settings, item);
    let found = of_record::<CloudFrontService>(&lp.key, lp.generation, None, owner, (item, &record));
    let (mut orders, recorded) = found.map_err(|why| format!("ConfigMap {}: {why}", record::name(object_name)))?;
    // Whoever may write in the namespace may have written the record, so that it allows nothing by itself.
    if let Some(why) = release::refusal(&lp.key, &recorded, &ctx.settings) {
        return Err(why);
    }
    if orders.wish.mode == Mode::Plan {
        // No item is left that could say that the plan is to be carried out.
        orders.wish = orders.wish.in_mode(Mode::Observe);
    }
    Ok((orders, recorded))
}

impl Leaving {
    fn recorded(&self) -> Option<&Recorded<Memory>> {
        self.found.as_ref().ok().map(|(_, recorded)| recorded)
    }

    /// Whether nothing is left to do, and that is written down.
    fn is_done(&self) -> bool {
        let memory = self.recorded().map(|recorded| &recorded.memory);
        self.view.as_ref().is_some_and(|view| view.finished && Some(&view.memory) == memory)
    }

    /// Whether its record is all that is left of it, and is not held back.
    pub fn is_let_go(&self) -> bool {
        self.is_done() && !self.held
    }

    /// The record with what its keeper has to be written down; held back no more once nothing is left to do.
    pub(super) fn plan(&self, lp: &ValidPlatform, store: &StoreKey, children: &Children) -> Plan {
        let (Some(recorded), Some(view)) = (self.recorded(), &self.view) else { return Plan::new() };
        if self.is_let_go() {
            return Plan::new();
        }
        let recorded = Recorded { memory: view.memory.clone(), ..recorded.clone() };
        release::remembered::<CloudFrontService>(&lp.key.name, &store.object_name, children, &recorded, !self.is_done())
    }

    /// What is wanted of its keeper.
    pub(super) fn orders(&self, acts: bool) -> Option<CloudFrontOrders> {
        let (orders, _) = self.found.as_ref().ok().filter(|_| !self.is_let_go())?;
        Some(CloudFrontOrders { acts, ..orders.clone() })
    }
}

/// What is told while some are not seen to.
pub(super) fn verdict(leaving: &BTreeMap<StoreKey, Leaving>) -> Option<Verdict> {
    let left = leaving.values().filter(|leaving| !leaving.is_done());
    let words: Vec<String> = left
        .map(|leaving| {
            let what = match &leaving.found {
                Ok(_) => release::telling(leaving.view.as_deref()),
                Err(why) => why.clone(),
            };
            format!("{} is no item any more, and is seen to at AWS: {what}", leaving.item)
        })
        .collect();
    (!words.is_empty())
        .then(|| Verdict::new(ConditionType::CdnReady, State::False, Reason::Progressing, words.join("; ")))
}

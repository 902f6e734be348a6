//! Volumes that grow: the claims are enlarged one by one, and then the StatefulSet is made anew around its pods, because its
//! template of claims cannot be changed.

use crate::{
    apply::quantity_nanos,
    kinds::{Kind, ObjectId},
    naming::{COMPONENT, FieldManager},
    tiers::{Children, Plan, Step},
};
use kube::{ResourceExt, core::DynamicObject};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Where a StatefulSet says how large its volumes are.
const SIZE: &str = "/spec/volumeClaimTemplates/0/spec/resources/requests/storage";
/// Where a StatefulSet has the labels of its claims.
const LABELS: &str = "/spec/volumeClaimTemplates/0/metadata/labels";
/// Where a claim says how large it is to be.
const REQUEST: &str = "/spec/resources/requests/storage";

/// A plan of which each step can be carried out as things are.
#[derive(Debug, Default)]
pub struct Growth {
    /// The steps.
    pub plan: Plan,
    /// StatefulSets that are to go without their pods being touched: the next pass makes them anew.
    pub recreated: BTreeSet<ObjectId>,
}

/// What a plan comes to, given the StatefulSets and the claims that there are. A size that is lower than what there is changes
/// nothing: volumes do not shrink.
pub fn growth(children: &Children, plan: Plan) -> Growth {
    let mut growth = Growth::default();
    for mut step in plan {
        let id = ObjectId::of(&step.object).filter(|id| id.kind == Kind::StatefulSet);
        let live = id.as_ref().and_then(|id| children.0.get(id));
        // One that is going is still there until its pods have been told; nothing can be made of it.
        if live.is_some_and(|live| live.metadata.deletion_timestamp.is_some()) {
            continue;
        }
        if let Some(live) = live {
            keep_labels(&mut step, live);
        }
        match grown(children, &mut step, &mut growth.plan) {
            Some(set) => drop(growth.recreated.insert(set)),
            None => growth.plan.push(step),
        }
    }
    growth
}

/// What is to become of the data may change, and a label of the claims tells it. Those that there are keep theirs, because the
/// template of claims cannot be changed; it is the StatefulSet's own field that says whether they go.
fn keep_labels(step: &mut Step, live: &DynamicObject) {
    if let (Some(wanted), Some(labels)) = (step.object.data.pointer_mut(LABELS), live.data.pointer(LABELS)) {
        wanted.clone_from(labels);
    }
}

/// Enlarges the claims of a StatefulSet; the StatefulSet, if all of them are as large as it wants them.
fn grown(children: &Children, step: &mut Step, before: &mut Plan) -> Option<ObjectId> {
    let id = ObjectId::of(&step.object).filter(|id| id.kind == Kind::StatefulSet)?;
    let live = children.0.get(&id)?;
    let (wanted, present) = (size(&step.object, SIZE)?, size(live, SIZE)?);
    if wanted == present {
        return None;
    }
    let kept = live.data.pointer(SIZE).cloned()?;
    let asked = std::mem::replace(step.object.data.pointer_mut(SIZE)?, kept);
    if wanted < present {
        return None;
    }
    let claims: Vec<&DynamicObject> = claims(children, &id.name).collect();
    let small: Vec<&DynamicObject> =
        claims.into_iter().filter(|claim| size(claim, REQUEST).is_some_and(|size| size < wanted)).collect();
    if small.is_empty() {
        return Some(id);
    }
    before.extend(small.into_iter().filter_map(|claim| enlarged(step, claim, &asked)));
    None
}

fn size(object: &DynamicObject, at: &str) -> Option<i128> {
    quantity_nanos(object.data.pointer(at)?)
}

/// The claims of a StatefulSet: `data-<set>-<ordinal>`.
fn claims<'a>(children: &'a Children, set: &'a str) -> impl Iterator<Item = &'a DynamicObject> {
    let of_set = move |name: &str| {
        let ordinal =
            name.strip_prefix("data-").and_then(|name| name.strip_prefix(set)).and_then(|name| name.strip_prefix('-'));
        ordinal.is_some_and(|ordinal| !ordinal.is_empty() && ordinal.bytes().all(|byte| byte.is_ascii_digit()))
    };
    children
        .0
        .iter()
        .filter(move |(id, _)| id.kind == Kind::PersistentVolumeClaim && of_set(&id.name))
        .map(|(_, claim)| claim)
}

/// Only the size of a claim, and the labels that it is found by.
fn enlarged(step: &Step, claim: &DynamicObject, size: &Value) -> Option<Step> {
    claim.labels().get(COMPONENT)?;
    let object = Kind::PersistentVolumeClaim.object(&json!({
        "metadata": { "name": claim.name_any(), "labels": claim.labels() },
        "spec": { "resources": { "requests": { "storage": size } } },
    }));
    Some(Step { item: step.item.clone(), manager: FieldManager::Main, object: object.ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: Kind, name: &str, spec: Value) -> DynamicObject {
        let labels = json!({ COMPONENT: "main" });
        kind.object(&json!({ "metadata": { "name": name, "labels": labels }, "spec": spec })).unwrap()
    }

    fn set(size: &str) -> DynamicObject {
        let claim = json!({ "spec": { "resources": { "requests": { "storage": size } } } });
        object(Kind::StatefulSet, "s-main-pg", json!({ "volumeClaimTemplates": [claim] }))
    }

    fn claim(name: &str, size: &str) -> DynamicObject {
        object(Kind::PersistentVolumeClaim, name, json!({ "resources": { "requests": { "storage": size } } }))
    }

    fn of(live: &[DynamicObject], wanted: &str) -> (Vec<(String, String)>, bool) {
        let children = live.iter().map(|object| (ObjectId::of(object).unwrap(), object.clone())).collect();
        let step = Step { item: "main".into(), manager: FieldManager::Main, object: set(wanted) };
        let growth = growth(&Children(children), vec![step]);
        let words = |step: &Step| {
            let at = if Kind::of(&step.object) == Some(Kind::StatefulSet) { SIZE } else { REQUEST };
            (step.object.name_any(), step.object.data.pointer(at).unwrap().as_str().unwrap().to_owned())
        };
        (growth.plan.iter().map(words).collect(), !growth.recreated.is_empty())
    }

    fn steps(words: &[(&str, &str)]) -> Vec<(String, String)> {
        words.iter().map(|(name, size)| ((*name).to_owned(), (*size).to_owned())).collect()
    }

    #[test]
    fn claims_grow_before_the_set_is_made_anew() {
        let other = claim("data-s-main-pg-ro-0", "1Gi");
        let small = [set("1Gi"), claim("data-s-main-pg-0", "1024Mi"), other.clone()];
        assert_eq!(of(&small, "2Gi"), (steps(&[("data-s-main-pg-0", "2Gi"), ("s-main-pg", "1Gi")]), false));
        let large = [set("1Gi"), claim("data-s-main-pg-0", "2Gi"), other];
        assert_eq!(of(&large, "2Gi"), (Vec::new(), true));
    }

    #[test]
    fn claims_keep_the_labels_they_were_made_with() {
        let with = |label: &str| {
            let mut set = set("1Gi");
            set.data["spec"]["volumeClaimTemplates"][0]["metadata"] = json!({ "labels": { "x": label } });
            set
        };
        let live = with("made");
        let children = Children([(ObjectId::of(&live).unwrap(), live.clone())].into());
        let step = Step { item: "main".into(), manager: FieldManager::Main, object: with("wanted") };
        let plan = growth(&children, vec![step]).plan;
        assert_eq!(plan[0].object.data, live.data);
    }

    #[test]
    fn a_set_that_is_going_is_waited_for() {
        let mut going = set("1Gi");
        going.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        assert_eq!(of(&[going, claim("data-s-main-pg-0", "2Gi")], "2Gi"), (Vec::new(), false));
    }

    #[test]
    fn what_is_new_alike_or_smaller_stays() {
        assert_eq!(of(&[], "2Gi"), (steps(&[("s-main-pg", "2Gi")]), false));
        assert_eq!(of(&[set("1Gi")], "1024Mi"), (steps(&[("s-main-pg", "1024Mi")]), false));
        assert_eq!(of(&[set("2Gi"), claim("data-s-main-pg-0", "2Gi")], "1Gi"), (steps(&[("s-main-pg", "2Gi")]), false));
    }
}

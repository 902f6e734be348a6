use super::{
    found::{Found, found},
    *,
};
use crate::{kinds::ObjectId, tiers::database::in_cluster::objects::REPLICA};
use record::{ABANDONED, RESTORED};
use std::collections::BTreeSet;

const SET: &str = "data-story-main-pg-0";
const SHARDS: [&str; 2] = ["data-story-cache-s0-0", "data-story-cache-s0-1"];

fn story() -> PlatformKey {
    PlatformKey { namespace: "learning".to_owned(), name: "story".to_owned() }
}

fn labels(tier: &str, id: &str) -> Value {
    json!({
        NAME: id, INSTANCE: "story", COMPONENT: id, PART_OF: "story", MANAGED_BY: "learningplatform",
        TIER: tier, SHARD: "0", RETAINED: "true",
    })
}

/// A bound claim; its volume is `pv-<claim>`.
fn claim(name: &str, tier: &str, changes: Value) -> DynamicObject {
    let mut labels = labels(tier, if tier == "cache" { "cache" } else { "main" });
    for (key, value) in changes.as_object().unwrap() {
        labels[key] = value.clone();
    }
    let object = json!({
        "metadata": { "name": name, "namespace": "learning", "uid": format!("uid-{name}"), "labels": labels },
        "spec": { "volumeName": format!("pv-{name}") }, "status": { "phase": "Bound" },
    });
    Kind::PersistentVolumeClaim.object(&object).unwrap()
}

fn map(name: &str, data: Value) -> DynamicObject {
    Kind::ConfigMap.object(&json!({ "metadata": { "name": name }, "data": data })).unwrap()
}

fn children(objects: &[DynamicObject]) -> Children {
    Children(objects.iter().map(|object| (ObjectId::of(object).unwrap(), object.clone())).collect())
}

/// The volume of a claim as its provisioner has made it.
fn made(claim: &str, policy: &str) -> Value {
    json!({
        "metadata": { "name": format!("pv-{claim}"), "labels": { "zone": "a" }, "resourceVersion": "7" },
        "spec": {
            "persistentVolumeReclaimPolicy": policy, "accessModes": ["ReadWriteOnce"], "capacity": { "storage": "1Gi" },
            "storageClassName": "fast", "volumeMode": "Filesystem",
            "claimRef": {
                "kind": "PersistentVolumeClaim", "namespace": "learning", "name": claim, "uid": format!("uid-{claim}"),
                "resourceVersion": "5",
            },
        },
        "status": { "phase": "Bound" },
    })
}

fn volume(value: &Value) -> PersistentVolume {
    serde_json::from_value(value.clone()).unwrap()
}

/// What a merge patch does.
fn merged(target: &mut Value, patch: &Value) {
    for (key, value) in patch.as_object().unwrap() {
        match value {
            Value::Null => drop(target.as_object_mut().unwrap().remove(key)),
            Value::Object(_) => {
                if !target[key].is_object() {
                    target[key] = json!({});
                }
                merged(&mut target[key], value);
            }
            other => target[key] = other.clone(),
        }
    }
}

/// The volume of a claim as it is while its data shall stay.
fn marked(children: &Children, claim: &str, policy: &str) -> Value {
    let mut volume = made(claim, policy);
    let of = claims(children).find(|c| c.object.name_any() == claim).unwrap();
    let patch = kept(&story(), children, &of, &self::volume(&volume)).unwrap();
    merged(&mut volume, &patch);
    volume
}

/// A database and a cache that have served.
fn lived() -> Children {
    children(&[
        claim(SET, "database", json!({ ROLE: "primary" })),
        claim(SHARDS[0], "cache", json!({})),
        claim(SHARDS[1], "cache", json!({})),
        map("story-main-record", json!({ "SYSTEM_IDENTIFIER": "7", "TIMELINE": "1" })),
        map("story-cache-record", json!({ "FORMED": "true", "POD_0_0": "held", "PRIMARY": "story-cache-s0-0" })),
    ])
}

#[test]
fn only_bound_claims_that_hold_the_data_are_seen_to() {
    let copy = claim("data-story-main-pg-ro-0", "database", json!({ ROLE: REPLICA }));
    let mut pending = claim("data-story-cache-s1-0", "cache", json!({}));
    pending.data["status"]["phase"] = json!("Pending");
    let foreign = Kind::PersistentVolumeClaim.object(&json!({ "metadata": { "name": "x" } })).unwrap();
    let mut all = lived();
    all.0.extend(children(&[copy, pending, foreign]).0);
    let names: Vec<_> = claims(&all).map(|claim| claim.object.name_any()).collect();
    assert_eq!(names, [SHARDS[0], SHARDS[1], SET]);
}

#[test]
fn a_volume_is_kept_once_and_let_go_as_it_was() {
    let children = lived();
    let of = claims(&children).find(|claim| claim.id == "main").unwrap();
    for (policy, changed) in [("Delete", true), ("Recycle", true), ("Retain", false)] {
        let before = made(SET, policy);
        let mut after = marked(&children, SET, policy);
        assert_eq!(after["spec"]["persistentVolumeReclaimPolicy"], "Retain");
        assert_eq!(after["metadata"]["annotations"].get(RECLAIM_POLICY).is_some(), changed, "{policy}");
        let labels = &after["metadata"]["labels"];
        for (label, value) in [
            (NAMESPACE, "learning"),
            (CLAIM, SET),
            (INSTANCE, "story"),
            (COMPONENT, "main"),
            (TIER, "database"),
            ("zone", "a"),
        ] {
            assert_eq!(labels[label], value, "{label}");
        }
        let record = after["metadata"]["annotations"][RECORD].as_str().unwrap();
        assert_eq!(record, r#"{"SYSTEM_IDENTIFIER":"7","TIMELINE":"1"}"#);
        assert_eq!(kept(&story(), &children, &of, &volume(&after)), None, "a second time writes nothing");

        let patch = let_go(&of, &volume(&after)).unwrap();
        merged(&mut after, &patch);
        after["metadata"].as_object_mut().unwrap().remove("annotations");
        assert_eq!(after, before);
        assert_eq!(let_go(&of, &volume(&before)), None, "nothing of ours is on it");
    }
}

#[test]
fn the_former_policy_stays_known_when_somebody_sets_it_back_by_hand() {
    let children = lived();
    let of = claims(&children).find(|claim| claim.id == "main").unwrap();
    let mut volume = marked(&children, SET, "Delete");
    volume["spec"]["persistentVolumeReclaimPolicy"] = json!("Delete");
    let patch = kept(&story(), &children, &of, &self::volume(&volume)).unwrap();
    assert_eq!(patch, json!({ "spec": { "persistentVolumeReclaimPolicy": "Retain" } }));
    // One that was set to Retain by hand before keeps that.
    let mut volume = marked(&children, SET, "Retain");
    let patch = let_go(&of, &self::volume(&volume)).unwrap();
    merged(&mut volume, &patch);
    assert_eq!(volume["spec"]["persistentVolumeReclaimPolicy"], "Retain");
}

#[test]
fn a_volume_that_has_become_somebody_elses_is_left_alone() {
    let children = lived();
    let of = claims(&children).find(|claim| claim.id == "main").unwrap();
    let mut other = marked(&children, SET, "Delete");
    other["spec"]["claimRef"]["uid"] = json!("another");
    other["spec"]["persistentVolumeReclaimPolicy"] = json!("Delete");
    assert_eq!(kept(&story(), &children, &of, &volume(&other)), None);
    assert_eq!(let_go(&of, &volume(&other)), None);
}

#[test]
fn the_spec_says_what_becomes_of_a_store_and_of_others_what_was_said_before() {
    let children = lived();
    let of = claims(&children).find(|claim| claim.id == "main").unwrap();
    let store = (StoreTier::Database, "main".to_owned());
    let delete = BTreeMap::from([(store, DeletionPolicy::Delete)]);
    assert_eq!(of.policy(&delete), Some(DeletionPolicy::Delete));
    assert_eq!(of.policy(&BTreeMap::new()), Some(DeletionPolicy::Retain));
    let mut claim = claim(SET, "database", json!({}));
    claim.metadata.labels.as_mut().unwrap().remove(RETAINED);
    let gone = self::children(&[claim]);
    assert_eq!(claims(&gone).next().unwrap().policy(&BTreeMap::new()), None);
}

#[test]
fn a_record_that_goes_with_its_namespace_takes_no_knowledge_from_the_volumes() {
    let before = lived();
    let mut after = lived();
    after.0.retain(|id, _| id.kind != Kind::ConfigMap);
    for claim in claims(&after) {
        let name = claim.object.name_any();
        assert_eq!(kept(&story(), &after, &claim, &volume(&marked(&before, &name, "Delete"))), None, "{name}");
    }
}

#[test]
fn a_claim_names_its_record() {
    for (tier, claim, expected) in [
        (StoreTier::Database, "data-story-main-pg-0", Some("story-main")),
        (StoreTier::Database, "data-story-tenants-2-pg-0", Some("story-tenants-2")),
        (StoreTier::Database, "data-story-main-pg-ro-0", None),
        (StoreTier::Cache, "data-story-cache-s11-2", Some("story-cache")),
        (StoreTier::Cache, "data-story-web-s-s0-0", Some("story-web-s")),
        (StoreTier::Cache, "data-story-web-x", None),
        (StoreTier::Cache, "other-story-web-s0-0", None),
    ] {
        assert_eq!(holder(tier, claim), expected, "{claim}");
    }
}

/// The marked volumes of the platform, as they are when its namespace has gone.
fn released() -> Vec<Value> {
    let children = lived();
    let volumes = [SET, SHARDS[0], SHARDS[1]].map(|claim| {
        let mut volume = marked(&children, claim, "Delete");
        volume["status"]["phase"] = json!("Released");
        volume
    });
    volumes.to_vec()
}

fn look(volumes: &[Value], children: &Children, named: &[(StoreTier, &str)]) -> Vec<(StoreId, Result<Found, String>)> {
    let named: BTreeSet<StoreId> = named.iter().map(|(tier, id)| (*tier, (*id).to_owned())).collect();
    found(&story(), &named, children, &volumes.iter().map(volume).collect::<Vec<_>>())
}

const BOTH: [(StoreTier, &str); 2] = [(StoreTier::Cache, "cache"), (StoreTier::Database, "main")];

#[test]
fn what_has_outlived_its_namespace_is_gone_on_with() {
    let volumes = released();
    let none = Children::default();
    let mut found = look(&volumes, &none, &BOTH).into_iter().map(|(_, found)| found.unwrap());
    let (cache, database) = (found.next().unwrap(), found.next().unwrap());
    assert_eq!((&*cache.object_name, cache.unclaimed.len()), ("story-cache", 2));
    assert_eq!(database.object_name, "story-main");
    let record = database.record.unwrap();
    assert_eq!(json!(record), json!({ "SYSTEM_IDENTIFIER": "7", "TIMELINE": "1", RESTORED: "true" }));

    let [unclaimed] = &database.unclaimed[..] else { panic!("one volume") };
    let mut freed = volumes[0].clone();
    merged(&mut freed, unclaimed.patch.as_ref().unwrap());
    let reference =
        json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "learning", "name": SET });
    assert_eq!(freed["spec"]["claimRef"], reference);
    assert_eq!(unclaimed.patch.as_ref().unwrap()["metadata"]["resourceVersion"], "7", "only as it was seen");
    let claim = &unclaimed.claim;
    assert_eq!(
        claim.data["spec"],
        json!({
            "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } }, "storageClassName": "fast",
            "volumeMode": "Filesystem", "volumeName": format!("pv-{SET}"),
        })
    );
    let former = lived();
    assert_eq!(claim.labels(), former.get(Kind::PersistentVolumeClaim, SET).unwrap().labels());
    assert!(!claim.labels().contains_key("zone") && !claim.labels().contains_key(CLAIM));
}

#[test]
fn it_goes_on_wherever_it_was_cut() {
    let mut volumes = released();
    let restored = map("story-main-record", json!({ "SYSTEM_IDENTIFIER": "7", RESTORED: "true" }));
    let only = |volumes: &[Value], children: &[DynamicObject]| {
        let mut found = look(&volumes[..1], &self::children(children), &BOTH);
        found.pop().map(|(_, found)| found.unwrap())
    };
    // The record is there: the volume is freed, and the claim made.
    let found = only(&volumes, std::slice::from_ref(&restored)).unwrap();
    assert_eq!((found.record, found.unclaimed.len()), (None, 1));
    // The volume is freed: the claim is made.
    let patch = found.unclaimed[0].patch.clone().unwrap();
    merged(&mut volumes[0], &patch);
    volumes[0]["status"]["phase"] = json!("Available");
    let found = only(&volumes, std::slice::from_ref(&restored)).unwrap();
    assert_eq!((&found.unclaimed[0].patch, found.unclaimed.len()), (&None, 1));
    // The claim is made: nothing is left to do, whether it is bound yet or not.
    let claim = claim(SET, "database", json!({}));
    let found = only(&volumes, &[restored, claim.clone()]).unwrap();
    assert_eq!((found.record, found.unclaimed.len()), (None, 0));
    // The store has its passwords: a claim that somebody removes is not brought back.
    assert_eq!(only(&volumes, &[map("story-main-record", json!({ "SYSTEM_IDENTIFIER": "7" }))]), None);
}

#[test]
fn passwords_are_given_up_only_where_they_went_with_the_claims() {
    let volumes = released();
    let secret = Kind::Secret.object(&json!({ "metadata": { "name": "story-main-auth" } })).unwrap();
    let bound = claim(SET, "database", json!({}));
    for (children, lost) in [(vec![], true), (vec![secret.clone()], false), (vec![bound.clone()], false)] {
        let found = look(&volumes[..1], &self::children(&children), &BOTH).pop().unwrap().1.unwrap();
        assert_eq!(found.record.unwrap().contains_key(RESTORED), lost, "{children:?}");
    }
}

#[test]
fn what_only_a_person_can_decide_is_said() {
    let change = |at: usize, path: &str, value: Value| {
        let mut volumes = released();
        *volumes[at].pointer_mut(path).unwrap() = value;
        volumes
    };
    let mut twice = released();
    twice.push({
        let mut other = twice[0].clone();
        other["metadata"]["name"] = json!("pv-other");
        other
    });
    let mut other_claim = claim(SET, "database", json!({}));
    other_claim.data["spec"]["volumeName"] = json!("pv-new");
    let none = Children::default();
    for (volumes, children, says) in [
        (twice, &none, "pv-data-story-main-pg-0 and pv-other both hold"),
        (change(0, "/spec/claimRef/namespace", json!("other")), &none, "was given to other/data-story-main-pg-0"),
        (change(0, "/status/phase", json!("Bound")), &none, "is Bound although its claim is gone"),
        (released(), &children(&[other_claim]), "has another one: delete the claim"),
    ] {
        let found = look(&volumes, children, &BOTH);
        let (_, main) = found.iter().find(|((_, id), _)| id == "main").unwrap();
        let why = main.as_ref().unwrap_err();
        assert!(why.contains(says), "{why}");
        let (_, cache) = found.iter().find(|((_, id), _)| id == "cache").unwrap();
        assert!(cache.is_ok(), "another store goes on");
    }
    let mut going = released();
    going[0]["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert!(look(&going[..1], &none, &BOTH).is_empty(), "somebody deletes it");
}

#[test]
fn of_words_that_differ_only_what_is_certain_counts() {
    let with = |records: [Value; 2]| {
        let mut volumes = released();
        for (volume, record) in volumes[1..].iter_mut().zip(records) {
            volume["metadata"]["annotations"][RECORD] = json!(record.to_string());
        }
        let mut found = look(&volumes[1..], &Children::default(), &BOTH);
        let mut record = found.pop().unwrap().1.unwrap().record.unwrap();
        record.remove(RESTORED);
        json!(record)
    };
    for (one, two, expected) in [
        (
            json!({ "PRIMARY": "a", "FORMED": "true" }),
            json!({ "PRIMARY": "b", "FORMED": "true" }),
            json!({ "FORMED": "true" }),
        ),
        (json!({ "POD_0_0": "rejoin" }), json!({ "POD_0_0": "held" }), json!({ "POD_0_0": "held" })),
        (json!({ "POD_0_0": "held" }), json!({}), json!({ "POD_0_0": "held" })),
        (json!({ ABANDONED: "true" }), json!({}), json!({})),
        (json!({ ABANDONED: "true" }), json!({ ABANDONED: "true" }), json!({ ABANDONED: "true" })),
    ] {
        assert_eq!(with([one.clone(), two.clone()]), expected, "{one} {two}");
        assert_eq!(with([two, one]), expected);
    }
}

#[test]
fn what_was_abandoned_comes_back_only_by_its_name() {
    let mut volumes = released();
    volumes[0]["metadata"]["annotations"][RECORD] = json!(json!({ ABANDONED: "true" }).to_string());
    assert!(look(&volumes[..1], &Children::default(), &[]).is_empty());
    assert_eq!(look(&volumes[..1], &Children::default(), &BOTH).len(), 1);
    // One that nobody has abandoned comes back, so that it is said that its data would be left behind.
    assert_eq!(look(&released()[..1], &Children::default(), &[]).len(), 1);
}

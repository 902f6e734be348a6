//! Stores in the cluster, as the next pass would find them: with the passwords that there are, and with what is known of their
//! data.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::core::DynamicObject;
use operator::{
    capabilities::Served,
    kinds::{Belongs, Kind, ObjectId, belongs},
    tiers::{
        Children, Plan, Tier,
        cache::{self, Caches},
        cdn::{self, Cdns},
        database::{self, Databases},
        store::{StoreTier, auth, left_behind::LeftBehind, pods::bytes, record, tls},
    },
    validate::ValidPlatform,
};
use serde_json::Value;
use std::collections::BTreeSet;

const CLAIMS: &str = "/spec/volumeClaimTemplates";
const SIZE: &str = "/spec/resources/requests/storage";

/// What is known of the stores of a platform.
pub(super) struct Stores {
    caches: cache::Observed,
    databases: database::Observed,
}

impl Stores {
    /// From the platform's objects as they are.
    pub(super) fn of(lp: &ValidPlatform, served: Served, children: &Children) -> Self {
        let mut caches = cache::Observed { served, ..cache::offline(lp) };
        let mut databases = database::Observed { served, ..database::offline(lp) };
        let in_cluster = lp.caches.iter().filter_map(|cache| match &cache.provider {
            cache::Provider::InCluster(item) => Some(item),
            cache::Provider::External(..) | cache::Provider::ElastiCache(_) => None,
        });
        let items: Vec<_> = in_cluster.collect();
        caches.left = cache::left_behind(lp, children);
        for item in items {
            let Some(seen) = caches.in_cluster.get_mut(&item.name) else { continue };
            seen.held = held(&caches.left, &item.identity.id, StoreTier::Cache);
            seen.record = record::of(children, &item.object_name).or(seen.record.take());
            if let Some(live) = auth::live(children, &item.object_name) {
                seen.passwords = Ok(live);
            }
            tls::as_live(&mut seen.tls, &item.object_name, children);
        }
        let in_cluster = lp.databases.iter().filter_map(|database| match &database.provider {
            database::Provider::InCluster(item) => Some(item),
            database::Provider::CloudNativePg(_) | database::Provider::Rds(_) | database::Provider::External(_) => None,
        });
        let items: Vec<_> = in_cluster.collect();
        databases.left = database::left_behind(lp, children);
        for database in &lp.databases {
            let database::Provider::CloudNativePg(item) = &database.provider else { continue };
            let seen = database::cloud_native_pg::look(children, item, &databases.left, served);
            databases.cloud_native_pg.insert(database.name.clone(), seen);
        }
        for item in items {
            let Some(seen) = databases.in_cluster.get_mut(&item.name) else { continue };
            seen.held = held(&databases.left, &item.identity.id, StoreTier::Database);
            for (server, seen) in item.servers.iter().zip(&mut seen.servers) {
                seen.record = record::of(children, &server.object_name).or(seen.record.take());
            }
            if let Some(live) = auth::live(children, &item.object_name) {
                seen.passwords = Ok(live);
            }
            tls::as_live(&mut seen.tls, &item.object_name, children);
        }
        Self { caches, databases }
    }

    /// What a pass would apply of them. Which server leads, and which replicas may be asked, the servers tell the operator alone:
    /// there everything stays as it is.
    pub(super) fn plan(&self, lp: &ValidPlatform, children: &Children) -> Plan {
        let mut plan = Caches.plan(lp, &self.caches, children);
        plan.extend(Databases.plan(lp, &self.databases, children));
        for step in &mut plan {
            let live = ObjectId::of(&step.object).and_then(|id| children.0.get(&id));
            if let (Some(Kind::Service), Some(live)) = (Kind::of(&step.object), live)
                && let Some(selector) = live.data.pointer("/spec/selector")
            {
                step.object.data["spec"]["selector"] = selector.clone();
            }
        }
        plan
    }

    /// What a pass would remove of what nobody wants any more: not what waits, and not what holds data.
    pub(super) fn would_go<'a>(
        &'a self,
        lp: &'a ValidPlatform,
        children: &'a Children,
        planned: &'a [ObjectId],
    ) -> impl Iterator<Item = &'a ObjectId> {
        let kept: BTreeSet<ObjectId> = Caches
            .kept(lp, &self.caches, children)
            .into_iter()
            .chain(Databases.kept(lp, &self.databases, children))
            .chain(Cdns.kept(lp, &cdn::Observed::default(), children))
            .collect();
        children.0.iter().filter_map(move |(id, object)| {
            // Runs of jobs that are over go by a limit of their own.
            let may_go = id.kind != Kind::Job && belongs(object, &lp.owner) == Belongs::Ours;
            (may_go && !planned.contains(id) && !kept.contains(id)).then_some(id)
        })
    }

    /// What has to be said of data that would be left behind.
    pub(super) fn notes(&self) -> Vec<String> {
        let of = |left: &LeftBehind, tier| (!left.waiting.is_empty()).then(|| left.remedy(tier));
        let notes = [of(&self.caches.left, StoreTier::Cache), of(&self.databases.left, StoreTier::Database)];
        notes.into_iter().flatten().collect()
    }
}

fn held(left: &LeftBehind, id: &str, tier: StoreTier) -> Option<String> {
    left.holds(id).then(|| left.remedy(tier))
}

/// The claims of a StatefulSet cannot be changed, so the server would refuse the whole: it is asked with those that there are.
/// Returns those that are wanted.
pub(super) fn with_live_claims(wanted: &mut DynamicObject, live: &DynamicObject) -> Option<Value> {
    let live = live.data.pointer(CLAIMS)?;
    Some(std::mem::replace(wanted.data.pointer_mut(CLAIMS)?, live.clone()))
}

/// The sizes that are wanted, in an object as the server would have it.
pub(super) fn ask_for_sizes(object: &mut DynamicObject, claims: Option<&Value>) {
    let (Some(claims), Some(Value::Array(there))) = (claims.and_then(Value::as_array), object.data.pointer_mut(CLAIMS))
    else {
        return;
    };
    let size = |claim: &Value| bytes(&Quantity(claim.pointer(SIZE)?.as_str()?.to_owned()));
    for (claim, wanted) in there.iter_mut().zip(claims) {
        // The server writes 0.5Gi as 512Mi.
        if size(claim) != size(wanted)
            && let (Some(size), Some(wanted)) = (claim.pointer_mut(SIZE), wanted.pointer(SIZE))
        {
            *size = wanted.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::LearningPlatform;
    use operator::{context::Settings, validate::validate};
    use serde_json::json;

    fn platform(spec: &Value) -> ValidPlatform {
        let resource: LearningPlatform = serde_json::from_value(json!({
            "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
            "metadata": {"name": "story", "namespace": "learning", "uid": "u-1"}, "spec": spec,
        }))
        .expect("a platform");
        validate(&resource, &Settings::default()).expect("valid")
    }

    fn spec() -> Value {
        json!({
            "caches": [{"name": "cache", "inCluster": {"mode": "Single"}}],
            "databases": [{"name": "main", "inCluster": {"volume": {"storage": "1Gi"}, "readReplicas": 1, "tls": {"generated": {}}}}],
        })
    }

    fn id(kind: Kind, name: &str) -> ObjectId {
        ObjectId { kind, name: name.to_owned() }
    }

    /// The objects as an operator has left them: with passwords, records and selectors that nobody knows beforehand.
    fn lived(lp: &ValidPlatform) -> Children {
        let plan = Stores::of(lp, Served::ALL, &Children::default()).plan(lp, &Children::default());
        let mut children =
            Children(plan.into_iter().filter_map(|s| Some((ObjectId::of(&s.object)?, s.object))).collect());
        let mut set = |kind, name: &str, path: &str, value: Value| {
            let object = children.0.get_mut(&id(kind, name)).unwrap_or_else(|| panic!("no {kind} {name}"));
            *object.data.pointer_mut(path).unwrap_or_else(|| panic!("no {path} in {name}")) = value;
        };
        set(Kind::Secret, "story-cache-auth", "/data/password", json!("aHVudGVyMg=="));
        set(Kind::Secret, "story-main-auth", "/data/operatorVerifier", json!("U0NSQU0="));
        set(Kind::Secret, "story-main-tls", "/data/tls.crt", json!("UEVN"));
        set(Kind::ConfigMap, "story-main-record", "/data/SYSTEM_IDENTIFIER", json!("739"));
        set(Kind::ConfigMap, "story-cache-record", "/data", json!({"FORMED": "true", "LEAD": "story-cache-s0-1"}));
        set(Kind::Service, "story-main-ro", "/spec/selector", json!({"learningplatform.dev/role": "replica"}));
        set(Kind::StatefulSet, "story-main-pg-ro", "/spec/replicas", json!(1));
        // What the new verifier changes in the configuration.
        let again = Stores::of(lp, Served::ALL, &children).plan(lp, &children);
        let maps = again.into_iter().filter(|s| Kind::of(&s.object) == Some(Kind::ConfigMap));
        children.0.extend(maps.filter_map(|s| Some((ObjectId::of(&s.object)?, s.object))));
        let reference = lp.owner.reference();
        for object in children.0.values_mut().filter(|object| !operator::tiers::store::is_retained(*object)) {
            object.metadata.owner_references = reference.clone().map(|reference| vec![reference]);
        }
        children
    }

    fn planned(lp: &ValidPlatform, children: &Children) -> Vec<(ObjectId, Value)> {
        let plan = Stores::of(lp, Served::ALL, children).plan(lp, children);
        plan.into_iter().filter_map(|s| Some((ObjectId::of(&s.object)?, s.object.data))).collect()
    }

    #[test]
    fn what_the_operator_has_made_and_learnt_is_no_difference() {
        let lp = platform(&spec());
        let children = lived(&lp);
        let plan = planned(&lp, &children);
        assert_eq!(plan.len(), children.0.len());
        for (id, data) in &plan {
            assert_eq!(*data, children.0[id].data, "{id}");
        }
        let ids: Vec<_> = plan.into_iter().map(|(id, _)| id).collect();
        assert_eq!(Stores::of(&lp, Served::ALL, &children).would_go(&lp, &children, &ids).count(), 0);
    }

    #[test]
    fn a_changed_parameter_is_one_beside_the_passwords() {
        let children = lived(&platform(&spec()));
        let mut changed = spec();
        changed["databases"][0]["inCluster"]["parameters"] = json!({"work_mem": "9MB"});
        let lp = platform(&changed);
        let differing: Vec<String> = planned(&lp, &children)
            .into_iter()
            .filter(|(id, data)| *data != children.0[id].data)
            .map(|(id, _)| id.to_string())
            .collect();
        assert_eq!(differing, ["ConfigMap story-main-config"]);
    }

    #[test]
    fn what_holds_data_does_not_go_and_what_waits_stays() {
        let children = lived(&platform(&spec()));
        // The cache has gone from the spec: nothing of it may go before the user says what is meant.
        let mut without = spec();
        without["caches"] = json!([]);
        let lp = platform(&without);
        let ids: Vec<_> = planned(&lp, &children).into_iter().map(|(id, _)| id).collect();
        let stores = Stores::of(&lp, Served::ALL, &children);
        assert_eq!(stores.would_go(&lp, &children, &ids).count(), 0);
        let [note] = &stores.notes()[..] else { panic!("no note") };
        assert!(note.starts_with("the data of cache cache would be left behind"), "{note}");

        without["abandonData"] = json!(["cache"]);
        let lp = platform(&without);
        let ids: Vec<_> = planned(&lp, &children).into_iter().map(|(id, _)| id).collect();
        let stores = Stores::of(&lp, Served::ALL, &children);
        let gone: Vec<String> = stores.would_go(&lp, &children, &ids).map(ToString::to_string).collect();
        assert!(gone.contains(&"StatefulSet story-cache-s0".to_owned()), "{gone:?}");
        assert!(!gone.iter().any(|id| id.ends_with("-auth") || id.ends_with("-record")), "{gone:?}");
        assert!(stores.notes().is_empty());
    }

    #[test]
    fn sizes_are_shown_although_claims_cannot_be_changed() {
        let lp = platform(&spec());
        let children = lived(&lp);
        let live = &children.0[&id(Kind::StatefulSet, "story-main-pg")];
        let mut larger = spec();
        larger["databases"][0]["inCluster"]["volume"]["storage"] = json!("2Gi");
        let plan = Stores::of(&lp, Served::ALL, &children).plan(&platform(&larger), &children);
        let mut wanted = plan
            .into_iter()
            .find(|s| s.object.metadata.name.as_deref() == Some("story-main-pg"))
            .expect("planned")
            .object;
        let claims = with_live_claims(&mut wanted, live);
        assert_eq!(wanted.data["spec"]["volumeClaimTemplates"], live.data["spec"]["volumeClaimTemplates"]);
        ask_for_sizes(&mut wanted, claims.as_ref());
        assert_eq!(wanted.data.pointer(&format!("{CLAIMS}/0{SIZE}")), Some(&json!("2Gi")));

        let same = json!([{"spec": {"resources": {"requests": {"storage": "1024Mi"}}}}]);
        let mut unchanged = live.clone();
        ask_for_sizes(&mut unchanged, Some(&same));
        assert_eq!(unchanged.data, live.data);
    }
}

//! Where the load balancers in front of apps answer, as their controllers tell it.

use crate::{
    context::Context,
    kinds::Kind,
    references::Referred,
    tiers::Children,
    validate::{ValidApp, ValidPlatform},
};
use crds::tiers::cdn::{AppRoute, CloudFront};
use kube::{Api, core::DynamicObject};
use std::collections::BTreeMap;

/// The apps that origins lead to by this way.
fn asked<'a>(lp: &'a ValidPlatform, cdn: &'a CloudFront, way: AppRoute) -> impl Iterator<Item = &'a ValidApp> {
    let origins = cdn.origins.iter().filter_map(|origin| origin.app.as_ref());
    origins.filter_map(move |origin| {
        let app = lp.app(&origin.name)?;
        let by_gateway = app.spec.exposure.as_ref().is_some_and(|exposure| exposure.gateway.is_some());
        let default = if by_gateway { AppRoute::Gateway } else { AppRoute::Ingress };
        (origin.route.unwrap_or(default) == way).then_some(app)
    })
}

/// Of those that are reached by an Ingress, by app.
pub(super) fn of_ingresses(lp: &ValidPlatform, children: &Children, cdn: &CloudFront) -> BTreeMap<String, String> {
    let address = |app: &ValidApp| {
        let ingress = children.get(Kind::Ingress, &app.object_name)?;
        let balancers = ingress.data.pointer("/status/loadBalancer/ingress")?.as_array()?;
        let text = |key: &str| balancers.iter().find_map(|one| one[key].as_str());
        text("hostname").or_else(|| text("ip")).map(str::to_owned)
    };
    let found = asked(lp, cdn, AppRoute::Ingress).filter_map(|app| Some((app.spec.name.clone(), address(app)?)));
    found.collect()
}

/// Of those that are reached by a Gateway, by app. What cannot be read is not known yet.
pub(super) async fn of_gateways(ctx: &Context, lp: &ValidPlatform, cdn: &CloudFront) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    if !ctx.capabilities.now().http_route {
        return found;
    }
    for app in asked(lp, cdn, AppRoute::Gateway) {
        let exposure = app.spec.exposure.as_ref();
        for parent in exposure.and_then(|exposure| exposure.gateway.as_ref()).iter().flat_map(|way| &way.parent_refs) {
            let namespace = parent.namespace.as_deref().unwrap_or(&lp.key.namespace);
            let api: Api<DynamicObject> =
                Api::namespaced_with(ctx.client.clone(), namespace, &Referred::Gateway.resource());
            let gateway = match api.get_opt(&parent.name).await {
                Ok(gateway) => gateway,
                Err(error) => {
                    tracing::debug!(%error, gateway = parent.name, "where it answers cannot be told");
                    continue;
                }
            };
            if let Some(address) = gateway.as_ref().and_then(of_gateway) {
                found.entry(app.spec.name.clone()).or_insert(address);
            }
        }
    }
    found
}

fn of_gateway(gateway: &DynamicObject) -> Option<String> {
    let addresses = gateway.data.pointer("/status/addresses")?.as_array()?;
    let named = addresses.iter().find(|address| address["type"] == "Hostname");
    named.or(addresses.first()).and_then(|address| address["value"].as_str()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_gateway_is_asked_for_by_its_name_where_it_has_one() {
        let address = |addresses: Value| {
            let resource = Referred::Gateway.resource();
            let mut gateway = DynamicObject::new("public", &resource);
            gateway.data = json!({"status": {"addresses": addresses}});
            of_gateway(&gateway)
        };
        let numbers = json!({"type": "IPAddress", "value": "203.0.113.7"});
        let name = json!({"type": "Hostname", "value": "k8s-1.elb.eu-central-1.amazonaws.com"});
        assert_eq!(address(json!([numbers, name])).as_deref(), Some("k8s-1.elb.eu-central-1.amazonaws.com"));
        assert_eq!(address(json!([numbers])).as_deref(), Some("203.0.113.7"));
        assert_eq!(address(json!([])), None);
    }
}

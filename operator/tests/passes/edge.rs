//! A platform with a CDN, and what there is at AWS.

use crate::{
    cloud::{Cloud, item},
    seven_p::SECRET,
    world::{PLATFORM, World, find},
};
use ::aws::cloudfront::{CloudFront as _, Companion, Distribution};
use aws_edge::{
    Clients,
    cloudfront::{SdkCloudFront, Source as _},
};
use serde_json::{Value, json};
use std::path::Path;

/// A platform of the examples, reduced to its CDN and how that reaches the apps.
pub fn example(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    let platform: Value = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let spec = &platform["spec"];
    let kept = ["name", "image", "port", "ports", "exposure"];
    let apps = spec["apps"].as_array().unwrap().iter().map(|app| {
        let fields = kept.iter().filter(|field| !app[**field].is_null());
        fields.map(|field| ((*field).to_owned(), app[*field].clone())).collect::<Value>()
    });
    json!({ "aws": spec["aws"], "apps": apps.collect::<Vec<_>>(), "cdns": spec["cdns"] })
}

/// A platform with one app and a small CDN, whose origin is sent a secret.
pub fn small() -> Value {
    json!({
        "aws": { "region": "eu-central-1" },
        "apps": [{
            "name": "web", "image": "registry.example/web:1", "port": 3000, "replicas": 1,
            "exposure": { "ingress": { "hosts": ["origin.school.example"] } },
        }],
        "cdns": [{ "name": "edge", "cloudFront": {
            "comment": "school",
            "origins": [{
                "name": "web", "app": { "name": "web" },
                "headers": [{ "name": "X-Origin-Verify", "secret": { "name": "edge", "key": "verify" } }],
            }],
            "cachePolicies": [{ "name": "pages", "defaultTTL": "1m" }],
            "behaviors": [{ "path": "*", "origin": "web", "cachePolicy": { "name": "pages" } }],
            "invalidateAfter": [{ "app": "web", "paths": ["/courses/*", "/courses/new", "/"] }],
        } }],
    })
}

/// A platform with a CDN, and what there is at AWS.
pub struct Edge {
    pub cloud: Cloud,
    pub clients: Clients,
    pub truth: SdkCloudFront,
}

impl Edge {
    pub async fn new(spec: Value) -> Self {
        let cloud = Cloud::new(|url| asked_at(spec.clone(), url)).await;
        Self::of(cloud, &spec).await
    }

    /// With the Secrets that it names, and certificates of its aliases.
    pub async fn of(cloud: Cloud, spec: &Value) -> Self {
        let origins = spec["cdns"].as_array().unwrap().iter().flat_map(|cdn| cdn["cloudFront"]["origins"].as_array());
        let headers = origins.flatten().filter_map(|origin| origin["headers"].as_array()).flatten();
        for secret in headers.map(|header| &header["secret"]) {
            let (name, key) = (secret["name"].as_str().unwrap(), secret["key"].as_str().unwrap());
            put_secret(&cloud.world, name, key, SECRET);
        }
        let clients = cloud.clients().await;
        for (number, cdn) in spec["cdns"].as_array().unwrap().iter().enumerate() {
            let names: Vec<String> = serde_json::from_value(cdn["cloudFront"]["aliases"].clone()).unwrap_or_default();
            let Some(first) = names.first().filter(|_| cdn["cloudFront"]["certificate"].is_object()) else { continue };
            // The server decides on the ARN.
            let request =
                clients.acm.request_certificate().domain_name(first).set_subject_alternative_names(Some(names.clone()));
            let arn = request.send().await.unwrap().certificate_arn.unwrap();
            cloud.world.api.edit(PLATFORM, |platform| {
                platform["spec"]["cdns"][number]["cloudFront"]["certificate"]["arn"] = json!(arn);
            });
        }
        let truth = SdkCloudFront::new(clients.cloudfront.clone(), clients.acm.clone());
        Self { cloud, clients, truth }
    }

    /// Until all that is wished is at AWS, and the CDN serves.
    pub async fn until_synced(&self) {
        let done = |world: &World| {
            let cdn = cdn(world);
            let is = |type_: &str| find(&cdn["conditions"], type_)["status"] == "True";
            is("Synced") && is("CdnReady") && cdn["deployed"] == true && !is("Deploying")
        };
        self.cloud.until("synced", done).await;
    }

    /// Changes the spec.
    pub fn edit(&self, change: impl FnOnce(&mut Value)) {
        let mut platform = self.cloud.world.api.get(PLATFORM).unwrap();
        change(&mut platform["spec"]);
        self.cloud.world.api.put(PLATFORM, platform);
    }

    /// ARN of the first CDN's certificate.
    pub fn certificate(&self) -> String {
        let platform = self.cloud.world.api.get(PLATFORM).unwrap();
        platform["spec"]["cdns"][0]["cloudFront"]["certificate"]["arn"].as_str().unwrap().to_owned()
    }

    pub async fn distributions(&self) -> Vec<Distribution> {
        let mut found = Vec::new();
        for one in self.truth.summaries().await.unwrap() {
            found.extend(self.truth.distribution(&one.id).await.unwrap());
        }
        found
    }

    pub async fn only(&self) -> Distribution {
        let mut found = self.distributions().await;
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    /// All that there is at AWS, with versions.
    pub async fn all(&self) -> (Vec<Distribution>, Vec<Companion>) {
        let mut companions = self.truth.companions().await.unwrap();
        for one in &mut companions {
            one.etag = self.truth.version(one).await.unwrap();
        }
        companions.sort_by(|a, b| a.id.cmp(&b.id));
        (self.distributions().await, companions)
    }

    /// The paths of all invalidations of the only distribution, each sorted.
    pub async fn invalidations(&self) -> Vec<Vec<String>> {
        let (id, client) = (self.only().await.id, &self.clients.cloudfront);
        let listed = client.list_invalidations().distribution_id(&id).send().await.unwrap();
        let mut all = Vec::new();
        for one in listed.invalidation_list.unwrap().items.unwrap_or_default() {
            let got = client.get_invalidation().distribution_id(&id).id(one.id).send().await.unwrap();
            let batch = got.invalidation.and_then(|one| one.invalidation_batch).unwrap();
            let mut paths = batch.paths.and_then(|paths| paths.items).unwrap_or_default();
            paths.sort();
            all.push(paths);
        }
        all
    }
}

/// With AWS at this URL.
pub fn asked_at(mut spec: Value, url: &str) -> Value {
    spec["aws"]["endpoints"] = json!({ "cloudfront": url, "acm": url });
    spec
}

pub fn put_secret(world: &World, name: &str, key: &str, value: &str) {
    let value = k8s_openapi::ByteString(value.as_bytes().to_vec());
    world.api.put(
        &format!("/api/v1/namespaces/learning/secrets/{name}"),
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "namespace": "learning" },
            "data": { key: value },
        }),
    );
}

pub fn cdn(world: &World) -> Value {
    item(world, "cdns")
}

//! What a spec refers to and the user owns: read by name each pass, so that what is missing is named by a condition and
//! heals at the next look. Metadata only: no Secret's content ever enters the operator here.

use crate::{
    context::Context,
    naming::{PlatformKey, object_name},
    stores::Stores,
    tiers::{database::cloud_native_pg::CloudNativePg, store::tls},
    validate::{ValidApp, ValidPlatform},
};
use crds::{LearningPlatform, LearningPlatformSpec, tiers::endpoint::StoreTls};
use futures::future::join_all;
use kube::{
    Api, ResourceExt,
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, iter,
};

/// A kind that a spec refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Referred {
    /// v1
    Secret,
    /// v1
    ConfigMap,
    /// v1
    ServiceAccount,
    /// networking.k8s.io/v1, not namespaced
    IngressClass,
    /// gateway.networking.k8s.io/v1, optional
    Gateway,
}

impl Referred {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Secret, Self::ConfigMap, Self::ServiceAccount, Self::IngressClass, Self::Gateway];

    /// Where the API server serves it.
    pub fn resource(self) -> ApiResource {
        let (group, kind, plural) = match self {
            Self::Secret => ("", "Secret", "secrets"),
            Self::ConfigMap => ("", "ConfigMap", "configmaps"),
            Self::ServiceAccount => ("", "ServiceAccount", "serviceaccounts"),
            Self::IngressClass => ("networking.k8s.io", "IngressClass", "ingressclasses"),
            Self::Gateway => ("gateway.networking.k8s.io", "Gateway", "gateways"),
        };
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", kind), plural)
    }
}

/// A reference to an object of the user's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Kind.
    pub kind: Referred,
    /// Namespace; empty for a kind without.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// Something referred to that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What.
    pub reference: Reference,
    /// The field that names it.
    pub field: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reference { kind, namespace, name } = &self.reference;
        let kind = kind.resource().kind;
        let place = if namespace.is_empty() { String::new() } else { format!(" in namespace {namespace}") };
        write!(f, "{kind} {name}, named by {}, does not exist{place}: create it or correct the field", self.field)
    }
}

/// Everything an app refers to that must exist, each with the field that names it first.
pub fn references(app: &ValidApp) -> BTreeMap<Reference, String> {
    let mut found = BTreeMap::new();
    let namespace = app.key.namespace.as_str();
    let mut add = |kind: Referred, namespace: &str, name: &str, field: String| {
        let reference = Reference { kind, namespace: namespace.to_owned(), name: name.to_owned() };
        if !name.is_empty() {
            found.entry(reference).or_insert(field);
        }
    };
    let spec = &app.spec;
    let own = spec.env.iter().map(|variable| (variable, format!("env[{}]", variable.name)));
    let of_jobs = spec.jobs.iter().flat_map(|job| job.env.iter().map(move |variable| (job, variable)));
    let of_jobs = of_jobs.map(|(job, variable)| (variable, format!("jobs[{}].env[{}]", job.name, variable.name)));
    for (variable, field) in own.chain(of_jobs) {
        let Some(from) = &variable.value_from else { continue };
        if let Some(key) = from.secret_key_ref.as_ref().filter(|k| k.optional != Some(true)) {
            add(Referred::Secret, namespace, &key.name, field.clone());
        }
        if let Some(key) = from.config_map_key_ref.as_ref().filter(|k| k.optional != Some(true)) {
            add(Referred::ConfigMap, namespace, &key.name, field);
        }
    }
    for from in &spec.env_from {
        if let Some(secret) = from.secret_ref.as_ref().filter(|s| s.optional != Some(true)) {
            add(Referred::Secret, namespace, &secret.name, "envFrom".to_owned());
        }
        if let Some(map) = from.config_map_ref.as_ref().filter(|m| m.optional != Some(true)) {
            add(Referred::ConfigMap, namespace, &map.name, "envFrom".to_owned());
        }
    }
    for secret in &spec.image_pull_secrets {
        add(Referred::Secret, namespace, &secret.name, "imagePullSecrets".to_owned());
    }
    if let Some(account) = &spec.service_account {
        add(Referred::ServiceAccount, namespace, &account.name, "serviceAccount.name".to_owned());
    }
    if let Some(ingress) = spec.exposure.as_ref().and_then(|e| e.ingress.as_ref()) {
        if let Some(secret) = &ingress.tls_secret {
            add(Referred::Secret, namespace, secret, "exposure.ingress.tlsSecret".to_owned());
        }
        if let Some(class) = &ingress.class_name {
            add(Referred::IngressClass, "", class, "exposure.ingress.className".to_owned());
        }
    }
    for parent in spec.exposure.iter().flat_map(|e| &e.gateway).flat_map(|g| &g.parent_refs) {
        let namespace = parent.namespace.as_deref().unwrap_or(namespace);
        add(Referred::Gateway, namespace, &parent.name, "exposure.gateway.parentRefs".to_owned());
    }
    found
}

/// The Secrets that a platform's stores and CDNs name.
fn secrets_of_stores(spec: &LearningPlatformSpec) -> impl Iterator<Item = &str> {
    let external = spec.caches.iter().filter_map(|cache| cache.external.as_ref());
    let caches = external.flat_map(|cache| (cache.secret.iter().map(|s| &s.name)).chain(authority(cache.tls.as_ref())));
    let external = spec.databases.iter().filter_map(|database| database.external.as_ref());
    let databases =
        external.flat_map(|database| iter::once(&database.secret.name).chain(authority(database.tls.as_ref())));
    let own = spec.caches.iter().filter_map(|cache| cache.in_cluster.as_ref()?.password.as_ref());
    let at_aws = spec.caches.iter().filter_map(|cache| cache.elasti_cache.as_ref());
    let at_aws = at_aws.flat_map(|cache| cache.auth_token.iter().chain(&cache.authorities));
    let at_rds = spec.databases.iter().filter_map(|database| Some(&database.rds.as_ref()?.authorities));
    let own = own.chain(at_aws).chain(at_rds);
    let tls = spec.caches.iter().filter_map(|cache| cache.in_cluster.as_ref()?.tls.as_ref());
    let tls = tls.chain(spec.databases.iter().filter_map(|database| database.in_cluster.as_ref()?.tls.as_ref()));
    let tls = tls.filter_map(|tls| Some(&tls.secret.as_ref()?.name));
    let origins = spec.cdns.iter().filter_map(|cdn| cdn.cloud_front.as_ref()).flat_map(|cdn| &cdn.origins);
    let headers = origins.flat_map(|origin| &origin.headers).map(|header| &header.secret.name);
    let stores = caches.chain(databases).chain(own.map(|key| &key.name)).chain(tls);
    stores.chain(headers).map(String::as_str)
}

fn authority(tls: Option<&StoreTls>) -> Option<&String> {
    Some(&tls?.ca.as_ref()?.name)
}

/// Whether CloudNativePG makes a Secret for a platform's databases.
fn is_of_cluster(platform: &LearningPlatform, secret: &str) -> bool {
    platform.spec.databases.iter().any(|database| {
        let Some(spec) = &database.cloud_native_pg else { return false };
        let item = CloudNativePg::new(&platform.name_any(), "", database, spec);
        secret == item.login_secret() || secret == item.authority_secret()
    })
}

/// Whether cert-manager makes a Secret for a platform's stores.
fn is_issued(platform: &LearningPlatform, secret: &str) -> bool {
    let caches = platform.spec.caches.iter().map(|cache| (&cache.name, cache.in_cluster.as_ref().map(|own| &own.tls)));
    let databases = platform.spec.databases.iter();
    let databases = databases.map(|database| (&database.name, database.in_cluster.as_ref().map(|own| &own.tls)));
    caches.chain(databases).any(|(name, tls)| {
        let issued = tls.and_then(Option::as_ref).is_some_and(|tls| tls.cert_manager.is_some());
        issued && tls::name(&object_name(&platform.name_any(), name)) == secret
    })
}

/// The platforms whose stores or CDNs name a Secret, or have it made.
pub fn users_of_secret(stores: &Stores, namespace: &str, secret: &str) -> Vec<PlatformKey> {
    let platforms = stores.platforms.state();
    let here = platforms.iter().filter_map(|guarded| guarded.0.as_ref().ok());
    let users = here.filter(|platform| {
        platform.namespace().as_deref() == Some(namespace)
            && (secrets_of_stores(&platform.spec).any(|name| name == secret)
                || is_of_cluster(platform, secret)
                || is_issued(platform, secret))
    });
    users.map(PlatformKey::of).collect()
}

/// What the platform's apps refer to and is not there, by app. What cannot be read, because the operator may not or the
/// API server does not answer, is taken to be there: the pods' own state tells then.
pub async fn missing(ctx: &Context, lp: &ValidPlatform) -> BTreeMap<String, Vec<Missing>> {
    let wanted: Vec<_> = lp.apps.iter().map(|app| (app.key.app.clone(), references(app))).collect();
    let distinct: BTreeSet<&Reference> = wanted.iter().flat_map(|(_, r)| r.keys()).collect();
    let mut looks = Vec::new();
    for reference in &distinct {
        looks.push(exists(ctx, reference));
    }
    let found = join_all(looks).await;
    let absent: BTreeSet<&Reference> =
        distinct.iter().zip(found).filter_map(|(reference, found)| (!found).then_some(*reference)).collect();
    let by_app = wanted.iter().map(|(app, references)| {
        let gone = references
            .iter()
            .filter(|(reference, _)| absent.contains(reference))
            .map(|(reference, field)| Missing { reference: reference.clone(), field: field.clone() })
            .collect();
        (app.clone(), gone)
    });
    by_app.collect()
}

async fn exists(ctx: &Context, reference: &Reference) -> bool {
    // Without the API the route itself says so.
    if reference.kind == Referred::Gateway && !ctx.capabilities.now().http_route {
        return true;
    }
    let resource = reference.kind.resource();
    let api: Api<DynamicObject> = if reference.namespace.is_empty() {
        Api::all_with(ctx.client.clone(), &resource)
    } else {
        Api::namespaced_with(ctx.client.clone(), &reference.namespace, &resource)
    };
    match api.get_metadata_opt(&reference.name).await {
        Ok(found) => found.is_some(),
        Err(error) => {
            tracing::debug!(%error, kind = resource.kind, name = reference.name, "cannot tell whether it exists");
            true
        }
    }
}

//! The certificates of a store: made by the operator and kept in a Secret with the data, issued by cert-manager, or in a Secret of
//! the user's. The pods mount the Secret, and their readiness probe has the server take what has changed in it.

use super::{Identity, auth::Passwords, pods};
use crate::{
    capabilities::Served,
    kinds::Kind,
    secrets::{Lack, Reader},
    tiers::{Children, binding},
};
use crds::tiers::{
    in_cluster::DeletionPolicy,
    server_tls::{CertManagerTls, ServerTls},
};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::core::DynamicObject;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tls::{AUTHORITIES, CERTIFICATE, Files, KEY, Trust};

/// Where the certificates are in the pods.
pub const DIRECTORY: &str = "/etc/learningplatform/tls";
/// Label of the pods that were made with certificates: the keeper is shown no more of a pod than its labels and its status.
pub const TLS: &str = "learningplatform.dev/tls";
const VOLUME: &str = "tls";

/// What is known of a store's certificates.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// What a Secret of ours is to hold; None where another writes it.
    pub ours: Option<Passwords>,
    /// The authorities that clients trust, PEM.
    pub authorities: Vec<u8>,
    /// Until when the certificate in the Secret is valid, in seconds since 1970.
    pub ends: i64,
}

impl Certificates {
    /// What apps are to verify.
    pub fn binding(&self) -> binding::Tls {
        binding::Tls { ca: Some(self.authorities.clone()) }
    }
}

/// Name of the Secret that the operator or cert-manager makes.
pub fn name(object_name: &str) -> String {
    format!("{object_name}-tls")
}

/// Name of the Secret that the pods mount; None where the store does not speak TLS.
pub fn secret_name(spec: Option<&ServerTls>, object_name: &str) -> Option<String> {
    let named = spec?.secret.as_ref().map(|secret| secret.name.clone());
    Some(named.unwrap_or_else(|| name(object_name)))
}

/// The certificates of a store that clients call by `names`, renewed where they are due `now` (seconds since 1970).
///
/// # Errors
/// What is lacking in the user's Secret, or that none can be made.
pub async fn certificates(
    spec: Option<&ServerTls>,
    object_name: &str,
    names: &BTreeSet<String>,
    (children, served): (&Children, Served),
    reader: &mut Reader<'_>,
    now: i64,
) -> Result<Option<Certificates>, Lack> {
    match spec {
        None => Ok(None),
        Some(ServerTls { cert_manager: Some(_), .. }) => {
            issued(&name(object_name), children, served, reader).await.map(Some)
        }
        Some(ServerTls { secret: Some(secret), .. }) => given(&secret.name, reader).await.map(Some),
        Some(_) => generated(object_name, names, children, now).map(Some),
    }
}

fn generated(object_name: &str, names: &BTreeSet<String>, children: &Children, now: i64) -> Result<Certificates, Lack> {
    let held = live(children, object_name).unwrap_or_default();
    let made = tls::renewed(&held, object_name, names, now, tls::make_key).map_err(|error| {
        tracing::warn!(store = object_name, %error, "certificates");
        let problem = "cannot be made, because the system has no randomness to give: try again";
        Lack::Unfit { name: name(object_name), key: CERTIFICATE.to_owned(), problem }
    })?;
    let authorities = made.files.get(AUTHORITIES).cloned().unwrap_or_default();
    Ok(Certificates { ours: Some(made.files.into_iter().collect()), authorities, ends: made.not_after })
}

async fn issued(
    name: &str,
    children: &Children,
    served: Served,
    reader: &mut Reader<'_>,
) -> Result<Certificates, Lack> {
    let waits = |lack: Lack| {
        match lack {
        Lack::Missing(_) if !served.cert_manager => Lack::NotYet(
            "the cluster has no cert-manager, which is to issue its certificates: install it, or take another database or \
             cache with tls.generated or tls.secret"
                .to_owned(),
        ),
        Lack::Missing(_) => {
            let said = children.get(Kind::CertManagerCertificate, name).and_then(said);
            Lack::NotYet(format!("cert-manager has not issued Certificate {name} yet{}", said.unwrap_or_default()))
        }
        other => other,
    }
    };
    given(name, reader).await.map_err(waits)
}

/// What cert-manager says of a Certificate that is not ready.
fn said(certificate: &DynamicObject) -> Option<String> {
    let conditions = certificate.data.pointer("/status/conditions")?.as_array()?;
    let waits = conditions.iter().find(|condition| condition["type"] == "Ready" && condition["status"] != "True")?;
    Some(format!(": {}", waits["message"].as_str()?))
}

async fn given(name: &str, reader: &mut Reader<'_>) -> Result<Certificates, Lack> {
    reader.bytes(name, KEY).await?;
    let certificate = reader.bytes(name, CERTIFICATE).await?;
    let authorities = reader.bytes(name, AUTHORITIES).await?;
    let unfit = |key: &str| Lack::Unfit {
        name: name.to_owned(),
        key: key.to_owned(),
        problem: "is no certificate: store one in PEM form",
    };
    tls::first(&authorities).ok_or_else(|| unfit(AUTHORITIES))?;
    let ends = tls::first(&certificate).ok_or_else(|| unfit(CERTIFICATE))?.not_after;
    Ok(Certificates { ours: None, authorities, ends })
}

/// What the live Secret of ours holds.
fn live(children: &Children, object_name: &str) -> Option<Files> {
    let secret: Secret = children.typed(Kind::Secret, &name(object_name))?;
    Some(secret.data.unwrap_or_default().into_iter().map(|(key, ByteString(value))| (key, value)).collect())
}

/// Whom the keeper is to trust, of servers that have the name `name`: what is in the Secret by now.
pub fn trust(
    certificates: Option<&Certificates>,
    object_name: &str,
    children: &Children,
    name: String,
) -> Option<Trust> {
    let certificates = certificates?;
    let ours = certificates.ours.as_ref().and_then(|_| live(children, object_name)?.remove(AUTHORITIES));
    Some(Trust { authorities: ours.unwrap_or_else(|| certificates.authorities.clone()), name })
}

/// The Secret of ours; None where there is none.
pub fn secret(
    identity: &Identity,
    object_name: &str,
    policy: DeletionPolicy,
    certificates: Option<&Certificates>,
) -> Option<Result<DynamicObject, serde_json::Error>> {
    let ours = certificates?.ours.as_ref()?;
    let data: BTreeMap<&String, ByteString> =
        ours.iter().map(|(key, value)| (key, ByteString(value.clone()))).collect();
    // Not of the type kubernetes.io/tls: from that nobody could remove the certificate to have it renewed.
    Some(Kind::Secret.object(&json!({
        "metadata": { "name": name(object_name), "labels": identity.data_labels(policy) },
        "type": "Opaque",
        "data": data,
    })))
}

/// The Certificate that cert-manager is asked for; None where it is not, or cannot be. It is needed before anything else of the
/// store.
pub fn certificate(
    identity: &Identity,
    object_name: &str,
    spec: Option<&ServerTls>,
    names: &BTreeSet<String>,
    served: Served,
) -> Option<Result<DynamicObject, serde_json::Error>> {
    let CertManagerTls { issuer_ref } = spec?.cert_manager.as_ref().filter(|_| served.cert_manager)?;
    let name = name(object_name);
    Some(Kind::CertManagerCertificate.object(&json!({
        "metadata": { "name": name, "labels": identity.labels() },
        "spec": {
            "secretName": name,
            "dnsNames": names,
            "issuerRef": {
                "name": issuer_ref.name,
                "kind": issuer_ref.kind.as_deref().unwrap_or("Issuer"),
                "group": issuer_ref.group.as_deref().unwrap_or("cert-manager.io"),
            },
            // Servers of a cache are each other's clients.
            "usages": ["digital signature", "server auth", "client auth"],
            "privateKey": { "algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always" },
        },
    })))
}

/// The labels of pods of a store.
pub fn labels(spec: Option<&ServerTls>, mut labels: BTreeMap<String, String>) -> BTreeMap<String, String> {
    labels.extend(spec.map(|_| (TLS.to_owned(), "true".to_owned())));
    labels
}

/// Mounts the Secret into the server's container, the first of a pod.
pub fn mount(pod: &mut Value, secret: Option<String>) {
    mount_keys(pod, secret, &[CERTIFICATE, KEY, AUTHORITIES]);
}

/// Mounts the authorities alone, into the first container of a pod that only asks servers.
pub fn mount_authorities(pod: &mut Value, secret: Option<String>) {
    mount_keys(pod, secret, &[AUTHORITIES]);
}

fn mount_keys(pod: &mut Value, secret: Option<String>, keys: &[&str]) {
    let Some(secret) = secret else { return };
    let push = |list: Option<&mut Value>, value: Value| {
        if let Some(list) = list.and_then(Value::as_array_mut) {
            list.push(value);
        }
    };
    let items: Vec<Value> = keys.iter().map(|key| json!({ "key": key, "path": key })).collect();
    push(pod.pointer_mut("/containers/0/env"), json!(pods::env("LP_TLS_DIR", DIRECTORY)));
    push(pod.pointer_mut("/containers/0/volumeMounts"), json!({ "name": VOLUME, "mountPath": DIRECTORY }));
    push(
        pod.pointer_mut("/volumes"),
        json!({ "name": VOLUME, "secret": { "secretName": secret, "defaultMode": 0o440, "items": items } }),
    );
}

/// When the certificate ends: that which the servers show, or the one in the Secret before they have been looked at.
pub fn expires(certificates: Option<&Certificates>, shown: Option<i64>) -> Option<String> {
    let ends = shown.unwrap_or(certificates?.ends);
    jiff::Timestamp::from_second(ends).ok().map(|ends| ends.to_string())
}

/// What is known without a cluster, with what a Secret of ours holds by now.
pub fn as_live(certificates: &mut Option<Certificates>, object_name: &str, children: &Children) {
    if let Some(ours) = certificates.as_mut().and_then(|certificates| certificates.ours.as_mut())
        && let Some(live) = live(children, object_name)
    {
        *ours = live.into_iter().collect();
    }
}

/// What is known without a cluster.
pub fn offline(spec: Option<&ServerTls>, object_name: &str) -> Option<Certificates> {
    let secret = secret_name(spec, object_name)?;
    let word = |key: &str| format!("SECRET-{secret}-{key}").into_bytes();
    let ours = spec?.generated.as_ref().map(|_| {
        [AUTHORITIES, tls::AUTHORITY, tls::AUTHORITY_KEY, CERTIFICATE, KEY].map(|key| (key.to_owned(), word(key)))
    });
    Some(Certificates { ours: ours.map(|files| files.into_iter().collect()), authorities: word(AUTHORITIES), ends: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kinds::ObjectId,
        secrets::{SecretContents, Secrets},
        tiers::store::StoreTier,
    };
    use futures::{FutureExt, future::BoxFuture};

    const NOW: i64 = 1_790_000_000;
    const DAY: i64 = 86_400;

    /// One Secret of the user's.
    struct Given(SecretContents);

    impl Secrets for Given {
        fn read<'a>(&'a self, _: &'a str, name: &'a str) -> BoxFuture<'a, Result<Option<SecretContents>, String>> {
            async move { Ok((name == "given").then(|| self.0.clone())) }.boxed()
        }
    }

    async fn of(
        spec: Value,
        given: &SecretContents,
        children: &Children,
        now: i64,
    ) -> Result<Option<Certificates>, Lack> {
        let spec: Option<ServerTls> = serde_json::from_value(spec).unwrap();
        let secrets = Given(given.clone());
        let mut reader = Reader::new(&secrets, "school");
        let names = BTreeSet::from(["story-main-rw.school.svc".to_owned()]);
        certificates(spec.as_ref(), "story-main", &names, (children, Served::ALL), &mut reader, now).await
    }

    /// The children after a pass has written the Secret.
    fn written(certificates: &Certificates, before: &Children) -> Children {
        let identity = Identity { platform: "story".into(), id: "main".into(), tier: StoreTier::Database };
        let secret = secret(&identity, "story-main", DeletionPolicy::Retain, Some(certificates)).unwrap().unwrap();
        let mut children = before.clone();
        children.0.insert(ObjectId::of(&secret).unwrap(), secret);
        children
    }

    #[tokio::test]
    async fn what_is_generated_is_kept_with_the_data_and_renewed() {
        let spec = || json!({"generated": {}});
        let none = SecretContents::new();
        let made = of(spec(), &none, &Children::default(), NOW).await.unwrap().unwrap();
        assert_eq!(made.ends, NOW + 90 * DAY);
        let children = written(&made, &Children::default());
        let secret = children.get(Kind::Secret, "story-main-tls").unwrap();
        assert_eq!(secret.metadata.labels.as_ref().unwrap()[crate::tiers::store::RETAINED], "true");

        let again = of(spec(), &none, &children, NOW + 30 * DAY).await.unwrap().unwrap();
        assert_eq!(again.ours, made.ours, "a second pass writes nothing");
        let renewed = of(spec(), &none, &children, NOW + 61 * DAY).await.unwrap().unwrap();
        assert_eq!((renewed.ends, &renewed.authorities), (NOW + 151 * DAY, &made.authorities));

        // The keeper trusts what is written, not what is to be written.
        let other = of(spec(), &none, &Children::default(), NOW).await.unwrap();
        let trust = |children| trust(other.as_ref(), "story-main", children, "x".to_owned()).unwrap().authorities;
        assert_eq!(trust(&children), made.authorities);
        assert_ne!(trust(&Children::default()), made.authorities);
    }

    #[tokio::test]
    async fn what_is_given_is_read_and_never_written() {
        let files = tls::renewed(&Files::new(), "x", &BTreeSet::from(["x".to_owned()]), NOW, tls::make_key).unwrap();
        let spec = || json!({"secret": {"name": "given"}});
        let found = of(spec(), &files.files, &Children::default(), NOW).await.unwrap().unwrap();
        assert_eq!((found.ours, found.ends), (None, NOW + 90 * DAY));
        assert_eq!(found.authorities, files.files[AUTHORITIES]);

        // What cert-manager writes is read in the same way, and waited for.
        let spec_of_issuer = || json!({"certManager": {"issuerRef": {"name": "ca"}}});
        let mut children = Children::default();
        let lack = of(spec_of_issuer(), &files.files, &children, NOW).await.unwrap_err().to_string();
        assert_eq!(lack, "cert-manager has not issued Certificate story-main-tls yet");
        let said = json!([{"type": "Ready", "status": "False", "message": "the issuer is not ready"}]);
        let certificate = json!({"metadata": {"name": "story-main-tls"}, "status": {"conditions": said}});
        let certificate = Kind::CertManagerCertificate.object(&certificate).unwrap();
        children.0.insert(ObjectId::of(&certificate).unwrap(), certificate);
        let lack = of(spec_of_issuer(), &files.files, &children, NOW).await.unwrap_err().to_string();
        assert_eq!(lack, "cert-manager has not issued Certificate story-main-tls yet: the issuer is not ready");

        for (key, value, said) in [
            (CERTIFICATE, None, "no key tls.crt"),
            (KEY, None, "no key tls.key"),
            (AUTHORITIES, None, "no key ca.crt"),
            (CERTIFICATE, Some(b"x".to_vec()), "the key tls.crt of the Secret given is no certificate"),
            (AUTHORITIES, Some(b"x".to_vec()), "the key ca.crt of the Secret given is no certificate"),
        ] {
            let mut files = files.files.clone();
            match value {
                Some(value) => files.insert(key.to_owned(), value),
                None => files.remove(key),
            };
            let lack = of(spec(), &files, &Children::default(), NOW).await.unwrap_err().to_string();
            assert!(lack.contains(said), "{lack}");
        }
        let lack = of(json!({"secret": {"name": "none"}}), &files.files, &Children::default(), NOW).await.unwrap_err();
        assert_eq!(lack, Lack::Missing("none".to_owned()));
        assert!(of(Value::Null, &files.files, &Children::default(), NOW).await.unwrap().is_none());
    }
}

//! Certificates over the years.
#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

use learningplatform_tls::{
    AUTHORITIES, AUTHORITY, AUTHORITY_KEY, CERTIFICATE, Certificate, Connector, Files, KEY, Kept, NEXT_AUTHORITY,
    Trust, certificates, first, make_key, renewed,
};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{collections::BTreeSet, io, sync::Arc, time::SystemTime};

const DAY: i64 = 86_400;
/// Some day in 2026.
const START: i64 = 1_790_000_000;

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn at(held: &Files, now: i64) -> Kept {
    renewed(held, "story-main", &names(&["story-main-rw.learning.svc", "127.0.0.1"]), now, make_key).unwrap()
}

/// The keys whose files differ.
fn changed(before: &Files, after: &Files) -> Vec<String> {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    keys.into_iter().filter(|key| before.get(*key) != after.get(*key)).cloned().collect()
}

fn held(files: &Files, key: &str) -> Certificate {
    first(&files[key]).unwrap()
}

#[test]
fn what_is_good_stays_until_two_thirds_of_its_life() {
    let made = at(&Files::new(), START);
    assert_eq!(
        made.files.keys().map(String::as_str).collect::<Vec<_>>(),
        [AUTHORITY, AUTHORITY_KEY, AUTHORITIES, CERTIFICATE, KEY]
    );
    assert_eq!(made.not_after, START + 90 * DAY);
    let server = held(&made.files, CERTIFICATE);
    assert_eq!(server.names, names(&["story-main-rw.learning.svc", "127.0.0.1"]));
    assert_eq!(server.not_after, made.not_after);
    assert_eq!(held(&made.files, AUTHORITIES).not_after, START + 3650 * DAY);
    for days in [0, 1, 59] {
        assert_eq!(at(&made.files, START + days * DAY), made, "after {days} days");
    }
    let renewed = at(&made.files, START + 61 * DAY);
    assert_eq!(changed(&made.files, &renewed.files), [CERTIFICATE, KEY]);
    assert_eq!(renewed.not_after, START + 151 * DAY);
}

#[test]
fn what_is_missing_broken_or_for_other_names_is_made_anew() {
    let made = at(&Files::new(), START).files;
    let other = at(&Files::new(), START).files;
    let with = |key: &str, value: Option<&[u8]>| {
        let mut files = made.clone();
        match value {
            Some(value) => files.insert(key.to_owned(), value.to_vec()),
            None => files.remove(key),
        };
        files
    };
    let server: &[&str] = &[CERTIFICATE, KEY];
    for (case, before, expected) in [
        ("no certificate", with(CERTIFICATE, None), server),
        ("no key", with(KEY, None), server),
        ("no certificate at all", with(CERTIFICATE, Some(b"x")), server),
        ("another's key", with(KEY, Some(&other[KEY])), server),
        ("another authority's", with(CERTIFICATE, Some(&other[CERTIFICATE])), server),
        ("nothing to trust", with(AUTHORITIES, None), &[]),
        ("no authority", with(AUTHORITY, None), &[AUTHORITY, AUTHORITY_KEY, AUTHORITIES, CERTIFICATE, KEY]),
        (
            "another's authority",
            with(AUTHORITY, Some(&other[AUTHORITY])),
            &[AUTHORITY, AUTHORITY_KEY, AUTHORITIES, CERTIFICATE, KEY],
        ),
    ] {
        let after = at(&before, START + DAY).files;
        assert_eq!(changed(&made, &after), expected, "{case}");
        assert_eq!(at(&after, START + DAY).files, after, "{case}: again");
    }
    let more = names(&["story-main-rw.learning.svc", "story-main-ro-4.learning.svc"]);
    let after = renewed(&made, "story-main", &more, START + DAY, make_key).unwrap().files;
    assert_eq!(changed(&made, &after), server);
    assert_eq!(held(&after, CERTIFICATE).names, more);
}

#[test]
fn an_authority_is_followed_by_one_that_clients_trust_long_before_it_signs() {
    let mut files = at(&Files::new(), START).files;
    let first_authority = files[AUTHORITY].clone();
    let mut both = (i64::MAX, i64::MIN);
    let mut switched = None;
    for day in (0..3_900).step_by(5) {
        let now = START + day * DAY;
        let before = files.clone();
        files = at(&files, now).files;
        assert_eq!(at(&files, now).files, files, "day {day}: a second look changes nothing");
        let trusted = certificates(&files[AUTHORITIES]);
        if trusted.len() == 2 {
            both = (both.0.min(day), both.1.max(day));
        }
        assert!((1..=2).contains(&trusted.len()), "day {day}: {}", trusted.len());
        if switched.is_none() && files[AUTHORITY] != first_authority {
            switched = Some(day);
        }
        let server = held(&files, CERTIFICATE);
        assert!(server.not_after - now >= 25 * DAY, "day {day}: the certificate ends soon");
        // Who knew the authorities five days ago trusts what is served now.
        assert!(trusts(&before[AUTHORITIES], &files, now), "day {day}");
    }
    assert_eq!(both, (3_285, 3_645), "days with two authorities");
    assert_eq!(switched, Some(3_465));
    assert_eq!(files[NEXT_AUTHORITY], b"", "there is no next one for nine years");
}

/// Whether one of these authorities has signed the server's certificate, and neither has ended.
fn trusts(authorities: &[u8], files: &Files, now: i64) -> bool {
    let roots = CertificateDer::pem_slice_iter(authorities).map(|der| der.unwrap());
    let mut store = rustls::RootCertStore::empty();
    roots.for_each(|root| store.add(root).unwrap());
    let provider = Arc::new(default_provider());
    let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider);
    let der = CertificateDer::from_pem_slice(&files[CERTIFICATE]).unwrap();
    let time = rustls::pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.unsigned_abs()));
    let name = "story-main-rw.learning.svc".try_into().unwrap();
    rustls::client::danger::ServerCertVerifier::verify_server_cert(
        verifier.build().unwrap().as_ref(),
        &der,
        &[],
        &name,
        &[],
        time,
    )
    .is_ok()
}

fn now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// A handshake with a server that has these files.
async fn handshake(files: &Files, connector: &Connector) -> io::Result<()> {
    let chain = CertificateDer::pem_slice_iter(&files[CERTIFICATE]).map(|der| der.unwrap()).collect();
    let key = PrivateKeyDer::from_pem_slice(&files[KEY]).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let (here, there) = tokio::io::duplex(16_384);
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let (connected, _) = tokio::join!(connector.connect(here), acceptor.accept(there));
    connected.map(drop)
}

#[tokio::test]
async fn a_client_trusts_the_authority_for_the_names_alone() {
    let files = at(&Files::new(), now()).files;
    let trust = |files: &Files, name: &str| {
        Trust { authorities: files[AUTHORITIES].clone(), name: name.to_owned() }.connector().unwrap()
    };
    let good = trust(&files, "story-main-rw.learning.svc");
    assert_eq!(good.shown(), None);
    handshake(&files, &good).await.unwrap();
    assert_eq!(good.shown().and_then(Certificate::read), first(&files[CERTIFICATE]));

    let other = trust(&files, "story-main-rw.school.svc");
    let problem = handshake(&files, &other).await.unwrap_err().to_string();
    assert!(problem.contains("story-main-rw.school.svc"), "{problem}");
    let stranger = at(&Files::new(), now()).files;
    let problem = handshake(&stranger, &good).await.unwrap_err().to_string();
    assert!(problem.contains("UnknownIssuer") || problem.contains("BadSignature"), "{problem}");
    let ended = at(&Files::new(), now() - 100 * DAY).files;
    let problem = handshake(&ended, &trust(&ended, "story-main-rw.learning.svc")).await.unwrap_err().to_string();
    assert!(problem.contains("xpired"), "{problem}");

    assert!(Connector::new(b"no certificate").is_err());
}

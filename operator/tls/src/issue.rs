//! An authority and server certificates, made and renewed. Pure: the time and the keys come in.

use crate::read::{Certificate, first};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

/// Key: the servers' certificate, PEM, as in Secrets of the type `kubernetes.io/tls`.
pub const CERTIFICATE: &str = "tls.crt";
/// Key: the servers' private key, PEM.
pub const KEY: &str = "tls.key";
/// Key: the authorities that clients trust, PEM.
pub const AUTHORITIES: &str = "ca.crt";
/// Key: the authority that signs.
pub const AUTHORITY: &str = "authority.crt";
/// Key: its private key. No pod mounts it.
pub const AUTHORITY_KEY: &str = "authority.key";
/// Key: the authority that will sign, which clients trust beforehand.
pub const NEXT_AUTHORITY: &str = "next-authority.crt";
/// Key: its private key.
pub const NEXT_AUTHORITY_KEY: &str = "next-authority.key";

const DAY: i64 = 86_400;
/// How long an authority is valid (P).
const AUTHORITY_LIFE: i64 = 3650 * DAY;
/// So long before its end the next one is made, for clients to trust it (P).
const NEXT_BEFORE_END: i64 = 365 * DAY;
/// So long clients have to take it over before it signs (P).
const NEXT_SIGNS_AFTER: i64 = 180 * DAY;
/// How long a server certificate is valid (P); it is renewed after two thirds of it.
const CERTIFICATE_LIFE: i64 = 90 * DAY;
/// By so much clocks may differ: a certificate is valid from before it was made (P).
const SKEW: i64 = 3_600;

/// A common name may have 64 characters (X.520), and an authority's has 21 more than this.
const SUBJECT: usize = 40;

/// Files by the keys of the Secret.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Certificates with what may be said of them. Only the keys are printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Kept {
    /// All files, those that were held and are still good as they were.
    pub files: Files,
    /// Until when the servers' certificate is valid, in seconds since 1970.
    pub not_after: i64,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.files.keys()).finish()
    }
}

/// Why no certificate was made: the library's words, which hold no key.
#[derive(Debug, thiserror::Error)]
#[error("a certificate cannot be made: {0}")]
pub struct Refused(#[from] rcgen::Error);

/// A new private key (ECDSA on P-256).
///
/// # Errors
/// When the system has no randomness to give.
pub fn make_key() -> Result<KeyPair, Refused> {
    Ok(KeyPair::generate()?)
}

/// An authority with its key.
struct Authority {
    certificate: Certificate,
    pem: Vec<u8>,
    key: KeyPair,
}

impl Authority {
    /// The one under these keys, unless it has ended or is not whole.
    fn held(files: &Files, certificate: &str, key: &str, now: i64) -> Option<Self> {
        let pem = files.get(certificate)?;
        let found = first(pem).filter(|found| found.not_after > now)?;
        let key = key_of(files, key)?;
        (key.public_key_raw() == found.public_key).then(|| Self { certificate: found, pem: pem.clone(), key })
    }

    fn new(subject: &str, now: i64, key: KeyPair) -> Result<Self, Refused> {
        let pem = authority_params(subject, now).self_signed(&key)?.pem().into_bytes();
        let certificate = first(&pem).ok_or(rcgen::Error::CouldNotParseCertificate)?;
        Ok(Self { certificate, pem, key })
    }

    /// Seconds since it was made.
    fn age(&self, now: i64) -> i64 {
        now - self.certificate.not_before - SKEW
    }

    fn sign(&self, subject: &str, names: &BTreeSet<String>, now: i64, key: &KeyPair) -> Result<Vec<u8>, Refused> {
        let made = self.certificate.not_before + SKEW;
        let issuer = Issuer::new(authority_params(subject, made), &self.key);
        let mut params = CertificateParams::new(names.iter().cloned().collect::<Vec<_>>())?;
        params.distinguished_name = common_name(subject.to_owned());
        valid(&mut params, now - SKEW, (now + CERTIFICATE_LIFE).min(self.certificate.not_after));
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // The nodes of a cluster show it to each other as clients, too.
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        Ok(params.signed_by(key, &issuer)?.pem().into_bytes())
    }
}

/// The name of an authority says when it was made: two with one name could be taken for each other.
fn authority_params(subject: &str, made: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(format!("{subject} authority {made}"));
    valid(&mut params, made - SKEW, made + AUTHORITY_LIFE);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn common_name(name: String) -> DistinguishedName {
    let mut found = DistinguishedName::new();
    found.push(DnType::CommonName, name);
    found
}

/// From when to when, in seconds since 1970.
fn valid(params: &mut CertificateParams, from: i64, until: i64) {
    let at = |seconds: i64| date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    params.not_before = at(from);
    params.not_after = at(until);
}

fn key_of(files: &Files, key: &str) -> Option<KeyPair> {
    KeyPair::from_pem(std::str::from_utf8(files.get(key)?).ok()?).ok()
}

/// What is held, with all that is missing, ended or due made anew. `subject`: what the certificates are called;
/// `names`: the names by which clients call the servers.
///
/// What is good stays as it is, so that a second call changes nothing. An authority is followed by another one long before
/// it ends, and clients are given both meanwhile.
///
/// # Errors
/// When a key or a certificate cannot be made.
pub fn renewed(
    held: &Files,
    subject: &str,
    names: &BTreeSet<String>,
    now: i64,
    mut make_key: impl FnMut() -> Result<KeyPair, Refused>,
) -> Result<Kept, Refused> {
    let subject = subject.get(..SUBJECT).unwrap_or(subject);
    let mut next = Authority::held(held, NEXT_AUTHORITY, NEXT_AUTHORITY_KEY, now);
    let mut signing = Authority::held(held, AUTHORITY, AUTHORITY_KEY, now);
    if signing.is_none() || next.as_ref().is_some_and(|next| next.age(now) >= NEXT_SIGNS_AFTER) {
        signing = next.take().or(signing);
    }
    let signing = match signing {
        Some(signing) => signing,
        None => Authority::new(subject, now, make_key()?)?,
    };
    if next.is_none() && signing.certificate.not_after - now <= NEXT_BEFORE_END {
        next = Some(Authority::new(subject, now, make_key()?)?);
    }

    let mut files = Files::new();
    let mut put = |key: &str, value: Vec<u8>| files.insert(key.to_owned(), value);
    put(AUTHORITIES, trusted(held, [Some(&signing), next.as_ref()].into_iter().flatten(), now));
    let good = |certificate: &Certificate| {
        let life = certificate.not_after - certificate.not_before;
        let key = key_of(held, KEY).is_some_and(|key| key.public_key_raw() == certificate.public_key);
        key && certificate.names == *names
            && now < certificate.not_before + life / 3 * 2
            && certificate.is_signed_by(&signing.certificate)
    };
    let present = held.get(CERTIFICATE).and_then(|pem| first(pem)).filter(good);
    let not_after = match present {
        Some(present) => {
            for key in [CERTIFICATE, KEY] {
                put(key, held.get(key).cloned().unwrap_or_default());
            }
            present.not_after
        }
        None => {
            let key = make_key()?;
            put(CERTIFICATE, signing.sign(subject, names, now, &key)?);
            put(KEY, key.serialize_pem().into_bytes());
            (now + CERTIFICATE_LIFE).min(signing.certificate.not_after)
        }
    };
    put(AUTHORITY, signing.pem);
    put(AUTHORITY_KEY, signing.key.serialize_pem().into_bytes());
    // Emptied, not left out: a key that somebody else has written, too, could not be removed.
    let had_next = held.contains_key(NEXT_AUTHORITY) || held.contains_key(NEXT_AUTHORITY_KEY);
    let (certificate, key) = match next {
        Some(next) => (next.pem, next.key.serialize_pem().into_bytes()),
        None => Default::default(),
    };
    if had_next || !certificate.is_empty() {
        put(NEXT_AUTHORITY, certificate);
        put(NEXT_AUTHORITY_KEY, key);
    }
    Ok(Kept { files, not_after })
}

/// The authorities that clients trust: those that sign or will, and those that have signed as long as they are valid.
fn trusted<'a>(held: &Files, ours: impl Iterator<Item = &'a Authority>, now: i64) -> Vec<u8> {
    const END: &str = "-----END CERTIFICATE-----";
    let bundle = held.get(AUTHORITIES).map(|bundle| String::from_utf8_lossy(bundle)).unwrap_or_default();
    let known = bundle.split_inclusive(END).filter_map(|text| Some((first(text.as_bytes())?, text.trim())));
    let known: Vec<(Certificate, &str)> = known.filter(|(known, _)| known.not_after > now).collect();
    let missing = ours.filter(|authority| !known.iter().any(|(known, _)| known.der == authority.certificate.der));
    let missing: Vec<String> =
        missing.map(|authority| String::from_utf8_lossy(&authority.pem).trim().to_owned()).collect();
    let texts = known.iter().map(|(_, text)| *text).chain(missing.iter().map(String::as_str));
    texts.fold(String::new(), |text, one| text + one + "\n").into_bytes()
}

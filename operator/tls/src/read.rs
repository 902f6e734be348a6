//! Reading certificates.

use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::{collections::BTreeSet, net::IpAddr};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

/// What of a certificate matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// From when on it is valid, in seconds since 1970.
    pub not_before: i64,
    /// Until when it is valid, in seconds since 1970.
    pub not_after: i64,
    /// The names and addresses that it is for.
    pub names: BTreeSet<String>,
    /// The public key that it vouches for.
    pub(crate) public_key: Vec<u8>,
    pub(crate) der: Vec<u8>,
}

impl Certificate {
    /// From DER; None where it is no certificate.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, found) = X509Certificate::from_der(der).ok()?;
        let validity = found.validity();
        let names = found.subject_alternative_name().ok().flatten();
        let names = names.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => match bytes.len() {
                4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
                _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            },
            _ => None,
        });
        Some(Self {
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
            names: names.collect(),
            public_key: found.public_key().subject_public_key.data.to_vec(),
            der: der.to_vec(),
        })
    }

    /// Whether `authority` has signed it.
    pub(crate) fn is_signed_by(&self, authority: &Self) -> bool {
        let (Ok((_, own)), Ok((_, signer))) =
            (X509Certificate::from_der(&self.der), X509Certificate::from_der(&authority.der))
        else {
            return false;
        };
        own.verify_signature(Some(signer.public_key())).is_ok()
    }
}

/// The certificates in a PEM file, those that cannot be read left out.
pub fn certificates(pem: &[u8]) -> Vec<Certificate> {
    let found = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    found.filter_map(|der| Certificate::read(&der)).collect()
}

/// The first certificate in a PEM file: that of the server itself.
pub fn first(pem: &[u8]) -> Option<Certificate> {
    certificates(pem).into_iter().next()
}

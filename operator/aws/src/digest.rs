//! SHA-256, as names, as hashes of plans and as fingerprints of secrets.

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::fmt;

const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

fn sha256(text: &str) -> impl AsRef<[u8]> {
    digest(&SHA256, text.as_bytes())
}

/// 64 hexadecimal digits.
pub(crate) fn hex(text: &str) -> String {
    sha256(text).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 16 characters `a-z2-7`: 80 bits, which no two names of one account share by chance.
pub(crate) fn short(text: &str) -> String {
    let bytes = sha256(text);
    let bits = bytes.as_ref().iter().take(10).fold(0u128, |bits, byte| bits << 8 | u128::from(*byte));
    (0..16).rev().map(|at| char::from(BASE32[(bits >> (at * 5) & 31) as usize])).collect()
}

/// A number from 0 to below 1, the same for the same text.
pub(crate) fn fraction(text: &str) -> f64 {
    let bytes = sha256(text);
    let bits = bytes.as_ref().iter().take(4).fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
    f64::from(bits) / 2f64.powi(32)
}

/// A password. It prints as nothing, and is in no plan, no condition and no memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Takes it as it is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What it says. For requests only.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What can be remembered of it.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(hex(&format!("password/{}", self.0)))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// Tells whether a password is another one, without telling the password.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fingerprint(String);

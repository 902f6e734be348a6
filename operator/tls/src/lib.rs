//! Certificates of stores: how they are made and renewed (pure), read, and verified by clients. No Kubernetes in here.

mod client;
mod issue;
mod postgres;
mod read;

pub use client::{Connector, Error, Trust};
pub use issue::{
    AUTHORITIES, AUTHORITY, AUTHORITY_KEY, CERTIFICATE, Files, KEY, Kept, NEXT_AUTHORITY, NEXT_AUTHORITY_KEY, Refused,
    make_key, renewed,
};
pub use postgres::PostgresStream;
pub use rcgen::KeyPair;
pub use read::{Certificate, certificates, first};

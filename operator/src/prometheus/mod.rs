//! Reading figures from Prometheus and from whatever speaks its query API.

pub mod address;
pub mod api;
pub mod batch;
pub mod client;
pub mod decode;
pub mod preset;
pub mod promql;
pub mod query;
pub mod source;

pub use api::{PromApi, QueryError, Series, Vector};
pub use source::{CredentialsKey, Source, SourceKey};

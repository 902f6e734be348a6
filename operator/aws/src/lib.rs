//! What is done to databases, caches and distributions at AWS. No Kubernetes in here.
//!
//! Each service is a room of the same shape: what is wished, what was seen (the answers of describe calls as plain values),
//! what is remembered, a pure `plan` from these to a [`Step`], and a narrow trait for the few calls that are made. A round
//! observes, plans, and sends at most one call that changes something; then the world is looked at anew.
//!
//! A round can be cut off anywhere. What a [`Step`] says to remember is written down *before* its call is sent, so that the next
//! round knows what may have been done. Losing the memory costs a repeated call, never data: names are
//! derived from the [`Identity`], and what a name finds is told apart by its owner's tags.

pub mod acm;
mod bucket;
pub mod cloudfront;
mod digest;
pub mod elasticache;
mod error;
pub mod iam;
mod identity;
mod owner;
mod plan;
pub mod rds;
mod seen;
mod settings;
mod step;
mod trouble;
mod wish;

pub use bucket::{Bucket, Buckets, Rate, Service, Spot};
pub use digest::{Fingerprint, Password};
pub use error::{Class, Error};
pub use identity::{Identity, InvalidIdentity};
pub use owner::{Owner, Standing, TAGS, Tags};
pub use plan::{Allow, Approved, Call, Consent, Mode, Plan, Planned};
pub use seen::Endpoint;
pub use settings::{Setting, Settings, Value, When, major};
pub use step::{CHANGING, Condition, Kind, Step};
pub use trouble::{Trouble, Troubles};
use wish::own_group;
pub use wish::{DeletionPolicy, Parameters, Wished};

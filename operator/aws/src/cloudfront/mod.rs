//! Distributions at CloudFront: whole ones of our own, or behaviours and origins in somebody else's.

mod api;
mod behavior;
mod call;
mod check;
mod companion;
mod element;
mod lint;
mod memory;
mod overlay;
mod plan;
mod render;
mod seen;
mod wish;

pub use api::{CloudFront, observe};
pub use behavior::{
    Behavior, CacheSettings, Cors, Event, Forwarded, ForwardedHeaders, Function, FunctionRef, Hsts, Legacy, Names,
    Policy, ResponseHeaders,
};
pub use call::Call;
pub use companion::CompanionKind;
pub use element::{Element, Malformed};
pub use lint::{Rule, Warning, lint};
pub use memory::{Batch, Memory};
pub use plan::{Step, View, plan};
pub use seen::{Companion, Distribution, Listed, Seen};
pub use wish::{
    BucketAccess, Certificate, Custom, DeletionPolicy, ErrorPage, GeoRestriction, Logging, Origin, OriginKind, Scope,
    Spec, Wish,
};

/// The zone that alias records of DNS name as that of every distribution, by AWS's documentation.
pub const HOSTED_ZONE: &str = "Z2FDTNDATAQYW2";

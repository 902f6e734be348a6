//! Distributions at CloudFront: whole ones of our own, or behaviours and origins in somebody else's.

mod api;
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
pub use call::Call;
pub use companion::CompanionKind;
pub use element::{Element, Malformed};
pub use lint::{Rule, Warning, lint};
pub use memory::{Batch, Memory};
pub use plan::{Step, View, plan};
pub use seen::{Companion, Distribution, Listed, Seen};
pub use wish::{
    Behavior, BucketAccess, CacheSettings, Certificate, Cors, Custom, DeletionPolicy, ErrorPage, Event, Forwarded,
    ForwardedHeaders, Function, FunctionRef, GeoRestriction, Hsts, Legacy, Logging, Names, Origin, OriginKind, Policy,
    ResponseHeaders, Scope, Spec, Wish,
};

/// The zone that alias records of DNS name as that of every distribution, by AWS's documentation.
pub const HOSTED_ZONE: &str = "Z2FDTNDATAQYW2";

//! The autoscaling room: from `spec.apps[].autoscaling` to a policy, and from a decision to a HorizontalPodAutoscaler.

mod behavior;
pub mod calendar;
pub mod hpa;
pub mod policy;
pub mod quantity;
mod tier;
mod told;

pub use calendar::calendars;
pub use hpa::{first_bounds, has_metric, hpa};
pub use policy::{Calendars, FieldError, policy};
pub use tier::{Autoscaling, Observed, ValidScaling, validate};

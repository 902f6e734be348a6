//! What tests on a real cluster share: a namespace of their own, an operator process of their own under an account that
//! has the chart's rights and no more, a Prometheus of their own, and a load that obeys to the request.

mod load;
mod namespace;
mod operator;
mod prometheus;
mod wait;

pub use load::Load;
pub use namespace::TestNamespace;
pub use operator::{Operator, operator_binary};
pub use prometheus::Prometheus;
pub use wait::{eventually, holds_for};

/// Image of the sample learning app, as the cluster has it.
pub const SAMPLE_APP_IMAGE: &str = "learningplatform/sample-app:dev";

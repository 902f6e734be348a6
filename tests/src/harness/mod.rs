//! What tests on a real cluster share: a namespace of their own, an operator process of their own under an account that
//! has the chart's rights and no more, a Prometheus of their own, and a load that obeys to the request.

mod http;
mod load;
mod namespace;
mod operator;
mod prometheus;
mod recorder;
mod wait;

pub use http::get;
pub use load::Load;
pub use namespace::TestNamespace;
pub use operator::{Operator, account, operator_binary};
pub use prometheus::{Pods, Prometheus};
pub use recorder::{Recorder, Seen};
pub use wait::{eventually, holds_for};

/// Image of the sample learning app, as the cluster has it.
pub const SAMPLE_APP_IMAGE: &str = "learningplatform/sample-app:dev";

//! What tests on a real cluster share: a namespace of their own, an operator process of their own under an account that
//! has the chart's rights and no more, a Prometheus of their own, and a load that obeys to the request.

mod audit;
mod fault_proxy;
mod http;
mod kubectl;
mod load;
mod metrics_api;
mod namespace;
mod need;
mod operator;
mod prometheus;
mod recorder;
mod traffic;
mod wait;

pub use audit::AuditLog;
pub use fault_proxy::{Fault, FaultProxy, Rules};
pub use http::get;
pub use kubectl::kubectl;
pub use load::Load;
pub use metrics_api::MetricsApi;
pub use namespace::TestNamespace;
pub use need::Need;
pub use operator::{Operator, account, grant, operator_binary};
pub use prometheus::{Pods, Prometheus};
pub use recorder::{Recorder, Seen};
pub use traffic::Traffic;
pub use wait::{eventually, holds_for};

/// Image of the sample learning app, as the cluster has it.
pub const SAMPLE_APP_IMAGE: &str = "learningplatform/sample-app:dev";

/// Whether the cluster's API discovery works. A test that breaks it (it is one for all) holds this for writing; one that
/// waits for the end of a namespace, which needs discovery, for reading.
pub static DISCOVERY: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());

/// What `cluster status -o json` says of the cluster, from `LP_STATUS`.
///
/// # Panics
/// Where it is not set: `make test` does.
pub fn cluster_status() -> serde_json::Value {
    let status = std::env::var("LP_STATUS").expect("LP_STATUS holds the cluster's status: run `make test`");
    serde_json::from_str(&status).expect("LP_STATUS is JSON")
}

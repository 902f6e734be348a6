//! What a test needs of the cluster and not every cluster has.

use serde_json::Value;
use std::io::Write as _;

/// Something that the project's own node has, and another cluster may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The API server's audit log, as a file.
    AuditLog,
    /// A way from this machine to the addresses of pods.
    PodRoute,
    /// A storage class whose volumes can grow, and one whose cannot.
    VolumesThatGrow,
}

impl Need {
    /// Whether the cluster lacks it. Then the running test is told as skipped, and has nothing left to do.
    ///
    /// The runner of Rust's tests knows no such outcome while a test runs: `tests/run` counts the lines `SKIPPED` instead.
    pub fn is_missing(self) -> bool {
        let why = self.lacking(&super::cluster_status());
        if let Some(why) = why {
            let thread = std::thread::current();
            // Past the runner, which keeps what a test prints and shows it of failed ones only; and in one piece, as other
            // tests write too.
            let line = format!("\nSKIPPED {}: {why}\n", thread.name().unwrap_or("a test"));
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
        why.is_some()
    }

    /// Why a test that needs it cannot run on the cluster of this status.
    fn lacking(self, status: &Value) -> Option<&'static str> {
        let (field, why) = match self {
            Self::AuditLog => {
                ("auditLog", "the cluster shows no audit log of its API server: use the project's own node, or kind")
            }
            Self::VolumesThatGrow => ("netns", "the cluster's volumes cannot grow: use the project's own node"),
            Self::PodRoute => (
                "podCIDR",
                "pods cannot be reached from here: `tests/cluster/cluster up` says how to mend that on kind",
            ),
        };
        status[field].as_str().unwrap_or_default().is_empty().then_some(why)
    }
}

//! Leader election by a Lease: one replica acts, the others stand by with full stores.

use crate::args::Args;
use k8s_controller::LeaderElection;
use kube::Client;
use std::{future::Future, time::Duration};

/// The election this replica takes part in; None where it acts alone.
pub struct Election(Option<LeaderElection>);

/// The lease was lost: another replica may act, so this process must end at once.
#[derive(Debug, thiserror::Error)]
#[error("the lease was lost: another replica may be acting now")]
pub struct Lost;

impl Election {
    /// The election that the arguments describe. Their timings were checked by [`Args::settings`].
    pub fn new(client: &Client, args: &Args, identity: &str) -> Self {
        if !args.leader_election {
            return Self(None);
        }
        let namespace = args.lease_namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
        let election = LeaderElection::new(client.clone(), &namespace, &args.lease_name, identity)
            .with_lease_duration(args.lease_duration)
            .with_renew_deadline(args.renew_deadline)
            .with_retry_period(args.retry_period);
        Self(Some(election))
    }

    /// Runs `work` once this replica leads, and gives the lease back when it ends.
    ///
    /// # Errors
    /// [`Lost`] if the lease is lost meanwhile; `work` is dropped then.
    pub async fn lead<F: Future>(&self, work: F) -> Result<F::Output, Lost> {
        match &self.0 {
            None => Ok(work.await),
            Some(election) => election.with_lease(work).await.ok_or(Lost),
        }
    }

    /// Gives the lease back, if this replica holds it: after a stop amid the attempt to get it.
    pub async fn release(&self) {
        if let Some(election) = &self.0 {
            election.release().await;
        }
    }
}

/// The name of this replica: the one given, else the host name, which in a pod is the pod's name.
pub fn identity(args: &Args) -> String {
    if let Some(identity) = args.identity.as_ref().filter(|i| !i.is_empty()) {
        return identity.clone();
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    // Two processes on one host are two replicas.
    format!("{}_{}", host.trim(), std::process::id())
}

/// Time to drain after a stop: a lease is given back within it.
pub const DRAIN: Duration = Duration::from_secs(5);

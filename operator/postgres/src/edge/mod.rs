//! The edge: what is asked of servers, and what is done to them. Servers are reached by their pods' addresses.

mod act;
mod managed;
mod primary;
mod replica;
mod session;
mod settings;

use crate::{
    error::Error,
    model::{Password, Pod, Role, Wish},
    seen::{ReplicaSeen, Seen},
};
pub use act::carry_out;
use futures::future::join_all;
pub use managed::Administrator;
pub use session::Access;
use session::Endpoint;
use std::collections::{BTreeMap, BTreeSet};

/// What to look at.
#[derive(Debug)]
pub struct Ask<'a> {
    /// What is wished.
    pub wish: &'a Wish,
    /// The pods that Kubernetes has.
    pub pods: Vec<Pod>,
    /// `replicas` of the read replicas' StatefulSet; 0 where there is none.
    pub replicas: u32,
    /// The replicas that a Service sends readers to.
    pub routed: BTreeSet<u32>,
    /// The operator's password.
    pub password: &'a Password,
    /// Whether to log in as apps do, to see whether their passwords work. Wanted when a password has changed and now and
    /// then; never is worse than often.
    pub logins: bool,
    /// Whether to ask for sizes, which reads the directories of all databases.
    pub sizes: bool,
}

/// Looks at the primary, and then at the replicas at once. Takes up to about ten seconds where servers hang.
pub async fn observe(ask: Ask<'_>) -> Seen {
    let at = |role| {
        let pod = ask.pods.iter().find(|pod| pod.role == role);
        pod.and_then(|pod| Endpoint::of(pod, ask.wish.trust.as_ref()))
    };
    let mut primary = match at(Role::Primary) {
        Some(endpoint) => primary::observe(endpoint, &ask).await,
        None => Err(Error::NoPod("of the primary".to_owned())),
    };
    let replicas = ask.pods.iter().filter_map(|pod| match pod.role {
        Role::Replica(ordinal) => Some((ordinal, at(pod.role), &pod.name)),
        Role::Primary => None,
    });
    let answers = replicas.map(|(ordinal, endpoint, name)| async move {
        let answer = match endpoint {
            Some(endpoint) => replica::observe(endpoint, ask.password).await,
            None => Err(Error::NoPod(name.clone())),
        };
        (ordinal, answer)
    });
    let replica: BTreeMap<_, _> = join_all(answers).await.into_iter().collect();
    // Asked after the replicas, the primary is behind none that follows it.
    let most = replica.values().filter_map(|answer: &Result<ReplicaSeen, _>| answer.as_ref().ok()?.received).max();
    if let (Ok(seen), Some(endpoint)) = (&mut primary, at(Role::Primary))
        && most.is_some_and(|most| most > seen.current)
    {
        match primary::current(endpoint, ask.password).await {
            Ok(current) => seen.current = current,
            Err(error) => primary = Err(error),
        }
    }
    Seen { replica, primary, pods: ask.pods, replicas: ask.replicas, routed: ask.routed }
}

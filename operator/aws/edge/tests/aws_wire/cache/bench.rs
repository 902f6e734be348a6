//! Caches of one account: an operator, the SDK, the proxy, the server.

use super::driver::{Double, Operator};
use crate::bench::Account;
use aws::elasticache::{ElastiCache, Group, Snapshot, User, UserGroup, Wish};
use learningplatform_aws_edge::{
    Settings, Windows,
    elasticache::{SdkElastiCache, Seat, Shared},
};
use std::{ops::Deref, sync::Arc};

impl Double for Seat {}

/// Caches of one account.
pub struct Bench {
    account: Account,
    pub shared: Arc<Shared>,
}

impl Deref for Bench {
    type Target = Account;

    fn deref(&self) -> &Account {
        &self.account
    }
}

impl Bench {
    pub async fn new() -> Self {
        Self::with(|settings| settings).await
    }

    pub async fn with(change: impl FnOnce(Settings) -> Settings) -> Self {
        let account = Account::with(change).await;
        let caches = SdkElastiCache::new(account.clients.elasticache.clone(), account.now());
        let shared = Shared::new(caches, Windows::default(), account.now());
        Self { account, shared }
    }

    /// An operator that has just begun.
    pub fn operator(&self, wish: Wish) -> Operator<Seat> {
        Operator::at(Arc::new(self.shared.seat()), self.clock.clone(), wish)
    }

    /// An operator of a process that has just begun: it knows no tags.
    pub fn restarted(&self, wish: Wish) -> Operator<Seat> {
        let caches = SdkElastiCache::new(self.clients.elasticache.clone(), self.now());
        let shared = Shared::new(caches, Windows::default(), self.now());
        Operator::at(Arc::new(shared.seat()), self.clock.clone(), wish)
    }

    /// What there is, past the proxy, with the tags of now.
    pub fn truth(&self) -> SdkElastiCache {
        SdkElastiCache::new(self.direct.elasticache.clone(), self.now())
    }

    pub async fn groups(&self) -> Arc<[Group]> {
        self.truth().groups().await.expect("nothing goes wrong past the proxy")
    }

    pub async fn group(&self, id: &str) -> Group {
        self.groups().await.iter().find(|group| group.id == id).cloned().expect("it is there")
    }

    pub async fn users(&self) -> Arc<[User]> {
        self.truth().users().await.expect("nothing goes wrong past the proxy")
    }

    pub async fn user_groups(&self) -> Arc<[UserGroup]> {
        self.truth().user_groups().await.expect("nothing goes wrong past the proxy")
    }

    pub async fn snapshots(&self) -> Arc<[Snapshot]> {
        self.truth().snapshots().await.expect("nothing goes wrong past the proxy")
    }

    /// Operations that change something, in order, with what they name, and whether they were carried out.
    pub fn changes(&self, since: usize) -> Vec<String> {
        let log = self.proxy.log().into_iter();
        log.filter(|one| !["Describe", "List"].iter().any(|start| one.operation.starts_with(start)))
            .map(|one| format!("{} {}{}", one.operation, one.resource, if one.done { "" } else { " refused" }))
            .skip(since)
            .collect()
    }
}

//! The clients of a process. Platforms with the same settings share them, with their credentials and their looks.

use crate::{
    Clients, InvalidSettings, Limits, Settings, Signer, Windows,
    cloudfront::{self, SdkCloudFront},
    elasticache::{self, SdkElastiCache},
    rds::{self, SdkRds},
};
use aws_credential_types::provider::SharedCredentialsProvider;
use jiff::Timestamp;
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};
use tokio::sync::Mutex;

/// An account in a region, as these settings see it.
pub struct Account {
    /// The clients of its services.
    pub clients: Clients,
    /// Databases; each has a [`crate::Seat`] at it.
    pub rds: Arc<rds::Shared>,
    /// Caches; each has a [`crate::Seat`] at it.
    pub elasticache: Arc<elasticache::Shared>,
    /// Distributions; each has a [`cloudfront::Seat`] at it. They are of the account, whatever the region.
    pub cloudfront: Arc<cloudfront::Shared<SdkCloudFront>>,
}

/// All accounts that are used.
pub struct Accounts {
    limits: Arc<Limits>,
    windows: Windows,
    credentials: Option<SharedCredentialsProvider>,
    used: Mutex<HashMap<Settings, Weak<Account>>>,
}

impl Accounts {
    /// None yet. Without credentials they are found as the SDK does by default.
    pub fn new(limits: Arc<Limits>, windows: Windows, credentials: Option<SharedCredentialsProvider>) -> Self {
        Self { limits, windows, credentials, used: Mutex::default() }
    }

    /// The one of these settings. It is kept for as long as somebody uses it.
    ///
    /// # Errors
    /// A field of the settings is wrong.
    pub async fn of(&self, settings: &Settings) -> Result<Arc<Account>, InvalidSettings> {
        let mut used = self.used.lock().await;
        if let Some(account) = used.get(settings).and_then(Weak::upgrade) {
            return Ok(account);
        }
        let clients = Clients::new(settings, &self.limits, self.credentials.clone()).await?;
        let rds = rds::Shared::new(SdkRds::new(clients.rds.clone()), self.windows, Timestamp::now);
        let caches = SdkElastiCache::new(clients.elasticache.clone(), Timestamp::now);
        let elasticache = elasticache::Shared::new(caches, self.windows, Timestamp::now);
        let distributions = SdkCloudFront::new(clients.cloudfront.clone(), clients.acm.clone());
        let listed = self.windows.listed;
        let windows = cloudfront::Windows { listed, unissued: listed * 12, ..cloudfront::Windows::default() };
        let cloudfront = cloudfront::Shared::new(distributions, windows, Timestamp::now);
        let account = Arc::new(Account { clients, rds, elasticache, cloudfront });
        used.retain(|_, account| account.strong_count() > 0);
        used.insert(settings.clone(), Arc::downgrade(&account));
        Ok(account)
    }

    /// Signs requests to another service, by its name in signatures.
    ///
    /// # Errors
    /// A field of the settings is wrong.
    pub async fn signer(&self, settings: &Settings, service: &'static str) -> Result<Signer, InvalidSettings> {
        Signer::new(settings, service, self.credentials.clone()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;
    use aws::Rate;

    #[tokio::test]
    async fn platforms_of_the_same_settings_share_an_account_for_as_long_as_one_uses_it() {
        let limits = Arc::new(Limits::new(Rate { per_second: 1.0, burst: 1.0 }));
        let accounts = Accounts::new(limits, Windows::default(), None);
        let own = Settings::new("eu-central-1");
        let arn = "arn:aws:iam::123456789012:role/tenant".to_owned();
        let role = Some(Role { arn, external_id: None, session: "lp".into() });
        let tenant = Settings { role, ..own.clone() };
        let one = accounts.of(&own).await.expect("legal");
        let same = accounts.of(&own).await.expect("legal");
        let other = accounts.of(&tenant).await.expect("legal");
        assert!(Arc::ptr_eq(&one, &same) && !Arc::ptr_eq(&one, &other));
        assert!(accounts.of(&Settings::new("?")).await.is_err());
        drop((one, same));
        accounts.of(&Settings::new("eu-west-1")).await.expect("legal");
        assert_eq!(accounts.used.lock().await.len(), 2, "what nobody uses is not kept");
    }
}

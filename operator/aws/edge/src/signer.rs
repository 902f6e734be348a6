//! Signs requests of other clients to services of AWS that have none in the SDK: queries to a managed Prometheus.

use crate::{InvalidSettings, Settings, clients};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider},
};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use std::time::{Duration, SystemTime};
use tokio::sync::Mutex;

/// How long before their end credentials are no longer used (P): requests are on their way for a while.
const BEFORE_END: Duration = Duration::from_secs(60);
/// How long credentials without an end are used (P): they may have been changed since.
const WITHOUT_END: Duration = Duration::from_secs(600);

/// Signs with Signature Version 4, in the header.
#[derive(Debug)]
pub struct Signer {
    credentials: SharedCredentialsProvider,
    region: String,
    service: &'static str,
    current: Mutex<Option<(Credentials, SystemTime)>>,
}

/// Why nothing could be signed. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsigned {
    /// Nobody gives credentials, for now.
    #[error("AWS's SDK finds no credentials: {0}")]
    NoCredentials(String),
    /// The request cannot be signed as it is.
    #[error("the request cannot be signed: {0}")]
    Request(String),
}

impl Signer {
    /// For a service, by its name in signatures. Credentials are found as the SDK does by default, unless they are given.
    ///
    /// # Errors
    /// A field of the settings is wrong.
    pub async fn new(
        settings: &Settings,
        service: &'static str,
        credentials: Option<SharedCredentialsProvider>,
    ) -> Result<Self, InvalidSettings> {
        settings.check()?;
        let config = clients::config(settings, credentials).await;
        let remedy = "the SDK has no way to find credentials: give the operator's service account a role";
        let none = || InvalidSettings { field: "region", value: settings.region.clone(), remedy };
        Ok(Self {
            credentials: config.credentials_provider().ok_or_else(none)?,
            region: settings.region.clone(),
            service,
            current: Mutex::default(),
        })
    }

    /// The headers that a request is to bear beside its own.
    ///
    /// # Errors
    /// There are no credentials, or the URL is none.
    pub async fn sign(
        &self,
        method: &str,
        url: &str,
        body: &[u8],
        now: SystemTime,
    ) -> Result<Vec<(&'static str, String)>, Unsigned> {
        let odd = |error: &dyn std::fmt::Display| Unsigned::Request(error.to_string());
        let identity = self.credentials(now).await?.into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.service)
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| odd(&error))?
            .into();
        let request = SignableRequest::new(method, url, std::iter::empty(), SignableBody::Bytes(body));
        let signed = sign(request.map_err(|error| odd(&error))?, &params).map_err(|error| odd(&error))?;
        let (headers, _) = signed.into_parts().0.into_parts();
        Ok(headers.into_iter().map(|header| (header.name(), header.value().to_owned())).collect())
    }

    async fn credentials(&self, now: SystemTime) -> Result<Credentials, Unsigned> {
        let mut current = self.current.lock().await;
        if let Some((credentials, _)) = current.as_ref().filter(|(_, until)| now < *until) {
            return Ok(credentials.clone());
        }
        let found = self.credentials.provide_credentials().await;
        let found = found.map_err(|error| Unsigned::NoCredentials(error.to_string()))?;
        let until = found.expiry().map_or(now + WITHOUT_END, |end| end - BEFORE_END);
        *current = Some((found.clone(), until));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_credential_types::provider::{error::CredentialsError, future};
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Gives other credentials each time, each for an hour; none from the third time on.
    #[derive(Debug, Default)]
    struct Hourly(AtomicU64);

    impl ProvideCredentials for Hourly {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            let end = SystemTime::UNIX_EPOCH + Duration::from_secs(3600 * (number + 1));
            let given = Credentials::new(format!("AKID{number}"), "hush", Some("token".into()), Some(end), "tests");
            future::ProvideCredentials::ready(if number < 2 {
                Ok(given)
            } else {
                Err(CredentialsError::not_loaded("gone"))
            })
        }
    }

    #[tokio::test]
    async fn credentials_are_used_until_shortly_before_their_end() {
        let provider = SharedCredentialsProvider::new(Hourly::default());
        let signer = Signer::new(&Settings::new("eu-central-1"), "aps", Some(provider)).await.expect("legal");
        let url = "https://aps-workspaces.eu-central-1.amazonaws.com/workspaces/ws-1/api/v1/query";
        let by = async |second: u64| {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            let headers = signer.sign("POST", url, b"query=up", now).await?;
            let (_, value) = headers.iter().find(|(name, _)| *name == "authorization").expect("a signature");
            assert!(headers.contains(&("x-amz-security-token", "token".to_owned())), "{headers:?}");
            assert!(value.contains("/19700101/eu-central-1/aps/aws4_request"), "{value}");
            Ok::<_, Unsigned>(value.split(['=', '/']).nth(1).unwrap_or_default().to_owned())
        };
        assert_eq!(by(0).await.as_deref(), Ok("AKID0"));
        assert_eq!(by(3500).await.as_deref(), Ok("AKID0"));
        assert_eq!(by(3550).await.as_deref(), Ok("AKID1"));
        let gone = by(7150).await.expect_err("nobody gives any");
        assert!(matches!(gone, Unsigned::NoCredentials(_)) && !gone.to_string().contains("hush"), "{gone}");
        let odd = signer.sign("POST", "not a url", b"", SystemTime::UNIX_EPOCH).await;
        assert!(odd.is_err());
    }
}

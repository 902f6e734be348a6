//! Clients of the services, of one account and region.

use crate::limits::{Limited, Limits};
use aws::{Service, Spot};
use aws_config::{
    BehaviorVersion, Region, SdkConfig, retry::RetryConfig, sts::AssumeRoleProvider, timeout::TimeoutConfig,
};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls;
use std::{sync::Arc, time::Duration};

/// The region that CloudFront's calls are signed for, one service for all regions, and those about its certificates.
const GLOBAL: &str = "us-east-1";

/// What a platform's clients are made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The region of databases and caches.
    pub region: String,
    /// Where the services are asked, where not at AWS.
    pub endpoints: Endpoints,
    /// The role to assume. Without it the operator's own is used.
    pub role: Option<Role>,
    /// How often a request is sent at most, with the first time. The SDK waits in between, by its standard mode: the adaptive
    /// one's own limit is one for all accounts of a process, and beside ours it holds calls for minutes.
    pub attempts: u32,
    /// How long a connection may take to be made.
    pub connect: Duration,
    /// How long an answer may take to begin.
    pub read: Duration,
}

/// URLs to ask instead of AWS's; `AWS_ENDPOINT_URL_RDS` and its like do the same from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Endpoints {
    /// RDS.
    pub rds: Option<String>,
    /// ElastiCache.
    pub elasticache: Option<String>,
    /// CloudFront.
    pub cloudfront: Option<String>,
    /// ACM, for the certificates of distributions.
    pub acm: Option<String>,
    /// STS, for a role.
    pub sts: Option<String>,
}

/// A role to assume.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Role {
    /// `arn:aws:iam::123456789012:role/name`.
    pub arn: String,
    /// What the role's trust asks for.
    pub external_id: Option<String>,
    /// Name of the session: it is in AWS's logs.
    pub session: String,
}

/// Settings that no client can be made of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {value:?}: {remedy}")]
pub struct InvalidSettings {
    /// Which.
    pub field: &'static str,
    /// What it is.
    pub value: String,
    /// How to mend it.
    pub remedy: &'static str,
}

impl Settings {
    /// At AWS, with the operator's own credentials, each request sent three times at most.
    pub fn new(region: impl Into<String>) -> Self {
        Self {
            region: region.into(),
            endpoints: Endpoints::default(),
            role: None,
            attempts: 3,
            connect: Duration::from_secs(5),
            read: Duration::from_secs(60),
        }
    }

    /// Checks all that a tenant may have written.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn check(&self) -> Result<(), InvalidSettings> {
        let wrong = |field, value: &str, remedy| Err(InvalidSettings { field, value: value.to_owned(), remedy });
        // It becomes part of a host name.
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.region.is_empty() || self.region.len() > 32 || !self.region.chars().all(legal) {
            return wrong("region", &self.region, "write it as AWS does, as eu-central-1");
        }
        let Endpoints { rds, elasticache, cloudfront, acm, sts } = &self.endpoints;
        for (field, url) in [
            ("endpoints.rds", rds),
            ("endpoints.elasticache", elasticache),
            ("endpoints.cloudfront", cloudfront),
            ("endpoints.acm", acm),
            ("endpoints.sts", sts),
        ] {
            if let Some(url) = url.as_ref().filter(|url| !["https://", "http://"].iter().any(|it| url.starts_with(it)))
            {
                return wrong(field, url, "write a URL that begins with https:// or http://");
            }
        }
        match &self.role {
            Some(role) if role_account(&role.arn).is_none() => {
                wrong("role", &role.arn, "write the role's ARN, as arn:aws:iam::123456789012:role/name")
            }
            _ => Ok(()),
        }
    }

    /// What the limit of a service counts. The operator's own account goes by a name of its own, because nobody has to
    /// tell its number.
    pub fn spot(&self, service: Service) -> Spot {
        let account = self.role.as_ref().and_then(|role| role_account(&role.arn)).unwrap_or("own").to_owned();
        let region = if service == Service::CloudFront { GLOBAL.to_owned() } else { self.region.clone() };
        Spot { account, region, service }
    }
}

/// The account of a role.
fn role_account(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(6, ':');
    let head = (parts.next()?, parts.next()?.starts_with("aws"), parts.next()?, parts.next()?);
    let (account, role) = (parts.next()?, parts.next()?);
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    (head == ("arn", true, "iam", "") && is_account && role.len() > 5 && role.starts_with("role/")).then_some(account)
}

/// Clients of the three services.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Databases.
    pub rds: aws_sdk_rds::Client,
    /// Caches.
    pub elasticache: aws_sdk_elasticache::Client,
    /// Distributions.
    pub cloudfront: aws_sdk_cloudfront::Client,
    /// Certificates of distributions.
    pub acm: aws_sdk_acm::Client,
}

impl Clients {
    /// Makes them; AWS is not asked yet. Credentials are looked for as the SDK does by default (environment, web identity,
    /// pod identity, instance), unless they are given.
    ///
    /// # Errors
    /// A field of the settings is wrong.
    pub async fn new(
        settings: &Settings,
        limits: &Arc<Limits>,
        credentials: Option<SharedCredentialsProvider>,
    ) -> Result<Self, InvalidSettings> {
        settings.check()?;
        let config = config(settings, credentials).await;
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc))
            .build_https();
        let limited = |service| Limited { client: http.clone(), limits: limits.clone(), spot: settings.spot(service) };
        let Endpoints { rds, elasticache, cloudfront, acm, sts: _ } = settings.endpoints.clone();

        let mut of_rds = aws_sdk_rds::config::Builder::from(&config).http_client(limited(Service::Rds));
        let mut of_elasticache =
            aws_sdk_elasticache::config::Builder::from(&config).http_client(limited(Service::ElastiCache));
        let mut of_cloudfront = aws_sdk_cloudfront::config::Builder::from(&config)
            .http_client(limited(Service::CloudFront))
            .region(Region::new(GLOBAL));
        // It is asked for distributions only, and shares their limit.
        let mut of_acm = aws_sdk_acm::config::Builder::from(&config)
            .http_client(limited(Service::CloudFront))
            .region(Region::new(GLOBAL));
        // What the environment says holds where the settings say nothing.
        if rds.is_some() {
            of_rds.set_endpoint_url(rds);
        }
        if elasticache.is_some() {
            of_elasticache.set_endpoint_url(elasticache);
        }
        if cloudfront.is_some() {
            of_cloudfront.set_endpoint_url(cloudfront);
        }
        if acm.is_some() {
            of_acm.set_endpoint_url(acm);
        }
        Ok(Self {
            rds: aws_sdk_rds::Client::from_conf(of_rds.build()),
            elasticache: aws_sdk_elasticache::Client::from_conf(of_elasticache.build()),
            cloudfront: aws_sdk_cloudfront::Client::from_conf(of_cloudfront.build()),
            acm: aws_sdk_acm::Client::from_conf(of_acm.build()),
        })
    }
}

pub(crate) async fn config(settings: &Settings, credentials: Option<SharedCredentialsProvider>) -> SdkConfig {
    let region = Region::new(settings.region.clone());
    let timeouts = TimeoutConfig::builder().connect_timeout(settings.connect).read_timeout(settings.read).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(region.clone())
        .retry_config(RetryConfig::standard().with_max_attempts(settings.attempts.max(1)))
        .timeout_config(timeouts);
    if let Some(credentials) = credentials {
        loader = loader.credentials_provider(credentials);
    }
    let config = loader.load().await;
    let Some(role) = &settings.role else { return config };
    let mut sts = config.to_builder();
    if settings.endpoints.sts.is_some() {
        sts.set_endpoint_url(settings.endpoints.sts.clone());
    }
    let mut provider =
        AssumeRoleProvider::builder(&role.arn).session_name(&role.session).region(region).configure(&sts.build());
    if let Some(id) = &role.external_id {
        provider = provider.external_id(id);
    }
    let own = config.credentials_provider();
    let provider = match own {
        Some(own) => provider.build_from_provider(own).await,
        None => provider.build().await,
    };
    config.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_are_told_by_field_and_remedy() {
        let good = Settings::new("eu-central-1");
        assert_eq!(good.check(), Ok(()));
        let role = |arn: &str| Some(Role { arn: arn.into(), external_id: None, session: "lp".into() });
        let wrong: [(&str, Settings); 7] = [
            ("region", Settings::new("")),
            ("region", Settings::new("evil.example/")),
            (
                "endpoints.rds",
                Settings {
                    endpoints: Endpoints { rds: Some("ftp://x".into()), ..Endpoints::default() },
                    ..good.clone()
                },
            ),
            (
                "endpoints.sts",
                Settings {
                    endpoints: Endpoints { sts: Some("localhost".into()), ..Endpoints::default() },
                    ..good.clone()
                },
            ),
            ("role", Settings { role: role("name"), ..good.clone() }),
            ("role", Settings { role: role("arn:aws:iam::12:role/name"), ..good.clone() }),
            ("role", Settings { role: role("arn:aws:iam::123456789012:user/name"), ..good.clone() }),
        ];
        for (field, settings) in wrong {
            let told = settings.check().expect_err("it is wrong");
            assert_eq!(told.field, field, "{told}");
            assert!(told.to_string().contains(": write"), "{told}");
        }
        for arn in ["arn:aws:iam::123456789012:role/name", "arn:aws-cn:iam::123456789012:role/path/name"] {
            let settings = Settings { role: role(arn), ..good.clone() };
            assert_eq!(settings.check(), Ok(()));
            assert_eq!(settings.spot(Service::Rds).account, "123456789012");
        }
        assert_eq!(good.spot(Service::CloudFront).region, "us-east-1");
    }
}

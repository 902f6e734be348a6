//! What a pass works with: clients, the writer, what has been observed, and plain settings.

use crate::{
    apply::Writer,
    backoff::Backoff,
    capabilities::Capabilities,
    evaluate::{Registry, ScalingStore},
    events::Events,
    keeper::{
        Keepers, StoreKey,
        cache::{self, CacheKeeper},
        cloudfront::CloudFrontKeeper,
        database::{self, DatabaseKeeper},
        elasticache::ElastiCacheKeeper,
        elasticache_servers::ElastiCacheServers,
        rds::RdsKeeper,
        rds_servers::RdsServers,
    },
    metrics::Metrics,
    naming::PlatformKey,
    stores::Stores,
    tiers::aws::account::AllowedRole,
};
use kube::Client;
use std::{path::PathBuf, sync::Arc, time::Duration};

/// What AWS is asked at most by default (P). AWS publishes no rate of these services.
pub const AWS_RATE: aws::Rate = aws::Rate { per_second: 5.0, burst: 20.0 };

/// Every setting of the operator, from flags and environment.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of the cluster, outliving it; part of identities outside.
    pub cluster_name: String,
    /// Namespaces to watch; none means all.
    pub watch_namespaces: Vec<String>,
    /// Address of the Prometheus of platforms that name none.
    pub default_prometheus_url: Option<String>,
    /// Directory with its credentials: files `token`, `username`, `password`, `ca.crt`, `tls.crt`, `tls.key`.
    pub default_prometheus_auth_dir: Option<PathBuf>,
    /// Region of the default server, where it is a managed one at AWS.
    pub default_prometheus_aws_region: Option<String>,
    /// Beginnings of the addresses that a resource may name; none means any.
    pub allowed_prometheus_urls: Vec<String>,
    /// Roles at AWS that platforms may name.
    pub allowed_aws_roles: Vec<AllowedRole>,
    /// Beginnings of the URLs that platforms may name instead of AWS's; none means none.
    pub allowed_aws_endpoints: Vec<String>,
    /// Requests to AWS per second, and how many at once, for each service of an account in a region.
    pub aws_rate: aws::Rate,
    /// When AWS is looked at again while something changes there.
    pub aws_recheck: Duration,
    /// Time between two decisions on an app.
    pub evaluation_interval: Duration,
    /// Time between two glances at demand; 0 for none.
    pub glance_interval: Duration,
    /// Passes at the same time.
    pub concurrency: u16,
    /// How long changes are collected before a pass.
    pub debounce: Duration,
    /// Time to the next pass over a settled platform.
    pub resync: Duration,
    /// Time to the next pass over a platform that waits for something.
    pub waiting_requeue: Duration,
    /// Longest time of a pass.
    pub pass_timeout: Duration,
    /// Constants of the decision core.
    pub tunables: decide::Tunables,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cluster_name: "default".into(),
            watch_namespaces: Vec::new(),
            default_prometheus_url: None,
            default_prometheus_auth_dir: None,
            default_prometheus_aws_region: None,
            allowed_prometheus_urls: Vec::new(),
            allowed_aws_roles: Vec::new(),
            allowed_aws_endpoints: Vec::new(),
            aws_rate: AWS_RATE,
            aws_recheck: aws::CHANGING,
            evaluation_interval: Duration::from_secs(5),
            glance_interval: Duration::from_secs(1),
            concurrency: 8,
            debounce: Duration::from_millis(500),
            resync: Duration::from_secs(600),
            waiting_requeue: Duration::from_secs(10),
            pass_timeout: Duration::from_secs(60),
            tunables: decide::Tunables::default(),
        }
    }
}

/// What passes and evaluation tasks share.
#[derive(Clone)]
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Settings.
    pub settings: Arc<Settings>,
    /// The only writer of children.
    pub writer: Writer,
    /// Kubernetes events, once per distinct note.
    pub events: Events,
    /// The operator's own metrics.
    pub metrics: Arc<Metrics>,
    /// What the watches have seen.
    pub stores: Stores,
    /// Which optional APIs the cluster serves.
    pub capabilities: Capabilities,
    /// What the evaluation tasks have decided.
    pub scaling: Arc<ScalingStore>,
    /// What the evaluation tasks evaluate.
    pub registry: Registry,
    /// The keepers of caches in the cluster.
    pub caches: Arc<Keepers<CacheKeeper>>,
    /// The keepers of databases in the cluster.
    pub databases: Arc<Keepers<DatabaseKeeper>>,
    /// The keepers of databases at RDS.
    pub rds: Arc<Keepers<RdsKeeper>>,
    /// Those of what is inside of their servers.
    pub rds_servers: Arc<Keepers<RdsServers>>,
    /// The keepers of caches at ElastiCache.
    pub elasticache: Arc<Keepers<ElastiCacheKeeper>>,
    /// Who looks at the servers of caches at ElastiCache.
    pub elasticache_servers: Arc<Keepers<ElastiCacheServers>>,
    /// The keepers of distributions at CloudFront.
    pub cloudfront: Arc<Keepers<CloudFrontKeeper>>,
    /// Clients of AWS.
    pub aws: Arc<aws_edge::Accounts>,
    /// Failures in a row, per platform.
    pub backoff: Arc<Backoff>,
}

impl Context {
    /// The figures of a server of a database, whoever runs it; None before its first look, and where nobody of ours looks.
    pub fn database_figures(&self, key: &StoreKey) -> Option<Arc<database::Figures>> {
        self.databases.figures(key).or_else(|| self.rds_servers.figures(key))
    }

    /// The figures of a cache, by whoever looks at its servers; None before the first look.
    pub fn cache_figures(&self, key: &StoreKey) -> Option<Arc<cache::Figures>> {
        let at_aws = || self.elasticache_servers.figures(key).map(|figures| Arc::clone(&figures.cache));
        self.caches.figures(key).or_else(at_aws)
    }

    /// Ends the keepers of what a platform that is gone had at AWS.
    pub fn end_keepers_at_aws(&self, platform: &PlatformKey) {
        self.rds.remove(platform);
        self.rds_servers.remove(platform);
        self.elasticache.remove(platform);
        self.elasticache_servers.remove(platform);
        self.cloudfront.remove(platform);
    }
}

//! Clients of the stores of a test, from outside the cluster: by the pods' addresses, with the passwords of the Secrets.

use super::*;
use kube::api::ListParams;
use redis::aio::MultiplexedConnection;
use std::collections::BTreeMap;

/// The stores of a platform.
pub struct Stores<'a> {
    pub ns: &'a TestNamespace,
    pub platform: &'a str,
}

impl Stores<'_> {
    /// A key of the Secret of an item.
    pub async fn secret(&self, item: &str, key: &str) -> String {
        let name = format!("{}-{item}-auth", self.platform);
        let secret = self.ns.api::<Secret>().get(&name).await.expect("the Secret of the passwords");
        let value = secret.data.unwrap_or_default().remove(key).expect("the key");
        String::from_utf8(value.0).expect("text")
    }

    /// Addresses of an item's pods by their names.
    pub async fn addresses(&self, item: &str) -> BTreeMap<String, String> {
        let labels = format!("app.kubernetes.io/component={item},app.kubernetes.io/instance={}", self.platform);
        let pods = self.ns.api::<Pod>().list(&ListParams::default().labels(&labels)).await.expect("pods");
        let address = |pod: Pod| Some((pod.metadata.name?, pod.status?.pod_ip?));
        pods.items.into_iter().filter_map(address).collect()
    }

    /// Address of one pod, which a pod that is made anew does not have at once.
    async fn address(&self, item: &str, pod: &str) -> String {
        let look = || async { self.addresses(item).await.remove(pod) };
        eventually("the pod has an address", MADE, look, Option::is_some).await.expect("it has")
    }

    /// A connection to one server of a cache.
    pub async fn redis(&self, item: &str, pod: &str) -> MultiplexedConnection {
        let address = self.address(item, pod).await;
        let url = format!("redis://:{}@{address}:6379", self.secret(item, "password").await);
        let client = redis::Client::open(url).expect("a URL");
        client.get_multiplexed_async_connection().await.expect("a connection")
    }

    /// A client of a cache in mode `Cluster`.
    pub async fn cluster(&self, item: &str) -> redis::cluster_async::ClusterConnection {
        let password = self.secret(item, "password").await;
        let nodes: Vec<String> =
            self.addresses(item).await.values().map(|address| format!("redis://:{password}@{address}:6379")).collect();
        let client = redis::cluster::ClusterClient::new(nodes).expect("addresses");
        client.get_async_connection().await.expect("a connection to the cluster")
    }

    /// A session as the apps' role on a server of a database.
    pub async fn postgres(&self, item: &str, pod: &str) -> tokio_postgres::Client {
        let address = self.address(item, pod).await;
        let (user, password) = (self.secret(item, "username").await, self.secret(item, "password").await);
        let mut config = tokio_postgres::Config::new();
        config.host(&address).user(&user).password(&password).dbname("app").connect_timeout(Duration::from_secs(5));
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("a session");
        tokio::spawn(connection);
        client
    }
}

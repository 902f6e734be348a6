//! A server of the API `external.metrics.k8s.io`, as KEDA brings one.

use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// Answers with one value for every namespace, until dropped.
pub struct MetricsApi {
    /// Where the API server reaches it.
    pub host: String,
    /// The port.
    pub port: u16,
    asked: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl MetricsApi {
    /// Serves `metric` with this value.
    pub async fn serve(metric: &str, value: u32) -> Self {
        let host = super::cluster_status()["hostAddress"].as_str().expect("the status says hostAddress").to_owned();
        let listener = TcpListener::bind((host.as_str(), 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let acceptor = acceptor(&host);
        let asked = Arc::new(AtomicUsize::new(0));
        let items = json!([{
            "metricName": metric, "metricLabels": {}, "timestamp": "2026-01-01T00:00:00Z", "value": value.to_string(),
        }]);
        let version = "external.metrics.k8s.io/v1beta1";
        let values = json!({"kind": "ExternalMetricValueList", "apiVersion": version, "metadata": {}, "items": items})
            .to_string();
        let resources =
            json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": []})
                .to_string();
        let counter = asked.clone();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, counter) = (acceptor.clone(), counter.clone());
                let (values, resources) = (values.clone(), resources.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut request = [0_u8; 8192];
                    let read = stream.read(&mut request).await.unwrap_or_default();
                    let of_values = String::from_utf8_lossy(&request[..read]).contains("/namespaces/");
                    if of_values {
                        counter.fetch_add(1, Ordering::Relaxed);
                    }
                    let body = if of_values { values } else { resources };
                    let head = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                        body.len()
                    );
                    let _ = stream.write_all(head.as_bytes()).await;
                    let _ = stream.write_all(body.as_bytes()).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { host, port, asked, serving }
    }

    /// How often a value was asked for.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for MetricsApi {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// TLS under a certificate that nobody verifies.
fn acceptor(host: &str) -> TlsAcceptor {
    let signed = rcgen::generate_simple_self_signed([host.to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .expect("a key for the certificate");
    TlsAcceptor::from(Arc::new(config))
}

//! HTTP to one server with one set of credentials, through `prometheus-http-query`.

use super::{
    api::{QueryError, Vector},
    decode,
};
use aws_edge::{Signer, Unsigned};
use decide::{SourceErrorKind, Time};
use reqwest::{
    Certificate, Identity, Response,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    error::Error as _,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// The largest answer that is read: 200 apps' series take less than a hundredth of it (P).
const LARGEST_ANSWER: usize = 8 << 20;

/// Credentials, as read from Secrets or files. Never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// A bearer token.
    pub token: Option<String>,
    /// User name and password.
    pub basic: Option<(String, String)>,
    /// Further certificate authorities, PEM.
    pub ca: Option<Vec<u8>>,
    /// Client certificate and key, PEM.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// A client for one server. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client {
    inner: prometheus_http_query::Client,
    timeout: Duration,
    secrets: Arc<[String]>,
    signer: Option<Arc<Signer>>,
}

impl Client {
    /// A client for the server at `url` that waits at most `timeout` for an answer.
    ///
    /// # Errors
    /// Headers, certificates or keys that cannot be used; never their contents.
    pub fn new(
        url: &str,
        headers: &BTreeMap<String, String>,
        credentials: &Credentials,
        timeout: Duration,
    ) -> Result<Self, QueryError> {
        let setup = |message: &str| QueryError::new(SourceErrorKind::Setup, message);
        let build = |system_roots: bool| -> Result<reqwest::Client, QueryError> {
            let mut builder = reqwest::Client::builder()
                .default_headers(header_map(headers, credentials)?)
                // Credentials never follow a redirect to another host.
                .redirect(redirect::Policy::none())
                .no_proxy()
                .connect_timeout(timeout.min(Duration::from_secs(3)))
                .timeout(timeout)
                .pool_idle_timeout(Duration::from_secs(90))
                .pool_max_idle_per_host(8);
            let roots = match &credentials.ca {
                None => Vec::new(),
                Some(pem) => Certificate::from_pem_bundle(pem)
                    .ok()
                    .filter(|roots| !roots.is_empty())
                    .ok_or_else(|| setup("the certificate authority (tls.ca) holds no certificate in PEM"))?,
            };
            builder = if system_roots { builder.tls_certs_merge(roots) } else { builder.tls_certs_only(roots) };
            if let Some((certificate, key)) = &credentials.identity {
                let pem = [certificate.as_slice(), b"\n", key.as_slice()].concat();
                let identity = Identity::from_pem(&pem).map_err(|_| {
                    setup("the client certificate (tls.crt, tls.key) is not a certificate and its key in PEM")
                })?;
                builder = builder.identity(identity);
            }
            builder.build().map_err(|error| setup(&format!("TLS cannot be set up: {}", innermost(&error))))
        };
        // An image may hold no certificate authorities; an http address or an own authority needs none.
        let client = build(true).or_else(|error| build(false).map_err(|_| error))?;
        let inner = prometheus_http_query::Client::from(client, url).map_err(|_| setup("url is not an address"))?;
        Ok(Self { inner, timeout, secrets: secrets(credentials).into(), signer: None })
    }

    /// Each query is signed by it.
    pub fn signed_by(self, signer: Option<Arc<Signer>>) -> Self {
        Self { signer, ..self }
    }

    /// The answer to `expression` as of `at`.
    ///
    /// # Errors
    /// Every way of having no answer, classified.
    pub async fn query(&self, expression: &str, at: Time) -> Result<Vector, QueryError> {
        let time = format!("{:.3}", at.as_millis() as f64 / 1000.0);
        let timeout = i64::try_from(self.timeout.as_millis()).unwrap_or(i64::MAX);
        let mut query = self.inner.query(expression).query("time", &time).timeout(timeout);
        if let Some(signer) = &self.signer {
            // As the crate sends it: a test holds the signature against what arrives.
            let form = [("query", expression), ("time", &time), ("timeout", &format!("{timeout}ms"))];
            for (name, value) in self.signature(signer, &form).await? {
                query = query.header(name, value);
            }
        }
        let sent = query.post_raw().await;
        let response = sent.map_err(|error| match error.source().and_then(|cause| cause.downcast_ref()) {
            Some(error) => failed(error),
            None => QueryError::new(SourceErrorKind::Setup, "the query cannot be sent"),
        })?;
        let code = response.status().as_u16();
        let body = body(response).await?;
        // A server may repeat what it was sent, and its words go into conditions.
        if code >= 300 { decode::instant(code, &without(&self.secrets, &body)) } else { decode::instant(code, &body) }
    }

    /// The headers that sign a query.
    async fn signature(
        &self,
        signer: &Signer,
        form: &[(&str, &str)],
    ) -> Result<Vec<(&'static str, HeaderValue)>, QueryError> {
        let setup = |message: String| QueryError::new(SourceErrorKind::Setup, message);
        let base = self.inner.base_url().as_str().trim_end_matches('/');
        let request = self.inner.inner().post(format!("{base}/api/v1/query")).form(form).build();
        let request = request.map_err(|_| setup("the query cannot be sent to this address".to_owned()))?;
        let body = request.body().and_then(|body| body.as_bytes()).unwrap_or_default();
        let signed = signer.sign("POST", request.url().as_str(), body, SystemTime::now()).await;
        let signed = signed.map_err(|error| match error {
            Unsigned::NoCredentials(_) => QueryError::new(SourceErrorKind::Connect, error.to_string()),
            Unsigned::Request(_) => setup(error.to_string()),
        })?;
        let header = |(name, value): (&'static str, String)| {
            let mut value = HeaderValue::try_from(value).map_err(|_| setup("a signature is no header".to_owned()))?;
            value.set_sensitive(true);
            Ok((name, value))
        };
        signed.into_iter().map(header).collect()
    }

    /// When the server's process started; none where it does not say (only Prometheus itself does).
    ///
    /// # Errors
    /// As [`Client::query`].
    pub async fn started(&self) -> Result<Option<Time>, QueryError> {
        #[derive(Deserialize)]
        struct Body {
            data: Data,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Data {
            start_time: String,
        }
        if self.signer.is_some() {
            return Ok(None);
        }
        let base = self.inner.base_url().as_str().trim_end_matches('/');
        let sent = self.inner.inner().get(format!("{base}/api/v1/status/runtimeinfo")).send().await;
        let response = sent.map_err(|error| failed(&error))?;
        if !response.status().is_success() {
            return Ok(None);
        }
        let parsed = serde_json::from_slice::<Body>(&body(response).await?).ok();
        Ok(parsed.and_then(|body| body.data.start_time.parse::<jiff::Timestamp>().ok()).map(Time::from))
    }
}

/// What must not be repeated: the credentials, and the form they are sent in.
fn secrets(credentials: &Credentials) -> Vec<String> {
    let mut secrets: Vec<String> = credentials.token.iter().map(|token| token.trim().to_owned()).collect();
    if let Some((user, password)) = &credentials.basic {
        secrets.extend([base64(format!("{user}:{password}").as_bytes()), password.clone()]);
    }
    secrets.retain(|secret| !secret.is_empty());
    secrets
}

fn without(secrets: &[String], text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text).into_owned();
    secrets.iter().fold(text, |text, secret| text.replace(secret.as_str(), "[secret]")).into_bytes()
}

fn header_map(headers: &BTreeMap<String, String>, credentials: &Credentials) -> Result<HeaderMap, QueryError> {
    let setup = |message: String| QueryError::new(SourceErrorKind::Setup, message);
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let bad = || {
            setup(format!(
                "headers: {name} cannot be sent; names are letters, digits and '-', values visible characters"
            ))
        };
        let (name, value) =
            (HeaderName::try_from(name).map_err(|_| bad())?, HeaderValue::try_from(value).map_err(|_| bad())?);
        map.insert(name, value);
    }
    let authorization = match (&credentials.token, &credentials.basic) {
        (Some(token), _) => Some(format!("Bearer {}", token.trim())),
        (None, Some((user, password))) => Some(format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))),
        (None, None) => None,
    };
    if let Some(authorization) = authorization {
        let mut value = HeaderValue::try_from(authorization)
            .map_err(|_| setup("auth: the credentials hold characters that cannot be sent in a header".to_owned()))?;
        value.set_sensitive(true);
        map.insert(AUTHORIZATION, value);
    }
    Ok(map)
}

fn base64(bytes: &[u8]) -> String {
    let encoded = serde_json::to_value(k8s_openapi::ByteString(bytes.to_vec())).unwrap_or_default();
    encoded.as_str().unwrap_or_default().to_owned()
}

/// The body, up to [`LARGEST_ANSWER`].
async fn body(mut response: Response) -> Result<Vec<u8>, QueryError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
        if bytes.len() + chunk.len() > LARGEST_ANSWER {
            let message = format!("the answer is larger than {} MiB; aggregate the expression", LARGEST_ANSWER >> 20);
            return Err(QueryError::new(SourceErrorKind::Query, message).too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// A request without an answer. The error's own text would repeat the address, so only its innermost cause is told.
fn failed(error: &reqwest::Error) -> QueryError {
    if error.is_timeout() {
        QueryError::new(SourceErrorKind::Timeout, "no answer in time")
    } else if error.is_builder() {
        QueryError::new(SourceErrorKind::Setup, "the query cannot be sent to this address")
    } else {
        QueryError::new(SourceErrorKind::Connect, decode::first_line(&innermost(error)))
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

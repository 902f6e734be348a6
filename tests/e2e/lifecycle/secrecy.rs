//! No secret leaves the Secret it is in.

use super::*;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const TOKEN: &str = "s3cr3t-token-of-prometheus";
const PASSWORD: &str = "s3cr3t-password-of-the-app";

/// A server that refuses credentials and tells everybody which: `code` and a body that repeats the request.
async fn tell_tale(code: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0_u8; 65536];
                let length = stream.read(&mut request).await.unwrap_or(0);
                let told = String::from_utf8_lossy(&request[..length]).replace("\r\n", " ");
                let body = json!({"status": "error", "errorType": "bad_data", "error": format!("refused: {told}")})
                    .to_string();
                let head = format!(
                    "HTTP/1.1 {code} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all((head + &body).as_bytes()).await;
            });
        }
    });
    url
}

#[tokio::test]
async fn no_secret_is_in_arguments_logs_events_status_or_metrics() {
    let ns = TestNamespace::create("secrecy").await;
    let operator = Operator::start(&ns, &[FLAGS, &["--log", "debug"]].concat()).await;
    put_secret(&ns, "prometheus", "token", TOKEN).await;
    put_secret(&ns, "database", "PASSWORD", PASSWORD).await;
    let autoscaling = json!({"minReplicas": 1, "maxReplicas": 3, "requestRate": {"perPod": 100}});
    let secrets = json!({
        "replicas": null, "autoscaling": autoscaling, "envFrom": [{"secretRef": {"name": "database"}}],
        "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "database", "key": "PASSWORD"}}}],
    });
    for (platform, code) in [("unauthorized", 401), ("forbidden", 403), ("bad", 400), ("failing", 500)] {
        let auth = json!({"bearerToken": {"name": "prometheus", "key": "token"}});
        let prometheus = json!({"url": tell_tale(code).await, "auth": auth});
        ns.apply(platform, json!({"prometheus": prometheus, "apps": [with(pending("web"), secrets.clone())]})).await;
    }
    for (platform, reason) in
        [("unauthorized", "SourceMisconfigured"), ("forbidden", "SourceMisconfigured"), ("bad", ""), ("failing", "")]
    {
        let metrics = || ns.app_condition(platform, "web", "MetricsAvailable");
        eventually(&format!("{platform}: the refusal shows"), SOON, metrics, |seen| {
            seen.as_ref().is_some_and(|c| c.0 == "False" && c.1.contains(reason))
        })
        .await;
    }

    let mut told = vec![("log", operator.logged())];
    assert!(told[0].1.contains("DEBUG"), "the log is at debug level");
    let cmdline = std::fs::read(format!("/proc/{}/cmdline", operator.id())).expect("a process");
    let environment = std::fs::read(format!("/proc/{}/environ", operator.id())).expect("a process");
    told.push(("arguments", String::from_utf8_lossy(&cmdline).into_owned()));
    told.push(("environment", String::from_utf8_lossy(&environment).into_owned()));
    let events = ns.api::<Event>().list(&ListParams::default()).await.expect("events");
    assert!(
        events.items.iter().any(|event| event.reporting_controller.as_deref() == Some("learningplatform-operator"))
    );
    told.push(("events", serde_json::to_string(&events.items).expect("JSON")));
    let platforms = ns.api::<crds::LearningPlatform>().list(&ListParams::default()).await.expect("platforms");
    told.push(("platforms", serde_json::to_string(&platforms.items).expect("JSON")));
    told.push(("children", serde_json::to_string(&children(&ns).await).expect("JSON")));
    told.push(("metrics", operator.get("/metrics").await.expect("metrics")));
    told.push(("explanation", operator.explain(&ns.name, "bad", "web").await.expect("an explanation").to_string()));
    for (place, text) in told {
        for secret in [TOKEN, PASSWORD] {
            assert!(!text.contains(secret), "{secret} stands in the {place}: {}", around(&text, secret));
        }
    }
    drop(operator);
    ns.delete().await;
}

fn around(text: &str, part: &str) -> String {
    let at = text.find(part).unwrap_or_default();
    text.chars().skip(at.saturating_sub(300)).take(600).collect()
}

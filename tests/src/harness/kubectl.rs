//! The real kubectl, for what only a client does.

use std::process::Command;

/// Runs kubectl on the test cluster and returns its output.
///
/// # Panics
/// When it fails; the message carries what it said.
pub async fn kubectl(arguments: &[&str]) -> String {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let run = tokio::task::spawn_blocking(move || {
        let output = Command::new(binary()).args(&arguments).output().expect("kubectl is on the path");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "kubectl {}: {said}", arguments.join(" "));
        String::from_utf8_lossy(&output.stdout).into_owned()
    });
    run.await.expect("kubectl ends")
}

/// The cluster's own, else the one on the path.
fn binary() -> String {
    let status = std::env::var("LP_STATUS").ok().and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    let own = status.and_then(|status| Some(status["kubectl"].as_str()?.to_owned()));
    own.filter(|path| !path.is_empty()).unwrap_or_else(|| "kubectl".to_owned())
}

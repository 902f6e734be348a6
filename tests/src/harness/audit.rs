//! Who wrote what, in the words of the API server itself: its audit log.

use serde_json::Value;
use std::{
    fs::File,
    io::{BufRead, BufReader, Seek, SeekFrom},
    path::PathBuf,
};

/// The API server's audit log from a moment on.
pub struct AuditLog {
    path: PathBuf,
    from: u64,
}

impl AuditLog {
    /// From now on. `LP_STATUS` holds what `cluster status -o json` prints.
    ///
    /// # Panics
    /// Where the cluster has no audit log that can be read: ask [`Need::AuditLog`](super::Need) first.
    pub fn from_now() -> Self {
        let status = super::cluster_status();
        let path = status["auditLog"].as_str().filter(|path| !path.is_empty());
        let path = PathBuf::from(path.expect("the cluster has an audit log: use the project's own node, or kind"));
        let from = std::fs::metadata(&path).expect("a readable audit log").len();
        Self { path, from }
    }

    /// The writes of a user since then, as `patch deployments/scale shop/web 200`.
    pub fn writes_of(&self, user: &str) -> Vec<String> {
        let mut file = File::open(&self.path).expect("a readable audit log");
        file.seek(SeekFrom::Start(self.from)).expect("a file");
        let lines = BufReader::new(file).lines().map_while(Result::ok);
        // The last line may be half written.
        let events = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        events.filter(|event| event["user"]["username"] == user).map(|event| in_words(&event)).collect()
    }
}

fn in_words(event: &Value) -> String {
    let object = &event["objectRef"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let sub = object["subresource"].as_str().map(|sub| format!("/{sub}")).unwrap_or_default();
    format!(
        "{} {}{sub} {}/{} {}",
        text(&event["verb"]),
        text(&object["resource"]),
        text(&object["namespace"]),
        text(&object["name"]),
        event["responseStatus"]["code"]
    )
}

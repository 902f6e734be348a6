//! The operator as a process of the test's own, under an account with the rights that the chart grants.

use super::TestNamespace;
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
    rbac::v1::{Role, RoleBinding},
};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// The operator binary beside the running test binary.
///
/// # Panics
/// When it was not built.
pub fn operator_binary() -> PathBuf {
    let test = std::env::current_exe().expect("a path of this test");
    let target = test.ancestors().find(|p| p.join("learningplatform-operator").is_file());
    target.expect("the operator is built: run `cargo build --workspace`").join("learningplatform-operator")
}

/// A running operator that watches one namespace. Killed when dropped.
pub struct Operator {
    child: Child,
    /// Address of its HTTP server.
    pub address: String,
    /// Where it logs.
    pub log: PathBuf,
}

impl Operator {
    /// Starts an operator for the namespace, with further flags. Its identity is `system:serviceaccount:<ns>:operator`.
    pub async fn start(namespace: &TestNamespace, flags: &[&str]) -> Self {
        let kubeconfig = account(namespace).await;
        Self::spawn(namespace, &kubeconfig, flags)
    }

    /// Starts one with a kubeconfig that [`account`] made before: a restart, or a second replica.
    pub fn spawn(namespace: &TestNamespace, kubeconfig: &Path, flags: &[&str]) -> Self {
        let address = free_address();
        let log = namespace.dir.path().join(format!("operator-{}.log", address.replace(':', "-")));
        let out = File::create(&log).expect("a log file");
        let child = Command::new(operator_binary())
            .env("KUBECONFIG", kubeconfig)
            // Of an account that only doubles of AWS know.
            .envs([("AWS_ACCESS_KEY_ID", "100000000000"), ("AWS_SECRET_ACCESS_KEY", "secret-of-nobody")])
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .args(["--watch-namespace", &namespace.name, "--listen", &address, "--lease-namespace", &namespace.name])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a log file"))
            .stderr(out)
            .spawn()
            .expect("the operator starts");
        Self { child, address, log }
    }

    /// SIGKILL, and waits until the process is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM; returns the exit status.
    pub fn terminate(&mut self) -> std::process::ExitStatus {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        self.child.wait().expect("the operator ends")
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process still runs.
    pub fn running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Body of `GET <path>` on its HTTP server, if it answers with 200.
    pub async fn get(&self, path: &str) -> Option<String> {
        let (status, body) = super::get(&self.address, path).await?;
        (status == 200).then_some(body)
    }

    /// What its read endpoint says of an app now.
    pub async fn explain(&self, namespace: &str, platform: &str, app: &str) -> Option<serde_json::Value> {
        let body = self.get(&format!("/v1/explain/{namespace}/{platform}/{app}")).await?;
        serde_json::from_str(&body).ok()
    }

    /// What it has logged so far.
    pub fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.logged();
            let tail = log.len().saturating_sub(6000);
            eprintln!("--- end of the operator's log\n{}", String::from_utf8_lossy(&log.as_bytes()[tail..]));
        }
    }
}

/// Gives the account `operator` of the namespace `of` the operator's rights in `namespace`.
pub async fn grant(namespace: &TestNamespace, of: &TestNamespace) {
    let apply = PatchParams::apply("test").force();
    let name = "operator";
    let rules = [operator::rbac::rules(), operator::rbac::leader_rules()].concat();
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name},
        "rules": rules,
    });
    namespace.api::<Role>().patch(name, &apply, &Patch::Apply(&role)).await.expect("a role");
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": of.name}],
    });
    namespace.api::<RoleBinding>().patch(name, &apply, &Patch::Apply(&binding)).await.expect("a binding");
}

/// Makes the account `operator` with the operator's rights in the namespace, and a kubeconfig for it.
pub async fn account(namespace: &TestNamespace) -> PathBuf {
    let apply = PatchParams::apply("test").force();
    let name = "operator";
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
    namespace.api::<ServiceAccount>().patch(name, &apply, &Patch::Apply(&account)).await.expect("an account");
    grant(namespace, namespace).await;
    let request = TokenRequest {
        spec: TokenRequestSpec { expiration_seconds: Some(7200), ..Default::default() },
        ..Default::default()
    };
    let token = namespace
        .api::<ServiceAccount>()
        .create_token_request(name, &PostParams::default(), &request)
        .await
        .expect("a token");
    let token = token.status.expect("a token").token;
    let mut config = serde_json::to_value(&namespace.admin).expect("JSON");
    let cluster = config["clusters"][0]["cluster"].take();
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": cluster}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "operator", "namespace": namespace.name}}],
        "users": [{"name": "operator", "user": {"token": token}}],
    });
    let path = namespace.dir.path().join("operator.kubeconfig");
    std::fs::write(&path, serde_json::to_vec(&config).expect("JSON")).expect("a kubeconfig");
    path
}

/// A loopback address that nobody listens on at this moment.
pub(crate) fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

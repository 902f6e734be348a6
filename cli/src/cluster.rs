//! The connection to a cluster, and what its refusals mean.

use crate::args::Global;
use anyhow::{Context, anyhow};
use crds::LearningPlatform;
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use std::time::Duration;

/// A cluster that can be asked.
#[derive(Clone)]
pub struct Cluster {
    /// Its API server.
    pub client: Client,
    /// The namespace that is meant where none is named.
    pub namespace: String,
    /// Where the API server is, for messages.
    pub url: String,
}

impl Cluster {
    /// Connects as kubectl does: `--kubeconfig` and `--context`, else `KUBECONFIG`, else `~/.kube/config`, else the
    /// account of the pod.
    ///
    /// # Errors
    /// When there is no usable configuration. Nothing is sent yet.
    pub async fn connect(global: &Global) -> anyhow::Result<Self> {
        let options = KubeConfigOptions { context: global.context.clone(), ..KubeConfigOptions::default() };
        let mut config = match (&global.kubeconfig, &global.context) {
            (Some(path), _) => {
                let file = Kubeconfig::read_from(path)
                    .with_context(|| format!("--kubeconfig {} cannot be used", path.display()))?;
                Config::from_custom_kubeconfig(file, &options).await.context("the kubeconfig cannot be used")?
            }
            (None, Some(context)) => Config::from_kubeconfig(&options).await.with_context(|| {
                format!("--context {context} cannot be used: `kubectl config get-contexts` lists those there are")
            })?,
            (None, None) => Config::infer()
                .await
                .context("no cluster is configured: name a file with --kubeconfig, or set KUBECONFIG")?,
        };
        config.connect_timeout = Some(Duration::from_secs(10));
        // A watch says something at least this often, so only a dead connection is cut.
        config.read_timeout = Some(Duration::from_secs(300));
        let namespace = global.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let url = config.cluster_url.to_string();
        let client = Client::try_from(config).context("the kubeconfig cannot be used")?;
        Ok(Self { client, namespace, url })
    }

    /// Platforms of the namespace, or of all.
    pub fn platforms(&self, all: bool) -> Api<LearningPlatform> {
        if all { Api::all(self.client.clone()) } else { Api::namespaced(self.client.clone(), &self.namespace) }
    }

    /// One platform.
    ///
    /// # Errors
    /// When it is not there or cannot be read, with what to do.
    pub async fn platform(&self, name: &str) -> anyhow::Result<LearningPlatform> {
        match self.platforms(false).get_opt(name).await.map_err(|e| self.explain("platforms cannot be read", e))? {
            Some(platform) => Ok(platform),
            None => {
                let there = self.names().await;
                Err(anyhow!("namespace {} has no platform {name}{}", self.namespace, said(&there, name)))
            }
        }
    }

    /// Names of the platforms of the namespace; none where they cannot be read.
    async fn names(&self) -> Vec<String> {
        let list = self.platforms(false).list(&kube::api::ListParams::default()).await;
        list.map(|l| l.items.into_iter().filter_map(|p| p.metadata.name).collect()).unwrap_or_default()
    }

    /// The platform that is meant: the one named, else the only one, else the only one with this app.
    ///
    /// # Errors
    /// When none or several could be meant.
    pub async fn platform_with(&self, platform: Option<&str>, app: &str) -> anyhow::Result<LearningPlatform> {
        let found = match platform {
            Some(name) => vec![self.platform(name).await?],
            None => {
                let list = self.platforms(false).list(&kube::api::ListParams::default()).await;
                list.map_err(|e| self.explain("platforms cannot be read", e))?.items
            }
        };
        choose(found, app, &self.namespace)
    }

    /// An error of the API server with what to do about it.
    pub fn explain(&self, what: &str, error: kube::Error) -> anyhow::Error {
        let remedy = match &error {
            kube::Error::Api(status) if status.code == 404 => {
                "the cluster does not know LearningPlatform: install it with `lpctl install`".to_owned()
            }
            kube::Error::Api(status) if status.code == 403 => {
                "your account may not do this: `kubectl auth whoami` names it, and the chart's roles \
                 `view` and `edit` carry the rights"
                    .to_owned()
            }
            kube::Error::Api(status) if status.code == 401 => {
                "your credentials are not accepted: log in again, or choose another --context".to_owned()
            }
            kube::Error::Api(_) => "the API server refused".to_owned(),
            _ => format!("the API server at {} does not answer: see `kubectl config view --minify`", self.url),
        };
        anyhow::Error::new(error).context(remedy).context(what.to_owned())
    }
}

/// The platform with this app.
fn choose(platforms: Vec<LearningPlatform>, app: &str, namespace: &str) -> anyhow::Result<LearningPlatform> {
    let has = |p: &LearningPlatform| p.spec.apps.iter().any(|a| a.name == app);
    let name = |p: &LearningPlatform| p.metadata.name.clone().unwrap_or_default();
    let apps: Vec<String> = platforms.iter().flat_map(|p| p.spec.apps.iter().map(|a| a.name.clone())).collect();
    let all: Vec<String> = platforms.iter().map(name).collect();
    let mut with: Vec<LearningPlatform> = platforms.into_iter().filter(has).collect();
    match (with.pop(), with.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            let mut names: Vec<String> = with.iter().chain([&last]).map(name).collect();
            names.sort();
            Err(anyhow!("several platforms have an app {app}: choose with --platform {}", names.join(" or ")))
        }
        (None, _) if all.is_empty() => Err(anyhow!(
            "namespace {namespace} has no platform: choose another with -n, or write one with `lpctl init`"
        )),
        (None, _) => Err(anyhow!("no app {app} in {}{}", all.join(", "), said(&apps, app))),
    }
}

/// `; did you mean web?`, or what there is.
fn said(there: &[String], word: &str) -> String {
    match crate::manifests::nearest(word, there.iter().map(String::as_str)) {
        Some(near) => format!("; did you mean {near}?"),
        None if there.is_empty() => String::new(),
        None => format!("; there is {}", there.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::{LearningPlatformSpec, tiers::app::App};

    fn platform(name: &str, apps: &[&str]) -> LearningPlatform {
        let apps = apps.iter().map(|a| App { name: (*a).into(), ..App::default() }).collect();
        LearningPlatform::new(name, LearningPlatformSpec { apps, ..LearningPlatformSpec::default() })
    }

    #[test]
    fn the_platform_that_is_meant() {
        let two = || vec![platform("a", &["web", "api"]), platform("b", &["web"])];
        let chosen =
            |app: &str, of| choose(of, app, "shop").map(|p| p.metadata.name.unwrap()).map_err(|e| e.to_string());
        assert_eq!(chosen("api", two()), Ok("a".into()));
        assert_eq!(
            chosen("web", two()),
            Err("several platforms have an app web: choose with --platform a or b".into())
        );
        assert_eq!(chosen("wep", two()), Err("no app wep in a, b; did you mean web?".into()));
        assert!(chosen("web", vec![]).unwrap_err().contains("has no platform"));
    }
}

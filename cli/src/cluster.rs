//! The connection to a cluster, and what its refusals mean.

use crate::args::Global;
use anyhow::{Context, anyhow};
use crds::LearningPlatform;
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use std::{collections::BTreeSet, time::Duration};

/// A cluster that can be asked.
#[derive(Clone)]
pub struct Cluster {
    /// Its API server.
    pub client: Client,
    /// The namespace that is meant where none is named.
    pub namespace: String,
    /// Where the API server is, for messages.
    pub url: String,
    config: Config,
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
        let client = Client::try_from(config.clone()).context("the kubeconfig cannot be used")?;
        Ok(Self { client, namespace, url, config })
    }

    /// A client for streams that are silent as long as their user is.
    ///
    /// # Errors
    /// When the configuration cannot be used; [`Self::connect`] has said so before.
    pub fn for_streams(&self) -> anyhow::Result<Client> {
        let mut config = self.config.clone();
        config.read_timeout = None;
        Client::try_from(config).context("the kubeconfig cannot be used")
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

    /// The platform that is meant: the one named, else the only one with this item.
    ///
    /// # Errors
    /// When none or several could be meant.
    pub async fn platform_with(
        &self,
        platform: Option<&str>,
        item: Item,
        name: &str,
    ) -> anyhow::Result<LearningPlatform> {
        let found = match platform {
            Some(name) => vec![self.platform(name).await?],
            None => {
                let list = self.platforms(false).list(&kube::api::ListParams::default()).await;
                list.map_err(|e| self.explain("platforms cannot be read", e))?.items
            }
        };
        choose(found, item, name, &self.namespace)
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

/// What a word on the command line may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// An item of `spec.apps`.
    App,
    /// An item of `spec.caches`.
    Cache,
    /// An item of `spec.databases`.
    Database,
    /// An item of `spec.caches`, `spec.databases` or `spec.cdns`: those may be at AWS.
    AtAws,
}

impl Item {
    /// The names of a platform's items of this kind.
    pub fn names(self, platform: &LearningPlatform) -> Vec<&str> {
        let spec = &platform.spec;
        match self {
            Self::App => spec.apps.iter().map(|app| app.name.as_str()).collect(),
            Self::Cache => spec.caches.iter().map(|cache| cache.name.as_str()).collect(),
            Self::Database => spec.databases.iter().map(|database| database.name.as_str()).collect(),
            Self::AtAws => {
                let stores = [Self::Cache, Self::Database].into_iter().flat_map(|item| item.names(platform));
                stores.chain(spec.cdns.iter().map(|cdn| cdn.name.as_str())).collect()
            }
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Cache => "cache",
            Self::Database => "database",
            Self::AtAws => "cache, database or CDN",
        }
    }
}

/// The platform with this item.
fn choose(
    platforms: Vec<LearningPlatform>,
    item: Item,
    name: &str,
    namespace: &str,
) -> anyhow::Result<LearningPlatform> {
    let word = item.word();
    let called = |p: &LearningPlatform| p.metadata.name.clone().unwrap_or_default();
    let there: BTreeSet<String> = platforms.iter().flat_map(|p| item.names(p)).map(str::to_owned).collect();
    let there: Vec<String> = there.into_iter().collect();
    let all: Vec<String> = platforms.iter().map(called).collect();
    let mut with: Vec<LearningPlatform> = platforms.into_iter().filter(|p| item.names(p).contains(&name)).collect();
    match (with.pop(), with.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            let mut names: Vec<String> = with.iter().chain([&last]).map(called).collect();
            names.sort();
            let (how, names) = match item {
                Item::App => ("choose with --platform", names.join(" or ")),
                Item::Cache | Item::Database | Item::AtAws => ("write the platform before it:", names.join(" or ")),
            };
            let article = if item == Item::App { "an" } else { "a" };
            Err(anyhow!("several platforms have {article} {word} {name}: {how} {names}"))
        }
        (None, _) if all.is_empty() => Err(anyhow!(
            "namespace {namespace} has no platform: choose another with -n, or write one with `lpctl init`"
        )),
        (None, _) if there.is_empty() => Err(anyhow!("there is no {word} in {}", all.join(", "))),
        (None, _) => Err(anyhow!("no {word} {name} in {}{}", all.join(", "), said(&there, name))),
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
    use crds::{
        LearningPlatformSpec,
        tiers::{app::App, database::Database},
    };

    fn platform(name: &str, apps: &[&str]) -> LearningPlatform {
        let apps = apps.iter().map(|a| App { name: (*a).into(), ..App::default() }).collect();
        LearningPlatform::new(name, LearningPlatformSpec { apps, ..LearningPlatformSpec::default() })
    }

    #[test]
    fn the_platform_that_is_meant() {
        let two = || vec![platform("a", &["web", "api"]), platform("b", &["web"])];
        let chosen = |app: &str, of| {
            choose(of, Item::App, app, "shop").map(|p| p.metadata.name.unwrap()).map_err(|e| e.to_string())
        };
        assert_eq!(chosen("api", two()), Ok("a".into()));
        assert_eq!(
            chosen("web", two()),
            Err("several platforms have an app web: choose with --platform a or b".into())
        );
        assert_eq!(chosen("wep", two()), Err("no app wep in a, b; did you mean web?".into()));
        assert!(chosen("web", vec![]).unwrap_err().contains("has no platform"));
    }

    #[test]
    fn the_stores_that_there_are_are_named() {
        let with = |name: &str, databases: &[&str]| {
            let databases = databases.iter().map(|d| Database { name: (*d).into(), ..Database::default() }).collect();
            LearningPlatform::new(name, LearningPlatformSpec { databases, ..LearningPlatformSpec::default() })
        };
        let chosen = |item, name: &str| {
            let of = vec![with("a", &["main", "tenants"]), with("b", &["main"])];
            choose(of, item, name, "shop").map(|p| p.metadata.name.unwrap()).map_err(|e| e.to_string())
        };
        assert_eq!(chosen(Item::Database, "tenants"), Ok("a".into()));
        for (item, name, problem) in [
            (Item::Database, "main", "several platforms have a database main: write the platform before it: a or b"),
            (Item::Database, "mian", "no database mian in a, b; did you mean main?"),
            (Item::Database, "x", "no database x in a, b; there is main, tenants"),
            (Item::Cache, "main", "there is no cache in a, b"),
        ] {
            assert_eq!(chosen(item, name), Err(problem.into()));
        }
    }
}

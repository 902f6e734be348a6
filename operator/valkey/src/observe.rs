//! Asking every server at once what it is and what it knows.

use crate::{
    client::{Edge, Link, command},
    error::{Error, Result},
    model::Pod,
    parse::{self, Info},
    seen::{Answer, Cluster, Login, Node, Sighting},
};
use redis::Value;

impl Edge {
    /// What every server says. All are asked at once, and none holds up the others for longer than the patience.
    pub async fn observe(&self, pods: &[Pod]) -> Vec<Sighting> {
        let asked = pods.iter().map(|pod| async move { Sighting { pod: pod.clone(), answer: self.ask(pod).await } });
        futures::future::join_all(asked).await
    }

    async fn ask(&self, pod: &Pod) -> Answer {
        // Every single answer is bounded, but there are several.
        let node = tokio::time::timeout(self.patience * 2, self.node(pod)).await;
        match node
            .unwrap_or_else(|_| Err(Error::Unreachable { pod: pod.name.clone(), problem: "timed out".to_owned() }))
        {
            Ok(node) => Answer::Node(Box::new(node)),
            Err(Error::Loading { .. }) => Answer::Loading,
            Err(Error::Refused { .. }) => Answer::Refused,
            Err(Error::Unreachable { problem, .. }) => Answer::Unreachable(problem),
            Err(error) => Answer::Unreachable(error.to_string()),
        }
    }

    async fn node(&self, pod: &Pod) -> Result<Node> {
        let mut link = self.connect(pod).await?;
        let info = Info::parse(&link.text("INFO", &redis::cmd("INFO")).await?);
        if info.text("role").is_empty() {
            return Err(Error::Unreachable { pod: pod.name.clone(), problem: "it does not say what it is".to_owned() });
        }
        // While a replica loads what it fetched it answers to hardly anything, but it is known that it is there.
        if info.flag("loading") || info.flag("async_loading") {
            return Err(Error::Loading { pod: pod.name.clone() });
        }
        let cluster = if info.flag("cluster_enabled") { cluster(&mut link).await? } else { None };
        Ok(Node {
            server: info.server(),
            role: info.role(),
            history: info.text("master_replid").to_owned(),
            history_before: info.history_before(),
            offset: info.offset(),
            attached: info.attached(),
            store: info.store(),
            rewriting: info.flag("aof_rewrite_in_progress") || info.flag("aof_rewrite_scheduled"),
            work: info.work(),
            login: self.login(&mut link).await?,
            certificate_ends: link.certificate_ends,
            cluster,
        })
    }

    /// What a server accepts. Whether it accepts a password is asked by logging in: the list of what it accepts holds digests only.
    async fn login(&self, link: &mut Link) -> Result<Login> {
        let user = parse_user(&link.ask("ACL GETUSER", &command(&["ACL", "GETUSER", "default"])).await?);
        let previous = match &self.passwords.previous {
            Some(previous) if link.password != *previous => link.log_in(previous).await?,
            Some(_) => true,
            None => false,
        };
        // It was tried first, so whoever let the previous one in accepts no other but for having been told meanwhile.
        let current = link.password == self.passwords.current;
        let wished = usize::from(current) + usize::from(previous);
        let auth = parse::pairs(&link.ask("CONFIG GET", &command(&["CONFIG", "GET", "masterauth"])).await?);
        Ok(Login {
            current: current && !user.open,
            previous: previous && !user.open,
            others: user.open || user.passwords > wished,
            replicates_by_current: auth.get("masterauth").is_some_and(|auth| auth == self.passwords.current.reveal()),
        })
    }
}

struct User {
    /// It needs no password.
    open: bool,
    passwords: usize,
}

fn parse_user(value: &Value) -> User {
    let fields: Vec<(String, &Value)> = match value {
        Value::Array(flat) => {
            flat.chunks_exact(2).filter_map(|pair| Some((parse::text(pair.first()?), pair.get(1)?))).collect()
        }
        Value::Map(pairs) => pairs.iter().map(|(name, value)| (parse::text(name), value)).collect(),
        _ => Vec::new(),
    };
    let items = |name: &str| -> Vec<String> {
        let found = fields.iter().find(|(field, _)| field == name).map(|(_, value)| *value);
        match found {
            Some(Value::Array(items) | Value::Set(items)) => items.iter().map(parse::text).collect(),
            _ => Vec::new(),
        }
    };
    User { open: items("flags").iter().any(|flag| flag == "nopass"), passwords: items("passwords").len() }
}

async fn cluster(link: &mut Link) -> Result<Option<Cluster>> {
    let nodes = link.text("CLUSTER NODES", &command(&["CLUSTER", "NODES"])).await?;
    let info = Info::parse(&link.text("CLUSTER INFO", &command(&["CLUSTER", "INFO"])).await?);
    let Some(mut cluster) = parse::cluster(&nodes, &info) else { return Ok(None) };
    let known = link.ask("COMMAND INFO", &command(&["COMMAND", "INFO", "cluster|migrateslots"])).await?;
    cluster.moves_slots = matches!(&known, Value::Array(found) if matches!(found.first(), Some(Value::Array(_))));
    if cluster.moves_slots {
        let jobs = link.ask("CLUSTER GETSLOTMIGRATIONS", &command(&["CLUSTER", "GETSLOTMIGRATIONS"])).await?;
        cluster.jobs = parse::jobs(&jobs);
    }
    Ok(Some(cluster))
}

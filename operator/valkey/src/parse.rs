//! Reading what servers print: `CLUSTER NODES`, `INFO`, lists of jobs.

use crate::{
    seen::{Attached, Cluster, Job, Memory, NodeId, Peer, Role, Store, Work},
    slots::Slots,
};
use redis::Value;
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

/// The fields of `INFO` or `CLUSTER INFO`.
pub struct Info(BTreeMap<String, String>);

impl Info {
    /// From the text.
    pub fn parse(text: &str) -> Self {
        let fields =
            text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.trim_end().split_once(':'));
        Self(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// A field's text; empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// A field's number; 0 where there is none.
    pub fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or(0)
    }

    /// Whether a field is `1`.
    pub fn flag(&self, name: &str) -> bool {
        self.text(name) == "1"
    }

    /// What the server is, as `valkey 9.1.2`. Valkey goes on printing a version of Redis beside its own.
    pub fn server(&self) -> String {
        match self.text("valkey_version") {
            "" => format!("redis {}", self.text("redis_version")),
            version => format!("valkey {version}"),
        }
    }

    /// Its part in replication.
    pub fn role(&self) -> Role {
        if self.text("role") != "slave" {
            return Role::Primary;
        }
        Role::Replica {
            of: format!("{}:{}", self.text("master_host"), self.text("master_port")),
            link_up: self.text("master_link_status") == "up",
            syncing: self.flag("master_sync_in_progress"),
        }
    }

    /// How far it is.
    pub fn offset(&self) -> u64 {
        self.number(if self.text("role") == "slave" { "slave_repl_offset" } else { "master_repl_offset" })
    }

    /// The history of writes that it continued, where it did.
    pub fn history_before(&self) -> Option<String> {
        let before = self.text("master_replid2");
        (!before.trim_matches('0').is_empty()).then(|| before.to_owned())
    }

    /// The replicas that are connected to it.
    pub fn attached(&self) -> Vec<Attached> {
        let numbered = |name: &str| name.strip_prefix("slave").is_some_and(|n| n.parse::<u32>().is_ok());
        let replicas = self.0.iter().filter(|(name, _)| numbered(name));
        replicas
            .map(|(_, value)| {
                let part = |name: &str| {
                    value.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
                };
                Attached {
                    address: format!("{}:{}", part("ip"), part("port")),
                    online: part("state") == "online",
                    offset: part("offset").parse().unwrap_or(0),
                }
            })
            .collect()
    }

    /// What it has done, where it counts that of its main thread: from Redis 6.2 on.
    pub fn counted_work(&self) -> Option<Work> {
        self.0.contains_key("used_cpu_user_main_thread").then(|| self.work())
    }

    /// What it has done.
    pub fn work(&self) -> Work {
        let seconds = |name: &str| self.text(name).parse().ok().and_then(|n: f64| Duration::try_from_secs_f64(n).ok());
        let cpu =
            ["used_cpu_user_main_thread", "used_cpu_sys_main_thread"].map(|name| seconds(name).unwrap_or_default());
        Work { cpu: cpu.iter().sum(), evicted: self.number("evicted_keys") }
    }

    /// What it holds.
    pub fn store(&self) -> Store {
        let databases = self.0.iter().filter(|(name, _)| name.starts_with("db"));
        let keys =
            databases.filter_map(|(_, value)| value.strip_prefix("keys=")?.split(',').next()?.parse::<u64>().ok());
        let memory = Memory {
            used: self.number("used_memory"),
            data: self.number("used_memory_dataset"),
            max: self.number("maxmemory"),
            evicts: !matches!(self.text("maxmemory_policy"), "" | "noeviction"),
        };
        Store { keys: keys.sum(), memory }
    }
}

/// A cluster from `CLUSTER NODES` and `CLUSTER INFO`; none where the node does not say who it is.
pub fn cluster(nodes: &str, info: &Info) -> Option<Cluster> {
    let mut migrating = Vec::new();
    let mut importing = Vec::new();
    let peers: Vec<Peer> = nodes.lines().filter_map(|line| peer(line, &mut migrating, &mut importing)).collect();
    let id = peers.iter().find(|peer| peer.myself)?.id.clone();
    let ok = info.text("cluster_state") == "ok";
    let epoch = info.number("cluster_current_epoch");
    Some(Cluster { id, ok, epoch, peers, migrating, importing, moves_slots: false, jobs: Vec::new() })
}

/// The nodes of `CLUSTER NODES`.
pub fn peers(nodes: &str) -> Vec<Peer> {
    nodes.lines().filter_map(|line| peer(line, &mut Vec::new(), &mut Vec::new())).collect()
}

/// `<id> <ip:port@cport[,hostname]> <flags> <primary> <ping> <pong> <epoch> <link> <slot> ...`
fn peer(line: &str, migrating: &mut Vec<(u16, NodeId)>, importing: &mut Vec<(u16, NodeId)>) -> Option<Peer> {
    let mut fields = line.split_whitespace();
    let id = NodeId::new(fields.next()?);
    let address = address(fields.next()?);
    let flags: Vec<&str> = fields.next()?.split(',').collect();
    let flag = |name: &str| flags.contains(&name);
    let replica_of = fields.next().filter(|primary| *primary != "-").map(NodeId::new);
    let epoch = fields.nth(2)?.parse().ok()?;
    let mut slots = Slots::none();
    for field in fields.skip(1) {
        if let Some(open) = field.strip_prefix('[').and_then(|open| open.strip_suffix(']')) {
            if let Some((slot, to)) = open.split_once("->-") {
                migrating.push((slot.parse().ok()?, NodeId::new(to)));
            } else if let Some((slot, from)) = open.split_once("-<-") {
                importing.push((slot.parse().ok()?, NodeId::new(from)));
            }
        } else {
            let (first, last) = field.split_once('-').unwrap_or((field, field));
            slots = slots.or(&Slots::range(first.parse().ok()?, last.parse().ok()?));
        }
    }
    Some(Peer {
        id,
        address,
        myself: flag("myself"),
        replica_of,
        failed: flag("fail") || flag("fail?"),
        handshake: flag("handshake"),
        epoch,
        slots,
    })
}

/// `ip:port@cport[,hostname]`, where an address of version 6 has no brackets.
fn address(field: &str) -> Option<SocketAddr> {
    let (ip, port) = field.split('@').next()?.rsplit_once(':')?;
    Some(SocketAddr::new(ip.trim_matches(['[', ']']).parse().ok()?, port.parse().ok()?))
}

/// Jobs from `CLUSTER GETSLOTMIGRATIONS`: a list of maps, flat in the older protocol.
pub fn jobs(value: &Value) -> Vec<Job> {
    let Value::Array(jobs) = value else { return Vec::new() };
    let job = |fields: BTreeMap<String, String>| {
        let text = |name: &str| fields.get(name).cloned().unwrap_or_default();
        Job {
            name: text("name"),
            export: text("operation") == "EXPORT",
            state: text("state").to_lowercase(),
            message: text("message"),
        }
    };
    jobs.iter().map(|fields| job(pairs(fields))).collect()
}

/// Names and values, of a map or of a flat list.
pub fn pairs(value: &Value) -> BTreeMap<String, String> {
    match value {
        Value::Map(pairs) => pairs.iter().map(|(name, value)| (text(name), text(value))).collect(),
        Value::Array(flat) => {
            flat.chunks_exact(2).filter_map(|pair| Some((text(pair.first()?), text(pair.get(1)?)))).collect()
        }
        _ => BTreeMap::new(),
    }
}

/// Text of whatever kind; empty where it is none.
pub fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => text.clone(),
        Value::Int(number) => number.to_string(),
        Value::Okay => "OK".to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nodes_of_a_cluster_are_read() {
        let text = "\
07c37dfeb235213a872192d90877d0cd55635b91 127.0.0.4:6379@16379,story-s1-0 slave,fail? e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 0 1426238317239 4 connected
67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1 ::1:6380@16380 myself,master - 0 1426238316232 2 connected 5461-10922 16383 [93-<-07c37d] [77->-e7d1ee]
292f8b365bb7edb5e285caf0b7e6ddc7265d2f4f :0@0 master,noaddr - 0 1426238318243 3 disconnected
824fe116063bc5fcf9f4ffd895bc17aee7731ac3 127.0.0.9:6379@16379 handshake - 0 0 0 disconnected
";
        let info = Info::parse("cluster_state:ok\r\ncluster_current_epoch:7\r\n");
        let seen = cluster(text, &info).unwrap();
        assert_eq!((seen.id.as_str(), seen.ok, seen.epoch), ("67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1", true, 7));
        let [replica, myself, away, new] = seen.peers.as_slice() else { panic!("{:?}", seen.peers) };
        assert_eq!(replica.address, Some("127.0.0.4:6379".parse().unwrap()));
        assert_eq!(replica.replica_of.as_ref().map(NodeId::as_str), Some("e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca"));
        assert_eq!((replica.failed, replica.myself, replica.epoch), (true, false, 4));
        assert_eq!(myself.address, Some("[::1]:6380".parse().unwrap()));
        assert_eq!(myself.slots.ranges(), [(5461, 10922), (16383, 16383)]);
        assert_eq!((away.address, away.failed), (None, false));
        assert!(new.handshake && !seen.alone());
        assert_eq!(
            (seen.importing, seen.migrating),
            (vec![(93, NodeId::new("07c37d"))], vec![(77, NodeId::new("e7d1ee"))])
        );
    }

    #[test]
    fn a_replica_and_a_primary_are_read() {
        let replica = Info::parse(
            "role:slave\r\nmaster_host:127.0.0.2\r\nmaster_port:6379\r\nmaster_link_status:down\r\nmaster_sync_in_progress:1\r\nslave_repl_offset:12\r\nmaster_repl_offset:9\r\n",
        );
        let of = "127.0.0.2:6379".to_owned();
        assert_eq!(replica.role(), Role::Replica { of, link_up: false, syncing: true });
        assert_eq!(replica.offset(), 12);
        let primary = Info::parse(
            "# Replication\r\nrole:master\r\nslave0:ip=127.0.0.3,port=6379,state=online,offset=99,lag=0\r\nmaster_repl_offset:100\r\n# Keyspace\r\ndb0:keys=3,expires=1,avg_ttl=0\r\ndb2:keys=4,expires=0,avg_ttl=0\r\nvalkey_version:9.1.2\r\nredis_version:7.2.4\r\nmaxmemory_policy:allkeys-lru\r\n",
        );
        let attached = Attached { address: "127.0.0.3:6379".into(), online: true, offset: 99 };
        assert_eq!((primary.role(), primary.offset(), primary.attached()), (Role::Primary, 100, vec![attached]));
        assert_eq!((primary.store().keys, primary.server().as_str()), (7, "valkey 9.1.2"));
        assert!(primary.store().memory.evicts);
    }

    #[test]
    fn jobs_are_read_from_flat_lists() {
        let bulk = |text: &str| Value::BulkString(text.into());
        let job = ["name", "a1", "operation", "EXPORT", "state", "success", "message", ""].map(bulk);
        let read = jobs(&Value::Array(vec![Value::Array(job.to_vec())]));
        assert_eq!(
            read.iter().map(|job| (job.name.as_str(), job.export, job.running())).collect::<Vec<_>>(),
            [("a1", true, false)]
        );
    }
}

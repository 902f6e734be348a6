//! What the keepers see of the servers of stores, as metrics: read from their last look at each scrape, so that a store that
//! is gone leaves nothing behind. Only the replica that acts has keepers.

use crate::{
    keeper::{
        Keepers, StoreKey,
        cache::{self, CacheKeeper},
        database::{self, DatabaseKeeper},
        elasticache_servers::{ElastiCacheServers, ServersFigures},
        rds_servers::RdsServers,
    },
    tiers::store::{StoreTier, pods::DATA},
};
use decide::Time;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};
use std::{fmt, sync::Arc};

/// For how long what was seen is exported (P): twice the longest round. Afterwards nobody knows how the store is, and only the
/// time of the last look remains.
const FRESH: decide::Duration = decide::Duration::from_mins(2);

/// The figures of the stores.
pub struct StoreMetrics {
    caches: Arc<Keepers<CacheKeeper>>,
    databases: Arc<Keepers<DatabaseKeeper>>,
    elasticache: Arc<Keepers<ElastiCacheServers>>,
    rds: Arc<Keepers<RdsServers>>,
}

impl StoreMetrics {
    /// Reads from these keepers: of caches and of databases, in the cluster and at AWS.
    pub fn new(
        (caches, elasticache): (Arc<Keepers<CacheKeeper>>, Arc<Keepers<ElastiCacheServers>>),
        (databases, rds): (Arc<Keepers<DatabaseKeeper>>, Arc<Keepers<RdsServers>>),
    ) -> Self {
        Self { caches, databases, elasticache, rds }
    }
}

impl fmt::Debug for StoreMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreMetrics")
    }
}

impl Collector for StoreMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut stores = self.caches.each(|key, orders, view, figures| {
            let store = Store::new(key, StoreTier::Cache, &orders.item, None);
            let seen = of_cache(store, orders.evicts, &view.store, figures);
            Seen { certificate_ends: view.certificate_ends, ..seen }
        });
        stores.extend(self.elasticache.each(|key, orders, _, figures| {
            of_elasticache(Store::new(key, StoreTier::Cache, &orders.item, None), figures)
        }));
        stores.extend(self.databases.each(|key, orders, _, figures| {
            let store = Store::new(key, StoreTier::Database, &orders.item, Some(orders.shard));
            of_database(store, &key.object_name, orders.wish.server.volume, figures)
        }));
        stores.extend(self.rds.each(|key, orders, _, figures| {
            let store = Store::new(key, StoreTier::Database, &orders.item, None);
            // Its volumes are no claims of this cluster.
            Seen { claims: Vec::new(), ..of_database(store, &key.object_name, 0, figures) }
        }));
        encode(&stores, Time::from(jiff::Timestamp::now()), encoder)
    }
}

/// Which store, and which shard of it where the figure is that of a shard.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Store {
    namespace: String,
    platform: String,
    tier: &'static str,
    store: String,
    shard: Option<u32>,
}

impl Store {
    fn new(key: &StoreKey, tier: StoreTier, item: &str, shard: Option<u32>) -> Self {
        Self {
            namespace: key.platform.namespace.clone(),
            platform: key.platform.name.clone(),
            tier: tier.as_str(),
            store: item.to_owned(),
            shard,
        }
    }

    fn of(&self, shard: u32) -> Self {
        Self { shard: Some(shard), ..self.clone() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Verdict {
    #[prometheus(flatten)]
    store: Store,
    verdict: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Claim {
    #[prometheus(flatten)]
    store: Store,
    persistentvolumeclaim: String,
}

/// A store as its keeper has seen it; of a database with shards one for each.
#[derive(Debug)]
struct Seen {
    store: Store,
    at: Time,
    verdicts: Vec<String>,
    agreed: Option<bool>,
    evicts: Option<bool>,
    to_move: Option<u32>,
    shards: Vec<(Store, Shard)>,
    claims: Vec<(u32, String)>,
    /// Until when the first certificate to end is valid of those that servers show.
    certificate_ends: Option<i64>,
}

/// A shard: a primary with its replicas. What is not known is not exported.
#[derive(Debug, Default)]
struct Shard {
    primary_up: bool,
    accepts_writes: Option<bool>,
    lag_bytes: Option<u64>,
    lag: Option<std::time::Duration>,
    kept: Option<u64>,
    connections: Option<(u32, u32)>,
    slots: Option<u32>,
    keys: Option<u64>,
    memory: Option<u64>,
    memory_max: Option<u64>,
    used: Option<u64>,
    volume: Option<u64>,
}

fn of_shard(shown: &valkey::ShardFigures) -> Shard {
    Shard {
        primary_up: true,
        lag_bytes: shown.lag,
        slots: Some(shown.slots),
        keys: Some(shown.keys),
        memory: Some(shown.memory),
        // 0 is without bound.
        memory_max: Some(shown.memory_max).filter(|max| *max > 0),
        ..Shard::default()
    }
}

/// What AWS says of it, and of servers that do not answer, is told elsewhere.
fn of_elasticache(store: Store, figures: &ServersFigures) -> Seen {
    let shown = figures.cache.shown.shards.iter();
    Seen {
        at: figures.cache.at,
        verdicts: Vec::new(),
        agreed: None,
        evicts: figures.evicts,
        to_move: None,
        shards: shown.map(|(number, shown)| (store.of(*number), of_shard(shown))).collect(),
        claims: Vec::new(),
        certificate_ends: None,
        store,
    }
}

fn of_cache(store: Store, evicts: bool, view: &valkey::View, figures: &cache::Figures) -> Seen {
    let shards = view.shards.iter().map(|(number, shard)| {
        let shown = figures.shown.shards.get(number);
        let shard = Shard { primary_up: shard.primary.is_some(), ..shown.map(of_shard).unwrap_or_default() };
        (store.of(*number), shard)
    });
    let pods = view
        .shards
        .iter()
        .flat_map(|(number, shard)| shard.primary.iter().chain(shard.replicas.keys()).map(|pod| (*number, claim(pod))));
    Seen {
        at: figures.at,
        verdicts: vec![view.verdict.reason().to_owned()],
        agreed: Some(view.agreed),
        evicts: Some(evicts),
        to_move: Some(figures.shown.to_move),
        shards: shards.collect(),
        claims: pods.collect(),
        certificate_ends: None,
        store,
    }
}

/// `server`: what the names of the objects of the primary and its replicas begin with; `volume`: its size in bytes.
fn of_database(store: Store, server: &str, volume: u64, figures: &database::Figures) -> Seen {
    let view = &figures.view;
    let shard = Shard {
        primary_up: view.primary_up,
        accepts_writes: Some(view.accepts_writes),
        lag_bytes: view.replicas.iter().filter_map(|replica| replica.lag_bytes).max(),
        lag: view.replicas.iter().filter_map(|replica| replica.lag).max(),
        kept: view.replicas.iter().filter_map(|replica| replica.kept).max(),
        connections: view.connections,
        used: view.bytes,
        volume: Some(volume).filter(|volume| *volume > 0),
        ..Shard::default()
    };
    let mut verdicts: Vec<String> = view.verdicts.iter().map(|verdict| format!("{:?}", verdict.reason)).collect();
    verdicts.sort();
    verdicts.dedup();
    let there = view.replicas.iter().filter(|replica| replica.state != postgres::ReplicaState::Missing);
    let replicas = there.map(|replica| format!("{server}-pg-ro-{}", replica.ordinal));
    let pods = std::iter::once(format!("{server}-pg-0")).chain(replicas);
    Seen {
        at: figures.at,
        verdicts,
        agreed: None,
        evicts: None,
        to_move: None,
        shards: vec![(store.clone(), shard)],
        claims: pods.map(|pod| (store.shard.unwrap_or_default(), claim(&pod))).collect(),
        certificate_ends: view.certificate_ends,
        store,
    }
}

/// Name of the claim of a pod.
fn claim(pod: &str) -> String {
    format!("{DATA}-{pod}")
}

/// Name, help, unit and value of a gauge of a shard.
type OfShard = (&'static str, &'static str, Option<Unit>, fn(&Shard) -> Option<f64>);

const OF_SHARDS: [OfShard; 13] = [
    ("store_primary_up", "1 while the primary answers", None, |s| is(Some(s.primary_up))),
    ("store_accepts_writes", "1 while the primary acknowledges writes", None, |s| is(s.accepts_writes)),
    ("store_replica_lag", "How far the last replica is behind", Some(Unit::Bytes), |s| bytes(s.lag_bytes)),
    ("store_replica_lag", "Age of the newest commit on the last replica", Some(Unit::Seconds), |s| {
        s.lag.map(|lag| lag.as_secs_f64())
    }),
    ("store_slot_kept", "Most log that is kept for a replication slot", Some(Unit::Bytes), |s| bytes(s.kept)),
    ("store_connections", "Client connections to the primary", None, |s| s.connections.map(|(now, _)| now.into())),
    ("store_connections_max", "Most connections of clients", None, |s| s.connections.map(|(_, max)| max.into())),
    ("store_slots", "Hash slots that the primary owns", None, |s| s.slots.map(f64::from)),
    ("store_keys", "Keys on the primary", None, |s| bytes(s.keys)),
    ("store_memory", "Memory in use by the primary", Some(Unit::Bytes), |s| bytes(s.memory)),
    ("store_memory_max", "What it may use; absent without a bound", Some(Unit::Bytes), |s| bytes(s.memory_max)),
    ("store_used", "Size of databases and log on the primary's volume", Some(Unit::Bytes), |s| bytes(s.used)),
    ("store_volume", "Size of the primary's volume as asked for", Some(Unit::Bytes), |s| bytes(s.volume)),
];

fn is(fact: Option<bool>) -> Option<f64> {
    fact.map(|fact| f64::from(u8::from(fact)))
}

/// Exact up to 8 PiB.
fn bytes(number: Option<u64>) -> Option<f64> {
    number.map(|number| number as f64)
}

/// Name, help and value of a gauge of a store.
type OfStore = (&'static str, &'static str, fn(&Seen) -> Option<f64>);

fn encode(stores: &[Seen], now: Time, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
    let looked = stores.iter().map(|seen| (seen.store.clone(), seen.at.as_millis() as f64 / 1000.0));
    family(&mut encoder, "store_seen_timestamp", "Unix time of the last look", Some(&Unit::Seconds), looked)?;
    let fresh: Vec<&Seen> = stores.iter().filter(|seen| now.since(seen.at) <= FRESH).collect();
    let verdicts = fresh.iter().flat_map(|seen| seen.verdicts.iter().map(|verdict| (&seen.store, verdict)));
    let verdicts = verdicts.map(|(store, verdict)| (Verdict { store: store.clone(), verdict: verdict.clone() }, 1.0));
    family(&mut encoder, "store_verdict", "1 for each thing that is to be said of a store now", None, verdicts)?;
    let of_stores: [OfStore; 3] = [
        ("store_agreed", "1 while all servers agree on who owns what", |seen| is(seen.agreed)),
        ("store_evicts", "1 where keys are evicted at the memory limit", |seen| is(seen.evicts)),
        ("store_slots_to_move", "Slots that are not yet where they shall be", |seen| seen.to_move.map(f64::from)),
    ];
    for (name, help, value) in of_stores {
        let series = fresh.iter().filter_map(|seen| Some((seen.store.clone(), value(seen)?)));
        family(&mut encoder, name, help, None, series)?;
    }
    for (name, help, unit, value) in &OF_SHARDS {
        let shards = fresh.iter().flat_map(|seen| &seen.shards);
        let series = shards.filter_map(|(store, shard)| Some((store.clone(), value(shard)?)));
        family(&mut encoder, name, help, unit.as_ref(), series)?;
    }
    let help = "Unix time at which the first certificate ends of those that servers show";
    // Exact for the next hundred million years.
    let ends = fresh.iter().filter_map(|seen| Some((seen.store.clone(), seen.certificate_ends? as f64)));
    family(&mut encoder, "store_certificate_expiry_timestamp", help, Some(&Unit::Seconds), ends)?;
    let claims = fresh.iter().flat_map(|seen| seen.claims.iter().map(|(shard, claim)| (seen.store.of(*shard), claim)));
    let claims = claims.map(|(store, claim)| (Claim { store, persistentvolumeclaim: claim.clone() }, 1.0));
    family(&mut encoder, "store_claim", "1 for each claim of a volume", None, claims)
}

/// A gauge with its series; none where there are no series.
fn family<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    series: impl IntoIterator<Item = (L, f64)>,
) -> fmt::Result {
    let mut series = series.into_iter().peekable();
    if series.peek().is_none() {
        return Ok(());
    }
    let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    for (labels, value) in series {
        ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{metrics::Metrics, naming::PlatformKey};
    use std::collections::{BTreeMap, BTreeSet};

    /// What a fixed list of stores is exported as.
    #[derive(Debug)]
    struct Given(parking_lot::Mutex<(Vec<Seen>, Time)>);

    impl Collector for &'static Given {
        fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
            let given = self.0.lock();
            encode(&given.0, given.1, encoder)
        }
    }

    fn key(object_name: &str) -> StoreKey {
        let platform = PlatformKey { namespace: "school".to_owned(), name: "story".to_owned() };
        StoreKey { platform, object_name: object_name.to_owned() }
    }

    fn database() -> Seen {
        let replica = |ordinal, lag_bytes, lag, kept| postgres::ReplicaView {
            ordinal,
            state: postgres::ReplicaState::Streaming,
            lag_bytes: Some(lag_bytes),
            lag,
            kept,
            routable: true,
            busy: None,
        };
        let verdict = |reason| postgres::Verdict { reason, message: String::new() };
        let view = postgres::View {
            record: None,
            primary_up: true,
            accepts_writes: false,
            major: Some(17),
            connections: Some((7, 97)),
            senders_left: Some(8),
            copying: false,
            bytes: Some(8 << 30),
            replicas: vec![
                replica(0, 10, None, Some(5_000_000_000)),
                replica(1, 2_000_000, Some(std::time::Duration::from_millis(2500)), Some(0)),
                postgres::ReplicaView {
                    ordinal: 2,
                    state: postgres::ReplicaState::Missing,
                    lag_bytes: None,
                    lag: None,
                    kept: None,
                    routable: false,
                    busy: None,
                },
            ],
            archive: None,
            replicas_allowed: 3,
            durability: postgres::DurabilityNow::Local { lag: None },
            logins: Vec::new(),
            certificate_ends: Some(1_790_000_000),
            verdicts: [postgres::Reason::WritesHang, postgres::Reason::NotHighlyAvailable].map(verdict).into(),
        };
        let store = Store::new(&key("story-main-1"), StoreTier::Database, "main", Some(1));
        of_database(
            store,
            "story-main-1",
            10 << 30,
            &database::Figures { at: Time::from_secs(1000), view, moving: None, last: None },
        )
    }

    fn cache(memory_max: u64) -> Seen {
        let shard = |primary: Option<&str>, replicas: &[(&str, bool)]| valkey::Shard {
            primary: primary.map(str::to_owned),
            replicas: replicas.iter().map(|(pod, in_step)| ((*pod).to_owned(), *in_step)).collect(),
            may_shrink: false,
        };
        let first = shard(Some("story-cache-s0-1"), &[("story-cache-s0-0", true)]);
        let view = valkey::View {
            verdict: valkey::Verdict::NotAgreed,
            formed: true,
            agreed: false,
            shards: BTreeMap::from([(0, first), (1, shard(None, &[]))]),
            lead: None,
            primary: None,
            held: BTreeSet::new(),
            rejoin: BTreeSet::new(),
            removable: BTreeSet::new(),
            rotation: valkey::Rotation::Settled,
        };
        let shown = valkey::ShardFigures { slots: 8192, keys: 12, memory: 900, memory_max, lag: Some(3) };
        let shown = valkey::Figures { shards: BTreeMap::from([(0, shown)]), to_move: 8192 };
        let store = Store::new(&key("story-cache"), StoreTier::Cache, "cache", None);
        of_cache(
            store,
            true,
            &view,
            &cache::Figures { at: Time::from_secs(1000), shown, rates: cache::Rates::default(), moving: None },
        )
    }

    /// The lines of stores in the exposition, without the prefix and the labels that all have.
    fn lines(metrics: &Metrics) -> Vec<String> {
        let text = metrics.render().unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix("learningplatform_operator_store_"));
        lines.map(|line| line.replace(r#"namespace="school",platform="story","#, "")).collect()
    }

    #[test]
    fn figures_are_exported_by_store_and_shard_and_go_with_the_store() {
        let given: &'static Given =
            Box::leak(Box::new(Given((vec![cache(1000), database()], Time::from_secs(1010)).into())));
        let metrics = Metrics::default();
        metrics.register(|r| r.register_collector(Box::new(given)));
        let found = lines(&metrics);
        let cache = r#"tier="cache",store="cache","#;
        let database = r#"tier="database",store="main",shard="1""#;
        for line in [
            format!(r#"seen_timestamp_seconds{{{cache}shard=""}} 1000.0"#),
            format!("seen_timestamp_seconds{{{database}}} 1000.0"),
            format!(r#"verdict{{{cache}shard="",verdict="NotAgreed"}} 1.0"#),
            format!(r#"verdict{{{database},verdict="WritesHang"}} 1.0"#),
            format!(r#"verdict{{{database},verdict="NotHighlyAvailable"}} 1.0"#),
            format!(r#"agreed{{{cache}shard=""}} 0.0"#),
            format!(r#"evicts{{{cache}shard=""}} 1.0"#),
            format!(r#"slots_to_move{{{cache}shard=""}} 8192.0"#),
            format!(r#"primary_up{{{cache}shard="0"}} 1.0"#),
            format!(r#"primary_up{{{cache}shard="1"}} 0.0"#),
            format!("primary_up{{{database}}} 1.0"),
            format!("accepts_writes{{{database}}} 0.0"),
            format!(r#"replica_lag_bytes{{{cache}shard="0"}} 3.0"#),
            format!("replica_lag_bytes{{{database}}} 2000000.0"),
            format!("replica_lag_seconds{{{database}}} 2.5"),
            format!("slot_kept_bytes{{{database}}} 5000000000.0"),
            format!("connections{{{database}}} 7.0"),
            format!("connections_max{{{database}}} 97.0"),
            format!(r#"slots{{{cache}shard="0"}} 8192.0"#),
            format!(r#"keys{{{cache}shard="0"}} 12.0"#),
            format!(r#"memory_bytes{{{cache}shard="0"}} 900.0"#),
            format!(r#"memory_max_bytes{{{cache}shard="0"}} 1000.0"#),
            format!("used_bytes{{{database}}} 8589934592.0"),
            format!("volume_bytes{{{database}}} 10737418240.0"),
            format!("certificate_expiry_timestamp_seconds{{{database}}} 1790000000.0"),
            format!(r#"claim{{{cache}shard="0",persistentvolumeclaim="data-story-cache-s0-0"}} 1.0"#),
            format!(r#"claim{{{cache}shard="0",persistentvolumeclaim="data-story-cache-s0-1"}} 1.0"#),
            format!(r#"claim{{{database},persistentvolumeclaim="data-story-main-1-pg-0"}} 1.0"#),
            format!(r#"claim{{{database},persistentvolumeclaim="data-story-main-1-pg-ro-0"}} 1.0"#),
            format!(r#"claim{{{database},persistentvolumeclaim="data-story-main-1-pg-ro-1"}} 1.0"#),
        ] {
            assert!(found.contains(&line), "{line} is not in\n{}", found.join("\n"));
        }
        assert_eq!(found.len(), 30, "{}", found.join("\n"));

        given.0.lock().0.remove(0);
        let found = lines(&metrics);
        assert!(!found.is_empty() && found.iter().all(|line| line.contains(database)), "{}", found.join("\n"));
    }

    #[test]
    fn what_was_seen_long_ago_is_no_figure_and_no_bound_is_no_zero() {
        let given: &'static Given = Box::leak(Box::new(Given((vec![cache(0)], Time::from_secs(1120)).into())));
        let metrics = Metrics::default();
        metrics.register(|r| r.register_collector(Box::new(given)));
        let found = lines(&metrics);
        assert!(found.iter().any(|line| line.starts_with("memory_bytes")));
        assert!(!found.iter().any(|line| line.starts_with("memory_max")), "{}", found.join("\n"));
        given.0.lock().1 = Time::from_secs(1121);
        assert_eq!(lines(&metrics), [r#"seen_timestamp_seconds{tier="cache",store="cache",shard=""} 1000.0"#]);
    }

    #[test]
    fn a_store_that_no_keeper_keeps_has_no_series() {
        let metrics = Metrics::default();
        let of_keepers = StoreMetrics::new(Default::default(), Default::default());
        metrics.register(|r| r.register_collector(Box::new(of_keepers)));
        assert_eq!(lines(&metrics), Vec::<String>::new());
    }
}

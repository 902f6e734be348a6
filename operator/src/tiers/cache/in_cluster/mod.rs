//! Redis and Valkey servers in this cluster: what they are made of, and what passes and keeper tell each other.

pub mod objects;
pub mod status;

use super::{PORT, count, scaling::Written};
use crate::{
    context::Context,
    keeper::{
        StoreKey,
        cache::{CacheView, Orders},
    },
    naming::object_name,
    secrets::{Lack, Reader},
    tiers::{
        Children,
        app::{self, trouble::Trouble},
        binding::{Address, Bindings, Bound, CacheBinding, Login, Password, Tls},
        store::{
            self, Identity, StoreTier,
            auth::{self, Passwords},
            exporter::{self, Exporter},
            left_behind::LeftBehind,
            pods,
            record::{self, Record},
            rotation::{self, NEXT, PREVIOUS, PUBLISHED, apps::Store},
            tls::{self, Certificates},
            volumes::Kept,
        },
    },
    validate::ValidPlatform,
};
use crds::tiers::cache::{AppendFsync, Cache, CacheMode, InClusterCache, MaxMemoryPolicy};
use decide::tier_size::Asked;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// The image where the spec names none: the fork with a free licence, from a version that takes every RDB file of Redis up to
/// 7.2.
pub const DEFAULT_IMAGE: &str = "docker.io/valkey/valkey:8.1";
pub use rotation::PASSWORD;
/// Key in the Secret: further users, in the server's words; a file that its start script reads.
pub const USERS: &str = "users";
/// The exporter's image where the spec names none: from v1.83 it can be kept from asking servers that a request names.
pub const EXPORTER_IMAGE: &str = "docker.io/oliver006/redis_exporter:v1.92.1";
/// The port that `redis_exporter` has by custom.
pub const EXPORTER_PORT: u16 = 9121;
/// Key of the record: the pod that leads a cache of mode `Single`.
pub const LEAD: &str = "PRIMARY";
/// Key of the record: the cache has served once.
pub const FORMED: &str = "FORMED";

/// A cache in this cluster that can be carried out.
#[derive(Clone, Debug)]
pub struct InCluster {
    /// Name of the item.
    pub name: String,
    /// Which store it is.
    pub identity: Identity,
    /// What its objects' names begin with.
    pub object_name: String,
    /// Namespace.
    pub namespace: String,
    /// How its servers belong together.
    pub mode: CacheMode,
    /// Primaries; 1 in mode `Single`.
    pub shards: u32,
    /// Replicas of each primary.
    pub replicas: u32,
    /// The rest, as written.
    pub spec: InClusterCache,
}

impl InCluster {
    /// A cache of the spec.
    pub fn new(platform: &str, namespace: &str, cache: &Cache, spec: &InClusterCache) -> Self {
        let id = cache.renamed_from.clone().unwrap_or_else(|| cache.name.clone());
        let mut cache = Self {
            name: cache.name.clone(),
            object_name: object_name(platform, &id),
            identity: Identity { platform: platform.to_owned(), id, tier: StoreTier::Cache },
            namespace: namespace.to_owned(),
            mode: spec.mode.unwrap_or_default(),
            shards: 1,
            replicas: count(spec.replicas_per_shard, 1),
            spec: spec.clone(),
        };
        cache.shards = cache.written_shards();
        cache
    }

    /// The size as written.
    fn written(&self) -> Written<'_> {
        Written {
            name: &self.name,
            shards: self.written_shards(),
            replicas: count(self.spec.replicas_per_shard, 1),
            scaling: self.spec.scaling.as_ref(),
        }
    }

    /// With the shards and replicas that are wanted, by what is recorded.
    pub fn scaled(&self, record: Option<&Record>) -> Self {
        let (shards, replicas) = self.written().scaled(record);
        Self { shards, replicas, ..self.clone() }
    }

    /// Shards that the spec names.
    fn written_shards(&self) -> u32 {
        match self.mode {
            CacheMode::Cluster => count(self.spec.shards, 3),
            CacheMode::Single => 1,
        }
    }

    /// Where clients connect.
    pub fn address(&self) -> Address {
        Address { host: format!("{}.{}.svc", self.object_name, self.namespace), port: PORT }
    }

    /// What exports its figures; None unless it was asked for.
    pub fn exporter(&self) -> Option<Exporter<'_>> {
        self.spec.exporter.as_ref().map(|spec| Exporter { spec, image: EXPORTER_IMAGE, port: EXPORTER_PORT })
    }

    /// Name of the Service of all servers, each by its name.
    pub fn nodes_service(&self) -> String {
        format!("{}-nodes", self.object_name)
    }

    /// The names by which its servers are called.
    pub(super) fn names(&self) -> BTreeSet<String> {
        [self.address().host, format!("*.{}.{}.svc", self.nodes_service(), self.namespace)].into()
    }

    /// Name of a shard's StatefulSet.
    pub fn shard_name(&self, shard: u32) -> String {
        format!("{}-s{shard}", self.object_name)
    }

    /// How apps reach it.
    pub fn binding(&self, password: &str, tls: Option<Tls>) -> CacheBinding {
        let login = Login { username: None, password: Password(password.to_owned()) };
        CacheBinding {
            address: self.address(),
            login: Some(login),
            tls,
            cluster: Some(self.mode == CacheMode::Cluster),
        }
    }
}

/// Key of the record for a pod, `<name>-s<shard>-<ordinal>`.
fn pod_key(pod: &str) -> Option<String> {
    let (set, ordinal) = pod.rsplit_once('-')?;
    let (_, shard) = set.rsplit_once("-s")?;
    Some(format!("POD_{shard}_{ordinal}"))
}

/// The shard and the ordinal of a record's key for a pod.
fn place(key: &str) -> Option<(u32, u32)> {
    let (shard, ordinal) = key.strip_prefix("POD_")?.split_once('_')?;
    Some((shard.parse().ok()?, ordinal.parse().ok()?))
}

/// After which silence the servers take one of them to be down: Redis' own default.
const NODE_TIMEOUT: Duration = Duration::from_secs(15);

/// The settings of the servers.
fn settings(cache: &InCluster) -> valkey::Settings {
    let spec = &cache.spec;
    let limit = pods::memory_limit(&spec.pods);
    let policy = serde_json::to_value(spec.max_memory_policy.unwrap_or_default()).unwrap_or_default();
    let mut parameters = spec.parameters.clone();
    let fsync = match spec.append_fsync.unwrap_or_default() {
        AppendFsync::Always => "always",
        AppendFsync::EverySecond => "everysec",
        AppendFsync::No => "no",
    };
    parameters.insert("appendfsync".to_owned(), fsync.to_owned());
    valkey::Settings {
        mode: mode(cache.mode),
        port: PORT,
        node_timeout: NODE_TIMEOUT,
        append_only: spec.append_only.unwrap_or(true),
        // What is left is for the buffers of clients and replicas, and for a copy while a file is rewritten.
        max_memory: spec.max_memory.as_ref().and_then(pods::bytes).or(limit.map(|n| n / 10 * 7)).unwrap_or_default(),
        policy: policy.as_str().unwrap_or_default().to_owned(),
        min_replicas_to_write: count(spec.min_replicas_to_write, 0),
        tls: spec.tls.as_ref().map(|_| tls::DIRECTORY.to_owned()),
        parameters,
    }
}

fn mode(mode: CacheMode) -> valkey::Mode {
    match mode {
        CacheMode::Cluster => valkey::Mode::Cluster,
        CacheMode::Single => valkey::Mode::Single,
    }
}

/// What a pass finds out about a cache.
pub async fn observe(
    ctx: &Context,
    lp: &ValidPlatform,
    children: &Children,
    cache: &InCluster,
    left: &LeftBehind,
    reader: &mut Reader<'_>,
) -> Seen {
    let record = record::of(children, &cache.object_name);
    let given = match &cache.spec.password {
        Some(key) => reader.text(&key.name, &key.key).await.map(Some),
        None => Ok(None),
    };
    let held = left.holds(&cache.identity.id).then(|| left.remedy(StoreTier::Cache));
    let has_served = record.as_ref().is_some_and(|record| record.contains_key(FORMED));
    let place = (children, ctx.capabilities.now());
    let (spec, now) = (cache.spec.tls.as_ref(), jiff::Timestamp::now().as_second());
    let (tls, given) = match tls::certificates(spec, &cache.object_name, &cache.names(), place, reader, now).await {
        Ok(tls) => (tls, given),
        // Without them a store is as little to be had as without its passwords.
        Err(lack) => (None, Err(lack)),
    };
    let mut rotation = None;
    let passwords = given.and_then(|given| {
        let has_data = record::has_passwords(record.as_ref()) && given.is_none();
        let mut found = auth::passwords(children, &cache.object_name, &[PASSWORD], has_data, |_| {
            given.clone().or_else(|| auth::random().ok())
        })?;
        monitored(cache, &mut found);
        if held.is_some() {
            return Ok(found);
        }
        let (after, told) = rotate(ctx, lp, children, cache, &found, given.as_deref(), (has_served, tls.as_ref()));
        rotation = told;
        Ok(after)
    });
    let view = ctx.caches.view(&key(lp, cache));
    let troubles = app::pod_troubles(ctx, lp).0.remove(&cache.identity.id).unwrap_or_default();
    let asked = store::asked(ctx, lp, &cache.name);
    Seen { passwords, tls, record, held, view, troubles, asked, answered: false, rotation, volumes: Kept::default() }
}

/// With the exporter's user: it may ask for figures, and for nothing that is kept. The server knows a digest of its password.
fn monitored(cache: &InCluster, passwords: &mut Passwords) {
    exporter::password(passwords, cache.spec.exporter.is_some());
    let Some(password) = passwords.text(exporter::PASSWORD) else { return passwords.clear(USERS) };
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, password.as_bytes());
    let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let may = "+ping +info +client|setname +cluster|info +slowlog|len +slowlog|get +latency|latest +latency|histogram";
    passwords.set(USERS, &format!("user {} on resetkeys resetchannels -@all {may} #{digest}", exporter::ROLE));
}

/// The passwords after the next step of their change, and what is told of it.
fn rotate(
    ctx: &Context,
    lp: &ValidPlatform,
    children: &Children,
    cache: &InCluster,
    passwords: &Passwords,
    given: Option<&str>,
    (has_served, tls): (bool, Option<&Certificates>),
) -> (Passwords, Option<String>) {
    let works = ctx.caches.answer(&key(lp, cache)).is_some_and(|(view, orders)| {
        Some(orders.wish.passwords) == accepted(passwords) && view.store.rotation != valkey::Rotation::Spreading
    });
    let present = passwords.text(PUBLISHED).or(passwords.text(PASSWORD)).unwrap_or_default();
    let store = Store {
        name: &cache.name,
        logins: rotation::Logins::Passwords,
        every: cache.spec.password_rotation.as_ref().map(|rotation| rotation.every.into()),
        given,
        has_served,
        works,
        binding: Bindings {
            caches: BTreeMap::from([(cache.name.clone(), Ok(cache.binding(present, tls.map(Certificates::binding))))]),
            ..Bindings::default()
        },
    };
    rotation::apps::advance(ctx, lp, children, &store, passwords)
}

/// What the servers are to accept: during a change two passwords, of which they use the newer one among themselves.
fn accepted(passwords: &Passwords) -> Option<valkey::Passwords> {
    let present = passwords.text(PUBLISHED).or(passwords.text(PASSWORD))?;
    let (current, previous) = match (passwords.text(PREVIOUS), passwords.text(NEXT)) {
        (Some(previous), _) => (present, Some(previous)),
        (None, Some(next)) => (next, Some(present)),
        (None, None) => (present, None),
    };
    Some(valkey::Passwords { current: valkey::Password::new(current), previous: previous.map(valkey::Password::new) })
}

/// What is wanted of its keeper; None while it has no password or may not be made.
pub fn orders(lp: &ValidPlatform, cache: &InCluster, seen: &Seen, children: &Children, acts: bool) -> Option<Orders> {
    seen.passwords.as_ref().ok().filter(|_| seen.held.is_none())?;
    // None that is not kept in the Secret: the servers must not know what the next pass does not.
    let passwords = auth::live(children, &cache.object_name)?;
    let record = record::of(children, &cache.object_name).unwrap_or_default();
    let cache = &cache.scaled(Some(&record));
    let wish = valkey::Wish {
        mode: mode(cache.mode),
        shards: cache.shards,
        replicas: cache.replicas,
        passwords: accepted(&passwords)?,
        formed: record.contains_key(FORMED),
        primary: record.get(LEAD).cloned(),
    };
    Some(Orders {
        item: cache.name.clone(),
        evicts: cache.spec.max_memory_policy.unwrap_or_default() != MaxMemoryPolicy::NoEviction,
        id: cache.identity.id.clone(),
        wish,
        revisions: store::revisions(children, &cache.identity.id),
        scaling: cache.written().scaling(lp, seen.record.as_ref(), seen.asked.as_ref()),
        trust: tls::trust(seen.tls.as_ref(), &cache.object_name, children, cache.address().host),
        acts,
    })
}

/// What is known of a cache without a cluster: as if it had served already.
pub fn offline(cache: &InCluster) -> Seen {
    let monitor = cache.spec.exporter.iter().flat_map(|_| [exporter::PASSWORD, USERS]);
    let word = |key: &str| (key.to_owned(), format!("SECRET-{}-{key}", auth::name(&cache.object_name)).into_bytes());
    let record = Record::from([(FORMED.to_owned(), "true".to_owned())]);
    Seen {
        passwords: Ok([PASSWORD].into_iter().chain(monitor).map(word).collect()),
        tls: tls::offline(cache.spec.tls.as_ref(), &cache.object_name),
        record: Some(record),
        held: None,
        view: None,
        troubles: Vec::new(),
        asked: None,
        answered: false,
        rotation: None,
        volumes: Kept::default(),
    }
}

/// Which keeper keeps it.
pub fn key(lp: &ValidPlatform, cache: &InCluster) -> StoreKey {
    StoreKey { platform: lp.key.clone(), object_name: cache.object_name.clone() }
}

/// What a pass has observed of a cache in this cluster.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its passwords, or what is lacking for them or its certificates.
    pub passwords: Result<Passwords, Lack>,
    /// Its certificates, where it speaks TLS.
    pub tls: Option<Certificates>,
    /// What is known of its data; None while there are none.
    pub record: Option<Record>,
    /// Why nothing may be made for it yet.
    pub held: Option<String>,
    /// What its keeper has seen.
    pub view: Option<Arc<CacheView>>,
    /// What keeps its pods from running.
    pub troubles: Vec<Trouble>,
    /// An app that it makes slow.
    pub asked: Option<Asked>,
    /// Whether its keeper has seen the servers as they are wanted now.
    pub answered: bool,
    /// What is told of a change of its password that is under way, or waits.
    pub rotation: Option<String>,
    /// What becomes of its volumes when the namespace is deleted.
    pub volumes: Kept,
}

impl Seen {
    /// How apps reach it. Before it has served once they wait.
    pub fn bind(&self, cache: &InCluster) -> Bound<CacheBinding> {
        if let Some(held) = &self.held {
            return Err(Lack::NotYet(held.clone()));
        }
        let formed = self.record.as_ref().is_some_and(|record| record.contains_key(FORMED));
        let passwords = self.passwords.as_ref().map_err(Clone::clone)?;
        match passwords.text(PASSWORD) {
            Some(password) if formed => Ok(cache.binding(password, self.tls.as_ref().map(Certificates::binding))),
            _ => Err(Lack::NotYet("it is being made".to_owned())),
        }
    }
}

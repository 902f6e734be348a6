//! Watches, kept apart: each runs in a task of its own with a backoff of its own, so that one that fails delays no other.

use crate::{metrics::Metrics, naming::PlatformKey, wake::Wake};
use futures::{Stream, StreamExt, stream::select_all};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::ApiResource,
    core::{DynamicObject, NamespaceResourceScope, PartialObjectMeta},
    runtime::{
        WatchStreamExt,
        reflector::{Lookup, ObjectRef, Store, store::Writer},
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use std::{
    collections::{HashMap, HashSet},
    fmt::Debug,
    hash::Hash,
    pin::Pin,
    sync::Arc,
};

/// Proxies in front of API servers cut idle watches after four minutes; this one ends before.
const WATCH_SECONDS: u32 = 200;

type Events<K> = Pin<Box<dyn Stream<Item = (usize, Event<K>)> + Send>>;

/// How a kind is watched.
pub fn config(labels: Option<&str>) -> watcher::Config {
    let config = watcher::Config::default().timeout(WATCH_SECONDS);
    match labels {
        Some(labels) => config.labels(labels),
        None => config,
    }
}

/// A typed API per watched namespace, or one for all.
pub fn apis<K>(client: &Client, namespaces: &[String]) -> Vec<Api<K>>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    if namespaces.is_empty() {
        return vec![Api::all(client.clone())];
    }
    namespaces.iter().map(|ns| Api::namespaced(client.clone(), ns)).collect()
}

/// A metadata API per watched namespace, or one for all.
pub fn metadata_apis(
    client: &Client,
    namespaces: &[String],
    resource: &ApiResource,
) -> Vec<Api<PartialObjectMeta<DynamicObject>>> {
    if namespaces.is_empty() {
        return vec![Api::all_with(client.clone(), resource)];
    }
    namespaces.iter().map(|ns| Api::namespaced_with(client.clone(), ns, resource)).collect()
}

/// What happened to an object.
pub enum Touched<K> {
    /// It is there, new or changed.
    Applied(K),
    /// It is gone.
    Deleted(K),
}

/// Identity inside a kind.
type Name = (Option<String>, String);

/// The watches of a kind, one per namespace.
pub struct Watch<K> {
    /// Where they list and watch.
    pub apis: Vec<Api<K>>,
    /// What they select.
    pub config: watcher::Config,
    /// What the kind is called in metrics and logs.
    pub kind: &'static str,
    /// Where errors are counted.
    pub metrics: Arc<Metrics>,
    /// Whom they wake.
    pub wake: Wake,
}

impl<K> Watch<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    /// The events of all of them; errors are counted, logged and dropped, after each watch's own backoff.
    fn events(self) -> Events<K> {
        let Self { apis, config, kind, metrics, .. } = self;
        let streams = apis.into_iter().enumerate().map(|(at, api)| {
            let metrics = metrics.clone();
            watcher(api, config.clone())
                .default_backoff()
                .filter_map(move |event| {
                    let event = event
                        .inspect_err(|error| {
                            metrics.watch_error(kind);
                            tracing::warn!(kind, %error, "a watch failed and is tried again");
                        })
                        .ok();
                    async move { event.map(|event| (at, event)) }
                })
                .boxed()
        });
        Box::pin(select_all(streams))
    }

    /// Wakes whom `touched` names; for a kind that is not stored.
    pub async fn notice<T>(self, mut touched: impl FnMut(&K) -> T + Send)
    where
        T: IntoIterator<Item = PlatformKey>,
        T::IntoIter: Send,
    {
        let wake = self.wake.clone();
        let mut events = self.events();
        while let Some((_, event)) = events.next().await {
            match event {
                Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) => {
                    for key in touched(&object) {
                        wake.wake(key).await;
                    }
                }
                Event::Init | Event::InitDone => {}
            }
        }
    }
}

impl<K> Watch<K>
where
    K: Resource
        + Lookup<DynamicType = <K as Resource>::DynamicType>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + 'static,
    <K as Resource>::DynamicType: Eq + Hash + Clone + Default,
{
    /// Keeps a store filled with what `trim` leaves of the objects, and wakes whom `touched` names. The store counts as ready
    /// once every watch has listed.
    pub async fn reflect(
        self,
        mut writer: Writer<K>,
        trim: impl Fn(&mut K) + Send,
        mut touched: impl FnMut(Touched<K>) -> Option<PlatformKey> + Send,
    ) {
        let mut merge = Merge::new(self.apis.len());
        let reader = writer.as_reader();
        let wake = self.wake.clone();
        let mut events = self.events();
        while let Some((at, mut event)) = events.next().await {
            if let Event::Apply(object) | Event::InitApply(object) = &mut event {
                trim(object);
            }
            let step = merge.take(at, event);
            let gone: Vec<K> = step.gone.iter().filter_map(|name| merge.object(name, &reader)).collect();
            merge.forget(&step.gone);
            for object in &gone {
                writer.apply_watcher_event(&Event::Delete(object.clone()));
            }
            for event in step.events {
                writer.apply_watcher_event(&event);
            }
            for news in gone.into_iter().map(Touched::Deleted).chain(step.news) {
                if let Some(key) = touched(news) {
                    wake.wake(key).await;
                }
            }
        }
    }
}

/// Makes one stream of store events out of those of several watches: a store takes a list as the whole of its kind.
struct Merge<K> {
    sources: Vec<Source>,
    /// Until every watch has listed: what has come so far, which then makes the store's first list.
    first: Option<HashMap<Name, K>>,
}

#[derive(Default)]
struct Source {
    listed: bool,
    names: HashSet<Name>,
    /// Names of the list that is under way.
    listing: HashSet<Name>,
}

/// What an event means for the store and for the world.
struct Step<K> {
    events: Vec<Event<K>>,
    news: Option<Touched<K>>,
    /// What a new list no longer has.
    gone: Vec<Name>,
}

impl<K: Resource + Clone> Merge<K> {
    fn new(sources: usize) -> Self {
        Self { sources: (0..sources).map(|_| Source::default()).collect(), first: Some(HashMap::new()) }
    }

    fn take(&mut self, at: usize, event: Event<K>) -> Step<K> {
        let mut step = Step { events: Vec::new(), news: None, gone: Vec::new() };
        let Some(source) = self.sources.get_mut(at) else { return step };
        match event {
            Event::Init => source.listing.clear(),
            Event::Apply(object) | Event::InitApply(object) => {
                let name = name(&object);
                source.names.insert(name.clone());
                source.listing.insert(name.clone());
                match &mut self.first {
                    Some(first) => drop(first.insert(name, object.clone())),
                    None => step.events.push(Event::Apply(object.clone())),
                }
                step.news = Some(Touched::Applied(object));
            }
            Event::Delete(object) => {
                let name = name(&object);
                source.names.remove(&name);
                source.listing.remove(&name);
                match &mut self.first {
                    Some(first) => drop(first.remove(&name)),
                    None => step.events.push(Event::Delete(object.clone())),
                }
                step.news = Some(Touched::Deleted(object));
            }
            Event::InitDone => {
                step.gone = source.names.difference(&source.listing).cloned().collect();
                source.names = source.listing.clone();
                source.listed = true;
                if self.sources.iter().all(|s| s.listed)
                    && let Some(first) = self.first.take()
                {
                    step.events.push(Event::Init);
                    step.events.extend(
                        first.into_iter().filter(|(n, _)| !step.gone.contains(n)).map(|(_, o)| Event::InitApply(o)),
                    );
                    step.events.push(Event::InitDone);
                }
            }
        }
        step
    }

    /// The last that was seen of an object.
    fn object(&self, name: &Name, store: &Store<K>) -> Option<K>
    where
        K: Lookup<DynamicType = <K as Resource>::DynamicType>,
        <K as Resource>::DynamicType: Eq + Hash + Clone + Default,
    {
        if let Some(object) = self.first.as_ref().and_then(|first| first.get(name)) {
            return Some(object.clone());
        }
        let mut reference = ObjectRef::new(&name.1);
        if let Some(namespace) = &name.0 {
            reference = reference.within(namespace);
        }
        store.get(&reference).map(|object| K::clone(&object))
    }

    fn forget(&mut self, names: &[Name]) {
        if let Some(first) = &mut self.first {
            first.retain(|name, _| !names.contains(name));
        }
    }
}

fn name<K: Resource>(object: &K) -> Name {
    (object.meta().namespace.clone(), object.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::reflector::store;

    fn map(namespace: &str, name: &str) -> ConfigMap {
        let mut map = ConfigMap::default();
        map.metadata.namespace = Some(namespace.to_owned());
        map.metadata.name = Some(name.to_owned());
        map
    }

    /// Feeds events as `reflect` does; returns what the store then holds and what was reported gone.
    fn feed(events: Vec<(usize, Event<ConfigMap>)>) -> (Vec<String>, Vec<String>, bool) {
        let (reader, mut writer) = store();
        let mut merge = Merge::new(2);
        let mut gone = Vec::new();
        let mut listed = false;
        for (at, event) in events {
            let step = merge.take(at, event);
            for name in &step.gone {
                let object = merge.object(name, &reader).unwrap();
                writer.apply_watcher_event(&Event::Delete(object));
                gone.push(name.1.clone());
            }
            merge.forget(&step.gone);
            listed |= step.events.iter().any(|e| matches!(e, Event::InitDone));
            step.events.iter().for_each(|e| writer.apply_watcher_event(e));
        }
        let mut names: Vec<String> = reader.state().iter().map(|m| m.name_any()).collect();
        names.sort();
        (names, gone, listed)
    }

    #[test]
    fn the_store_is_ready_when_every_namespace_has_listed() {
        let first = vec![(0, Event::Init), (0, Event::InitApply(map("a", "x"))), (0, Event::InitDone)];
        let (names, _, listed) = feed(first.clone());
        assert!(names.is_empty() && !listed);
        let both = [first, vec![(1, Event::Init), (1, Event::InitApply(map("b", "y"))), (1, Event::InitDone)]].concat();
        let (names, _, listed) = feed(both);
        assert_eq!(names, ["x", "y"]);
        assert!(listed);
    }

    #[test]
    fn a_new_list_of_one_namespace_leaves_the_others_alone() {
        let (names, gone, _) = feed(vec![
            (0, Event::Init),
            (0, Event::InitApply(map("a", "x"))),
            (0, Event::InitApply(map("a", "z"))),
            (0, Event::InitDone),
            (1, Event::Init),
            (1, Event::InitDone),
            (1, Event::Apply(map("b", "y"))),
            (0, Event::Init),
            (0, Event::InitApply(map("a", "z"))),
            (0, Event::InitDone),
        ]);
        assert_eq!(names, ["y", "z"]);
        assert_eq!(gone, ["x"]);
    }

    #[test]
    fn what_goes_before_the_first_list_is_complete_never_enters_the_store() {
        let (names, gone, listed) = feed(vec![
            (0, Event::Init),
            (0, Event::InitApply(map("a", "x"))),
            (0, Event::InitApply(map("a", "w"))),
            (0, Event::InitDone),
            (0, Event::Delete(map("a", "x"))),
            (0, Event::Init),
            (0, Event::InitDone),
            (1, Event::Init),
            (1, Event::InitDone),
        ]);
        assert!(names.is_empty() && listed, "{names:?}");
        assert_eq!(gone, ["w"]);
    }
}

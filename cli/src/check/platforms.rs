//! How the platforms are: the second half of `lpctl check`.

use super::{
    Category, Check, Topic, Verdict,
    remedy::{Place, remedy, under_way},
    unknown,
};
use crate::{
    cluster::Cluster,
    commands::status::{Item, PlatformView, view},
    output::ago,
};
use crds::LearningPlatform;
use jiff::Timestamp;
use kube::{Api, ResourceExt};

/// What is to be said of a platform as it is now.
type Look = Box<dyn Fn(&PlatformView, Timestamp) -> Verdict + Send + Sync>;

/// The checks of one platform.
pub fn platform(cluster: &Cluster, platform: &LearningPlatform) -> Category {
    let (namespace, name) = (platform.namespace().unwrap_or_default(), platform.name_any());
    let api: Api<LearningPlatform> = Api::namespaced(cluster.client.clone(), &namespace);
    // Each attempt reads it again, so that a retry sees what has changed.
    let looking = |look: Look| {
        let (api, name) = (api.clone(), name.clone());
        let look = std::sync::Arc::new(look);
        move || {
            let (api, name, look) = (api.clone(), name.clone(), look.clone());
            async move {
                match api.get_opt(&name).await {
                    Ok(Some(platform)) => {
                        let now = Timestamp::now();
                        look(&view(&platform, now), now)
                    }
                    Ok(None) => Verdict::Note("it is gone".into()),
                    Err(error) => unknown(&error),
                }
            }
        }
    };
    let mut checks = vec![
        Check::new("the operator has seen its newest spec", Topic::NotSeenYet, looking(Box::new(seen))).retry(),
        Check::new("it is Ready", Topic::NotReady, looking(Box::new(ready))).retry(),
    ];
    for app in &platform.spec.apps {
        for (tier, description, topic, warning) in [
            ("app", format!("the pods of app {} are ready", app.name), Topic::AppNotReady, false),
            ("autoscaling", format!("app {} can be scaled", app.name), Topic::AutoscalingNotReady, false),
            ("metrics", format!("app {}'s metrics have values", app.name), Topic::MetricsMissing, true),
        ] {
            let configured = match (tier, &app.autoscaling) {
                ("app", _) => true,
                (_, None) => false,
                ("metrics", Some(a)) => a.request_rate.is_some() || a.concurrency.is_some() || a.latency.is_some(),
                (_, Some(_)) => true,
            };
            if !configured {
                continue;
            }
            let app = app.name.clone();
            let look = move |view: &PlatformView, _: Timestamp| {
                let item = view.items.iter().find(|i| i.tier == tier && i.name == app);
                item.map_or_else(|| Verdict::Note("it is gone".into()), |item| of_item(view, item))
            };
            let check = Check::new(description, topic, looking(Box::new(look))).retry();
            checks.push(if warning { check.warning() } else { check });
        }
    }
    let caches = platform.spec.caches.iter().map(|cache| ("cache", &cache.name));
    let databases = platform.spec.databases.iter().map(|database| ("database", &database.name));
    for (tier, store) in caches.chain(databases) {
        let name = store.clone();
        let look = move |view: &PlatformView, _: Timestamp| {
            let item = view.items.iter().find(|i| i.tier == tier && i.name == name);
            item.map_or_else(|| Verdict::Note("it is gone".into()), |item| of_item(view, item))
        };
        let check = Check::new(format!("{tier} {store} can be used"), Topic::StoreNotReady, looking(Box::new(look)));
        checks.push(check.retry());
    }
    Category { name: format!("platform {namespace}/{name}"), checks, essential: false }
}

fn seen(view: &PlatformView, now: Timestamp) -> Verdict {
    match &view.stale {
        None if view.suspended => Verdict::Note("seen, but it is suspended: nothing is written".into()),
        None => Verdict::Good(String::new()),
        Some(stale) => {
            let when = stale.changed.map(|changed| format!(" {}", ago(changed, now))).unwrap_or_default();
            Verdict::bad(
                format!("spec changed{when}, not seen yet"),
                "lpctl check --wait 60s   # then look at the operator",
            )
        }
    }
}

fn ready(view: &PlatformView, _: Timestamp) -> Verdict {
    let place = Place { namespace: &view.namespace, platform: &view.name, app: None };
    if view.state == "Ready" {
        return Verdict::Good(view.message.clone());
    }
    Verdict::bad(format!("{}: {}", view.state, view.message), remedy(&view.state, &place))
}

fn of_item(view: &PlatformView, item: &Item) -> Verdict {
    use crate::output::Mark;
    match item.mark {
        Mark::Good => Verdict::Good(item.message.clone()),
        Mark::Off => Verdict::Note(item.message.clone()),
        Mark::Unknown => Verdict::Unknown(item.message.clone()),
        mark => {
            let place = Place { namespace: &view.namespace, platform: &view.name, app: Some(&item.name) };
            let what = format!("{}: {}", item.reason, item.message);
            // Pods that start are no trouble, and neither is a figure that has just come.
            if under_way(mark) { Verdict::Note(what) } else { Verdict::bad(what, remedy(&item.reason, &place)) }
        }
    }
}

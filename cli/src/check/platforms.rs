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
use crds::{LearningPlatform, status::Reason};
use jiff::Timestamp;
use kube::{Api, ResourceExt};

/// What is to be said of a platform as it is now.
type Look = Box<dyn Fn(&PlatformView, Timestamp) -> Verdict + Send + Sync>;

/// The checks of one platform.
pub fn platform(cluster: &Cluster, platform: &LearningPlatform) -> Category {
    let namespace = platform.namespace().unwrap_or_default();
    let api: Api<LearningPlatform> = Api::namespaced(cluster.client.clone(), &namespace);
    let name = platform.name_any();
    category(platform, move || {
        let (api, name) = (api.clone(), name.clone());
        async move { api.get_opt(&name).await }
    })
}

/// The checks of a platform that `read` gives anew at each attempt, so that a retry sees what has changed.
fn category<F, Fut>(platform: &LearningPlatform, read: F) -> Category
where
    F: Fn() -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = kube::Result<Option<LearningPlatform>>> + Send + 'static,
{
    let (namespace, name) = (platform.namespace().unwrap_or_default(), platform.name_any());
    let looking = |look: Look| {
        let read = read.clone();
        let look = std::sync::Arc::new(look);
        move || {
            let (read, look) = (read.clone(), look.clone());
            async move {
                match read().await {
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
                item.map_or_else(|| Verdict::Note("it is gone".into()), |item| of_item(view, item, None))
            };
            let check = Check::new(description, topic, looking(Box::new(look))).retry();
            checks.push(if warning { check.warning() } else { check });
        }
    }
    for (app, job) in platform.spec.apps.iter().flat_map(|app| app.jobs.iter().map(move |job| (app, job))) {
        let name = format!("{}/{}", app.name, job.name);
        let description = format!("job {name} has not failed");
        let look = move |view: &PlatformView, _: Timestamp| {
            let item = view.items.iter().find(|i| i.tier == "job" && i.name == name);
            item.map_or_else(|| Verdict::Note("it is gone".into()), |item| of_job(view, item))
        };
        checks.push(Check::new(description, Topic::JobFailed, looking(Box::new(look))).warning());
    }
    let caches = platform.spec.caches.iter().map(|cache| ("cache", &cache.name, &cache.renamed_from));
    let databases = platform.spec.databases.iter();
    let databases = databases.map(|database| ("database", &database.name, &database.renamed_from));
    for (tier, store, former) in caches.chain(databases) {
        let (name, id) = (store.clone(), former.as_ref().unwrap_or(store).clone());
        let look = move |view: &PlatformView, _: Timestamp| {
            let item = view.items.iter().find(|i| i.tier == tier && i.name == name);
            item.map_or_else(|| Verdict::Note("it is gone".into()), |item| of_item(view, item, Some(&id)))
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
    let place = Place { namespace: &view.namespace, platform: &view.name, app: None, is_store: false };
    if view.state == "Ready" {
        return Verdict::Good(view.message.clone());
    }
    Verdict::bad(format!("{}: {}", view.state, view.message), remedy(&view.state, &place))
}

/// What a job comes to; of one that stops a rollout the app tells, too.
fn of_job(view: &PlatformView, item: &Item) -> Verdict {
    let place = Place { namespace: &view.namespace, platform: &view.name, app: None, is_store: false };
    let what = format!("{}: {}", item.reason, item.message);
    match item.mark {
        crate::output::Mark::Warning => Verdict::bad(what, remedy(Reason::JobFailed.as_str(), &place)),
        _ => of_item(view, item, None),
    }
}

/// What is to be said of an item; of a store with the name that its objects are labelled with.
fn of_item(view: &PlatformView, item: &Item, store: Option<&str>) -> Verdict {
    use crate::output::Mark;
    match item.mark {
        Mark::Good => Verdict::Good(item.message.clone()),
        Mark::Off => Verdict::Note(item.message.clone()),
        Mark::Unknown => Verdict::Unknown(item.message.clone()),
        mark => {
            let app = Some(store.unwrap_or(&item.name));
            let place = Place { namespace: &view.namespace, platform: &view.name, app, is_store: store.is_some() };
            let what = format!("{}: {}", item.reason, item.message);
            // Pods that start are no trouble, and neither is a figure that has just come.
            if under_way(mark) { Verdict::Note(what) } else { Verdict::bad(what, remedy(&item.reason, &place)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::{Engine, Outcome},
        exit::Exit,
    };
    use serde_json::{Value, json};
    use std::time::Duration;

    fn condition(type_: &str, status: &str, reason: &str) -> Value {
        json!({"type": type_, "status": status, "reason": reason, "message": format!("why it is {reason}"),
            "lastTransitionTime": "2026-12-01T11:00:00Z"})
    }

    /// A platform with one scaled app, in these conditions of the app and of the whole.
    fn platform(app: &Value, metrics: &Value, ready: &Value) -> LearningPlatform {
        serde_json::from_value(json!({
            "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
            "metadata": {"name": "story", "namespace": "learning", "generation": 1},
            "spec": {"apps": [{"name": "web", "image": "web:1", "port": 80,
                "autoscaling": {"minReplicas": 1, "maxReplicas": 2, "requestRate": {"perPod": 100}}}]},
            "status": {"observedGeneration": 1, "conditions": [ready], "apps": [{
                "name": "web", "conditions": [app, condition("AutoscalingReady", "True", "Succeeded"), metrics]}]},
        }))
        .expect("a platform")
    }

    /// What the checks of a platform come to: the exit, and of each line that is not good its result, text and remedy.
    async fn checked(platform: LearningPlatform) -> (Exit, Vec<(Outcome, String, String)>) {
        let mut engine = Engine::new(Duration::ZERO, |_| {});
        let read = platform.clone();
        engine.run(category(&platform, move || std::future::ready(Ok(Some(read.clone()))))).await;
        let lines = engine.reports[0].checks.iter().filter(|line| line.result != Outcome::Good);
        let lines =
            lines.map(|line| (line.result, format!("{}: {}", line.description, line.problem), line.fix.clone()));
        (engine.exit(), lines.collect())
    }

    #[tokio::test]
    async fn pods_that_are_not_ready_are_an_error() {
        let (good, bad) =
            (condition("MetricsAvailable", "True", "Succeeded"), condition("AppReady", "False", "ImagePull"));
        let (exit, lines) = checked(platform(&bad, &good, &condition("Ready", "False", "ImagePull"))).await;
        assert_eq!(exit, Exit::Found);
        let [(Outcome::Error, ready, _), (Outcome::Error, app, fix)] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!(ready, "it is Ready: ImagePull: why it is ImagePull");
        assert_eq!(app, "the pods of app web are ready: ImagePull: why it is ImagePull");
        assert!(fix.starts_with("kubectl -n learning describe pods"), "{fix}");
    }

    #[tokio::test]
    async fn a_series_that_was_never_seen_is_a_warning() {
        let (good, unseen) =
            (condition("AppReady", "True", "Succeeded"), condition("MetricsAvailable", "False", "SeriesNeverSeen"));
        let (exit, lines) = checked(platform(&good, &unseen, &condition("Ready", "True", "Succeeded"))).await;
        assert_eq!(exit, Exit::Good, "the floor holds, and the platform is Ready");
        let [(Outcome::Warning, metrics, fix)] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!(metrics, "app web's metrics have values: SeriesNeverSeen: why it is SeriesNeverSeen");
        assert!(fix.starts_with("lpctl explain web --platform story -n learning"), "{fix}");
    }

    #[tokio::test]
    async fn a_job_that_failed_is_a_warning() {
        let (good, figures) =
            (condition("AppReady", "True", "Succeeded"), condition("MetricsAvailable", "True", "Succeeded"));
        let mut platform = platform(&good, &figures, &condition("Ready", "True", "Succeeded"));
        let warm = json!({"name": "warm", "afterRollout": {}, "args": ["warm"]});
        platform.spec.apps[0].jobs = vec![serde_json::from_value(warm).expect("a job")];
        let (exit, lines) = checked(platform.clone()).await;
        assert_eq!(exit, Exit::Good);
        let [(Outcome::Note, waits, _)] = &lines[..] else { panic!("{lines:?}") };
        assert!(waits.contains("job web/warm has not failed"), "{waits}");
        let failed = json!({"name": "warm", "state": "Failed", "run": "story-web-warm-1"});
        platform.status.as_mut().expect("a status").apps[0].jobs = vec![serde_json::from_value(failed).expect("a run")];
        let (exit, lines) = checked(platform).await;
        assert_eq!(exit, Exit::Good, "it stops nothing");
        let [(Outcome::Warning, problem, fix)] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!(problem, "job web/warm has not failed: Failed: see the logs of Job story-web-warm-1");
        assert!(fix.starts_with("kubectl -n learning get jobs"), "{fix}");
    }

    #[tokio::test]
    async fn pods_that_start_are_no_trouble_and_what_nobody_has_seen_cannot_be_told() {
        let (good, starts) =
            (condition("MetricsAvailable", "True", "Succeeded"), condition("AppReady", "False", "Progressing"));
        let starting = platform(&starts, &good, &condition("Ready", "False", "Progressing"));
        let (_, lines) = checked(starting.clone()).await;
        assert!(
            lines.iter().any(|(outcome, what, _)| *outcome == Outcome::Note && what.contains("app web")),
            "{lines:?}"
        );
        let mut unseen = starting;
        unseen.status.as_mut().expect("a status").apps.clear();
        let (_, lines) = checked(unseen).await;
        let doubts = lines.iter().filter(|(outcome, _, _)| *outcome == Outcome::Unknown).count();
        assert_eq!(doubts, 2, "app and autoscaling, but of metrics only a warning: {lines:?}");
    }
}

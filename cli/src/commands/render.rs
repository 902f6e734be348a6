//! `lpctl render`: what the operator would apply, by the operator's own builders, without a cluster.

use crate::{
    args::Global,
    exit::Exit,
    manifests::{self, Manifest, Problems},
    output::{self, Structured},
};
use anyhow::bail;
use k8s_openapi::ByteString;
use kube::core::DynamicObject;
use operator::{
    capabilities::Served, context::Settings, kinds::Kind, naming::FieldManager, reconcile, tiers::Step, validate,
};
use std::{collections::BTreeMap, path::PathBuf};

/// Arguments of `render`.
#[derive(clap::Args, Debug)]
#[command(before_help = "Examples:
  lpctl render -f platform.yaml
  lpctl render -f platform.yaml --app web -o json
  lpctl render -f platform.yaml --api none | kubectl diff -f -")]
pub struct Args {
    /// File with platforms; `-` reads standard input
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub file: PathBuf,

    /// Only the objects of this app
    #[arg(long)]
    pub app: Option<String>,

    /// Optional APIs that the cluster is taken to serve
    #[arg(long = "api", value_enum, value_delimiter = ',', default_values_t = [OptionalApi::Gateway, OptionalApi::Podmonitor])]
    pub apis: Vec<OptionalApi>,

    /// Form of the objects
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Structured,
}

/// An API that a cluster may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OptionalApi {
    /// HTTPRoute of the Gateway API.
    Gateway,
    /// The same with the fields of its experimental channel.
    GatewayExperimental,
    /// PodMonitor of the Prometheus operator.
    Podmonitor,
    /// None of them.
    None,
}

fn served(apis: &[OptionalApi]) -> Served {
    let has = |api| apis.contains(&api);
    Served {
        http_route: has(OptionalApi::Gateway) || has(OptionalApi::GatewayExperimental),
        session_persistence: has(OptionalApi::GatewayExperimental),
        pod_monitor: has(OptionalApi::Podmonitor),
        pod_monitor_known: true,
        // Whoever names it in the spec wants its objects.
        cloud_native_pg: true,
        barman_cloud: true,
        cert_manager: true,
        volume_snapshot: true,
    }
}

/// Runs the command. A file that is not as it should be is [`Exit::Found`].
///
/// # Errors
/// When the file cannot be read, or has no such app.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let manifests = match manifests::read(&args.file) {
        Ok(manifests) => manifests,
        Err(error) if error.is::<Problems>() => return found(&format!("{error:#}")),
        Err(error) => return Err(error),
    };
    let mut objects = Vec::new();
    for manifest in &manifests {
        match render(manifest, global.namespace.as_deref(), served(&args.apis)) {
            Ok(steps) => {
                objects.extend(whole(steps.into_iter().filter(|s| args.app.as_ref().is_none_or(|a| *a == s.item))))
            }
            Err(error) => return found(&format!("{}: {error}", args.file.display())),
        }
    }
    if let Some(app) = &args.app
        && objects.is_empty()
    {
        let there: Vec<&str> =
            manifests.iter().flat_map(|m| m.platform.spec.apps.iter().map(|a| a.name.as_str())).collect();
        bail!("{} has no app {app}; there is {}", args.file.display(), there.join(", "));
    }
    objects.iter_mut().for_each(readable);
    output::emit(&output::stream(args.output, &objects)?)?;
    Ok(Exit::Good)
}

/// A Secret as its author would write it. What stands for the users' own Secrets is text.
fn readable(object: &mut DynamicObject) {
    if Kind::of(object) != Some(Kind::Secret) {
        return;
    }
    let data = object.data["data"].take();
    let data: BTreeMap<String, ByteString> = serde_json::from_value(data).unwrap_or_default();
    let text = data.into_iter().map(|(key, value)| (key, String::from_utf8_lossy(&value.0).into_owned().into()));
    object.data["stringData"] = serde_json::Value::Object(text.collect());
    if let Some(fields) = object.data.as_object_mut() {
        fields.remove("data");
    }
}

fn found(text: &str) -> anyhow::Result<Exit> {
    output::tell(text);
    Ok(Exit::Found)
}

/// The steps of a pass over a platform that is new to the cluster.
///
/// # Errors
/// What the operator would set `Stalled` for.
pub fn render(manifest: &Manifest, namespace: Option<&str>, served: Served) -> operator::error::Result<Vec<Step>> {
    let mut platform = manifest.platform.clone();
    if let Some(namespace) = namespace {
        platform.metadata.namespace = Some(namespace.to_owned());
    }
    // A cluster would put it into the namespace of the context; offline none is known.
    platform.metadata.namespace.get_or_insert_with(|| "default".to_owned());
    let namespace = platform.metadata.namespace.clone();
    let valid = validate::validate(&platform, &Settings::default())?;
    let mut steps = reconcile::render(&valid, served);
    for step in &mut steps {
        step.object.metadata.namespace.clone_from(&namespace);
    }
    Ok(steps)
}

/// Whole objects: the operator owns the number of a Deployment's pods under another manager, which matters to a cluster
/// alone.
pub fn whole(steps: impl IntoIterator<Item = Step>) -> Vec<DynamicObject> {
    let mut objects: Vec<DynamicObject> = Vec::new();
    for Step { manager, object, .. } in steps {
        let same = |o: &&mut DynamicObject| o.types == object.types && o.metadata.name == object.metadata.name;
        match objects.iter_mut().find(same) {
            Some(main) if manager == FieldManager::Scale => {
                main.data["spec"]["replicas"] = object.data["spec"]["replicas"].clone();
            }
            _ => objects.push(object),
        }
    }
    objects
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn rendered(apis: &[OptionalApi]) -> Vec<DynamicObject> {
        let story = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/story.yaml");
        let manifests = manifests::read(&story).expect("the example");
        whole(render(&manifests[0], None, served(apis)).expect("valid"))
    }

    fn kinds(objects: &[DynamicObject]) -> Vec<String> {
        objects.iter().map(|o| o.types.as_ref().map(|t| t.kind.clone()).unwrap_or_default()).collect()
    }

    #[test]
    fn the_secret_of_the_connections_is_text_that_names_the_users_secrets() {
        let wired = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/features/external-stores.yaml");
        let manifests = manifests::read(&wired).expect("the example");
        let mut objects = whole(render(&manifests[0], None, Served::ALL).expect("valid"));
        objects.iter_mut().for_each(readable);
        let secret = &objects[0].data;
        assert_eq!(secret["data"], serde_json::Value::Null);
        assert_eq!(
            secret["stringData"]["REDIS_URL"],
            "redis://SECRET-wired-redis-username:SECRET-wired-redis-password@redis.example:6379"
        );
    }

    #[test]
    fn no_password_is_made_without_a_cluster() {
        let once = || {
            let mut objects = rendered(&[OptionalApi::None]);
            objects.iter_mut().for_each(readable);
            objects
        };
        let objects = once();
        let auth = objects.iter().find(|o| o.metadata.name.as_deref() == Some("story-main-auth")).expect("the Secret");
        let words = auth.data["stringData"].as_object().expect("text");
        assert!(words.len() > 3);
        for (key, word) in words {
            assert_eq!(*word, format!("SECRET-story-main-auth-{key}"));
        }
        assert_eq!(objects, once());
    }

    #[test]
    fn whole_objects_in_the_order_of_application() {
        let objects = rendered(&[OptionalApi::Gateway, OptionalApi::Podmonitor]);
        let kinds = kinds(&objects);
        let at = |kind: &str| kinds.iter().position(|k| k == kind).unwrap_or_else(|| panic!("{kind} in {kinds:?}"));
        assert!(at("StatefulSet") < at("Deployment"), "stores come before the apps that use them: {kinds:?}");
        assert_eq!(kinds.last().map(String::as_str), Some("HorizontalPodAutoscaler"));
        for kind in ["Service", "PodDisruptionBudget", "HTTPRoute", "PodMonitor"] {
            assert!(kinds.iter().any(|k| k == kind), "{kind} in {kinds:?}");
        }
        let deployment = &objects[at("Deployment")].data;
        assert_eq!(deployment["spec"]["replicas"], 3, "the number stands in the Deployment itself");
        assert!(objects.iter().all(|o| o.metadata.namespace.as_deref() == Some("learning")));
    }

    #[test]
    fn a_cluster_without_the_optional_apis() {
        let kinds = kinds(&rendered(&[OptionalApi::None]));
        assert!(!kinds.iter().any(|k| k == "PodMonitor"), "{kinds:?}");
    }
}

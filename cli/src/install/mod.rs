//! What is installed: the same objects as the charts' defaults. The operator's are generated from its chart
//! (`make generate`), the CRDs from their types.

use anyhow::{Context, bail};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
};

/// Name of the operator's objects.
pub const NAME: &str = "learningplatform-operator";
/// Namespace of the operator where none is named.
pub const NAMESPACE: &str = "learningplatform-system";
/// Field manager of the installation.
pub const MANAGER: &str = "lpctl";

/// The chart `operator` with its defaults, as `helm template` writes it.
const OPERATOR: &str = include_str!("operator.yaml");

/// What differs from the defaults.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Namespace of the operator.
    pub namespace: Option<String>,
    /// Whole image reference.
    pub image: Option<String>,
    /// Registry in place of the default one.
    pub registry: Option<String>,
    /// Flags of the operator: `name=value` without dashes.
    pub flags: Vec<String>,
}

/// The CRDs, as the chart `operator-crds` has them.
///
/// # Errors
/// If one cannot be serialised; a defect.
pub fn crds() -> anyhow::Result<Vec<DynamicObject>> {
    crds::all_crds()
        .into_iter()
        .map(|mut crd| {
            // Whoever removes the chart keeps the platforms.
            crd.annotations_mut().insert("helm.sh/resource-policy".into(), "keep".into());
            let mut value = serde_json::to_value(&crd).context("a CRD cannot be written")?;
            value["apiVersion"] = "apiextensions.k8s.io/v1".into();
            value["kind"] = "CustomResourceDefinition".into();
            serde_json::from_value(value).context("a CRD cannot be written")
        })
        .collect()
}

/// The operator's objects, in the order of installation.
///
/// # Errors
/// When an option does not fit.
pub fn operator(options: &Options) -> anyhow::Result<Vec<DynamicObject>> {
    let mut objects: Vec<DynamicObject> =
        serde_saphyr::from_multiple(OPERATOR).context("the embedded manifests cannot be read")?;
    for object in &mut objects {
        if let Some(namespace) = &options.namespace {
            move_to(object, namespace);
        }
        if object.types.as_ref().is_some_and(|t| t.kind == "Deployment") {
            change(object, options)?;
        }
    }
    Ok(objects)
}

fn move_to(object: &mut DynamicObject, namespace: &str) {
    if object.metadata.namespace.is_some() {
        object.metadata.namespace = Some(namespace.to_owned());
    }
    for subject in object.data.get_mut("subjects").and_then(|s| s.as_array_mut()).into_iter().flatten() {
        subject["namespace"] = namespace.into();
    }
    for container in containers(object) {
        for arg in container.get_mut("args").and_then(|a| a.as_array_mut()).into_iter().flatten() {
            if arg.as_str().is_some_and(|a| a.starts_with("--lease-namespace=")) {
                *arg = format!("--lease-namespace={namespace}").into();
            }
        }
    }
}

fn containers(object: &mut DynamicObject) -> impl Iterator<Item = &mut serde_json::Value> {
    object.data.pointer_mut("/spec/template/spec/containers").and_then(|c| c.as_array_mut()).into_iter().flatten()
}

fn change(object: &mut DynamicObject, options: &Options) -> anyhow::Result<()> {
    for container in containers(object) {
        if let Some(image) = &options.image {
            container["image"] = image.as_str().into();
        }
        if let Some(registry) = &options.registry {
            let image = container["image"].as_str().unwrap_or_default();
            // The first part of a reference is a registry if it could be a host.
            let rest = match image.split_once('/') {
                Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => rest,
                _ => image,
            };
            container["image"] = format!("{}/{rest}", registry.trim_end_matches('/')).into();
        }
        for flag in &options.flags {
            let Some((name, _)) = flag.trim_start_matches('-').split_once('=') else {
                bail!(
                    "--set-arg {flag}: write it as NAME=VALUE, such as default-prometheus-url=http://prometheus:9090"
                );
            };
            let Some(args) = container.get_mut("args").and_then(|a| a.as_array_mut()) else { continue };
            let (prefix, whole) = (format!("--{name}="), format!("--{}", flag.trim_start_matches('-')));
            // Some flags come several times; only the ones that the chart sets itself are replaced.
            match args.iter_mut().find(|a| a.as_str().is_some_and(|a| a.starts_with(&prefix) && OPERATOR.contains(a))) {
                Some(arg) => *arg = whole.into(),
                None => args.push(whole.into()),
            }
        }
    }
    Ok(())
}

/// Access to an object's kind. Every kind here has a regular plural.
pub fn api(client: &Client, object: &DynamicObject) -> Api<DynamicObject> {
    let types = object.types.clone().unwrap_or_default();
    let (group, version) = types.api_version.split_once('/').unwrap_or(("", &types.api_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &types.kind));
    match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// What an apply did: `created`, `configured` or `unchanged`.
///
/// # Errors
/// What the API server says.
pub async fn apply(client: &Client, object: &DynamicObject, dry_run: bool) -> kube::Result<&'static str> {
    let api = api(client, object);
    let name = object.name_any();
    let before = api.get_opt(&name).await?;
    let params = PatchParams { dry_run, ..PatchParams::apply(MANAGER).force() };
    let after = api.patch(&name, &params, &Patch::Apply(object)).await?;
    Ok(match before {
        None => "created",
        // A dry run counts no version, so there the contents are compared.
        Some(before) if dry_run && same(&before, &after) => "unchanged",
        Some(before) if !dry_run && before.resource_version() == after.resource_version() => "unchanged",
        Some(_) => "configured",
    })
}

fn same(before: &DynamicObject, after: &DynamicObject) -> bool {
    let metadata = |o: &DynamicObject| (o.metadata.labels.clone(), o.metadata.annotations.clone());
    before.data == after.data && metadata(before) == metadata(after)
}

/// `Kind namespace/name`, or `Kind name`.
pub fn title(object: &DynamicObject) -> String {
    let kind = object.types.as_ref().map(|t| t.kind.as_str()).unwrap_or_default();
    match &object.metadata.namespace {
        Some(namespace) => format!("{kind} {namespace}/{}", object.name_any()),
        None => format!("{kind} {}", object.name_any()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use operator::args::Args as OperatorArgs;

    fn deployment(options: &Options) -> DynamicObject {
        let objects = operator(options).expect("objects");
        objects.into_iter().find(|o| o.types.as_ref().is_some_and(|t| t.kind == "Deployment")).expect("a Deployment")
    }

    fn container(object: &DynamicObject) -> serde_json::Value {
        object.data["spec"]["template"]["spec"]["containers"][0].clone()
    }

    #[test]
    fn the_defaults_are_those_of_the_chart() {
        let objects = operator(&Options::default()).unwrap();
        let kinds: Vec<_> = objects.iter().map(|o| o.types.as_ref().unwrap().kind.clone()).collect();
        for kind in ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Deployment"] {
            assert!(kinds.iter().any(|k| k == kind), "{kind} in {kinds:?}");
        }
        assert!(objects.iter().all(|o| o.metadata.namespace.as_deref().is_none_or(|n| n == NAMESPACE)));
        assert_eq!(deployment(&Options::default()).name_any(), NAME);
    }

    #[test]
    fn another_namespace_is_meant_everywhere() {
        let moved = operator(&Options { namespace: Some("ops".into()), ..Options::default() }).unwrap();
        let same = operator(&Options { namespace: Some(NAMESPACE.into()), ..Options::default() }).unwrap();
        let plain = operator(&Options::default()).unwrap();
        assert_eq!(serde_json::to_value(same).unwrap(), serde_json::to_value(plain).unwrap(), "no field is added");
        assert!(!serde_json::to_string(&moved).unwrap().contains(NAMESPACE));
    }

    #[test]
    fn image_registry_and_flags() {
        let image = |options: Options| container(&deployment(&options))["image"].as_str().unwrap().to_owned();
        assert_eq!(image(Options { image: Some("op:dev".into()), ..Options::default() }), "op:dev");
        let mirrored = image(Options { registry: Some("mirror.example:5000/hub/".into()), ..Options::default() });
        assert!(mirrored.starts_with("mirror.example:5000/hub/learningplatform/operator:"), "{mirrored}");
        let flags = vec![
            "log=debug".into(),
            "allowed-prometheus-url=http://a".into(),
            "--allowed-prometheus-url=http://b".into(),
        ];
        let args = container(&deployment(&Options { flags, ..Options::default() }))["args"].clone();
        let args: Vec<String> = serde_json::from_value(args).unwrap();
        assert_eq!(args.iter().filter(|a| a.starts_with("--log=")).collect::<Vec<_>>(), ["--log=debug"]);
        assert_eq!(args.iter().filter(|a| a.starts_with("--allowed-prometheus-url=")).count(), 2);
        assert!(operator(&Options { flags: vec!["log".into()], ..Options::default() }).is_err());
    }

    #[test]
    fn the_operator_understands_its_arguments() {
        use clap::Parser;
        let args: Vec<String> =
            serde_json::from_value(container(&deployment(&Options::default()))["args"].clone()).unwrap();
        let parsed =
            OperatorArgs::try_parse_from(std::iter::once("operator".to_owned()).chain(args)).expect("known flags");
        parsed.settings().expect("good settings");
    }

    #[test]
    fn crds_are_kept_by_helm() {
        let crds = crds().unwrap();
        assert_eq!(crds[0].name_any(), crate::check::cluster::CRD);
        assert_eq!(crds[0].annotations()["helm.sh/resource-policy"], "keep");
    }
}

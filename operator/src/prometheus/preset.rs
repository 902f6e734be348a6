//! What known exporters call their metrics and labels.

use super::promql::{any_of, matcher, quoted};
use crds::tiers::autoscaling::Preset;

/// A Deployment and its Service and route, which all have one name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Workload {
    /// Namespace.
    pub namespace: String,
    /// Name: `<platform>-<app>`.
    pub name: String,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// A counter of requests.
    Requests,
    /// A gauge of requests in flight.
    InFlight,
    /// A histogram of durations, without `_bucket`.
    Duration,
    /// A counter of answers, where errors are counted apart from requests.
    Answers,
}

/// The preset's metric; none where the exporter has none per app.
pub fn metric(preset: Preset, measure: Measure) -> Option<&'static str> {
    use Measure::{Answers, Duration, InFlight, Requests};
    Some(match (preset, measure) {
        (Preset::App, Requests | Answers) => "http_requests_total",
        (Preset::App, InFlight) => "http_requests_in_flight",
        (Preset::App, Duration) => "http_request_duration_seconds",
        (Preset::EnvoyGateway, Requests) => "envoy_cluster_upstream_rq_total",
        (Preset::EnvoyGateway, InFlight) => "envoy_cluster_upstream_rq_active",
        (Preset::EnvoyGateway, Duration) => "envoy_cluster_upstream_rq_time",
        (Preset::EnvoyGateway, Answers) => "envoy_cluster_upstream_rq_xx",
        (Preset::IngressNginx, Requests | Answers) => "nginx_ingress_controller_requests",
        (Preset::IngressNginx, Duration) => "nginx_ingress_controller_request_duration_seconds",
        (Preset::Istio, Requests | Answers) => "istio_requests_total",
        (Preset::Istio, Duration) => "istio_request_duration_milliseconds",
        (Preset::Linkerd, Requests) => "request_total",
        (Preset::Linkerd, Answers) => "response_total",
        (Preset::Linkerd, Duration) => "response_latency_ms",
        (Preset::Traefik, Requests | Answers) => "traefik_service_requests_total",
        (Preset::Traefik, Duration) => "traefik_service_request_duration_seconds",
        (Preset::IngressNginx | Preset::Istio | Preset::Linkerd | Preset::Traefik, InFlight) => return None,
    })
}

/// Whether the preset's durations are in milliseconds.
pub fn in_milliseconds(preset: Preset) -> bool {
    matches!(preset, Preset::EnvoyGateway | Preset::Istio | Preset::Linkerd)
}

/// Whether the exporter is the app's own pods (or sits in them), which are silent at zero pods.
pub fn in_pods(preset: Preset) -> bool {
    matches!(preset, Preset::App | Preset::Istio | Preset::Linkerd)
}

/// Matchers that leave out long-lived connections (WebSockets), whose durations are no latencies. A matcher on a label
/// that a series lacks matches.
pub fn no_long_lived(preset: Preset) -> &'static [&'static str] {
    match preset {
        Preset::App => &[r#"status!="101""#, r#"code!="101""#],
        Preset::IngressNginx => &[r#"status!="101""#],
        Preset::Istio => &[r#"response_code!="101""#],
        Preset::Linkerd => &[r#"status_code!="101""#],
        Preset::Traefik => &[r#"code!="101""#, r#"protocol!="websocket""#],
        Preset::EnvoyGateway => &[],
    }
}

/// Matchers, each of which selects answers that are server errors; applications disagree on the label.
pub fn server_errors(preset: Preset) -> &'static [&'static str] {
    match preset {
        Preset::App => &[r#"status=~"5..""#, r#"code=~"5..""#],
        Preset::IngressNginx => &[r#"status=~"5..""#],
        Preset::Istio => &[r#"response_code=~"5..""#],
        Preset::Linkerd => &[r#"status_code=~"5..""#],
        Preset::Traefik => &[r#"code=~"5..""#],
        Preset::EnvoyGateway => &[r#"envoy_response_code_class="5""#],
    }
}

/// One way in which an exporter's series name their workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Matchers for the series of some workloads.
    pub select: Vec<String>,
    /// `label_replace` calls that give the series their identity: target, replacement, source label, expression.
    pub relabel: Vec<(&'static str, &'static str, &'static str, String)>,
    /// The labels that then are the identity.
    pub identity: &'static [&'static str],
}

const BOTH: &[&str] = &["namespace", "workload"];

/// The longest name of a Deployment whose pods still have two random parts in their names. The API server cuts what
/// precedes the last random part at 58 characters, of which a template hash with its dashes may take 12.
const LONGEST_UNCUT: usize = 46;

/// What a template hash is written in: a decimal number of 32 bits, each digit as a letter of [`RANDOM`]. So few letters are
/// hardly another workload's name.
const HASH: &str = "[4-9bcdf]";

/// What the API server makes random parts of names from: letters and digits without vowels and what looks alike.
const RANDOM: &str = "[b-df-hj-np-tv-xz24-9]";

/// How the exporter's series name `workloads`; more than one shape where installations differ.
pub fn shapes(preset: Preset, workloads: &[&Workload]) -> Vec<Shape> {
    let namespaces = || workloads.iter().map(|w| w.namespace.as_str());
    let names = || workloads.iter().map(|w| w.name.as_str());
    let by_labels = |namespace: &'static str, workload: &'static str, more: &[String]| {
        let mut select = vec![matcher(namespace, namespaces()), matcher(workload, names())];
        select.extend_from_slice(more);
        let copied = |target, source| (source != target).then(|| (target, "$1", source, "(.*)".to_owned()));
        let relabel = [copied("namespace", namespace), copied("workload", workload)].into_iter().flatten().collect();
        Shape { select, relabel, identity: BOTH }
    };
    match preset {
        Preset::App => {
            let pods = pods_of(workloads);
            let select = vec![matcher("namespace", namespaces()), format!("pod=~{}", quoted(&pods))];
            vec![Shape { select, relabel: vec![("workload", "$1", "pod", pods)], identity: BOTH }]
        }
        Preset::Istio => vec![by_labels(
            "destination_workload_namespace",
            "destination_workload",
            &[r#"reporter="destination""#.to_owned()],
        )],
        Preset::Linkerd => vec![by_labels("namespace", "deployment", &[r#"direction="inbound""#.to_owned()])],
        // Prometheus renames the exporter's labels where the target has labels of the same name, unless told not to.
        Preset::IngressNginx => vec![
            by_labels("exported_namespace", "exported_service", &[]),
            by_labels("namespace", "service", &[r#"exported_service="""#.to_owned()]),
        ],
        Preset::EnvoyGateway => {
            let routes = workloads.iter().map(|w| format!("{}/{}", w.namespace, w.name)).collect::<Vec<_>>();
            let cluster = format!("httproute/({})/rule/[0-9]+", any_of(routes.iter().map(String::as_str)));
            vec![Shape {
                select: vec![format!("envoy_cluster_name=~{}", quoted(&cluster))],
                relabel: vec![("workload", "$1", "envoy_cluster_name", cluster)],
                identity: &["workload"],
            }]
        }
        Preset::Traefik => {
            let services = workloads.iter().map(|w| format!("{}-{}", w.namespace, w.name)).collect::<Vec<_>>();
            let services = any_of(services.iter().map(String::as_str));
            let service = format!("({services})-(?:http-)?[a-z0-9]+@kubernetes(?:gateway)?");
            ["exported_service", "service"]
                .into_iter()
                .map(|label| {
                    let mut select = vec![format!("{label}=~{}", quoted(&service))];
                    if label == "service" {
                        select.push(r#"exported_service="""#.to_owned());
                    }
                    Shape { select, relabel: vec![("workload", "$1", label, service.clone())], identity: &["workload"] }
                })
                .collect()
        }
    }
}

/// The identity of a workload in the answers to a preset's queries: the values of the shape's identity labels, joined
/// by a slash.
pub fn identity(preset: Preset, workload: &Workload) -> String {
    match preset {
        Preset::Traefik => format!("{}-{}", workload.namespace, workload.name),
        _ => format!("{}/{}", workload.namespace, workload.name),
    }
}

/// Names of the workloads' pods, the first group being the workload's: `<workload>-<template hash>-<random>`. The
/// names themselves stand in the expression, because from the name of a pod alone nobody can tell where the
/// workload's ends; and the other parts are as narrow as Kubernetes makes them, because other workloads' names may begin
/// with the same words.
fn pods_of(workloads: &[&Workload]) -> String {
    let names = any_of(workloads.iter().map(|w| w.name.as_str()));
    if workloads.iter().all(|w| !is_cut(w)) {
        format!("({names})-{HASH}{{1,10}}-{RANDOM}{{5}}")
    } else {
        format!("({names})-{HASH}{{0,10}}-?{RANDOM}{{5}}")
    }
}

/// Whether the names of the workload's pods are cut, so that it needs a looser expression than others.
pub fn is_cut(workload: &Workload) -> bool {
    workload.name.len() > LONGEST_UNCUT
}

/// The preset whose series come from the app's own pods.
pub const PODS: Preset = Preset::App;

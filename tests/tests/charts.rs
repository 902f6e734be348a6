//! The charts with the settings people use, and the alerts and their runbooks.

use crds::status::{ConditionType, Reason};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::LazyLock,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the workspace")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Helm, built once into the cache.
static HELM: LazyLock<PathBuf> = LazyLock::new(|| learningplatform_tests::tools::tool("helm"));

fn helm(settings: &[&str], capabilities: &[&str]) -> Output {
    let mut command = Command::new(&*HELM);
    command.args(["template", "release", "charts/operator", "--namespace", "system"]).current_dir(root());
    for setting in settings {
        command.args(["--set", setting]);
    }
    for capability in capabilities {
        command.args(["--api-versions", capability]);
    }
    command.output().expect("Helm runs")
}

/// The objects that the chart makes of some settings.
fn rendered(settings: &[&str], capabilities: &[&str]) -> Vec<Value> {
    let output = helm(settings, capabilities);
    assert!(output.status.success(), "{settings:?}: {}", String::from_utf8_lossy(&output.stderr));
    documents(&String::from_utf8(output.stdout).expect("UTF-8"))
}

fn documents(yaml: &str) -> Vec<Value> {
    let texts = yaml.split("\n---\n").map(|text| text.trim_start_matches("---\n"));
    let parsed = texts.map(|text| serde_saphyr::from_str(text).unwrap_or_else(|e| panic!("{e}:\n{text}")));
    parsed.filter(|value: &Value| !value.is_null()).collect()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|o| o["kind"] == kind).collect()
}

fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let found = of_kind(objects, kind);
    assert_eq!(found.len(), 1, "{kind}");
    found[0]
}

fn arguments(objects: &[Value]) -> Vec<String> {
    let args = &only(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"];
    serde_json::from_value(args.clone()).expect("arguments are strings")
}

/// Whether a role lets its bearer do `verb` on `resource`.
fn grants(role: &Value, resource: &str, verb: &str) -> bool {
    let has = |rule: &Value, field: &str, wanted: &str| {
        rule[field].as_array().is_some_and(|items| items.iter().any(|item| item == wanted))
    };
    role["rules"]
        .as_array()
        .is_some_and(|rules| rules.iter().any(|rule| has(rule, "resources", resource) && has(rule, "verbs", verb)))
}

#[test]
fn the_default_watches_all_namespaces_with_one_hardened_pod() {
    let objects = rendered(&[], &[]);
    let pod = &only(&objects, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["runAsUser"], 65532);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let container = &pod["containers"][0]["securityContext"];
    assert_eq!(container["readOnlyRootFilesystem"], true);
    assert_eq!(container["allowPrivilegeEscalation"], false);
    assert_eq!(container["capabilities"], json!({"drop": ["ALL"]}));

    let role =
        objects.iter().find(|o| o["kind"] == "ClusterRole" && o["metadata"]["name"] == "learningplatform-operator");
    let role = role.expect("a ClusterRole");
    assert!(grants(role, "deployments", "patch"));
    for verb in ["deletecollection", "update"] {
        assert!(!grants(role, "secrets", verb), "nothing needs to {verb} secrets");
    }
    assert!(!role.to_string().contains('*'), "no wildcard: {role}");
    for absent in ["PodDisruptionBudget", "PodMonitor", "PrometheusRule", "NetworkPolicy"] {
        assert!(of_kind(&objects, absent).is_empty(), "{absent}");
    }
}

#[test]
fn named_namespaces_get_roles_and_the_cluster_gives_no_reach_into_others() {
    let objects = rendered(&["watchNamespaces={east,west}"], &[]);
    let cluster =
        objects.iter().find(|o| o["kind"] == "ClusterRole" && o["metadata"]["name"] == "learningplatform-operator");
    let cluster = cluster.expect("a ClusterRole for what has no namespace");
    for resource in ["secrets", "configmaps", "deployments", "pods", "learningplatforms", "events"] {
        assert!(!grants(cluster, resource, "get"), "{resource} in all namespaces");
    }
    for namespace in ["east", "west"] {
        let role = objects.iter().find(|o| o["kind"] == "Role" && o["metadata"]["namespace"] == namespace);
        assert!(grants(role.expect(namespace), "deployments", "patch"));
        let binding = objects.iter().find(|o| o["kind"] == "RoleBinding" && o["metadata"]["namespace"] == namespace);
        assert_eq!(binding.expect(namespace)["subjects"][0]["namespace"], "system");
    }
    let args = arguments(&objects);
    assert!(args.contains(&"--watch-namespace=east".to_owned()) && args.contains(&"--watch-namespace=west".to_owned()));
}

#[test]
fn volumes_are_seen_to_where_that_is_not_a_reach_too_far_or_was_asked_for() {
    for (settings, granted) in [
        (&[][..], true),
        (&["rbac.persistentVolumes=false"], false),
        (&["watchNamespaces={east}"], false),
        (&["watchNamespaces={east}", "rbac.persistentVolumes=true"], true),
    ] {
        let objects = rendered(settings, &[]);
        let cluster =
            objects.iter().find(|o| o["kind"] == "ClusterRole" && o["metadata"]["name"] == "learningplatform-operator");
        let cluster = cluster.expect("a ClusterRole");
        for verb in ["get", "list", "patch"] {
            assert_eq!(grants(cluster, "persistentvolumes", verb), granted, "{verb} {settings:?}");
        }
        assert!(!grants(cluster, "persistentvolumes", "delete"), "it never removes one");
    }
}

/// Rules as single permissions, whatever way they are grouped.
fn permissions(rules: &Value) -> BTreeSet<String> {
    let words = |rule: &Value, field: &str| -> Vec<String> {
        let items = rule[field].as_array().cloned().unwrap_or_else(|| vec![json!("")]);
        items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
    };
    let mut found = BTreeSet::new();
    for rule in rules.as_array().expect("rules") {
        for group in words(rule, "apiGroups") {
            for resource in words(rule, "resources") {
                for name in words(rule, "resourceNames") {
                    found.extend(words(rule, "verbs").iter().map(|verb| format!("{verb} {group}/{resource}/{name}")));
                }
            }
        }
    }
    found
}

#[test]
fn the_roles_are_what_the_operator_says_it_needs() {
    let said = |rules: Vec<_>| permissions(&serde_json::to_value(rules).expect("JSON"));
    let role = |objects: &[Value], kind: &str, name: &str| {
        let found = objects.iter().find(|o| o["kind"] == kind && o["metadata"]["name"] == name).expect(name);
        permissions(&found["rules"])
    };
    let objects = rendered(&[], &[]);
    let everywhere: BTreeSet<String> =
        said(operator::rbac::rules()).union(&said(operator::rbac::cluster_rules())).cloned().collect();
    assert_eq!(role(&objects, "ClusterRole", "learningplatform-operator"), everywhere);
    assert_eq!(role(&objects, "Role", "learningplatform-operator-lease"), said(operator::rbac::leader_rules()));

    let objects = rendered(&["watchNamespaces={east}", "rbac.persistentVolumes=true"], &[]);
    assert_eq!(role(&objects, "ClusterRole", "learningplatform-operator"), said(operator::rbac::cluster_rules()));
    assert_eq!(role(&objects, "Role", "learningplatform-operator"), said(operator::rbac::rules()));
}

#[test]
fn more_replicas_bring_a_disruption_budget_and_spread() {
    let objects = rendered(&["replicas=2"], &[]);
    assert_eq!(only(&objects, "PodDisruptionBudget")["spec"]["maxUnavailable"], 1);
    let deployment = &only(&objects, "Deployment")["spec"];
    assert_eq!(deployment["replicas"], 2);
    assert_eq!(deployment["template"]["spec"]["topologySpreadConstraints"][0]["whenUnsatisfiable"], "ScheduleAnyway");
    assert!(arguments(&objects).contains(&"--leader-election=true".to_owned()));
}

#[test]
fn monitors_and_rules_follow_what_the_cluster_serves() {
    let apis = ["monitoring.coreos.com/v1/PodMonitor", "monitoring.coreos.com/v1/PrometheusRule"];
    let scraped = |objects: &[Value]| {
        !only(objects, "Deployment")["spec"]["template"]["metadata"]["annotations"]["prometheus.io/scrape"].is_null()
    };
    let objects = rendered(&[], &apis);
    let endpoint = &only(&objects, "PodMonitor")["spec"]["podMetricsEndpoints"][0];
    assert_eq!((&endpoint["path"], &endpoint["honorLabels"]), (&json!("/metrics"), &json!(true)));
    assert!(!scraped(&objects), "not scraped twice");
    let rules: Value = serde_saphyr::from_str(&read("charts/operator/alerts/learningplatform.yaml")).expect("YAML");
    assert_eq!(only(&objects, "PrometheusRule")["spec"], rules);

    let objects = rendered(&["metrics.podMonitor.enabled=false", "prometheusRule.enabled=false"], &apis);
    assert!(of_kind(&objects, "PodMonitor").is_empty() && of_kind(&objects, "PrometheusRule").is_empty());
    assert!(scraped(&objects));

    let objects = rendered(&["prometheusRule.enabled=true", "prometheusRule.runbookUrl=https://wiki.example/lp"], &[]);
    let text = only(&objects, "PrometheusRule").to_string();
    assert!(text.contains("https://wiki.example/lp#learningplatformnotready"));
}

#[test]
fn thresholds_are_values_whose_defaults_are_those_of_the_rules() {
    let values: Value = serde_saphyr::from_str(&read("charts/operator/values.yaml")).expect("YAML");
    let thresholds = values["prometheusRule"]["thresholds"].as_object().expect("thresholds");
    let rules = read("charts/operator/alerts/learningplatform.yaml");
    // A comment of the expression names each: `> 0.8 # of the volume: volumeUsed`.
    let marked = |text: &str| -> BTreeSet<(String, String)> {
        let lines = text.lines().filter_map(|line| line.trim().strip_prefix("> ")?.split_once(" # "));
        lines.filter_map(|(value, what)| Some((what.rsplit_once(": ")?.1.to_owned(), value.to_owned()))).collect()
    };
    let defaults: BTreeSet<_> = thresholds.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
    assert!(defaults.len() >= 6);
    assert_eq!(marked(&rules), defaults);

    for name in thresholds.keys() {
        let objects =
            rendered(&["prometheusRule.enabled=true", &format!("prometheusRule.thresholds.{name}=0.25")], &[]);
        let groups = only(&objects, "PrometheusRule")["spec"]["groups"].clone();
        let groups = groups.as_array().expect("groups").iter().flat_map(|g| g["rules"].as_array().expect("rules"));
        let text: Vec<&str> = groups.filter_map(|rule| rule["expr"].as_str()).collect();
        let wanted = defaults
            .iter()
            .map(|(other, value)| (other.clone(), if other == name { "0.25".to_owned() } else { value.clone() }))
            .collect();
        assert_eq!(marked(&text.join("\n")), wanted);
    }
}

#[test]
fn settings_reach_pod_and_arguments() {
    let objects = rendered(
        &[
            "global.imageRegistry=mirror.example:5000",
            "global.imagePullSecrets={all}",
            "imagePullSecrets={own}",
            "prometheus.url=http://prometheus:9090",
            "prometheus.auth.secretName=credentials",
            "prometheus.allowedUrls={http://prometheus:9090,https://thanos.example}",
            "clusterName=eu-1",
            "timing.evaluationInterval=1s",
            "tunables.breach=3s",
            "leaderElection.leaseDuration=6s",
            "networkPolicy.enabled=true",
            "priorityClassName=system-cluster-critical",
            "extraArgs={--lease-name=x}",
        ],
        &[],
    );
    let pod = &only(&objects, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["image"], "mirror.example:5000/learningplatform/operator:0.1.0");
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "all"}, {"name": "own"}]));
    assert_eq!(pod["volumes"][0]["secret"]["secretName"], "credentials");
    assert_eq!(pod["priorityClassName"], "system-cluster-critical");
    only(&objects, "NetworkPolicy");
    let args = arguments(&objects);
    for wanted in [
        "--cluster-name=eu-1",
        "--default-prometheus-url=http://prometheus:9090",
        "--default-prometheus-auth-dir=/etc/learningplatform/prometheus",
        "--allowed-prometheus-url=https://thanos.example",
        "--evaluation-interval=1s",
        "--tunable=breach=3s",
        "--lease-duration=6s",
        "--lease-name=x",
    ] {
        assert!(args.iter().any(|a| a == wanted), "{wanted} is not in {args:?}");
    }
}

#[test]
fn bad_settings_are_refused_with_their_name() {
    for (settings, named) in [
        (&["replica=2"][..], "replica"),
        (&["prometheus.uri=http://x"], "uri"),
        (&["replicas=many"], "replicas"),
        (&["prometheus.url=prometheus:9090"], "/prometheus/url"),
        (&["timing.resync=soon"], "/timing/resync"),
        (&["image.digest=abc"], "/image/digest"),
        (&["watchNamespaces={Upper}"], "/watchNamespaces/0"),
        (&["metrics.podMonitor.enabled=maybe"], "/metrics/podMonitor/enabled"),
        (&["rbac.persistentVolumes=maybe"], "/rbac/persistentVolumes"),
        (&["prometheusRule.thresholds.volumeUsed=80"], "/prometheusRule/thresholds/volumeUsed"),
        (&["replicas=2", "leaderElection.enabled=false"], "leaderElection.enabled"),
        (&["prometheus.auth.secretName=x"], "prometheus.url"),
    ] {
        let output = helm(settings, &[]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{settings:?} was accepted");
        assert!(error.contains(named), "{settings:?}: {error}");
    }
}

#[test]
fn every_flag_the_chart_passes_is_one_of_the_operator() {
    use clap::CommandFactory;
    let command = operator::args::Args::command();
    let known: BTreeSet<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
    let template = read("charts/operator/templates/deployment.yaml");
    let passed: BTreeSet<&str> = template
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- --"))
        .filter_map(|flag| flag.split_once('=').map(|(name, _)| name))
        .collect();
    assert!(passed.len() > 15, "{passed:?}");
    assert_eq!(passed.difference(&known).collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[test]
fn the_definition_is_text_to_helm_and_survives_an_uninstall() {
    let output = Command::new(&*HELM)
        .args(["template", "release", "charts/operator-crds"])
        .current_dir(root())
        .output()
        .expect("Helm runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    // Helm keeps a release, compressed and with some more, in a Secret of at most 1 MiB.
    assert!(text.len() < 1024 * 1024, "{} bytes", text.len());
    let objects = documents(&text);
    let definition = only(&objects, "CustomResourceDefinition");
    assert_eq!(definition["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    let typed = serde_json::to_value(crds::crd()).expect("JSON");
    // Without the two texts of 200 kB that assert_eq! would print.
    assert!(
        definition["spec"] == typed["spec"],
        "the definition in charts/operator-crds is out of date: run make generate"
    );
}

#[test]
fn every_alert_has_a_runbook_a_test_and_reasons_that_exist() {
    let rules: Value = serde_saphyr::from_str(&read("charts/operator/alerts/learningplatform.yaml")).expect("YAML");
    let runbooks = read("charts/operator/alerts/runbooks.md");
    let tests =
        ["platforms", "stores", "operator"].map(|of| read(&format!("charts/operator/alerts/tests/{of}.yaml"))).concat();
    let alerts: Vec<&Value> = rules["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .flat_map(|g| g["rules"].as_array().expect("rules"))
        .collect();
    assert!(alerts.len() >= 21);
    // What keepers call how a store is: words of a match in one of the two crates, variants of an enum in the other.
    let verdicts = read("operator/valkey/src/view.rs");
    let reasons = read("operator/postgres/src/decide/verdict.rs");
    for alert in alerts {
        let name = alert["alert"].as_str().expect("a name");
        assert!(runbooks.contains(&format!("\n## {name}\n")), "{name} has no section in runbooks.md");
        let anchor = format!("runbooks.md#{}", name.to_lowercase());
        assert_eq!(alert["annotations"]["runbook_url"], anchor);
        assert!(tests.contains(&anchor), "no test makes {name} fire");
        assert!(tests.contains(&format!("alertname: {name}, exp_alerts: []")), "no test keeps {name} silent");
        let expression = alert["expr"].as_str().expect("an expression");
        for (label, known) in [
            ("type=", names(ConditionType::ALL)),
            ("reason=", names(Reason::ALL).union(&scaling_reasons()).cloned().collect()),
        ] {
            for value in matched(expression, label) {
                assert!(known.contains(value), "{name}: {label}{value} does not exist");
            }
        }
        for value in matched(expression, "verdict=") {
            let known =
                verdicts.contains(&format!("=> \"{value}\",")) || reasons.contains(&format!("\n    {value},\n"));
            assert!(known, "{name}: no store is ever {value}");
        }
    }
    let exporters = ["metrics", "platform_metrics", "store_metrics", "evaluate/metrics"]
        .map(|m| read(&format!("operator/src/{m}.rs")))
        .concat();
    let text = read("charts/operator/alerts/learningplatform.yaml");
    for part in text.split("learningplatform_operator_").skip(1) {
        let metric = part.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap_or_default();
        // Suffixes that the exposition adds to the registered name.
        let name = ["_total", "_bucket", "_seconds", "_bytes"]
            .iter()
            .fold(metric, |name, suffix| name.strip_suffix(suffix).unwrap_or(name));
        assert!(exporters.contains(&format!("\"{name}\"")), "no metric {name} is registered");
    }
    let words = runbooks.lines().filter(|l| l.starts_with("| `")).flat_map(|l| {
        let cell = l.split('|').nth(1).unwrap_or_default();
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
    });
    for word in words {
        assert!(names(Reason::ALL).contains(&word), "runbooks.md: there is no reason {word}");
    }
}

/// The values that an expression compares a label with, alternatives apart.
fn matched<'a>(expression: &'a str, label: &str) -> Vec<&'a str> {
    let parts = expression.split(label).skip(1);
    parts.filter_map(|part| part.trim_start_matches('~').split('"').nth(1)).flat_map(|v| v.split('|')).collect()
}

fn names<T: std::fmt::Display>(all: &[T]) -> BTreeSet<String> {
    all.iter().map(T::to_string).collect()
}

/// What can set a floor, as the decision core calls it.
fn scaling_reasons() -> BTreeSet<String> {
    use decide::Reason;
    [
        Reason::Demand,
        Reason::Latency,
        Reason::Rollout,
        Reason::Fallback,
        Reason::Schedule,
        Reason::ManualHold,
        Reason::Minimum,
        Reason::Held,
        Reason::Stabilising,
        Reason::Ramping,
        Reason::Cap,
    ]
    .iter()
    .map(|reason| format!("{reason:?}"))
    .collect()
}

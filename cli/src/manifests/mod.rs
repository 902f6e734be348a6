//! Reads `LearningPlatform`s from YAML or JSON, with every problem named by document, line and field. What a real API
//! server would refuse (or drop in silence: an unknown field) is an error here already.

mod schema;
mod tree;

pub(crate) use schema::nearest;
pub use tree::{Content, Node};

use crds::LearningPlatform;
use serde_json::Value;
use std::path::Path;

/// One thing that is wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which document of the file, from 1.
    pub document: usize,
    /// Line of the file, from 1; 0 when unknown.
    pub line: u64,
    /// The field, such as `spec.apps[0].port`; empty for the document as a whole.
    pub field: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.document > 1 {
            write!(f, "document {}, ", self.document)?;
        }
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        // The rules' messages name their field themselves; a path with the index before it still says which item.
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Problems(pub Vec<Problem>);

/// A platform as it stands in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Which document of the file, from 1.
    pub document: usize,
    /// The resource with its types.
    pub platform: LearningPlatform,
    /// The resource as it was written, without the nulls that the API server drops; those below `podTemplate` it keeps.
    pub json: Value,
}

/// The platforms of a file, in its order. Documents of other kinds are skipped; a `List` is looked into.
///
/// # Errors
/// Every problem of the whole file: bad YAML, unknown fields (with the likely right one), wrong types, and broken rules.
pub fn platforms(text: &str) -> Result<Vec<LearningPlatform>, Problems> {
    Ok(manifests(text)?.into_iter().map(|m| m.platform).collect())
}

/// As [`platforms`], with the resources as they were written.
///
/// # Errors
/// As [`platforms`].
pub fn manifests(text: &str) -> Result<Vec<Manifest>, Problems> {
    // As kubectl reads them: 010 is octal.
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let documents: Vec<Node> =
        serde_saphyr::from_multiple_with_options(text, options).map_err(|error| Problems(vec![not_yaml(&error)]))?;
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        let number = index + 1;
        for node in resources(document) {
            match resource(number, node) {
                Ok(manifest) => found.extend(manifest),
                Err(wrong) => problems.extend(wrong),
            }
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(Problems(problems)) }
}

/// Reads a file, or standard input for `-`.
///
/// # Errors
/// When it cannot be read, when it holds no platform, or with [`Problems`].
pub fn read(path: &Path) -> anyhow::Result<Vec<Manifest>> {
    use anyhow::Context;
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin()).context("standard input cannot be read")?
    } else {
        std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?
    };
    let found = manifests(&text).with_context(|| format!("{} is not as it should be", path.display()))?;
    anyhow::ensure!(!found.is_empty(), "{} holds no LearningPlatform: write one with `lpctl init`", path.display());
    Ok(found)
}

/// A document, or the items of a `List`.
fn resources(document: &Node) -> Vec<&Node> {
    let is_list = document.text("kind").is_some_and(|kind| kind.ends_with("List"));
    match document.get("items").map(|items| &items.content) {
        Some(Content::List(items)) if is_list => items.iter().collect(),
        _ => vec![document],
    }
}

fn resource(document: usize, node: &Node) -> Result<Option<Manifest>, Vec<Problem>> {
    let at = |line: u64, field: &str, message: String| Problem { document, line, field: field.to_owned(), message };
    let group = node.text("apiVersion").and_then(|v| v.split_once('/')).map_or("", |(group, _)| group);
    match node.text("kind") {
        Some("LearningPlatform") => {}
        Some(_) if group != crds::GROUP => return Ok(None),
        Some(kind) => {
            let message = format!("the group {group} has no kind {kind}: write LearningPlatform");
            return Err(vec![at(node.line_of("kind"), "kind", message)]);
        }
        None if group == crds::GROUP || node.get("spec").is_some_and(|spec| spec.get("apps").is_some()) => {
            return Err(vec![at(node.line, "kind", "is missing: write `kind: LearningPlatform`".to_owned())]);
        }
        None => return Ok(None),
    }
    let wanted = format!("{}/{}", crds::GROUP, crds::VERSION);
    if node.text("apiVersion") != Some(&wanted) {
        let line = node.line_of("apiVersion");
        return Err(vec![at(line, "apiVersion", format!("must be {wanted}, the only version there is"))]);
    }
    let mut problems: Vec<Problem> = schema::check(node).into_iter().map(|p| at(p.line, &p.field, p.message)).collect();
    let json = schema::without_nulls(node);
    if problems.is_empty()
        && let Err(broken) = crds::validate(&json)
    {
        problems.extend(broken.into_iter().map(|v| at(node.line_of(&v.path), &v.path, v.message)));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    match serde_json::from_value(json.clone()) {
        Ok(platform) => Ok(Some(Manifest { document, platform, json })),
        Err(error) => Err(vec![at(node.line, "", format!("is no LearningPlatform: {error}"))]),
    }
}

fn not_yaml(error: &serde_saphyr::Error) -> Problem {
    let line = error.location().map_or(0, |l| l.line());
    let text = error.without_snippet().to_string();
    Problem { document: 1, line, field: String::new(), message: format!("is neither YAML nor JSON: {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: learningplatform.dev/v1alpha1\nkind: LearningPlatform\nmetadata: {name: story}\n";

    fn wrong(text: &str) -> String {
        manifests(text).expect_err("must be refused").to_string()
    }

    #[test]
    fn reads_every_platform_and_skips_other_kinds() {
        let text = format!(
            "# a comment alone\n---\nkind: ConfigMap\napiVersion: v1\nmetadata: {{name: x}}\n---\n{HEAD}spec:\n  apps: [{{name: web, image: web:1}}]\n---\n{}",
            HEAD.replace("story", "other")
        );
        let found = platforms(&format!("{text}spec: {{}}\n")).expect("two platforms");
        assert_eq!(found.iter().filter_map(|p| p.metadata.name.as_deref()).collect::<Vec<_>>(), ["story", "other"]);
        assert_eq!(found[0].spec.apps[0].image, "web:1");
    }

    #[test]
    fn looks_into_lists_and_reads_json() {
        let json = r#"{"kind": "List", "apiVersion": "v1", "items": [{"apiVersion": "learningplatform.dev/v1alpha1",
            "kind": "LearningPlatform", "metadata": {"name": "a"}, "spec": {"apps": [{"name": "w", "image": "i", "port": 80}]}}]}"#;
        assert_eq!(platforms(json).expect("one")[0].spec.apps[0].port, Some(80));
    }

    #[test]
    fn an_empty_file_holds_no_platform() {
        assert_eq!(platforms(""), Ok(vec![]));
        assert_eq!(platforms("---\n# nothing\n"), Ok(vec![]));
    }

    #[test]
    fn problems_name_line_field_and_remedy() {
        let cases = [
            ("spec:\n  aps: []\n", "line 5: spec.aps: unknown field; did you mean apps?"),
            (
                "spec:\n  apps:\n    - name: web\n      image: i\n      minReplicas: 3\n",
                "line 8: spec.apps[0].minReplicas: unknown field; did you mean autoscaling.minReplicas?",
            ),
            (
                "spec:\n  apps:\n    - name: web\n      image: i\n      env:\n        - {name: A, value: 3}\n",
                "line 9: spec.apps[0].env[0].value: must be a text, but is the number 3: put it in quotes",
            ),
            ("spec:\n  apps:\n    - name: web\n", "line 6: spec.apps[0].image: is missing; Container image."),
            (
                "spec:\n  apps:\n    - {name: web, image: i, port: 70000}\n",
                "line 6: spec.apps[0].port: is 70000, but must be at most 65535",
            ),
            (
                "spec:\n  apps:\n    - {name: Web, image: i}\n",
                "line 6: spec.apps[0].name: \"Web\" does not match ^[a-z0-9]([-a-z0-9]*[a-z0-9])?$: write a name in lower-case letters",
            ),
            (
                "spec:\n  apps:\n    - {name: web, image: i, autoscaling: {minReplicas: 1, maxReplicas: 2, latency: {mean: true, budget: 1d}}}\n",
                "$: write a duration in h, m, s and ms, such as 90s or 1h30m",
            ),
            (
                "spec:\n  apps:\n    - {name: web, image: i, autoscaling: {minReplicas: 1, maxReplicas: 2, requestRate: {perPod: 1e3m}}}\n",
                "$: write a quantity with at most one suffix, such as 100, 0.5, 500m or 512Mi",
            ),
            (
                "spec:\n  apps:\n    - {name: web, image: i, autoscaling: {minReplicas: 1, maxReplicas: 2, cpu: {averageValue: 1}, schedules: [{name: a, minReplicas: 2, start: 2026-12-07T07:30, end: 2026-12-07T18:00, timeZone: \"+02:00\"}]}}\n",
                "$: write a zone of the IANA database, such as Europe/Berlin or UTC",
            ),
            (
                "spec:\n  apps:\n    - {name: web, image: i, imagePullPolicy: never}\n",
                "line 6: spec.apps[0].imagePullPolicy: \"never\" is not one of Always, IfNotPresent, Never; did you mean Never?",
            ),
            (
                "spec:\n  apps:\n    - {name: web, image: i}\n    - {name: web, image: j}\n",
                "line 7: spec.apps[1]: a second entry with name web: names are unique, rename one of them",
            ),
            (
                "spec:\n  apps:\n    - name: web\n      image: i\n      replicas: 2\n      autoscaling: {minReplicas: 1, maxReplicas: 2, schedules: [], cpu: {averageValue: 1}}\n",
                "line 6: spec.apps[0]: apps[]: replicas and autoscaling exclude each other: remove replicas, or remove autoscaling",
            ),
            ("spec: {apps: 3}\n", "line 4: spec.apps: must be a list, but is the number 3"),
            ("spec: {}\nspeck: {}\n", "line 5: speck: unknown field; did you mean spec?"),
        ];
        for (spec, expected) in cases {
            let said = wrong(&format!("{HEAD}{spec}"));
            assert!(said.lines().any(|l| l.contains(expected)), "{spec}: said {said:?}, not {expected:?}");
        }
    }

    #[test]
    fn a_later_document_is_named() {
        let text = format!("kind: A\napiVersion: v1\n---\n{HEAD}spec: {{x: 1}}\n");
        assert_eq!(
            wrong(&text),
            "document 2, line 7: spec.x: unknown field; see `kubectl explain learningplatform.spec`"
        );
    }

    #[test]
    fn bad_yaml_names_its_line() {
        let said = wrong("apiVersion: a\nkind: [\n");
        assert!(said.starts_with("line "), "{said}");
        let said = wrong(&format!("{HEAD}spec: {{}}\nspec: {{}}\n"));
        assert!(said.starts_with("line 5"), "a key that comes twice: {said}");
    }

    fn app(fields: &str) -> Result<Manifest, String> {
        let text = format!("{HEAD}spec:\n  apps:\n    - {{name: web, image: i, {fields}}}\n");
        manifests(&text).map(|mut found| found.remove(0)).map_err(|problems| problems.to_string())
    }

    #[test]
    fn nulls_are_dropped_as_the_server_drops_them() {
        let text = format!("{HEAD}spec:\n  prometheus:\n  apps:\n    - {{name: web, image: i, port: null}}\n");
        let found = manifests(&text).expect("accepted");
        assert_eq!(found[0].json["spec"], serde_json::json!({"apps": [{"name": "web", "image": "i"}]}));
        // Of a pod template the server knows no fields, and there a null removes one.
        let template = r#"{"spec": {"affinity": null, "volumes": [{"name": "tmp", "emptyDir": null}, null]}}"#;
        let found = app(&format!("podLabels: null, podTemplate: {template}")).expect("accepted");
        let template: Value = serde_json::from_str(template).expect("JSON");
        let expected = serde_json::json!({"name": "web", "image": "i", "podTemplate": template});
        assert_eq!(found.json["spec"]["apps"][0], expected);
        assert_eq!(found.platform.spec.apps[0].pod_template.as_ref().map(|t| &t["spec"]), Some(&template["spec"]));
    }

    #[test]
    fn numbers_that_may_be_texts_have_bounds_too() {
        let table = [
            ("rollout: {maxUnavailable: -1}", Some("rollout.maxUnavailable: is -1, but must be at least 0")),
            ("rollout: {maxSurge: 99999}", Some("rollout.maxSurge: is 99999, but must be at most 10000")),
            ("rollout: {maxSurge: 10000, maxUnavailable: 0}", None),
            (
                "disruptionBudget: {minAvailable: -3}",
                Some("disruptionBudget.minAvailable: is -3, but must be at least 0"),
            ),
            (
                "health: {liveness: {httpGet: {port: 70000}}}",
                Some("health.liveness.httpGet.port: is 70000, but must be at most 65535"),
            ),
        ];
        for (fields, expected) in table {
            match (app(fields), expected) {
                (Ok(_), None) => {}
                (Err(said), Some(part)) => assert!(said.contains(part), "{fields}: {said}"),
                (other, _) => panic!("{fields}: {other:?}"),
            }
        }
    }

    #[test]
    fn numbers_are_read_as_kubectl_reads_them() {
        let table = [
            ("1e2", Ok(100)),
            ("100.0", Ok(100)),
            ("010", Ok(8)),
            ("0o10", Ok(8)),
            ("08", Ok(8)),
            ("0x10", Ok(16)),
            ("1_000", Ok(1000)),
            ("+5", Ok(5)),
            ("1e-1", Err("0.1")),
            ("1.5", Err("1.5")),
            ("1e30", Err("1e+30")),
        ];
        for (written, expected) in table {
            let scaling = |field: &str| format!("autoscaling: {{minReplicas: 1, {field}, cpu: {{averageValue: 1}}}}");
            let most = app(&scaling(&format!("maxReplicas: {written}")));
            let per_pod = app(&scaling(&format!("maxReplicas: 9, requestRate: {{perPod: {written}}}")));
            match expected {
                Ok(number) => {
                    let most = most.unwrap_or_else(|said| panic!("{written}: {said}"));
                    assert_eq!(most.json["spec"]["apps"][0]["autoscaling"]["maxReplicas"], number, "{written}");
                    let per_pod = per_pod.unwrap_or_else(|said| panic!("{written}: {said}"));
                    let rate = &per_pod.json["spec"]["apps"][0]["autoscaling"]["requestRate"];
                    assert_eq!(rate["perPod"], number, "{written}");
                }
                Err(number) => {
                    let (most, per_pod) = (most.unwrap_err(), per_pod.unwrap_err());
                    assert!(most.contains(&format!("is {number}, but must be a whole number")), "{written}: {most}");
                    let quotes = format!("{number} is not a whole number: put it in quotes");
                    assert!(per_pod.contains(&quotes), "{written}: {per_pod}");
                }
            }
        }
    }

    #[test]
    fn the_examples_are_read() {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
        let mut seen = 0;
        for dir in [examples.clone(), examples.join("features")] {
            for entry in std::fs::read_dir(&dir).expect("examples") {
                let path = entry.expect("an entry").path();
                if path.extension().is_some_and(|e| e == "yaml") {
                    read(&path).unwrap_or_else(|e| panic!("{}: {e:#}", path.display()));
                    seen += 1;
                }
            }
        }
        assert!(seen >= 5, "only {seen} examples");
    }
}

//! `lpctl init`: a first platform, commented, that passes every rule.

use crate::{args::Global, exit::Exit, manifests, output};
use anyhow::Context;
use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

/// Arguments of `init`.
#[derive(clap::Args, Debug)]
#[command(before_help = "Examples:
  lpctl init
  lpctl init story --image registry.example/story-web:1.8.2 --port 3000
  lpctl init story -n learning --file story.yaml
  lpctl init story --file - | kubectl apply -f -")]
pub struct Args {
    /// Name of the platform
    #[arg(default_value = "my-platform")]
    pub name: String,

    /// Container image of its first app
    #[arg(long, default_value = "registry.example/web:1.0.0")]
    pub image: String,

    /// Port that the app listens on
    #[arg(long, default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,

    /// File to write; it must not exist yet. `-` prints it
    #[arg(long, short, default_value = "platform.yaml", value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub file: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// When the name, image or namespace would not be accepted, or the file cannot be written.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let text = starter(args, global.namespace.as_deref());
    let namespace = global.namespace.as_deref().map_or(Ok(()), namespace);
    let platform = manifests::manifests(&text).map_err(|problems| problems.to_string());
    if let Err(problems) = namespace.and(platform) {
        output::tell(&format!("This would not be a platform that Kubernetes accepts:\n{problems}"));
        return Ok(Exit::Found);
    }
    if args.file == Path::new("-") {
        output::emit(&text)?;
        return Ok(Exit::Good);
    }
    let file = args.file.display();
    match OpenOptions::new().write(true).create_new(true).open(&args.file) {
        Ok(mut out) => out.write_all(text.as_bytes()).with_context(|| format!("{file} cannot be written"))?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            output::tell(&format!("{file} exists and stays as it is: choose another with --file"));
            return Ok(Exit::Found);
        }
        Err(error) => return Err(error).with_context(|| format!("{file} cannot be written")),
    }
    output::emit(&format!("{file} written\n"))?;
    output::tell(&format!(
        "Next:\n  lpctl render -f {file}     what the operator would make of it\n  kubectl apply -f {file}    make it so"
    ));
    Ok(Exit::Good)
}

/// A namespace is a label of the DNS, and no schema of a platform says so.
fn namespace(name: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let length = (1..=63).contains(&name.len());
    if length && name.chars().all(good) && !name.starts_with('-') && !name.ends_with('-') {
        return Ok(());
    }
    Err(format!(
        "metadata.namespace: {name:?} is no name of a namespace: use at most 63 lower-case letters, digits and '-', without a '-' at its ends"
    ))
}

/// The text of a first platform.
fn starter(args: &Args, namespace: Option<&str>) -> String {
    let Args { name, image, port, .. } = args;
    // What a user typed stays one value on one line: a text of JSON is one of YAML too.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let (name, image) = (quoted(name), quoted(image));
    let namespace = namespace.map(|n| format!("\n  namespace: {}", quoted(n))).unwrap_or_default();
    format!(
        r#"# A learning platform. `kubectl explain learningplatform.spec.apps` describes every field.
apiVersion: learningplatform.dev/v1alpha1
kind: LearningPlatform
metadata:
  name: {name}{namespace}
spec:
  # Where scaling reads request rate and latency. Without it the operator's default server is used.
  prometheus:
    url: http://prometheus.monitoring:9090
    scrapeInterval: 15s # as in the Prometheus' own configuration
  apps:
    - name: web
      image: {image}
      port: {port}
      resources:
        requests: {{cpu: 250m, memory: 256Mi}}
        limits: {{memory: 256Mi}}
      # Readiness asks this path; a pod gets requests only while it answers.
      health: {{path: /healthz}}
      # Where Prometheus finds the app's own metrics: http_requests_total and http_request_duration_seconds.
      metrics: {{path: /metrics}}
      # How requests from outside reach it:
      # exposure:
      #   gateway:
      #     parentRefs: [{{name: public, namespace: gateways}}]
      #     hosts: [learn.example]
      autoscaling:
        minReplicas: 2
        maxReplicas: 10
        cpu: {{utilization: 70}}
        # Requests per second that one pod carries well; 320 of them at perPod 100 ask for 4 pods.
        requestRate: {{perPod: 50}}
        latency: {{percentile: 95, budget: 500ms}}
        # Fewest pods while Prometheus cannot be read.
        fallback: {{replicas: 4}}
        # Times with other bounds:
        # schedules:
        #   - name: lessons
        #     weekly: {{days: [Mon, Tue, Wed, Thu, Fri], start: "07:30", end: "16:00"}}
        #     timeZone: Europe/Berlin
        #     minReplicas: 4
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(file: &Path) -> Args {
        Args { name: "story".into(), image: "web:1".into(), port: 3000, file: file.to_owned() }
    }

    #[test]
    fn the_starter_is_valid_with_and_without_its_comments() {
        let text = starter(&args(Path::new("-")), Some("learning"));
        let found = manifests::platforms(&text).expect("valid");
        assert_eq!(found[0].metadata.namespace.as_deref(), Some("learning"));
        assert_eq!(found[0].spec.apps[0].port, Some(3000));
        let opened: String = text
            .lines()
            .map(|line| match line.find("# ") {
                // A commented-out field, not a sentence.
                Some(at)
                    if line[..at].trim().is_empty()
                        && line[at + 2..].trim_start().starts_with(|c: char| c.is_lowercase() || c == '-') =>
                {
                    format!("{}{}\n", &line[..at], &line[at + 2..])
                }
                _ => format!("{line}\n"),
            })
            .collect();
        let found = manifests::platforms(&opened).unwrap_or_else(|e| panic!("{e}\n{opened}"));
        assert!(found[0].spec.apps[0].exposure.is_some());
        assert_eq!(found[0].spec.apps[0].autoscaling.as_ref().unwrap().schedules.len(), 1);
    }

    #[test]
    fn never_overwrites() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("platform.yaml");
        assert_eq!(run(&args(&file), &Global::default()).unwrap(), Exit::Good);
        std::fs::write(&file, "mine").unwrap();
        assert_eq!(run(&args(&file), &Global::default()).unwrap(), Exit::Found);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    }

    #[test]
    fn a_name_that_would_be_refused_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("platform.yaml");
        for name in ["Story", "a: b", "\"", "x\ny"] {
            let args = Args { name: name.into(), ..args(&file) };
            assert_eq!(run(&args, &Global::default()).unwrap(), Exit::Found, "{name}");
            assert!(!file.exists());
        }
    }
}

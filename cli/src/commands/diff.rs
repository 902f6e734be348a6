//! `lpctl diff`: what applying a file would change, asked of the API server by dry run: the platform itself, the objects
//! that the operator would then write, and those it would remove.

mod ask;
mod mask;
mod stores;

use crate::{
    args::Global,
    cluster::Cluster,
    exit::Exit,
    manifests::{self, Problems},
    output::{self, Format, Style},
};
use serde::Serialize;
use serde_json::Value;
use std::path::PathBuf;

/// Arguments of `diff`.
#[derive(clap::Args, Debug)]
#[command(
    before_help = "Examples:
  lpctl diff -f platform.yaml
  lpctl diff -f platform.yaml -n learning --context production
  lpctl diff -f platform.yaml -o json",
    after_help = "Exit status: 0 nothing would change, 1 something would, 2 it could not be told."
)]
pub struct Args {
    /// File with platforms; `-` reads standard input
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub file: PathBuf,

    /// Form of the result
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
}

/// What would happen to an object.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// `Kind name`.
    pub object: String,
    /// Namespace.
    pub namespace: String,
    /// `created`, `configured`, `deleted` or `unchanged`.
    pub change: &'static str,
    /// As it is; null where it is not there.
    pub before: Value,
    /// As it would be; null where it would be removed.
    pub after: Value,
}

impl Change {
    /// The change from one state of an object to another, without what the server keeps for itself.
    fn new(object: String, namespace: &str, before: Option<Value>, after: Option<Value>) -> Self {
        let clean = |value: Option<Value>| value.map_or(Value::Null, essence);
        let (mut before, mut after) = (clean(before), clean(after));
        let change = match (&before, &after) {
            (Value::Null, _) => "created",
            (_, Value::Null) => "deleted",
            (before, after) if before == after => "unchanged",
            _ => "configured",
        };
        mask::mask(&mut before, &mut after);
        Self { object, namespace: namespace.to_owned(), change, before, after }
    }
}

/// An object without what every write or every second changes.
fn essence(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "ownerReferences"] {
            metadata.remove(field);
        }
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove("deployment.kubernetes.io/revision");
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
        metadata.retain(|_, value| !value.as_object().is_some_and(serde_json::Map::is_empty));
    }
    object
}

/// Runs the command. Something that would change is [`Exit::Found`].
///
/// # Errors
/// When the file is not as it should be, or the API server cannot be asked or refuses.
pub async fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let manifests = match manifests::read(&args.file) {
        Ok(manifests) => manifests,
        Err(error) if error.is::<Problems>() => {
            output::tell(&format!("{error:#}"));
            return Ok(Exit::Unknown);
        }
        Err(error) => return Err(error),
    };
    let cluster = Cluster::connect(global).await?;
    let mut changes = Vec::new();
    let mut errors = Vec::new();
    for manifest in &manifests {
        ask::platform(&cluster, manifest, global.namespace.as_deref(), &mut changes, &mut errors).await?;
    }
    let text = output::formatted(args.output, &changes, |changes| table(changes, &Style::of_stdout()))?;
    output::emit(&text)?;
    for error in &errors {
        output::tell(&format!("could not be told: {error}"));
    }
    Ok(match errors.is_empty() {
        false => Exit::Unknown,
        true if changes.iter().any(|c| c.change != "unchanged") => Exit::Found,
        true => Exit::Good,
    })
}

fn table(changes: &[Change], style: &Style) -> String {
    let mut out = String::new();
    for change in changes.iter().filter(|c| c.change != "unchanged") {
        let text =
            |value: &Value| if value.is_null() { String::new() } else { output::yaml(value).unwrap_or_default() };
        let title = format!("{}/{} {}", change.namespace, change.object, change.change);
        out.push_str(&output::unified(&title, &text(&change.before), &text(&change.after), style));
    }
    let count = |of: &str| changes.iter().filter(|c| c.change == of).count();
    let [created, configured, deleted] = ["created", "configured", "deleted"].map(count);
    if created + configured + deleted == 0 {
        return format!("unchanged: {} objects are as they would be\n", changes.len());
    }
    out + &format!("{created} created, {configured} configured, {deleted} deleted, {} unchanged\n", count("unchanged"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_matters_is_compared() {
        let object = |version: &str, image: &str| {
            json!({"kind": "Deployment", "metadata": {"name": "x", "resourceVersion": version, "uid": version,
                "annotations": {"deployment.kubernetes.io/revision": version}}, "spec": {"image": image}, "status": {"n": version}})
        };
        let change = |before: Option<Value>, after: Option<Value>| {
            Change::new("Deployment x".into(), "shop", before, after).change
        };
        assert_eq!(change(Some(object("1", "a")), Some(object("2", "a"))), "unchanged");
        assert_eq!(change(Some(object("1", "a")), Some(object("2", "b"))), "configured");
        assert_eq!(change(None, Some(object("2", "b"))), "created");
        assert_eq!(change(Some(object("2", "b")), None), "deleted");
    }

    #[test]
    fn as_text() {
        let changes = [
            Change::new(
                "Deployment x".into(),
                "shop",
                Some(json!({"spec": {"image": "a:1"}})),
                Some(json!({"spec": {"image": "a:2"}})),
            ),
            Change::new("Service y".into(), "shop", Some(json!({"spec": 1})), None),
            Change::new("Service z".into(), "shop", Some(json!({"spec": 1})), Some(json!({"spec": 1}))),
        ];
        insta::assert_snapshot!("table", table(&changes, &Style::PLAIN));
        assert_eq!(table(&changes[2..], &Style::PLAIN), "unchanged: 1 objects are as they would be\n");
    }
}

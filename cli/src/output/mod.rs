//! How results are written: results to stdout, progress to stderr, the same figures as text, JSON or YAML.

mod age;
mod diff;
mod style;

pub use age::{age, ago};
pub use diff::unified;
pub(crate) use style::pad;
pub use style::{Mark, Style};

use anyhow::Context;
use serde::Serialize;
use std::io::{self, ErrorKind, Write};

/// Form of a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// Form of a stream of objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Structured {
    /// YAML documents.
    #[default]
    Yaml,
    /// One JSON object; a `List` where there are several.
    Json,
}

/// A value as pretty JSON, ending in a newline.
///
/// # Errors
/// If it cannot be serialised; a defect.
pub fn json(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value).context("the result cannot be written as JSON")? + "\n")
}

/// A value as YAML, ending in a newline.
///
/// # Errors
/// If it cannot be serialised; a defect.
pub fn yaml(value: &impl Serialize) -> anyhow::Result<String> {
    let text = serde_saphyr::to_string(value).context("the result cannot be written as YAML")?;
    Ok(text.trim_end().to_owned() + "\n")
}

/// A value in the form asked for; `table` makes the text for people.
///
/// # Errors
/// If it cannot be serialised; a defect.
pub fn formatted<T: Serialize>(format: Format, value: &T, table: impl FnOnce(&T) -> String) -> anyhow::Result<String> {
    match format {
        Format::Table => Ok(table(value)),
        Format::Json => json(value),
        Format::Yaml => yaml(value),
    }
}

/// Objects as a stream that `kubectl apply -f -` takes.
///
/// # Errors
/// If one cannot be serialised; a defect.
pub fn stream<T: Serialize>(format: Structured, objects: &[T]) -> anyhow::Result<String> {
    match (format, objects) {
        (Structured::Json, [one]) => json(one),
        (Structured::Json, many) => {
            let items = serde_json::to_value(many).context("the objects cannot be written as JSON")?;
            json(&serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items}))
        }
        (Structured::Yaml, many) => many.iter().map(|object| Ok(format!("---\n{}", yaml(object)?))).collect(),
    }
}

/// Writes a result to stdout. A reader that has gone (`| head`) is no error.
///
/// # Errors
/// When stdout cannot be written for another reason.
pub fn emit(text: &str) -> anyhow::Result<()> {
    let mut out = MayLeave(io::stdout().lock());
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("stdout cannot be written")
}

/// A writer whose reader may leave before the end (`| head`): what nobody reads is dropped.
pub struct MayLeave<W>(pub W);

impl<W: Write> Write for MayLeave<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(bytes.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.flush() {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}

/// `1 pod`, `2 pods`.
pub fn pods(count: impl Into<i64>) -> String {
    let count = count.into();
    if count == 1 { "1 pod".to_owned() } else { format!("{count} pods") }
}

/// Tells of progress on stderr. It never fails a command.
pub fn tell(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether somebody at the terminal agrees, after the loss was named. Without a terminal nobody is asked; `nothing` says what then
/// was not done.
///
/// # Errors
/// When the answer cannot be read.
pub fn consent(terminal: bool, nothing: &str) -> io::Result<bool> {
    if !terminal {
        tell(&format!("{nothing}: repeat it with --yes."));
        return Ok(false);
    }
    tell("Type `yes` to go on:");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    let agreed = answer.trim() == "yes";
    if !agreed {
        tell(&format!("{nothing}."));
    }
    Ok(agreed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_what_kubectl_takes() {
        let one = serde_json::json!({"a": 1});
        assert_eq!(stream(Structured::Yaml, std::slice::from_ref(&one)).unwrap(), "---\na: 1\n");
        assert_eq!(stream(Structured::Json, std::slice::from_ref(&one)).unwrap(), "{\n  \"a\": 1\n}\n");
        let two: serde_json::Value =
            serde_json::from_str(&stream(Structured::Json, &[one.clone(), one]).unwrap()).unwrap();
        assert_eq!((two["kind"].as_str(), two["items"].as_array().map(Vec::len)), (Some("List"), Some(2)));
    }
}

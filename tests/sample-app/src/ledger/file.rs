//! The file of acknowledged records: one line each, `store writer number time milliseconds`, only ever appended.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::ValueEnum as _;
use jiff::Timestamp;

use super::Store;

/// The acknowledged numbers by store and writer.
pub type Acknowledged = BTreeMap<Store, BTreeMap<String, BTreeSet<u64>>>;

/// Appends lines.
#[derive(Debug)]
pub struct Ledger(File);

impl Ledger {
    /// Opens or creates the file. A last line that a killed writer has left unfinished is dropped: its record is unknown.
    ///
    /// # Errors
    /// Where the file cannot be read and written.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let open = || {
            let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            file.set_len(finished(&text).len() as u64)?;
            file.rewind()?;
            Ok::<_, std::io::Error>(file)
        };
        open().map(Self).with_context(|| format!("opening {}", path.display()))
    }

    /// Appends a record that has just been acknowledged, after so long.
    ///
    /// # Errors
    /// Where the line cannot be written.
    pub fn append(&mut self, store: Store, writer: &str, number: u64, took: Duration) -> std::io::Result<()> {
        let (now, millis) = (Timestamp::now(), took.as_secs_f64() * 1e3);
        // One write: a line is there as a whole or, at the end of the file, in part.
        self.0.write_all(format!("{store} {writer} {number} {now} {millis:.1}\n").as_bytes())
    }
}

fn finished(text: &str) -> &str {
    text.rfind('\n').map_or("", |end| &text[..=end])
}

/// Reads what has been acknowledged.
///
/// # Errors
/// Where the file cannot be read, or holds a line that is no record.
pub fn read(path: &Path) -> anyhow::Result<Acknowledged> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    parse(&text).with_context(|| format!("reading {}", path.display()))
}

fn parse(text: &str) -> anyhow::Result<Acknowledged> {
    let mut found = Acknowledged::new();
    for (line, at) in finished(text).lines().zip(1..) {
        let parts: Vec<_> = line.split(' ').collect();
        let [store, writer, number, _, _] = parts[..] else { bail!("line {at} is no record: {line}") };
        let (Ok(store), Ok(number)) = (Store::from_str(store, false), number.parse()) else {
            bail!("line {at} is no record: {line}");
        };
        found.entry(store).or_default().entry(writer.to_owned()).or_default().insert(number);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_appended_is_read_and_an_unfinished_line_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let mut ledger = Ledger::open(&path).unwrap();
        ledger.append(Store::Postgres, "a", 1, Duration::from_millis(3)).unwrap();
        ledger.append(Store::Redis, "a", 1, Duration::from_micros(700)).unwrap();
        ledger.0.write_all(b"redis a 2 2026-05-0").unwrap();
        let one: BTreeSet<u64> = [1].into();
        let expected: Acknowledged =
            [(Store::Postgres, [("a".to_owned(), one.clone())].into()), (Store::Redis, [("a".to_owned(), one)].into())]
                .into();
        assert_eq!(read(&path).unwrap(), expected);

        let mut again = Ledger::open(&path).unwrap();
        again.append(Store::Redis, "b", 1, Duration::ZERO).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 3, "{text}");
        assert_eq!(read(&path).unwrap()[&Store::Redis].len(), 2);
    }

    #[test]
    fn a_line_that_is_no_record_is_named() {
        for line in ["postgres a", "mysql a 1 now 2.0", "redis a many now 2.0"] {
            let error = parse(&format!("redis a 1 now 0.1\n{line}\n")).unwrap_err().to_string();
            assert!(error.contains("line 2"), "{error}");
        }
    }
}

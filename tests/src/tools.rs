//! The programs that `tests/cluster/cluster tools` builds or unpacks once into the cache.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Where such a program is.
///
/// # Panics
/// When there is none, with what was said of it.
pub fn tool(name: &str) -> PathBuf {
    let cluster = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster/cluster");
    let output = Command::new(cluster).args(["tools", name]).output().expect("tests/cluster/cluster runs");
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    let path = line.split_whitespace().last();
    path.unwrap_or_else(|| panic!("no {name}: {}", String::from_utf8_lossy(&output.stderr))).into()
}

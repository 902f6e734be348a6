//! The tests that `tests/README.md` names are there.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The sources below a folder, by the names of their modules.
fn sources(folder: &Path, found: &mut BTreeMap<String, Vec<PathBuf>>) {
    for entry in std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())).flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let stem = if path.ends_with("mod.rs") || path.ends_with("main.rs") { folder } else { &path };
            let module = stem.file_stem().expect("a name").to_string_lossy().into_owned();
            found.entry(module).or_default().push(path);
        }
    }
}

#[test]
fn every_test_that_the_scenarios_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the workspace");
    let mut modules = BTreeMap::new();
    for folder in [
        "operator/aws/tests",
        "operator/decide/tests",
        "operator/postgres/tests",
        "operator/tests",
        "operator/valkey/tests",
        "tests/e2e",
    ] {
        sources(&root.join(folder), &mut modules);
    }
    let text = std::fs::read_to_string(root.join("tests/README.md")).expect("the scenarios");
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.contains("::"));
    let (mut numbered, mut named) = (0, 0);
    for row in rows {
        numbered += usize::from(row.trim_start_matches("| ").starts_with(char::is_numeric));
        for name in row.split('`').skip(1).step_by(2).filter(|word| word.contains("::")) {
            let (module, test) = name.rsplit_once("::").expect("a module");
            let mut folders: Vec<&str> = module.split("::").collect();
            let module = folders.pop().expect("a module");
            let there = modules.get(module).into_iter().flatten().any(|path| {
                let source = std::fs::read_to_string(path).expect("a source");
                let is_below = |folder: &&str| path.iter().any(|part| part.to_str() == Some(*folder));
                folders.iter().all(is_below) && source.contains(&format!("fn {test}("))
            });
            assert!(there, "there is no test {name}: {row}");
            named += 1;
        }
    }
    assert!(numbered == 36 && named >= 44, "{numbered} scenarios, {named} tests");
}

//! Prints what is generated from the types: the CustomResourceDefinitions as YAML, or with `reference` the reference of
//! the spec as Markdown.

use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    match std::env::args().nth(1).as_deref() {
        None => {
            for crd in learningplatform_crds::all_crds() {
                writeln!(out, "---\n{}", serde_saphyr::to_string(&crd)?.trim_end())?;
            }
        }
        Some("reference") => write!(out, "{}", learningplatform_crds::reference())?,
        Some(other) => return Err(format!("unknown argument {other:?}: give none, or reference").into()),
    }
    Ok(())
}

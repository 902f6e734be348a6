//! The program under its other names: `kubectl-lp` is the plugin `kubectl lp`, and `kubectl_complete-lp` completes it.

use crate::args::Cli;
use clap::{Command, CommandFactory};
use std::{ffi::OsString, path::Path};

/// Which name the program was called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// `lpctl`.
    Lpctl,
    /// `kubectl-lp`, called by `kubectl lp`.
    Plugin,
    /// `kubectl_complete-lp`, called by kubectl's completion.
    Completion,
}

/// The name in the first argument of a process.
pub fn name(argv0: Option<&OsString>) -> Name {
    let stem = argv0.and_then(|a| Path::new(a).file_stem()).and_then(|s| s.to_str()).unwrap_or_default();
    match stem {
        "kubectl-lp" => Name::Plugin,
        "kubectl_complete-lp" => Name::Completion,
        _ => Name::Lpctl,
    }
}

/// The grammar, with the words that its user has typed.
pub fn command(name: Name) -> Command {
    match name {
        Name::Lpctl => Cli::command(),
        Name::Plugin | Name::Completion => reworded(Cli::command().name("kubectl-lp").bin_name("kubectl lp")),
    }
}

/// Examples say `kubectl lp` where that is what works.
fn reworded(command: Command) -> Command {
    let examples = command.get_before_help().map(|help| help.to_string().replace("  lpctl ", "  kubectl lp "));
    let command = match examples {
        Some(examples) => command.before_help(examples),
        None => command,
    };
    // Usage that clap makes of the grammar comes by the name itself.
    let usage = command.clone().render_usage().to_string();
    let command = match usage.strip_prefix("Usage: lpctl ") {
        Some(rest) => command.override_usage(format!("kubectl lp {rest}")),
        None => command,
    };
    command.mut_subcommands(reworded)
}

/// What kubectl's completion wants: a candidate per line, its help after a tab, and `:4` (no file names) at the end.
///
/// # Errors
/// What clap cannot complete.
pub fn complete(words: impl IntoIterator<Item = OsString>) -> std::io::Result<String> {
    let mut args: Vec<OsString> = std::iter::once("kubectl-lp".into()).chain(words).collect();
    if args.len() == 1 {
        args.push(OsString::new());
    }
    let index = args.len() - 1;
    let candidates = clap_complete::engine::complete(&mut command(Name::Completion), args, index, None)?;
    let mut out = String::new();
    for candidate in candidates {
        out.push_str(&candidate.get_value().to_string_lossy());
        if let Some(help) = candidate.get_help() {
            out.push_str(&format!("\t{}", help.to_string().lines().next().unwrap_or_default()));
        }
        out.push('\n');
    }
    Ok(out + ":4\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (argv0, expected) in [
            ("/usr/bin/lpctl", Name::Lpctl),
            ("/usr/local/bin/kubectl-lp", Name::Plugin),
            ("kubectl-lp.exe", Name::Plugin),
            ("kubectl_complete-lp", Name::Completion),
        ] {
            assert_eq!(name(Some(&argv0.into())), expected, "{argv0}");
        }
        assert_eq!(name(None), Name::Lpctl);
    }

    #[test]
    fn the_plugin_speaks_of_itself_as_such() {
        let help = command(Name::Plugin).render_long_help().to_string();
        assert!(help.contains("Usage: kubectl lp ") && !help.contains("  lpctl "), "{help}");
        let mut plugin = command(Name::Plugin);
        plugin.build();
        let status = plugin.find_subcommand_mut("status").expect("status").render_help().to_string();
        assert!(status.contains("kubectl lp status"), "{status}");
        let psql = plugin.find_subcommand_mut("psql").expect("psql").render_help().to_string();
        assert!(psql.contains("Usage: kubectl lp psql [OPTIONS] [PLATFORM] <DATABASE>"), "{psql}");
    }

    #[test]
    fn completion_for_kubectl() {
        let out = complete(["st".into()]).unwrap();
        assert!(out.starts_with("status\t") && out.ends_with(":4\n"), "{out}");
        assert!(complete([]).unwrap().contains("explain\t"));
    }
}

//! `lpctl completion`: the script that makes a shell ask lpctl for completions.

use crate::{exit::Exit, output};
use anyhow::Context;
use clap_complete::env::Shells;

/// Arguments of `completion`.
#[derive(clap::Args, Debug)]
#[command(before_help = "Examples:
  lpctl completion bash > /etc/bash_completion.d/lpctl
  lpctl completion zsh > \"${fpath[1]}/_lpctl\"
  lpctl completion fish > ~/.config/fish/completions/lpctl.fish

For `kubectl lp`, link the program under two more names in your PATH:
  ln -s \"$(command -v lpctl)\" /usr/local/bin/kubectl-lp
  ln -s \"$(command -v lpctl)\" /usr/local/bin/kubectl_complete-lp
")]
pub struct Args {
    /// The shell
    #[arg(value_parser = ["bash", "elvish", "fish", "powershell", "zsh"])]
    pub shell: String,
}

/// Runs the command.
///
/// # Errors
/// When the script cannot be made; a defect.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let shells = Shells::builtins();
    let shell = shells.completer(&args.shell).with_context(|| format!("no completion for {}", args.shell))?;
    let mut script = Vec::new();
    shell
        .write_registration("COMPLETE", "lpctl", "lpctl", "lpctl", &mut script)
        .context("the script cannot be made")?;
    output::emit(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Good)
}

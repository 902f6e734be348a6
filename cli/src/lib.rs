//! The command line of LearningPlatform, as a library with a thin binary.

pub mod args;
pub mod check;
pub mod cluster;
pub mod commands;
pub mod complete;
pub mod exit;
pub mod install;
pub mod installed;
pub mod manifests;
pub mod output;
pub mod plugin;
pub mod simulate;
pub mod store;

use args::{Cli, Command};
use commands::{
    adopt, backup, completion, diff, explain, hold, iam_policy, init, install as install_command, plan, promote, psql,
    redis_cli, render, restore, status, uninstall, version,
};
use exit::Exit;

/// Runs a command.
///
/// # Errors
/// What kept it from telling; the causes are its chain.
pub async fn run(cli: Cli) -> anyhow::Result<Exit> {
    let global = &cli.global;
    match &cli.command {
        Command::Init(args) => init::run(args, global),
        Command::Check(args) => commands::check::run(args, global).await,
        Command::Install(args) => install_command::run(args, global).await,
        Command::Uninstall(args) => uninstall::run(args, global).await,
        Command::Render(args) => render::run(args, global),
        Command::Diff(args) => diff::run(args, global).await,
        Command::Status(args) => status::run(args, global).await,
        Command::Explain(args) => explain::run(args, global).await,
        Command::Hold(args) => hold::run(args, global).await,
        Command::Psql(args) => psql::run(args, global).await,
        Command::Adopt(args) => adopt::run(args, global).await,
        Command::IamPolicy(args) => iam_policy::run(args),
        Command::Plan(args) => plan::run(args, global).await,
        Command::Promote(args) => promote::run(args, global).await,
        Command::RedisCli(args) => redis_cli::run(args, global).await,
        Command::Backup(args) => backup::run(args, global).await,
        Command::Restore(args) => restore::run(args, global).await,
        Command::Simulate(args) => {
            let (out, err) = (std::io::stdout().lock(), std::io::stderr().lock());
            match simulate::run(args, &mut output::MayLeave(out), &mut output::MayLeave(err))? {
                simulate::Verdict::Passed => Ok(Exit::Good),
                simulate::Verdict::Failed => Ok(Exit::Found),
            }
        }
        Command::Completion(args) => completion::run(args),
        Command::Version(args) => version::run(args, global).await,
    }
}

/// An error and its causes, one line each; a cause that its effect repeats is left out.
pub fn causes(error: &anyhow::Error) -> String {
    let mut lines: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = match cause.downcast_ref::<kube::Error>() {
            Some(error) => say(error),
            None => cause.to_string(),
        };
        if lines.last().is_none_or(|last| !last.contains(&text)) {
            lines.push(text);
        }
    }
    let (first, rest) = lines.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let rest: String = rest.iter().map(|line| format!("\n  {}", line.replace('\n', "\n  "))).collect();
    format!("error: {first}{rest}")
}

/// What an error of the API server says, its causes included.
pub(crate) fn say(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => {
            let mut text = other.to_string();
            let mut cause = std::error::Error::source(other);
            while let Some(inner) = cause {
                let said = inner.to_string();
                if !text.contains(&said) {
                    text.push_str(&format!(": {said}"));
                }
                cause = inner.source();
            }
            text
        }
    }
}

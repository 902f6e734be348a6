//! The command line's grammar.

use crate::{
    commands::{
        adopt, backup, check, completion, diff, explain, hold, iam_policy, init, install, plan, promote, psql,
        redis_cli, render, restore, status, uninstall, version,
    },
    simulate,
};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Creates, checks and explains LearningPlatforms on Kubernetes.
#[derive(Debug, Parser)]
#[command(
    name = "lpctl",
    version,
    propagate_version = true,
    max_term_width = 100,
    before_help = "Examples:
  lpctl init story            # write a first platform.yaml
  lpctl check --pre           # is the cluster fit for the operator?
  lpctl install --wait        # install the operator
  lpctl status --watch        # how are the platforms?
  lpctl explain web           # why this many pods?",
    after_help = "Exit status: 0 good, 1 something was found, 2 it could not be told."
)]
pub struct Cli {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub global: Global,

    #[command(subcommand)]
    #[allow(missing_docs)]
    pub command: Command,
}

/// Which cluster and namespace is meant.
#[derive(Args, Clone, Debug, Default)]
pub struct Global {
    /// Configuration of the cluster's access. Default: KUBECONFIG, then ~/.kube/config
    #[arg(long, global = true, value_name = "FILE", help_heading = "Cluster")]
    pub kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME", help_heading = "Cluster")]
    pub context: Option<String>,

    /// Namespace of the platforms. Default: that of the context
    #[arg(short, long, global = true, value_name = "NAME", help_heading = "Cluster")]
    pub namespace: Option<String>,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a first platform into a file
    Init(init::Args),
    /// Check the cluster, the operator and the platforms
    Check(check::Args),
    /// Install or upgrade the operator
    Install(install::Args),
    /// Remove the operator; the platforms keep running
    Uninstall(uninstall::Args),
    /// Print what the operator would apply, without a cluster
    Render(render::Args),
    /// Show what applying a file would change, by the server's dry run
    Diff(diff::Args),
    /// Show how the platforms are
    Status(status::Args),
    /// Explain why an app has as many pods as it has, and what would change it
    Explain(explain::Args),
    /// Keep the pods of an app at or above a number for a time
    Hold(hold::Args),
    /// Open psql at a database of a platform
    Psql(psql::Args),
    /// Open redis-cli or valkey-cli at a cache of a platform
    RedisCli(redis_cli::Args),
    /// Take a backup of a database now, or show those that there are
    Backup(backup::Args),
    /// Make a database of the backups of another one
    Restore(restore::Args),
    /// Show what the operator is to do at AWS for an item
    Plan(plan::Args),
    /// Let an item go on with what a former platform of its name left at AWS
    Adopt(adopt::Args),
    /// Print what the operator's role has to be allowed at AWS
    IamPolicy(iam_policy::Args),
    /// Let a database whose primary is lost go on with the data of its most advanced read replica
    Promote(promote::Args),
    /// Replay a recorded trace through the operator's own decisions
    #[command(before_help = "Examples:
  lpctl simulate -f platform.yaml --app web --trace monday.csv
  lpctl simulate -f platform.yaml --app web --rate rate.json --latency latency.json --plot monday.svg
  lpctl simulate -f platform.yaml --app web --trace monday.csv --closed-loop 60 --fail-if 'underCapacitySeconds>60'")]
    Simulate(Box<simulate::Args>),
    /// Print a completion script for a shell
    Completion(completion::Args),
    /// Print the versions of lpctl and of the operator
    Version(version::Args),
}

//! `lpctl psql`: PostgreSQL's own client at a database of a platform, wherever it runs.

use crate::{
    args::Global,
    cluster::{Cluster, Item},
    complete,
    exit::Exit,
    store,
};
use clap_complete::engine::ArgValueCompleter;
use kube::ResourceExt;
use std::ffi::OsString;

/// Arguments of `psql`.
#[derive(clap::Args, Debug)]
#[command(
    override_usage = "lpctl psql [OPTIONS] [PLATFORM] <DATABASE> [-- ARGS...]",
    before_help = "Examples:
  lpctl psql main
  lpctl psql story main -- -c 'select count(*) from lessons'
  lpctl psql tenants --shard 2 --replica 1
  lpctl psql main --print   # for a client of your own",
    after_help = "A server in the cluster is reached through the API server; one that somebody else runs at its own \
                  address. The password is in psql's environment (PGPASSWORD), never on its command line.\n\n\
                  Exit status: that of psql, 2 where it could not be run."
)]
pub struct Args {
    /// The database; before it its platform, where several have such a one
    #[arg(required = true, num_args = 1..=2, value_name = "DATABASE", add = ArgValueCompleter::new(complete::databases))]
    pub names: Vec<String>,

    /// The shard, from 0
    #[arg(long, value_name = "N")]
    pub shard: Option<u32>,

    /// A read replica in place of the primary, from 1 as in DATABASE_REPLICA_1_URL
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub replica: Option<u32>,

    /// Print where it is reached and which Secret has the password, and keep the way open until interrupted
    #[arg(long, conflicts_with = "arguments")]
    pub print: bool,

    /// Arguments for psql
    #[arg(last = true, value_name = "ARGS")]
    pub arguments: Vec<OsString>,
}

/// Runs the command.
///
/// # Errors
/// What keeps psql from being run.
pub async fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let (platform, name) = item(&args.names);
    let cluster = Cluster::connect(global).await?;
    let platform = cluster.platform_with(platform, Item::Database, name).await?;
    let target = store::database(&platform, name, args.shard, args.replica)?;
    let namespace = platform.namespace().unwrap_or_default();
    store::open(&cluster, &namespace, &target, &store::PSQL, &args.arguments, args.print).await
}

/// The platform, if it is named, and the item, which stands last.
pub(super) fn item(names: &[String]) -> (Option<&str>, &str) {
    match names {
        [platform, item, ..] => (Some(platform), item),
        [item] => (None, item),
        [] => (None, ""),
    }
}

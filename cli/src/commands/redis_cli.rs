//! `lpctl redis-cli`: the client of Redis or Valkey at a cache of a platform, wherever it runs.

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

/// Arguments of `redis-cli`.
#[derive(clap::Args, Debug)]
#[command(
    override_usage = "lpctl redis-cli [OPTIONS] [PLATFORM] <CACHE> [-- ARGS...]",
    before_help = "Examples:
  lpctl redis-cli cache
  lpctl redis-cli story cache --shard 2 -- info keyspace
  lpctl redis-cli logins -- get user:7
  lpctl redis-cli cache --print   # for a client of your own",
    after_help = "A server in the cluster is reached through the API server; one at AWS, or that somebody else runs, at \
                  its own address. The client is redis-cli, or valkey-cli where there is no redis-cli. The password is in its \
                  environment (REDISCLI_AUTH), never on its command line.\n\n\
                  Of a cache with shards the primary of one is reached. The client's -c does not help there: a key of \
                  another shard is answered with MOVED and the address of a pod, which leads nowhere from here. \
                  `cluster keyslot KEY` gives a key's slot, `cluster slots` the pods that have it: choose theirs with \
                  --shard.\n\n\
                  Exit status: that of the client, 2 where it could not be run."
)]
pub struct Args {
    /// The cache; before it its platform, where several have such a one
    #[arg(required = true, num_args = 1..=2, value_name = "CACHE", add = ArgValueCompleter::new(complete::caches))]
    pub names: Vec<String>,

    /// The shard, from 0
    #[arg(long, value_name = "N")]
    pub shard: Option<u32>,

    /// Print where it is reached and which Secret has the password, and keep the way open until interrupted
    #[arg(long, conflicts_with = "arguments")]
    pub print: bool,

    /// Arguments for the client
    #[arg(last = true, value_name = "ARGS")]
    pub arguments: Vec<OsString>,
}

/// Runs the command.
///
/// # Errors
/// What keeps the client from being run.
pub async fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let (platform, name) = super::psql::item(&args.names);
    let cluster = Cluster::connect(global).await?;
    let platform = cluster.platform_with(platform, Item::Cache, name).await?;
    let target = store::cache(&platform, name, args.shard)?;
    let namespace = platform.namespace().unwrap_or_default();
    store::open(&cluster, &namespace, &target, &store::REDIS_CLI, &args.arguments, args.print).await
}

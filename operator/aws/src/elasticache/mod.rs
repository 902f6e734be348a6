//! Valkey and Redis at ElastiCache: a replication group of shards, each with replicas that AWS keeps.

mod api;
mod call;
mod memory;
mod plan;
mod seen;
mod settings;
mod wish;

pub use api::{ElastiCache, observe};
pub use call::{Call, Resource, Strategy};
pub use memory::{Memory, Resize, Tokens};
pub use plan::{Step, View, identifier, plan};
pub use seen::{Event, Group, ParameterGroup, Seen, Shard, Snapshot, State, Usage, User, UserGroup};
pub use settings::{Field, Settings};
pub use wish::{Access, Auth, Credential, Engine, Spec, Wish};

/// Most replicas of one shard, by AWS's service model.
pub const MOST_REPLICAS: u32 = 5;
/// Most shards of one group, where the quota was raised.
pub const MOST_SHARDS: u32 = 500;
/// Most nodes of one group, where the quota was raised.
pub const MOST_NODES: u32 = 500;
/// Under which name [`View::accepted`] speaks of a token.
pub const TOKEN: &str = "";

//! PostgreSQL at RDS: a primary, and read replicas that AWS keeps.

mod api;
mod call;
mod memory;
mod plan;
mod seen;
mod settings;
mod wish;

pub use crate::{DeletionPolicy, Endpoint, Parameters, Value, When, major};
pub use api::{Rds, observe};
pub use call::{Call, Resource};
pub use memory::Memory;
pub use plan::{Step, View, plan};
pub use seen::{Instance, ParameterGroup, Seen, Snapshot, State};
pub use settings::{Field, Settings};
pub use wish::{Spec, Wish};

/// The engine, as AWS calls it.
pub const ENGINE: &str = "postgres";
/// Most read replicas of one source, by AWS's service model.
pub const MOST_REPLICAS: u32 = 15;

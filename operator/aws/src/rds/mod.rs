//! PostgreSQL at RDS: a primary, and read replicas that AWS keeps.

mod api;
mod call;
mod memory;
mod plan;
mod seen;
mod settings;
mod wish;

pub use api::{Rds, observe};
pub use call::{Call, Resource};
pub use memory::Memory;
pub use plan::{Step, View, plan};
pub use seen::{Endpoint, Instance, ParameterGroup, Seen, Snapshot, State};
pub use settings::{Field, Settings, Value, When, major};
pub use wish::{DeletionPolicy, Parameters, Spec, Wish};

/// The engine, as AWS calls it.
pub const ENGINE: &str = "postgres";
/// Most read replicas of one source, by AWS's service model.
pub const MOST_REPLICAS: u32 = 15;

//! The tiers of a platform, one module each: its part of the spec and the rules of that part.

pub mod app;
pub mod autoscaling;
pub mod aws;
pub mod backup;
pub mod bucket;
pub mod cache;
pub mod cdn;
pub mod cloud_native_pg;
pub mod cloud_native_pg_backup;
pub mod connections;
pub mod database;
pub mod elasticache;
pub mod endpoint;
pub mod exposure;
pub mod in_cluster;
pub mod jobs;
pub mod pod;
pub mod pooler;
pub mod rds;
pub mod server_tls;
pub mod uses;

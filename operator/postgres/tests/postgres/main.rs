//! Real servers: what becomes of them, of their data, and of their clients.
#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod backup;
mod bucket;
mod lifecycle;
mod logical;
mod managed;
mod monitor;
mod pooler;
mod promotion;
mod quiet;
mod roles;
mod settings;
mod snapshot;
mod support;
mod tls;

//! Real servers: what becomes of them, of their data, and of their clients.
#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod cluster;
mod managed;
mod quiet;
mod single;
mod support;
mod tls;

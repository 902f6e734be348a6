//! A small learning app for tests and demonstrations: above a pod's capacity requests queue and latency
//! rises, cpu follows the load, and a stop finishes what is in flight. Where a database or a cache is wired it is used for
//! real; a second program, the ledger, writes numbered records to both and finds out which of them are lost.

pub mod admin;
pub mod api;
pub mod app;
pub mod config;
pub mod content;
pub mod cpu;
pub mod health;
pub mod ledger;
pub mod metrics;
pub mod pacer;
pub mod server;
pub mod stores;

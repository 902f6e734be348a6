//! A small learning app for tests and demonstrations: above a pod's capacity requests queue and latency
//! rises, cpu follows the load, and a stop finishes what is in flight.

pub mod admin;
pub mod api;
pub mod app;
pub mod config;
pub mod cpu;
pub mod metrics;
pub mod pacer;
pub mod server;

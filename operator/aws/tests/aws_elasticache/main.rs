//! Caches at ElastiCache, against a strict fake of it.

mod auth;
mod clients;
mod deletion;
mod driver;
mod faults;
mod gates;
mod ownership;
mod properties;

mod scenarios;

//! The pure decision: tables, and what holds for whatever is wished and seen.
#![allow(clippy::type_complexity)] // Tables.
#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod properties;
mod tables;
mod world;

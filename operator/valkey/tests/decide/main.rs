//! The pure decisions: tables, and what holds for whatever is wished and seen.
#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod lead;
mod properties;
mod simulation;

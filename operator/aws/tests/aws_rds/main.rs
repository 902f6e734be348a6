//! Databases at RDS, against a strict fake of it.

mod deletion;
mod driver;
mod faults;
mod gates;
mod many;
mod ownership;
mod properties;
mod scenarios;

//! Distributions at CloudFront, against a strict fake of it.

mod attach;
mod certificate;
mod companions;
mod deletion;
mod documents;
mod driver;
mod faults;
mod invalid;
mod invalidation;
mod lint;
mod ownership;
mod properties;
mod scenarios;
mod tables;
mod wishes;

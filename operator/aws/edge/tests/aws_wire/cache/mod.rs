//! Caches at ElastiCache.

mod bench;
#[path = "../../../../tests/aws_elasticache/clients.rs"]
mod clients;
#[expect(dead_code, reason = "some of it is for the tests against the strict fake")]
#[path = "../../../../tests/aws_elasticache/driver.rs"]
mod driver;
mod errors;
mod faults;
mod many;
mod policy;
mod scenarios;

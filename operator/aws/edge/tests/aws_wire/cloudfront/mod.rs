//! Distributions over the wire.

mod attach;
mod bench;
mod certificate;
#[expect(dead_code, reason = "some of it is for the tests against the strict fake")]
#[path = "../../../../tests/aws_cloudfront/driver.rs"]
mod driver;
mod errors;
mod faults;
mod many;
mod policy;
mod scenarios;
mod shared;
mod wire;
#[path = "../../../../tests/aws_cloudfront/wishes.rs"]
mod wishes;

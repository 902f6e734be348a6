//! The edge over the wire: the real SDK, a proxy that lets calls fail, and a server that speaks AWS's protocols.

// The driver is that of the tests against the strict fake, which know the crate by its whole name.
extern crate aws as learningplatform_aws;

mod bench;
mod cache;
mod cloudfront;
#[expect(dead_code, reason = "some of it is for the tests against the strict fake")]
#[path = "../../../tests/aws_rds/driver.rs"]
mod driver;
mod errors;
mod faults;
mod habits;
mod policy;
mod proxy;
mod rest;
mod scenarios;
mod server;

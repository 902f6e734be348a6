//! Tests on a real cluster: `make test` brings one up, or set `KUBECONFIG` and run
//! `cargo test -p learningplatform-tests --features cluster`.

#![recursion_limit = "256"]

mod admission;
mod lifecycle;
mod lpctl;
mod scaling;
mod stores;

#[path = "../../crds/tests/examples/mod.rs"]
mod examples;

//! `make bench`: figures, never pass or fail. Ratios are taken within one run, because machines differ.

mod core;
mod spikes;

use anyhow::Result;

#[tokio::main]
async fn main() -> Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    core::run()?;
    if std::env::var_os("BENCH_CORE_ONLY").is_none() {
        spikes::run().await?;
    }
    Ok(())
}

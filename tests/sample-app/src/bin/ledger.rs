//! The thin binary of the ledger.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use sample_app::ledger::command::Ledger;
use sample_app::stores::settings::Settings;
use tokio::signal::unix::{SignalKind, signal};

/// More is lost than allowed.
const LOST: u8 = 1;

/// It could not be found out.
const TROUBLE: u8 = 2;

fn main() -> ExitCode {
    match start(Ledger::parse()) {
        Ok((text, passed)) => {
            print!("{text}");
            if passed { ExitCode::SUCCESS } else { ExitCode::from(LOST) }
        }
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::from(TROUBLE)
        }
    }
}

fn start(ledger: Ledger) -> anyhow::Result<(String, bool)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(async {
        let settings = Settings::from_environment().map_err(anyhow::Error::msg)?;
        let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
        let stop = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        ledger.run(&settings, stop).await
    })
}

//! The thin binary of the sample app.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser as _;
use sample_app::app::App;
use sample_app::config::Config;
use sample_app::server::{Stopped, run};
use sample_app::stores::settings::Settings;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let config = Config::parse();
    match start(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(config: Config) -> anyhow::Result<()> {
    // One thread: a pod's share of a core is far below one, and so is its memory.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let stores = Settings::from_environment().map_err(anyhow::Error::msg)?;
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let listener = bind(&config, config.port, "PORT").await?;
    let admin = match config.admin_port {
        Some(port) => Some(bind(&config, port, "ADMIN_PORT").await?),
        None => None,
    };
    eprintln!("listening on {}", listener.local_addr()?);
    if let Some(admin) = &admin {
        eprintln!("admin endpoint on {}", admin.local_addr()?);
    }
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        eprintln!("draining");
    };
    let app = App::new(config).with_stores(&stores).context("wiring the stores")?;
    match run(Arc::new(app), listener, admin, stop).await {
        Stopped::Clean => eprintln!("stopped"),
        Stopped::CutOff(n) => {
            eprintln!("stopped; {n} requests were cut off after STOP_SECONDS");
        }
    }
    Ok(())
}

async fn bind(config: &Config, port: u16, setting: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind((config.host, port))
        .await
        .with_context(|| format!("listening on {}:{port}; choose a free port by {setting}", config.host))
}

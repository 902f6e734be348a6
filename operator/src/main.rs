//! The operator's binary: arguments, logging, and the library's `run`.

use clap::Parser;
use learningplatform_operator::{args::Args, runtime, telemetry};
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let settings = match args.settings() {
        Ok(settings) => settings,
        Err(problem) => {
            eprintln!("error: {problem}");
            return ExitCode::from(2);
        }
    };
    let log = match telemetry::init(&args.log, args.log_format) {
        Ok(log) => log,
        Err(problem) => {
            eprintln!("error: --log: {problem}");
            return ExitCode::from(2);
        }
    };
    match runtime::run(args, settings, log).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

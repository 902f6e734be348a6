//! `lpctl`.

use clap::FromArgMatches;
use lpctl::{args::Cli, exit::Exit, output, plugin};
use std::process::ExitCode;

fn main() -> ExitCode {
    let name = plugin::name(std::env::args_os().next().as_ref());
    // Two TLS providers could be linked; the first to be installed is the one that is used.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    if name == plugin::Name::Completion {
        return finish(plugin::complete(std::env::args_os().skip(1)).map_err(Into::into).and_then(|text| {
            output::emit(&text)?;
            Ok(Exit::Good)
        }));
    }
    clap_complete::CompleteEnv::with_factory(move || plugin::command(name)).complete();
    let cli = Cli::from_arg_matches(&plugin::command(name).get_matches()).unwrap_or_else(|error| error.exit());
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return finish(Err(error.into())),
    };
    finish(runtime.block_on(lpctl::run(cli)))
}

fn finish(result: anyhow::Result<Exit>) -> ExitCode {
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::tell(&lpctl::causes(&error));
            Exit::Unknown.into()
        }
    }
}

//! Logging, with a filter that can be changed while the operator runs.

use crate::args::LogFormat;
use tracing_subscriber::{EnvFilter, Layer, Registry, layer::SubscriberExt, reload, util::SubscriberInitExt};

/// Changes what is logged.
#[derive(Clone)]
pub struct LogControl {
    handle: Option<reload::Handle<EnvFilter, Registry>>,
}

impl LogControl {
    /// A control without effect, where another subscriber is in place (tests).
    pub fn none() -> Self {
        Self { handle: None }
    }

    /// Sets the filter: a level, or directives as `info,kube=debug`.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn set(&self, directives: &str) -> Result<(), String> {
        let filter = parse(directives)?;
        match &self.handle {
            Some(handle) => handle.reload(filter).map_err(|e| e.to_string()),
            None => Ok(()),
        }
    }
}

fn parse(directives: &str) -> Result<EnvFilter, String> {
    EnvFilter::builder().parse(directives).map_err(|e| {
        format!("{e}: write a level (error, warn, info, debug, trace) or directives such as info,kube=debug")
    })
}

/// Starts logging to standard error.
///
/// # Errors
/// If the directives cannot be read, or a subscriber is set already.
pub fn init(directives: &str, format: LogFormat) -> Result<LogControl, String> {
    let (filter, handle) = reload::Layer::new(parse(directives)?);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).try_init().map_err(|e| e.to_string())?;
    Ok(LogControl { handle: Some(handle) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_filter_says_what_to_write() {
        let problem = LogControl::none().set("info,=loud=x").unwrap_err();
        assert!(problem.contains("info,kube=debug"), "{problem}");
        LogControl::none().set("warn,kube=debug").unwrap();
    }
}

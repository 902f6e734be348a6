//! What can go wrong at the edge, and what then.

use std::{net::SocketAddr, time::Duration};
use tokio_postgres::error::SqlState;

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Something has to become ready; look again soon.
    Wait,
    /// A failure that goes away: again with backoff.
    Retry,
    /// Nothing changes until the wish does.
    Terminal,
}

/// An error of a server, or on the way to it. None holds a password or the text of a statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no connection.
    #[error("{address} cannot be reached: {problem}")]
    Unreachable {
        /// Where to.
        address: SocketAddr,
        /// The network's words.
        problem: String,
    },
    /// The authorities that the server's certificate is to be held against are none.
    #[error("{address} cannot be trusted: {problem}")]
    Untrusted {
        /// Who.
        address: SocketAddr,
        /// What is wrong with the authorities.
        problem: String,
    },
    /// No answer in time.
    #[error("{address} did not answer within {}s", limit.as_secs())]
    Timeout {
        /// Who.
        address: SocketAddr,
        /// How long was waited.
        limit: Duration,
    },
    /// The server starts, stops or recovers.
    #[error("{address} is not open yet: {message}")]
    NotYet {
        /// Who.
        address: SocketAddr,
        /// The server's words.
        message: String,
    },
    /// The server has no connection left for us.
    #[error("{address} has no connection left: the apps have taken all of them")]
    Full {
        /// Who.
        address: SocketAddr,
    },
    /// The server refuses the login.
    #[error("{address} refuses the login: {message}")]
    Login {
        /// Who.
        address: SocketAddr,
        /// The server's words.
        message: String,
    },
    /// The server refuses a statement.
    #[error("{address}: {what}: {message} ({code})")]
    Statement {
        /// Who.
        address: SocketAddr,
        /// What was asked, in our words.
        what: &'static str,
        /// SQLSTATE.
        code: String,
        /// The server's words.
        message: String,
    },
    /// The server is too old.
    #[error("{address} is PostgreSQL {major}: {} or newer is needed", crate::OLDEST_MAJOR)]
    TooOld {
        /// Who.
        address: SocketAddr,
        /// Its major version.
        major: u32,
    },
    /// There is no pod, or it has no address yet.
    #[error("the pod {0} is not there yet")]
    NoPod(String),
}

impl Error {
    /// What to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::NotYet { .. } | Self::Login { .. } | Self::NoPod(_) => Class::Wait,
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Full { .. } | Self::Statement { .. } => {
                Class::Retry
            }
            Self::TooOld { .. } | Self::Untrusted { .. } => Class::Terminal,
        }
    }

    /// The error of a statement, or of connecting.
    pub(crate) fn of(address: SocketAddr, what: &'static str, error: &tokio_postgres::Error) -> Self {
        let Some(answer) = error.as_db_error() else {
            return Self::Unreachable { address, problem: innermost(error) };
        };
        let (code, message) = (answer.code(), answer.message().to_owned());
        match *code {
            SqlState::CANNOT_CONNECT_NOW | SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN => {
                Self::NotYet { address, message }
            }
            SqlState::TOO_MANY_CONNECTIONS => Self::Full { address },
            SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                Self::Login { address, message }
            }
            _ => Self::Statement { address, what, code: code.code().to_owned(), message },
        }
    }
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut inner = error;
    while let Some(cause) = inner.source() {
        inner = cause;
    }
    inner.to_string()
}

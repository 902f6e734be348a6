//! What can go wrong at the servers, and what then. No error carries a password: commands are named, their arguments are not.

/// The result of a step at the servers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Something has to become ready; look again soon, without backoff.
    Wait,
    /// A failure that goes away: again with backoff.
    Retry,
    /// Nothing changes until somebody does something.
    Terminal,
}

/// What can go wrong at a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It does not answer.
    #[error("{pod} does not answer: {problem}")]
    Unreachable {
        /// Of the server.
        pod: String,
        /// What kept it.
        problem: String,
    },
    /// It knows none of the passwords.
    #[error("{pod} accepts neither the current nor the previous password")]
    Refused {
        /// Of the server.
        pod: String,
    },
    /// It is reading its data.
    #[error("{pod} is loading its data")]
    Loading {
        /// Of the server.
        pod: String,
    },
    /// It answered with an error.
    #[error("{pod} refuses {command}: {answer}")]
    Answer {
        /// Of the server.
        pod: String,
        /// Its name, without arguments.
        command: &'static str,
        /// Its words.
        answer: String,
    },
    /// What was decided does not hold any more, so it was not done.
    #[error("{0}")]
    Changed(String),
}

impl Error {
    /// What to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Loading { .. } | Self::Changed(_) => Class::Wait,
            Self::Unreachable { .. } | Self::Answer { .. } => Class::Retry,
            Self::Refused { .. } => Class::Terminal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_class() {
        let pod = || "story-cache-s0-0".to_owned();
        for (error, class) in [
            (Error::Unreachable { pod: pod(), problem: "timed out".into() }, Class::Retry),
            (Error::Refused { pod: pod() }, Class::Terminal),
            (Error::Loading { pod: pod() }, Class::Wait),
            (Error::Answer { pod: pod(), command: "MIGRATE", answer: "IOERR".into() }, Class::Retry),
            (Error::Changed("it holds keys".into()), Class::Wait),
        ] {
            assert_eq!(error.class(), class, "{error}");
        }
    }
}

//! What a command came to, as the process tells it.

use std::process::ExitCode;

/// What a command came to. An error on the way is [`Exit::Unknown`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// All is well.
    Good = 0,
    /// It found something: a problem, a difference.
    Found = 1,
    /// It could not tell.
    Unknown = 2,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

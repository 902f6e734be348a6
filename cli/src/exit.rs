//! What a command came to, as the process tells it.

use std::process::ExitCode;

/// What a command came to. An error on the way is [`Exit::Unknown`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// All is well.
    Good,
    /// It found something: a problem, a difference.
    Found,
    /// It could not tell.
    Unknown,
    /// What a program that it ran ended with.
    Program(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Good => 0,
            Exit::Found => 1,
            Exit::Unknown => 2,
            Exit::Program(code) => code,
        })
    }
}

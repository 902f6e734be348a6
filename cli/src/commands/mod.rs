//! The commands, one module each: its arguments, what it reads, and how it says it.

pub mod adopt;
pub mod backup;
pub mod check;
pub mod completion;
pub mod diff;
pub mod explain;
pub mod hold;
pub mod iam_policy;
pub mod init;
pub mod install;
pub mod plan;
pub mod promote;
pub mod psql;
pub mod redis_cli;
pub mod render;
pub mod restore;
pub mod status;
pub mod uninstall;
pub mod version;

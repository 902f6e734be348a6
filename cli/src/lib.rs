//! The command line of LearningPlatform, as a library with a thin binary.

pub mod manifests;
pub mod simulate;

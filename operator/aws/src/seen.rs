//! What is seen in several rooms.

/// Where a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name.
    pub address: String,
    /// Its port.
    pub port: u32,
}

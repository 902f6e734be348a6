//! The calls to AWS, through its SDK: clients, how fast they call, what their errors are, and the narrow traits of
//! `learningplatform-aws` over them. Nothing is decided in here.

mod accounts;
mod clients;
pub mod cloudfront;
pub mod elasticache;
mod error;
mod limits;
pub mod rds;
mod shared;
mod signer;

pub use accounts::{Account, Accounts};
pub use clients::{Clients, Endpoints, InvalidSettings, Role, Settings};
pub use error::{NO_CREDENTIALS, told};
pub use limits::{End, Limits, PATIENCE, Request};
pub use shared::{Seat, Shared, Windows};
pub use signer::{Signer, Unsigned};

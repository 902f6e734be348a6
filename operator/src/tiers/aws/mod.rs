//! What items at AWS have in common, in whichever room: the account, the words of the user, what is kept from round to round, and
//! what is told of them. What is done there is decided in the crate `aws`.

pub mod account;
pub mod control;
pub mod recorded;
pub mod released;
pub mod told;

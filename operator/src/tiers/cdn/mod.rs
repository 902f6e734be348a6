//! Distributions: from what the resource says to what [`aws::cloudfront`] plans. Pure.

mod behavior;
mod origin;
pub mod wish;

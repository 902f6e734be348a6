//! `lpctl`.

fn main() {}

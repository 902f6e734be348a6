//! Databases at RDS as their keeper has them. What is inside of their servers is looked after beside it, by
//! [`super::rds_servers`].

use super::aws::{AwsKeeper, AwsView, Orders, Service};
use crate::tiers::store::StoreTier;
use aws::{
    Error,
    rds::{Call, Memory, Rds, Seen, Step, View, Wish, observe, plan},
};
use aws_edge::{Account, rds::Seat};
use jiff::Timestamp;

/// Keeps databases at RDS.
pub type RdsKeeper = AwsKeeper<RdsService>;
/// What a keeper of them tells passes.
pub type RdsView = AwsView<RdsService>;
/// What a pass wants of one.
pub type RdsOrders = Orders<RdsService>;

/// Amazon RDS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RdsService;

impl Service for RdsService {
    const TIER: StoreTier = StoreTier::Database;
    type Call = Call;
    type Wish = Wish;
    type Memory = Memory;
    type View = View;
    type Seen = Seen;
    type Seat = Seat;

    fn seat(account: &Account) -> Seat {
        account.rds.seat()
    }

    async fn observe(seat: &Seat, wish: &Wish, memory: &Memory) -> Result<Seen, Error> {
        observe(seat, wish, memory).await
    }

    fn plan(wish: &Wish, seen: &Seen, memory: &Memory, now: Timestamp) -> Step {
        plan(wish, seen, memory, now)
    }

    async fn send(seat: &Seat, call: &Call) -> Result<(), Error> {
        Rds::send(seat, call).await
    }

    fn sent(
        memory: &mut Memory,
        call: &Call,
        after: Memory,
        result: &Result<(), Error>,
        generation: i64,
        now: Timestamp,
    ) {
        memory.sent(call, after, result, generation, now);
    }
}

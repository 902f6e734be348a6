//! Distributions at CloudFront as their keeper has them: nothing is done beside what AWS does.

use super::aws::{AwsKeeper, AwsView, Orders, Service};
use crate::tiers::store::StoreTier;
use aws::{
    Error,
    cloudfront::{Call, CloudFront, Memory, Seen, Step, View, Wish, observe, plan},
};
use aws_edge::{
    Account,
    cloudfront::{SdkCloudFront, Seat},
};
use jiff::Timestamp;

/// Keeps distributions at CloudFront.
pub type CloudFrontKeeper = AwsKeeper<CloudFrontService>;
/// What a keeper of them tells passes.
pub type CloudFrontView = AwsView<CloudFrontService>;
/// What a pass wants of one.
pub type CloudFrontOrders = Orders<CloudFrontService>;

/// Amazon CloudFront.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloudFrontService;

impl Service for CloudFrontService {
    const TIER: StoreTier = StoreTier::Cdn;
    type Call = Call;
    type Wish = Wish;
    type Memory = Memory;
    type View = View;
    type Seen = Seen;
    type Seat = Seat<SdkCloudFront>;

    fn seat(account: &Account) -> Self::Seat {
        account.cloudfront.seat()
    }

    async fn observe(seat: &Self::Seat, wish: &Wish, memory: &Memory) -> Result<Seen, Error> {
        observe(seat, wish, memory).await
    }

    fn plan(wish: &Wish, seen: &Seen, memory: &Memory, now: Timestamp) -> Step {
        plan(wish, seen, memory, now)
    }

    async fn send(seat: &Self::Seat, call: &Call) -> Result<(), Error> {
        CloudFront::send(seat, call).await
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

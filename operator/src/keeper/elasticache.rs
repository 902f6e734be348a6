//! Caches at ElastiCache as their keeper has them. Nothing is made inside of them: AWS keeps users and tokens. How full their servers
//! are another keeper asks these themselves.

use super::{
    StoreKey,
    aws::{AwsKeeper, AwsView, Orders, Service},
};
use crate::{context::Context, tiers::store::StoreTier};
use aws::{
    Error,
    elasticache::{Call, ElastiCache, Memory, Seen, Step, View, Wish, identifier, observe, plan},
};
use aws_edge::{Account, elasticache::Seat};
use jiff::Timestamp;

/// Keeps caches at ElastiCache.
pub type ElastiCacheKeeper = AwsKeeper<ElastiCacheService>;
/// What a keeper of them tells passes.
pub type ElastiCacheView = AwsView<ElastiCacheService>;
/// What a pass wants of one.
pub type ElastiCacheOrders = Orders<ElastiCacheService>;

/// Amazon ElastiCache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ElastiCacheService;

impl Service for ElastiCacheService {
    const TIER: StoreTier = StoreTier::Cache;
    type Call = Call;
    type Wish = Wish;
    type Memory = Memory;
    type View = View;
    type Seen = Seen;
    type Seat = Seat;

    fn seat(account: &Account) -> Seat {
        account.elasticache.seat()
    }

    async fn observe(seat: &Seat, wish: &Wish, memory: &Memory) -> Result<Seen, Error> {
        observe(seat, wish, memory).await
    }

    fn complete(ctx: &Context, key: &StoreKey, wish: &Wish, memory: &Memory, seen: &mut Seen) {
        let id = identifier(wish, memory);
        let group = seen.groups.iter().find(|group| group.id == id);
        let goes = group.filter(|group| group.shard_count() > wish.spec.shards && !wish.deleted);
        if let (Some(group), Some(figures)) = (goes, ctx.elasticache_servers.figures(key)) {
            seen.usage = figures.usage(group, Timestamp::now().into());
        }
    }

    fn plan(wish: &Wish, seen: &Seen, memory: &Memory, now: Timestamp) -> Step {
        plan(wish, seen, memory, now)
    }

    async fn send(seat: &Seat, call: &Call) -> Result<(), Error> {
        ElastiCache::send(seat, call).await
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

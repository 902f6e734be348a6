//! Databases at RDS as their keeper has them: beside what AWS does, it makes inside the server what apps need.

use super::{
    StoreKey,
    aws::{AwsKeeper, AwsView, Orders, Service},
};
use crate::{context::Context, metrics::RoundFailure, tiers::store::StoreTier};
use aws::{
    Error,
    rds::{Call, Memory, Rds, Seen, Step, View, Wish, observe, plan},
};
use aws_edge::{Account, rds::Seat};
use jiff::Timestamp;
use postgres::Administrator;

/// Keeps databases at RDS.
pub type RdsKeeper = AwsKeeper<RdsService>;
/// What a keeper of them tells passes.
pub type RdsView = AwsView<RdsService>;
/// What a pass wants of one.
pub type RdsOrders = Orders<RdsService>;

/// Amazon RDS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RdsService;

/// What is wished inside the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Inside {
    /// The database of the apps.
    pub database: postgres::Database,
    /// The login of the apps.
    pub login: postgres::Login,
    /// The administrator's password.
    pub administrator: postgres::Password,
    /// By whom the server is known, PEM.
    pub authorities: Vec<u8>,
}

/// What was found inside the server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InsideView {
    /// The apps can log in.
    pub login_works: bool,
    /// The apps' next password works.
    pub next_works: bool,
    /// What is wrong there.
    pub problem: Option<String>,
}

impl Service for RdsService {
    const TIER: StoreTier = StoreTier::Database;
    type Call = Call;
    type Wish = Wish;
    type Memory = Memory;
    type View = View;
    type Inside = Inside;
    type InsideView = InsideView;
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

    async fn inside(ctx: &Context, key: &StoreKey, orders: &RdsOrders, at: &View, view: &mut InsideView) -> bool {
        *view = InsideView { login_works: view.login_works, ..InsideView::default() };
        inside(ctx, key, orders, at, view).await
    }
}

/// Makes what apps need inside the server. Returns whether there is nothing left to do.
async fn inside(ctx: &Context, key: &StoreKey, orders: &RdsOrders, at: &View, view: &mut InsideView) -> bool {
    let (Some(inside), Some(endpoint)) = (&orders.inside, at.endpoint.as_ref().filter(|_| at.serves)) else {
        return true;
    };
    if !at.password_set {
        view.problem = Some("AWS is setting the administrator's password".to_owned());
        return false;
    }
    let port = u16::try_from(endpoint.port).unwrap_or(crate::tiers::database::PORT);
    let address = match tokio::net::lookup_host((endpoint.address.as_str(), port)).await {
        Ok(mut found) => found.next(),
        Err(error) => {
            tracing::info!(store = %key, host = endpoint.address, %error, "no address");
            None
        }
    };
    let Some(address) = address else {
        view.problem = Some(format!("{} has no address that this cluster knows", endpoint.address));
        return false;
    };
    let trust = tls::Trust { authorities: inside.authorities.clone(), name: endpoint.address.clone() };
    let user = at.username.as_deref().unwrap_or(postgres::OPERATOR);
    let server = Administrator { address, user, password: &inside.administrator, trust: Some(&trust) };
    let (databases, logins) = (std::slice::from_ref(&inside.database), std::slice::from_ref(&inside.login));
    let seen = match server.observe(databases, logins).await {
        Ok(seen) => seen,
        Err(error) => {
            tracing::info!(store = %key, %error, "the server cannot be looked at");
            view.problem = Some(error.to_string());
            return false;
        }
    };
    let decision = postgres::decide_managed(databases, logins, &seen);
    view.login_works = decision.logins.iter().all(|login| login.works == Some(true));
    view.next_works = decision.logins.iter().any(|login| login.step == postgres::Step::Publish);
    if !decision.unavailable.is_empty() {
        view.problem = Some(format!("RDS has no extension {}", decision.unavailable.join(", ")));
    }
    if !orders.acts {
        return true;
    }
    for act in &decision.acts {
        tracing::info!(store = %key, act = act.sentence(), "at the server");
        if let Err(error) = server.carry_out(act).await {
            ctx.metrics.round_failed(StoreTier::Database, RoundFailure::Act);
            tracing::info!(store = %key, ?act, %error, "an act at the server failed");
            view.problem = Some(error.to_string());
            return false;
        }
    }
    decision.acts.is_empty()
}

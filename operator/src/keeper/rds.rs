//! The keeper of a database at RDS: it looks at AWS, plans, and sends at most one call a round, and only when what the plan
//! remembers has been written down. Inside the server it makes what apps need.

use super::{Keep, Round, StoreKey};
use crate::{
    context::Context,
    metrics::RoundFailure,
    tiers::{aws::told, store::StoreTier},
};
use aws::{
    Condition, Kind,
    rds::{Call, Memory, Rds, View, Wish, observe, plan},
};
use aws_edge::{Account, Settings, rds::Seat};
use crds::status::AwsCall;
use jiff::{SignedDuration, Timestamp};
use postgres::Administrator;
use std::{sync::Arc, time::Duration};

/// After a look that failed, at the earliest (P).
const AFTER_ERROR: Duration = Duration::from_secs(10);
/// While something is under way inside the server (P).
const WORKING: Duration = Duration::from_secs(5);

/// How long a look counts for the call that was planned by it (P).
const FRESH: SignedDuration = SignedDuration::from_secs(20);

/// Keeps databases at RDS.
pub struct RdsKeeper;

/// What a pass wants of a database.
#[derive(Clone, Debug, PartialEq)]
pub struct Orders {
    /// Name of the item.
    pub item: String,
    /// What is wished of AWS.
    pub wish: Wish,
    /// Where.
    pub account: Settings,
    /// What is written down by now; None where nothing is.
    pub stored: Option<Memory>,
    /// What is wished inside the server; None where it cannot be logged in to.
    pub inside: Option<Inside>,
    /// Whether anything may be done: not to a suspended platform.
    pub acts: bool,
}

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

/// What a keeper tells passes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RdsView {
    /// What is to be written down.
    pub memory: Memory,
    /// What the user is told.
    pub conditions: Vec<Condition>,
    /// What is to be done.
    pub plan: Vec<AwsCall>,
    /// What approves it.
    pub plan_hash: Option<String>,
    /// What others may know.
    pub at: View,
    /// It is gone, or left as its policy says.
    pub finished: bool,
    /// The apps can log in.
    pub login_works: bool,
    /// The apps' next password works.
    pub next_works: bool,
    /// What is wrong inside the server.
    pub problem: Option<String>,
}

/// What a keeper remembers.
#[derive(Default)]
pub struct Remembered {
    /// What the plan does; None before the first round, when what is written down counts.
    known: Option<Memory>,
    /// What is sent as soon as it is written down what it may do.
    pending: Option<Pending>,
    at: Option<At>,
}

/// A call that was planned.
struct Pending {
    call: Call,
    /// On what.
    wish: Wish,
    /// What is to be written down before.
    remember: Memory,
    /// What is remembered once it was carried out.
    after: Memory,
    planned: Timestamp,
}

impl Pending {
    /// Whether it may still be sent: the world is as it was seen, as far as can be told.
    fn holds(&self, orders: &Orders, now: Timestamp) -> bool {
        orders.acts && self.wish == orders.wish && now.duration_since(self.planned) < FRESH
    }
}

/// Where it looks. What it has changed itself it sees only from the same seat.
struct At {
    settings: Settings,
    /// Kept, so that others of the same settings share it.
    _account: Arc<Account>,
    seat: Seat,
}

impl Keep for RdsKeeper {
    const TIER: StoreTier = StoreTier::Database;
    type Orders = Orders;
    type View = RdsView;
    type Figures = ();
    type Memory = Remembered;

    async fn round(
        ctx: &Context,
        key: &StoreKey,
        orders: &Orders,
        before: Option<&RdsView>,
        memory: &mut Remembered,
    ) -> Round<RdsView, ()> {
        let mut known = memory.known.clone().or_else(|| orders.stored.clone()).unwrap_or_default();
        let now = Timestamp::now();
        let before = before.cloned().unwrap_or_default();
        let seat = match seat(ctx, &orders.account, &mut memory.at).await {
            Ok(seat) => seat,
            Err(problem) => {
                let conditions = vec![Condition::is(Kind::Invalid, format!("spec.aws: {problem}"))];
                return Round { view: RdsView { memory: known, conditions, ..before }, figures: (), next: AFTER_ERROR };
            }
        };
        if let Some(pending) = memory.pending.take().filter(|pending| pending.holds(orders, now)) {
            if orders.stored.as_ref() != Some(&pending.remember) {
                memory.pending = Some(pending);
                return Round { view: before, figures: (), next: WORKING };
            }
            known = send(ctx, key, seat, pending, now).await;
            memory.known = Some(known.clone());
            return Round { view: RdsView { memory: known, ..before }, figures: (), next: WORKING };
        }
        let seen = match observe(seat, &orders.wish, &known).await {
            Ok(seen) => seen,
            Err(error) => {
                ctx.metrics.round_failed(StoreTier::Database, RoundFailure::Act);
                tracing::info!(store = %key, %error, "AWS cannot be looked at");
                let wait = known.troubles.unseen(&error, orders.wish.generation, now);
                let conditions = known.troubles.conditions().collect();
                memory.known = Some(known.clone());
                let view = RdsView { memory: known, conditions, ..before };
                return Round { view, figures: (), next: wait.max(AFTER_ERROR) };
            }
        };
        let step = plan(&orders.wish, &seen, &known, now);
        known = step.remember;
        let mut next = step.requeue;
        if let Some(call) = step.send.filter(|_| orders.acts) {
            let (wish, remember) = (orders.wish.clone(), known.clone());
            let pending = Pending { call, wish, remember, after: step.after, planned: now };
            // What a call may do is written down before it is sent.
            if orders.stored.as_ref() == Some(&known) {
                known = send(ctx, key, seat, pending, now).await;
            } else {
                memory.pending = Some(pending);
            }
            next = next.min(WORKING);
        }
        memory.known = Some(known.clone());
        let mut view = RdsView {
            memory: known,
            conditions: step.conditions,
            plan: told::calls(&step.plan),
            plan_hash: step.plan.hash(),
            at: step.view,
            finished: step.finished,
            login_works: before.login_works,
            next_works: false,
            problem: None,
        };
        if !orders.wish.deleted {
            let settled = inside(ctx, key, orders, &mut view).await;
            next = if settled { next } else { next.min(WORKING) };
        }
        Round { view, figures: (), next }
    }
}

/// Sends a call, and returns what is remembered then.
async fn send(ctx: &Context, key: &StoreKey, seat: &Seat, pending: Pending, now: Timestamp) -> Memory {
    let Pending { call, wish, remember: mut known, after, .. } = pending;
    let sentence = aws::Call::sentence(&call);
    tracing::info!(store = %key, call = sentence, "to AWS");
    let result = seat.send(&call).await;
    if let Err(error) = &result {
        ctx.metrics.round_failed(StoreTier::Database, RoundFailure::Act);
        tracing::info!(store = %key, call = sentence, %error, "AWS refused");
    }
    known.sent(&call, after, &result, wish.generation, now);
    known
}

async fn seat<'a>(
    ctx: &Context,
    settings: &Settings,
    at: &'a mut Option<At>,
) -> Result<&'a Seat, aws_edge::InvalidSettings> {
    let current = match at.take() {
        Some(at) if at.settings == *settings => at,
        _ => {
            let account = ctx.aws.of(settings).await?;
            At { settings: settings.clone(), seat: account.rds.seat(), _account: account }
        }
    };
    Ok(&at.insert(current).seat)
}

/// Makes what apps need inside the server. Returns whether there is nothing left to do.
async fn inside(ctx: &Context, key: &StoreKey, orders: &Orders, view: &mut RdsView) -> bool {
    let (Some(inside), Some(endpoint)) = (&orders.inside, view.at.endpoint.as_ref().filter(|_| view.at.serves)) else {
        return true;
    };
    if !view.at.password_set {
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
    let user = view.at.username.as_deref().unwrap_or(postgres::OPERATOR);
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

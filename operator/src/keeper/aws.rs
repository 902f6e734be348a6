//! The keeper of an item at AWS, whichever service has it: it looks, plans, and sends at most one call a round, and only when what
//! the plan remembers has been written down.

use super::{Keep, Round, StoreKey};
use crate::{
    context::Context,
    metrics::RoundFailure,
    tiers::{aws::told, store::StoreTier},
};
use aws::{Condition, Error, Kind, Mode, Step, Troubles, Wished};
use aws_edge::{Account, InvalidSettings, Settings};
use crds::status::AwsCall;
use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt::Debug, marker::PhantomData, sync::Arc, time::Duration};

/// After a look that failed, at the earliest (P).
const AFTER_ERROR: Duration = Duration::from_secs(10);
/// While something is under way that AWS does not tell the end of (P).
const WORKING: Duration = Duration::from_secs(5);
/// How long a look counts for the call that was planned by it (P).
const FRESH: SignedDuration = SignedDuration::from_secs(20);

/// What a plan of a service yields.
pub type StepOf<S> = Step<<S as Service>::Call, <S as Service>::Memory, <S as Service>::View>;

/// A service of AWS whose items are kept. The type itself is only its name.
pub trait Service: Clone + Debug + Default + PartialEq + Send + Sync + 'static {
    /// The room of its items.
    const TIER: StoreTier;
    /// A call that changes something.
    type Call: aws::Call + Send + Sync + 'static;
    /// What is wished of AWS.
    type Wish: Wished;
    /// What its plan remembers.
    type Memory: Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What others may know.
    type View: Clone + Debug + Default + PartialEq + Send + Sync + 'static;
    /// What a look shows.
    type Seen: Send + Sync;
    /// Through which one item is looked at and changed.
    type Seat: Send + Sync + 'static;

    /// A seat for an item.
    fn seat(account: &Account) -> Self::Seat;

    /// Looks.
    fn observe(
        seat: &Self::Seat,
        wish: &Self::Wish,
        memory: &Self::Memory,
    ) -> impl Future<Output = Result<Self::Seen, Error>> + Send;

    /// Adds to a look what AWS does not tell and other keepers have seen.
    fn complete(_ctx: &Context, _key: &StoreKey, _wish: &Self::Wish, _memory: &Self::Memory, _seen: &mut Self::Seen) {}

    /// Decides.
    fn plan(wish: &Self::Wish, seen: &Self::Seen, memory: &Self::Memory, now: Timestamp) -> StepOf<Self>;

    /// Carries out a call.
    fn send(seat: &Self::Seat, call: &Self::Call) -> impl Future<Output = Result<(), Error>> + Send;

    /// Notes what became of a call. `after` is the [`Step::after`] that it was sent with.
    fn sent(
        memory: &mut Self::Memory,
        call: &Self::Call,
        after: Self::Memory,
        result: &Result<(), Error>,
        generation: i64,
        now: Timestamp,
    );
}

/// Keeps the items of a service.
pub struct AwsKeeper<S>(PhantomData<S>);

/// What a pass wants of an item.
#[derive(Clone, Debug, PartialEq)]
pub struct Orders<S: Service> {
    /// Name of the item.
    pub item: String,
    /// What is wished of AWS.
    pub wish: S::Wish,
    /// Where.
    pub account: Settings,
    /// What is written down by now; None where nothing is.
    pub stored: Option<S::Memory>,
    /// Whether anything may be done: not to a suspended platform.
    pub acts: bool,
}

/// What a keeper tells passes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AwsView<S: Service> {
    /// What is to be written down.
    pub memory: S::Memory,
    /// What the user is told.
    pub conditions: Vec<Condition>,
    /// What is to be done.
    pub plan: Vec<AwsCall>,
    /// What approves it.
    pub plan_hash: Option<String>,
    /// What others may know.
    pub at: S::View,
    /// It is gone, or left as its policy says.
    pub finished: bool,
}

/// What a keeper remembers.
pub struct Remembered<S: Service> {
    /// What the plan does; None before the first round, when what is written down counts.
    known: Option<S::Memory>,
    /// While AWS cannot be looked at: the errors, until when it is not asked again, and for which generation. It is not written
    /// down: each failure would wake a pass, and each pass this keeper.
    blind: Option<(Troubles, Timestamp, i64)>,
    /// What is sent as soon as it is written down what it may do.
    pending: Option<Pending<S>>,
    at: Option<At<S>>,
}

impl<S: Service> Default for Remembered<S> {
    fn default() -> Self {
        Self { known: None, blind: None, pending: None, at: None }
    }
}

/// A call that was planned.
struct Pending<S: Service> {
    call: S::Call,
    /// On what.
    wish: S::Wish,
    /// What is to be written down before.
    remember: S::Memory,
    /// What is remembered once it was carried out.
    after: S::Memory,
    planned: Timestamp,
}

impl<S: Service> Pending<S> {
    /// Whether it may still be sent: the world is as it was seen, as far as can be told.
    fn holds(&self, orders: &Orders<S>, now: Timestamp) -> bool {
        orders.acts && self.wish == orders.wish && now.duration_since(self.planned) < FRESH
    }
}

/// Where it looks. What it has changed itself it sees only from the same seat.
struct At<S: Service> {
    settings: Settings,
    /// Kept, so that others of the same settings share it.
    _account: Arc<Account>,
    seat: S::Seat,
}

impl<S: Service> Keep for AwsKeeper<S> {
    const TIER: StoreTier = S::TIER;
    type Orders = Orders<S>;
    type View = AwsView<S>;
    type Figures = ();
    type Memory = Remembered<S>;

    async fn round(
        ctx: &Context,
        key: &StoreKey,
        orders: &Orders<S>,
        before: Option<&AwsView<S>>,
        memory: &mut Remembered<S>,
    ) -> Round<AwsView<S>, ()> {
        let mut known = memory.known.clone().or_else(|| orders.stored.clone()).unwrap_or_default();
        let now = Timestamp::now();
        let before = before.cloned().unwrap_or_default();
        let seat = match seat(ctx, &orders.account, &mut memory.at).await {
            Ok(seat) => seat,
            Err(problem) => {
                let conditions = vec![Condition::is(Kind::Invalid, format!("spec.aws: {problem}"))];
                return Round { view: AwsView { memory: known, conditions, ..before }, figures: (), next: AFTER_ERROR };
            }
        };
        if let Some(pending) = memory.pending.take().filter(|pending| pending.holds(orders, now)) {
            if orders.stored.as_ref() != Some(&pending.remember) {
                memory.pending = Some(pending);
                return Round { view: before, figures: (), next: WORKING };
            }
            known = send(ctx, key, seat, pending, now).await;
            memory.known = Some(known.clone());
            return Round { view: AwsView { memory: known, ..before }, figures: (), next: WORKING };
        }
        let generation = orders.wish.generation();
        if let Some((_, until, of)) = &memory.blind
            && *of == generation
            && now < *until
        {
            let wait = until.duration_since(now).try_into().unwrap_or(AFTER_ERROR);
            return Round { view: before, figures: (), next: wait };
        }
        // To a suspended platform nothing is done, and nothing is written down as if it were.
        let wish = match orders.wish.mode() {
            Mode::Apply if !orders.acts => orders.wish.in_mode(Mode::Plan),
            _ => orders.wish.clone(),
        };
        let mut seen = match S::observe(seat, &wish, &known).await {
            Ok(seen) => seen,
            Err(error) => {
                ctx.metrics.round_failed(S::TIER, RoundFailure::Act);
                tracing::info!(store = %key, %error, "AWS cannot be looked at");
                let mut troubles = memory.blind.take().map(|(troubles, ..)| troubles).unwrap_or_default();
                let wait = troubles.unseen(&error, generation, now).max(AFTER_ERROR);
                let conditions = troubles.conditions().collect();
                let until = now.checked_add(wait).unwrap_or(Timestamp::MAX);
                memory.blind = Some((troubles, until, generation));
                return Round { view: AwsView { memory: known, conditions, ..before }, figures: (), next: wait };
            }
        };
        memory.blind = None;
        S::complete(ctx, key, &wish, &known, &mut seen);
        let step = S::plan(&wish, &seen, &known, now);
        known = step.remember;
        let mut next = if step.requeue == aws::CHANGING { ctx.settings.aws_recheck } else { step.requeue };
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
        let view = AwsView {
            memory: known,
            conditions: step.conditions,
            plan: told::calls(&step.plan),
            plan_hash: step.plan.hash(),
            at: step.view,
            finished: step.finished,
        };
        Round { view, figures: (), next }
    }
}

/// Sends a call, and returns what is remembered then.
async fn send<S: Service>(
    ctx: &Context,
    key: &StoreKey,
    seat: &S::Seat,
    pending: Pending<S>,
    now: Timestamp,
) -> S::Memory {
    let Pending { call, wish, remember: mut known, after, .. } = pending;
    let sentence = aws::Call::sentence(&call);
    tracing::info!(store = %key, call = sentence, "to AWS");
    let result = S::send(seat, &call).await;
    if let Err(error) = &result {
        ctx.metrics.round_failed(S::TIER, RoundFailure::Act);
        tracing::info!(store = %key, call = sentence, %error, "AWS refused");
    }
    S::sent(&mut known, &call, after, &result, wish.generation(), now);
    known
}

async fn seat<'a, S: Service>(
    ctx: &Context,
    settings: &Settings,
    at: &'a mut Option<At<S>>,
) -> Result<&'a S::Seat, InvalidSettings> {
    let current = match at.take() {
        Some(at) if at.settings == *settings => at,
        _ => {
            let account = ctx.aws.of(settings).await?;
            At { settings: settings.clone(), seat: S::seat(&account), _account: account }
        }
    };
    Ok(&at.insert(current).seat)
}

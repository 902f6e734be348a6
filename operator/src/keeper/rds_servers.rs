//! The servers of a database at RDS, beside what AWS says of them: what apps need is made inside the primary, and primary and
//! replicas are watched. AWS is asked far less often than this.

use super::{
    Keep, MAKING, Round, StoreKey,
    database::Figures,
    read_replicas::{self, Scaled, Scaling},
};
use crate::{context::Context, metrics::RoundFailure, tiers::store::StoreTier};
use aws::Endpoint;
use decide::Time;
use futures::future::join_all;
use postgres::{Administrator, Follower};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Time between two looks at servers that are as wished (P).
const SETTLED: Duration = Duration::from_secs(5);
/// Time between two looks while something is under way (P).
const WORKING: Duration = Duration::from_secs(2);
/// Time after which it is seen again whether passwords work and nothing is missing, where nothing has changed (P).
const THOROUGH: Duration = Duration::from_secs(60);

/// Keeps what is inside of databases at RDS.
pub struct RdsServers;

/// What a pass wants of the servers of a database that serves.
#[derive(Clone, Debug, PartialEq)]
pub struct Orders {
    /// Name of the item.
    pub item: String,
    /// Where the primary answers.
    pub primary: Endpoint,
    /// The replicas that there are, by number, and where each answers, where it serves.
    pub replicas: BTreeMap<u32, Option<Endpoint>>,
    /// How many replicas are wanted.
    pub wanted: u32,
    /// The database of the apps.
    pub database: postgres::Database,
    /// The login of the apps.
    pub login: postgres::Login,
    /// The administrator.
    pub user: String,
    /// The administrator's password.
    pub administrator: postgres::Password,
    /// By whom the servers are known, PEM.
    pub authorities: Vec<u8>,
    /// How its replicas are scaled; None where their number is fixed.
    pub scaling: Option<Scaling>,
    /// Whether anything may be done: not to a suspended platform.
    pub acts: bool,
}

/// What a keeper tells passes of the servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServersView {
    /// The apps can log in.
    pub login_works: bool,
    /// The apps' next password works.
    pub next_works: bool,
    /// What is wrong there.
    pub problem: Option<String>,
    /// Another number of replicas that is wanted from now on.
    pub scaled: Option<Scaled>,
    /// Another number of replicas that would be right, and what it waits for: a sentence.
    pub waits: Option<String>,
}

/// What is remembered from look to look.
#[derive(Debug, Default)]
pub struct Memory {
    scaling: read_replicas::Memory,
    /// When all was found as wished, and of which database and login.
    made: Option<(Instant, postgres::Database, postgres::Login)>,
}

impl Memory {
    /// Whether nothing has to be looked for inside the server.
    fn is_made(&self, orders: &Orders) -> bool {
        self.made.as_ref().is_some_and(|(at, database, login)| {
            at.elapsed() < THOROUGH && *database == orders.database && *login == orders.login
        })
    }
}

impl Keep for RdsServers {
    const TIER: StoreTier = StoreTier::Database;
    type Orders = Orders;
    type View = ServersView;
    type Figures = Figures;
    type Memory = Memory;

    async fn round(
        ctx: &Context,
        key: &StoreKey,
        orders: &Orders,
        before: Option<&ServersView>,
        memory: &mut Memory,
    ) -> Round<ServersView, Figures> {
        let at = Time::from(jiff::Timestamp::now());
        let mut view = before.cloned().unwrap_or_default();
        if !memory.is_made(orders) {
            view = ServersView { login_works: view.login_works, ..ServersView::default() };
            let settled = make(ctx, key, orders, &mut view).await;
            memory.made = settled.then(|| (Instant::now(), orders.database.clone(), orders.login.clone()));
        }
        let seen = look(key, orders, at).await;
        let scaling = orders.scaling.as_ref().filter(|_| orders.acts);
        (view.scaled, view.waits) = scaling.map_or((None, None), |scaling| {
            let beside = scaling.beside.moving(ctx, at);
            memory.scaling.decide(&ctx.settings.tunables, scaling, at, (orders.wanted, false), &seen, beside)
        });
        let moving =
            scaling.and_then(|scaling| read_replicas::moving(scaling, orders.wanted, &seen, view.scaled.as_ref()));
        let next = if memory.made.is_some() { SETTLED } else { WORKING };
        Round { view, figures: Figures { at, view: seen, moving, last: None }, next }
    }
}

/// The replicas that there are, and those that AWS was told to make lately.
fn expected(orders: &Orders, now: Time) -> BTreeSet<u32> {
    let told = orders.scaling.as_ref().and_then(|scaling| scaling.last_move);
    let is_late = told.is_some_and(|at| now.since(at) >= MAKING);
    let wanted = 0..if is_late { 0 } else { orders.wanted };
    wanted.chain(orders.replicas.keys().copied()).collect()
}

/// How busy the servers are, and how far the replicas are.
async fn look(key: &StoreKey, orders: &Orders, now: Time) -> postgres::View {
    let load =
        async { Ok::<_, Unseen>(Server::find(orders, &orders.primary).await?.administrator().load().await?) }.await;
    if let Err(error) = &load {
        tracing::info!(store = %key, %error, "the primary cannot be looked at");
    }
    let followers = expected(orders, now).into_iter().map(|number| async move {
        let Some(Some(endpoint)) = orders.replicas.get(&number) else { return (number, Follower::Making) };
        let seen = async { Ok::<_, Unseen>(Server::find(orders, endpoint).await?.administrator().follower().await?) };
        let follower = seen.await.map(Follower::Answers).unwrap_or_else(|error| {
            tracing::info!(store = %key, number, %error, "a replica cannot be looked at");
            Follower::Silent
        });
        (number, follower)
    });
    let followers = join_all(followers).await.into_iter().collect();
    postgres::view_managed(load.as_ref().ok(), &followers)
}

/// Makes what apps need inside the primary. Returns whether there is nothing left to do.
async fn make(ctx: &Context, key: &StoreKey, orders: &Orders, view: &mut ServersView) -> bool {
    let (databases, logins) = (std::slice::from_ref(&orders.database), std::slice::from_ref(&orders.login));
    let seen = async {
        let server = Server::find(orders, &orders.primary).await?;
        let seen = server.administrator().observe(databases, logins).await?;
        Ok::<_, Unseen>((server, seen))
    };
    let (server, seen) = match seen.await {
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
        return decision.acts.is_empty();
    }
    for act in &decision.acts {
        tracing::info!(store = %key, act = act.sentence(), "at the server");
        if let Err(error) = server.administrator().carry_out(act).await {
            ctx.metrics.round_failed(StoreTier::Database, RoundFailure::Act);
            tracing::info!(store = %key, ?act, %error, "an act at the server failed");
            view.problem = Some(error.to_string());
            return false;
        }
    }
    decision.acts.is_empty()
}

/// Why a server cannot be looked at.
#[derive(Debug, thiserror::Error)]
enum Unseen {
    #[error("{0} has no address that this cluster knows")]
    Nowhere(String),
    #[error(transparent)]
    Failed(#[from] postgres::Error),
}

/// A server whose address is known.
struct Server<'a> {
    orders: &'a Orders,
    address: SocketAddr,
    trust: tls::Trust,
}

impl<'a> Server<'a> {
    async fn find(orders: &'a Orders, endpoint: &Endpoint) -> Result<Self, Unseen> {
        let port = u16::try_from(endpoint.port).unwrap_or(crate::tiers::database::PORT);
        let found = tokio::net::lookup_host((endpoint.address.as_str(), port)).await;
        let address = found.ok().and_then(|mut found| found.next());
        let address = address.ok_or_else(|| Unseen::Nowhere(endpoint.address.clone()))?;
        let trust = tls::Trust { authorities: orders.authorities.clone(), name: endpoint.address.clone() };
        Ok(Self { orders, address, trust })
    }

    fn administrator(&self) -> Administrator<'_> {
        let Orders { user, administrator, .. } = self.orders;
        Administrator { address: self.address, user, password: administrator, trust: Some(&self.trust) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeper::beside::Beside;
    use decide::{budget::Fit, read_replicas::Policy};

    #[test]
    fn a_replica_that_aws_does_not_make_within_an_hour_is_not_waited_for() {
        let at = |minute: i64| Time::from_secs(1_800_000_000 + 60 * minute);
        let scaling = |last_move: Option<Time>| Scaling {
            policy: Policy { min: 1, max: 4, per_replica: Some(2.0), sync: 0 },
            last_move,
            connections: Fit::Fits,
            asked: None,
            beside: Beside::default(),
        };
        let orders = |there: &[u32], wanted, scaling| Orders {
            item: "main".to_owned(),
            primary: Endpoint { address: "primary".to_owned(), port: 5432 },
            replicas: there.iter().map(|number| (*number, None)).collect(),
            wanted,
            database: postgres::Database { name: "app".to_owned(), owner: "app".to_owned(), extensions: Vec::new() },
            login: postgres::Login { role: "app_a".to_owned(), owner: "app".to_owned(), password: None, other: None },
            user: postgres::OPERATOR.to_owned(),
            administrator: postgres::Password::new("x"),
            authorities: Vec::new(),
            scaling,
            acts: true,
        };
        type Row<'a> = (&'a [u32], Option<Scaling>, &'a [u32], &'a str);
        let table: [Row<'_>; 5] = [
            (&[0], Some(scaling(Some(at(0)))), &[0, 1], "told 59 minutes ago"),
            (&[0], Some(scaling(Some(at(-1)))), &[0], "told an hour ago"),
            (&[0], Some(scaling(None)), &[0, 1], "the spec's own"),
            (&[0], None, &[0, 1], "without scaling"),
            (&[0, 1, 2], Some(scaling(Some(at(-1)))), &[0, 1, 2], "one that leaves"),
        ];
        for (there, scaling, numbers, why) in table {
            let found = expected(&orders(there, 2, scaling), at(59));
            assert_eq!(found, numbers.iter().copied().collect(), "{why}");
        }
    }
}

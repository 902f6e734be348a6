//! Those who use the caches: their Secret is written where the plan allows it, one of them reads it at once and one later, and
//! whatever each of them shows is taken at any time.

use super::driver::{Double, Operator, Wait};
use jiff::Timestamp;
use learningplatform_aws::{
    Identity, Password,
    elasticache::{Auth, Credential, TOKEN, View},
};
use std::collections::BTreeMap;

/// How long the later one takes, seconds.
const LATER: i64 = 90;

/// The clients of one user.
#[derive(Clone, Debug)]
struct Clients {
    published: String,
    at: Timestamp,
    /// What the later one shows.
    slow: String,
}

/// All clients, by users' names.
#[derive(Clone, Debug, Default)]
pub struct World {
    clients: BTreeMap<String, Clients>,
    /// The later ones stay with what they have.
    pub asleep: bool,
}

impl World {
    /// What is published for a user.
    pub fn published(&self, name: &str) -> Option<&str> {
        self.clients.get(name).map(|clients| clients.published.as_str())
    }

    /// Lets the later ones read the Secret when it is time, and says in the wish how far they are.
    pub fn look(&mut self, auth: &mut Auth, now: Timestamp) {
        if !self.asleep {
            for clients in self.clients.values_mut().filter(|clients| now.duration_since(clients.at).as_secs() >= LATER)
            {
                clients.slow = clients.published.clone();
            }
        }
        let tell = |name: &str, credential: &mut Credential| {
            let clients = self.clients.get(name);
            credential.published = clients.map(|clients| Password::new(clients.published.clone()));
            credential.taken = clients.is_some_and(|clients| clients.slow == clients.published);
        };
        match auth {
            Auth::Open => {}
            Auth::Token(credential) => tell(TOKEN, credential),
            Auth::Users(users) => users.iter_mut().for_each(|(name, access)| tell(name, &mut access.credential)),
        }
    }

    /// Writes the Secret where the wished password is taken.
    pub fn publish(&mut self, auth: &Auth, view: &View, now: Timestamp) {
        for (name, credential) in auth.credentials() {
            let Some(wished) = &credential.wished else { continue };
            if view.accepted.get(name) != Some(&wished.fingerprint()) {
                continue;
            }
            let text = wished.reveal().to_owned();
            let clients = self.clients.entry(name.to_owned()).or_insert_with(|| Clients {
                published: text.clone(),
                at: now,
                slow: text.clone(),
            });
            if clients.published != text {
                (clients.published, clients.at) = (text, now);
            }
        }
    }
}

impl<C: Double> Operator<C> {
    /// Nobody is refused.
    pub fn all_clients_are_taken(&self) {
        let id = self.id();
        for (name, clients) in &self.clients.clients {
            let taken =
                if name == TOKEN { self.cache.tokens(&id) } else { self.cache.passwords(&Identity::user(&id, name)) };
            if taken.is_empty() {
                continue;
            }
            for shown in [&clients.published, &clients.slow] {
                assert!(taken.contains(shown), "{name}: {clients:?} is not of {taken:?}");
            }
        }
    }

    /// Waits until the later ones have read the Secret.
    pub fn pass(&mut self, wait: Wait) {
        self.clock.advance(wait);
        self.all_clients_are_taken();
    }
}

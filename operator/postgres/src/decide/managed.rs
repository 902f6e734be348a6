//! What is done inside a server that somebody else keeps, as RDS does: databases, their owners, extensions and the logins of apps.
//! Its settings, replicas and restarts are its keeper's.

use super::{Act, LoginView, logins};
use crate::{
    model::{Database, Login},
    roles,
    seen::PrimarySeen,
};

/// What follows from a look at such a server.
#[derive(Clone, Debug, PartialEq)]
pub struct Managed {
    /// What to do, in this order.
    pub acts: Vec<Act>,
    /// The logins, as they are wished.
    pub logins: Vec<LoginView>,
    /// Extensions that the server cannot make, by name.
    pub unavailable: Vec<String>,
}

/// What follows from `databases` and `wished` and what was seen.
pub fn decide_managed(databases: &[Database], wished: &[Login], seen: &PrimarySeen) -> Managed {
    let mut acts = roles::databases(databases, seen);
    acts.extend(wished.iter().flat_map(|login| roles::login(login, seen)));
    let mut unavailable = Vec::new();
    for database in databases.iter().filter(|database| seen.databases.contains(&database.name)) {
        let there = seen.extensions.get(&database.name);
        let lacks = |name: &&String| there.is_none_or(|there| !there.contains(*name));
        for name in database.extensions.iter().filter(lacks) {
            match seen.available.contains(name) {
                true => acts.push(Act::CreateExtension { database: database.name.clone(), name: name.clone() }),
                false => unavailable.push(name.clone()),
            }
        }
    }
    Managed { acts, logins: logins(wished, seen), unavailable }
}

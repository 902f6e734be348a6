//! What the app keeps in its stores: stories, which are read through the cache, and the progress of learners. Errors of the
//! cache are misses: its client counts them, and health tells of them.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::Duration;

use redis::Cmd;
use serde_json::{Value, json};
use tokio_postgres::types::Type;

use crate::stores::Stores;
use crate::stores::cache::Cache;
use crate::stores::database::{Database, Parameters};
use crate::stores::retry::{Patience, StoreError};

/// A user waits no longer for the database. (P)
const DATABASE: Patience = Patience { within: Duration::from_secs(5), each: Duration::from_secs(2) };

/// A cache that takes longer than the database would is of no use. (P)
const CACHE: Patience = Patience { within: Duration::from_millis(300), each: Duration::from_millis(250) };

/// Creating tables may have to wait for locks. (P)
const TABLES: Patience = Patience { within: Duration::from_secs(10), each: Duration::from_secs(10) };

/// Seconds that a story stays in the cache (the story guide's `story:<id>`).
const STORY_SECONDS: u64 = 7200;

/// The tables, and the stories 1 to 1000. Each statement may run again, also beside itself in another pod.
const PREPARATION: [&str; 5] = [
    "create table if not exists stories (id text primary key, title text not null, body text not null)",
    "insert into stories select n::text, 'Story ' || n, 'Once upon a time.' from generate_series(1, 1000) n
     on conflict do nothing",
    "create table if not exists progress (id bigint primary key, learner text not null, story text not null,
     page bigint not null, at timestamptz not null default now())",
    "create table if not exists vocabulary (id bigint primary key, learner text not null, word text not null,
     known boolean not null, at timestamptz not null default now())",
    "create table if not exists health (instance bigint primary key, at timestamptz not null)",
];

/// Creates what the app needs.
///
/// # Errors
/// What the database says; two pods that create the same table at once may meet, and then once more is right.
pub async fn prepare(database: &Database) -> Result<(), StoreError> {
    for statement in PREPARATION {
        database.primary(TABLES, statement, &[]).await?;
    }
    Ok(())
}

/// Where a story came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The cache had it.
    Cache,
    /// The cache did not have it, or did not answer; or there is none.
    Behind,
}

/// A story, through the cache; `None` where there is none with this id. Without a database `unwired` tells every story.
///
/// # Errors
/// Where the database does not answer and the cache does not have it.
pub async fn story(
    stores: &Stores,
    id: &str,
    unwired: fn(&str) -> Value,
) -> Result<Option<(Value, Source)>, StoreError> {
    let key = format!("story:{id}");
    // A cache that has just failed is not asked to keep the story as well.
    let mut keeps = None;
    if let Some(cache) = &stores.cache
        && let Ok(found) = cache.ask::<Option<String>>(CACHE, &Cmd::get(&key)).await
    {
        if let Some(story) = found.and_then(|text| serde_json::from_str(&text).ok()) {
            return Ok(Some((story, Source::Cache)));
        }
        keeps = Some(cache);
    }
    let Some(story) = behind(stores, id, unwired).await? else { return Ok(None) };
    if let Some(cache) = keeps {
        let put = Cmd::set_ex(&key, story.to_string(), STORY_SECONDS);
        drop(cache.ask::<()>(CACHE, &put).await);
    }
    Ok(Some((story, Source::Behind)))
}

async fn behind(stores: &Stores, id: &str, unwired: fn(&str) -> Value) -> Result<Option<Value>, StoreError> {
    let Some(database) = &stores.database else { return Ok(Some(unwired(id))) };
    let query = "select title, body from stories where id = $1";
    let rows = database.read(DATABASE, query, &[(&id, Type::TEXT)]).await?;
    let story = rows.first().map(|row| {
        let (title, body): (String, String) = (row.get(0), row.get(1));
        json!({"id": id, "title": title, "text": body})
    });
    Ok(story)
}

/// Keeps how far a learner has come in a story: `{"learner", "story", "page"}`, each of them optional.
///
/// # Errors
/// Where the database does not take it.
pub async fn progress(stores: &Stores, body: &[u8]) -> Result<(), StoreError> {
    let body = Body::of(body);
    let (learner, story) = (body.text("learner", "somebody"), body.text("story", "1"));
    let page = body.0["page"].as_i64().unwrap_or_default();
    if let Some(database) = &stores.database {
        let statement = "insert into progress (id, learner, story, page) values ($1, $2, $3, $4)
             on conflict (id) do update set at = now()";
        let id = fresh_id();
        let row: Parameters<'_> =
            &[(&id, Type::INT8), (&learner, Type::TEXT), (&story, Type::TEXT), (&page, Type::INT8)];
        database.primary(DATABASE, statement, row).await?;
    }
    forget(stores.cache.as_ref(), &[format!("progress:{learner}"), format!("story:{story}")]).await;
    Ok(())
}

/// Keeps whether a learner knows a word: `{"learner", "word", "known"}`, each of them optional.
///
/// # Errors
/// Where the database does not take it.
pub async fn vocabulary(stores: &Stores, body: &[u8]) -> Result<(), StoreError> {
    let body = Body::of(body);
    let (learner, word) = (body.text("learner", "somebody"), body.text("word", "tree"));
    let known = body.0["known"].as_bool().unwrap_or_default();
    if let Some(database) = &stores.database {
        let statement = "insert into vocabulary (id, learner, word, known) values ($1, $2, $3, $4)
             on conflict (id) do update set at = now()";
        let id = fresh_id();
        let row: Parameters<'_> =
            &[(&id, Type::INT8), (&learner, Type::TEXT), (&word, Type::TEXT), (&known, Type::BOOL)];
        database.primary(DATABASE, statement, row).await?;
    }
    forget(stores.cache.as_ref(), &[format!("vocab:{word}")]).await;
    Ok(())
}

/// Drops keys of the cache, one by one: in a cluster they are on several nodes.
async fn forget(cache: Option<&Cache>, keys: &[String]) {
    let Some(cache) = cache else { return };
    for key in keys {
        if cache.ask::<()>(CACHE, &Cmd::del(key)).await.is_err() {
            return;
        }
    }
}

struct Body(Value);

impl Body {
    fn of(bytes: &[u8]) -> Self {
        Self(serde_json::from_slice(bytes).unwrap_or_default())
    }

    /// A text or number as text.
    fn text(&self, name: &str, default: &str) -> String {
        match &self.0[name] {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => default.to_owned(),
        }
    }
}

/// An id for a row that no other row has, so that a statement that ran although its answer was lost can run again.
#[must_use]
pub fn fresh_id() -> i64 {
    (RandomState::new().hash_one(()) >> 1).cast_signed()
}

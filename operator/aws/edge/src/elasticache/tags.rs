//! Tags. Lists do not have them, and each resource is asked for its own: they are remembered for hours, because nobody but us
//! changes what they say of whose something is.

use crate::told;
use aws::{Class, Error, Tags, elasticache::Resource};
use aws_sdk_elasticache::Client;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

/// For how long they are remembered at most: at rest it is two requests in three hours for each resource.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(2);

/// Tags by kind of resource and ARN, each with when it was told.
pub(super) struct Known {
    tags: Mutex<BTreeMap<(Resource, String), (Timestamp, Tags)>>,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").field("tags", &self.tags).finish_non_exhaustive()
    }
}

impl Known {
    /// None yet, by this clock.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { tags: Mutex::default(), now: Box::new(now) }
    }

    /// The time, by its clock.
    pub fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// Forgets those of a kind that are not in the list any more: the next of the same name is another.
    pub fn keep<'a>(&self, kind: Resource, listed: impl Iterator<Item = &'a str>) {
        let listed: BTreeSet<&str> = listed.collect();
        self.tags.lock().retain(|(of, arn), _| *of != kind || listed.contains(arn.as_str()));
    }

    /// Forgets one that was changed.
    pub fn forget(&self, kind: Resource, arn: &str) {
        self.tags.lock().remove(&(kind, arn.to_owned()));
    }

    /// Tags of what a list has just shown; none where AWS does not tell them, because it is not available and they were never
    /// told before, or it is gone meanwhile.
    pub async fn of_what_is(&self, kind: Resource, client: &Client, arn: &str) -> Result<Option<Tags>, Error> {
        let key = (kind, arn.to_owned());
        let known = self.tags.lock().get(&key).cloned();
        if let Some((at, tags)) = &known
            && self.now().duration_since(*at) < remembered(arn)
        {
            return Ok(Some(tags.clone()));
        }
        match of(client, arn).await {
            Ok(tags) => {
                self.tags.lock().insert(key, (self.now(), tags.clone()));
                Ok(Some(tags))
            }
            Err(error) if matches!(error.class(), Class::Busy | Class::Absent) => Ok(known.map(|(_, tags)| tags)),
            Err(error) => Err(error),
        }
    }

    /// The same where there is an ARN; without one it is not asked, and there are no tags.
    pub async fn where_asked_for(
        &self,
        kind: Resource,
        client: &Client,
        arn: Option<String>,
    ) -> Result<Option<Tags>, Error> {
        match arn {
            Some(arn) => self.of_what_is(kind, client, &arn).await,
            None => Ok(Some(Tags::new())),
        }
    }
}

/// The tags of a resource, asked for now.
pub(super) async fn of(client: &Client, arn: &str) -> Result<Tags, Error> {
    let answer = client.list_tags_for_resource().resource_name(arn).send().await;
    let answer = answer.map_err(|error| told("ListTagsForResource", &error))?;
    let pair = |tag: aws_sdk_elasticache::types::Tag| Some((tag.key?, tag.value.unwrap_or_default()));
    Ok(answer.tag_list.unwrap_or_default().into_iter().filter_map(pair).collect())
}

/// From half of the time to all of it, so that those that were told together are not asked for together again.
fn remembered(arn: &str) -> SignedDuration {
    let mut hasher = DefaultHasher::new();
    arn.hash(&mut hasher);
    let share = i32::try_from(hasher.finish() % 1000).unwrap_or(0);
    REMEMBERED / 2 + REMEMBERED / 2000 * share
}

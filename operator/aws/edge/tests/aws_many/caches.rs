//! Caches at ElastiCache.

#[expect(dead_code, reason = "some of it is for the tests of one cache")]
#[path = "../../../tests/aws_elasticache/clients.rs"]
mod clients;
#[expect(dead_code, reason = "some of it is for the tests of one cache")]
#[path = "../../../tests/aws_elasticache/driver.rs"]
mod driver;

use crate::{PLATFORMS, Platform, Sent, Time, Wire, converge};
use aws::{
    Error, Kind, Service,
    elasticache::{Call, ElastiCache, Event, Group, ParameterGroup, Snapshot, Usage, User, UserGroup},
};
use aws_fake::{Fault, elasticache::FakeElastiCache};
use driver::{Double, Operator, has, owner, short, wish_of_users};
use jiff::Timestamp;
use learningplatform_aws_edge::{
    Windows,
    elasticache::{Seat, Shared},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Most records of a page.
const PAGE: usize = 100;
/// Most snapshots, and users, of a page.
const SHORT_PAGE: usize = 50;
/// For how long tags are remembered, in the middle.
const REMEMBERED: Duration = Duration::from_secs(5400);

impl Wire<FakeElastiCache> {
    /// Tags have a request for each resource.
    async fn tags_of<'a>(&self, kind: &str, names: impl Iterator<Item = &'a str>) {
        for name in names {
            let key = format!("{kind} {name}");
            let now = self.time.start.elapsed();
            let is_known = self.tags.lock().get(&key).is_some_and(|at| now - *at < REMEMBERED);
            if !is_known {
                self.request(false).await;
                self.tags.lock().insert(key, now);
            }
        }
    }
}

impl ElastiCache for Wire<FakeElastiCache> {
    async fn groups(&self) -> Result<Arc<[Group]>, Error> {
        self.request(false).await;
        let all = self.fake.groups().await?;
        self.more_pages(all.len(), PAGE).await;
        self.request(false).await;
        self.more_pages(all.iter().map(|group| group.members.len()).sum(), PAGE).await;
        self.tags_of("group", all.iter().map(|one| one.id.as_str())).await;
        Ok(all)
    }

    async fn snapshots(&self) -> Result<Arc<[Snapshot]>, Error> {
        self.request(false).await;
        let all = self.fake.snapshots().await?;
        self.more_pages(all.len(), SHORT_PAGE).await;
        self.tags_of("snapshot", all.iter().map(|one| one.name.as_str())).await;
        Ok(all)
    }

    async fn parameter_group(&self, name: &str) -> Result<Option<ParameterGroup>, Error> {
        self.request(false).await;
        let group = self.fake.parameter_group(name).await?;
        if group.is_some() {
            self.request(false).await;
            self.request(false).await;
        }
        Ok(group)
    }

    async fn users(&self) -> Result<Arc<[User]>, Error> {
        self.request(false).await;
        let all = self.fake.users().await?;
        self.more_pages(all.len(), SHORT_PAGE).await;
        self.tags_of("user", all.iter().map(|one| one.id.as_str())).await;
        Ok(all)
    }

    async fn user_groups(&self) -> Result<Arc<[UserGroup]>, Error> {
        self.request(false).await;
        let all = self.fake.user_groups().await?;
        self.more_pages(all.len(), SHORT_PAGE).await;
        self.tags_of("user group", all.iter().map(|one| one.id.as_str())).await;
        Ok(all)
    }

    async fn usage(&self, group: &Group) -> Result<BTreeMap<String, Usage>, Error> {
        self.request(false).await;
        self.fake.usage(group).await
    }

    async fn events(&self, id: &str, since: Timestamp) -> Result<Vec<Event>, Error> {
        self.request(false).await;
        self.fake.events(id, since).await
    }

    async fn send(&self, call: &Call) -> Result<(), Error> {
        self.request(true).await;
        self.fake.send(call).await
    }
}

impl Double for Seat<Wire<FakeElastiCache>> {}

impl Platform for Operator<Seat<Wire<FakeElastiCache>>> {
    async fn go(&mut self) -> (bool, Duration) {
        let (step, wait) = self.round().await;
        (step.is_some_and(|step| has(&step, Kind::Synced)), wait)
    }
}

#[tokio::test(start_paused = true)]
async fn two_hundred_caches_converge_under_throttling_and_read_little_at_rest() {
    let (time, sent) = (Time::new(), Sent::default());
    let fake = Arc::new(FakeElastiCache::new(time.clock.clone()));
    let wire = Wire::new(fake.clone(), Service::ElastiCache, &time, &sent);
    let shared = Shared::new(wire, Windows::default(), time.now());
    fake.hide_new(1);
    // Short, so that they have few looks before they are at rest.
    fake.set_durations(short());
    fake.faults(|faults| faults.fail_every(Some((8, Fault::Throttled))));
    let platforms = (0..PLATFORMS).map(|number| {
        let mut wish = wish_of_users();
        wish.owner = owner(&format!("p{number}"), &format!("uid-{number}"));
        Operator::at(Arc::new(shared.seat()), time.clock.clone(), wish)
    });
    let all_is_there = || {
        assert_eq!(fake.ids().len(), PLATFORMS);
        assert_eq!(fake.user_ids().len(), PLATFORMS * 2);
        assert_eq!(fake.done("CreateReplicationGroup").len(), PLATFORMS);
    };
    converge(&time, &sent, platforms.collect(), all_is_there, || fake.faults(|faults| faults.fail_every(None))).await;
}

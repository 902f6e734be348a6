//! Databases at RDS.

#[expect(dead_code, reason = "some of it is for the tests of one database")]
#[path = "../../../tests/aws_rds/driver.rs"]
mod driver;

use crate::{PLATFORMS, Platform, Sent, Time, Wire, converge};
use aws::{
    Call as _, Error, Kind, Service,
    rds::{Call, Instance, ParameterGroup, Rds, Snapshot},
};
use aws_fake::{
    Fault,
    rds::{Durations, FakeRds},
};
pub use driver::wish;
use driver::{Double, Operator, has, owner};
use learningplatform_aws_edge::{
    Windows,
    rds::{Seat, Shared},
};
use std::{sync::Arc, time::Duration};

/// Most records of a page.
const PAGE: usize = 100;

impl Rds for Wire<FakeRds> {
    async fn instances(&self) -> Result<Arc<[Instance]>, Error> {
        self.request(false).await;
        let all = self.fake.instances().await?;
        self.more_pages(all.len(), PAGE).await;
        Ok(all)
    }

    async fn snapshots(&self) -> Result<Arc<[Snapshot]>, Error> {
        self.request(false).await;
        let all = self.fake.snapshots().await?;
        self.more_pages(all.len(), PAGE).await;
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

    async fn send(&self, call: &Call) -> Result<(), Error> {
        self.request(true).await;
        self.fake.send(call).await
    }
}

impl Double for Seat<Wire<FakeRds>> {}

impl Platform for Operator<Seat<Wire<FakeRds>>> {
    async fn go(&mut self) -> (bool, Duration) {
        let (step, wait) = self.round().await;
        (step.is_some_and(|step| has(&step, Kind::Synced)), wait)
    }
}

#[tokio::test(start_paused = true)]
async fn two_hundred_databases_converge_under_throttling_and_read_little_at_rest() {
    let (time, sent) = (Time::new(), Sent::default());
    let rds = Arc::new(FakeRds::new(time.clock.clone()));
    let shared = Shared::new(Wire::new(rds.clone(), Service::Rds, &time, &sent), Windows::default(), time.now());
    rds.hide_new(1);
    // Short, so that they have few looks before they are at rest.
    let seconds = Duration::from_secs;
    rds.set_durations(Durations {
        creating: seconds(60),
        modifying: seconds(30),
        backing_up: seconds(30),
        optimizing: seconds(30),
        deleting: seconds(60),
    });
    rds.faults(|faults| faults.fail_every(Some((8, Fault::Throttled))));
    let platforms = (0..PLATFORMS).map(|number| {
        let mut wish = wish();
        wish.owner = owner(&format!("p{number}"), &format!("uid-{number}"));
        Operator::at(Arc::new(shared.seat()), time.clock.clone(), wish)
    });
    let all_is_there = || {
        assert_eq!(rds.ids().len(), PLATFORMS * 3);
        assert_eq!(rds.done("CreateDBInstance").len(), PLATFORMS);
        assert_eq!(rds.done("CreateDBInstanceReadReplica").len(), PLATFORMS * 2);
    };
    converge(&time, &sent, platforms.collect(), all_is_there, || rds.faults(|faults| faults.fail_every(None))).await;
    assert!(rds.log().iter().all(|logged| logged.refused.is_none() || logged.call.operation() != "DeleteDBInstance"));
}

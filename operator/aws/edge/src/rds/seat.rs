//! Databases of many platforms, with common looks.

use super::SdkRds;
use crate::shared::{self, List, Named};
use aws::{
    Call as _, Error,
    rds::{Call, Instance, ParameterGroup, Rds, Snapshot},
};
use std::sync::Arc;

/// The last looks at databases.
#[derive(Default)]
pub struct Looks {
    instances: List<Instance>,
    snapshots: List<Snapshot>,
    groups: Named<Option<ParameterGroup>>,
}

/// RDS of one account and region, for many platforms.
pub type Shared<R = SdkRds> = shared::Shared<R, Looks>;
/// What one database is looked at and changed through.
pub type Seat<R = SdkRds> = shared::Seat<R, Looks>;

impl<R: Rds> Rds for Seat<R> {
    async fn instances(&self) -> Result<Arc<[Instance]>, Error> {
        self.listed(&self.shared.looks.instances, self.shared.service.instances()).await
    }

    async fn snapshots(&self) -> Result<Arc<[Snapshot]>, Error> {
        self.listed(&self.shared.looks.snapshots, self.shared.service.snapshots()).await
    }

    async fn parameter_group(&self, name: &str) -> Result<Option<ParameterGroup>, Error> {
        self.named(&self.shared.looks.groups, name, self.shared.service.parameter_group(name)).await
    }

    async fn send(&self, call: &Call) -> Result<(), Error> {
        self.sent(call.operation(), self.shared.service.send(call)).await
    }
}

//! Instances that go.

use super::{Answer, KeptSnapshot, Next, World, refuse};
use crate::clock::after;
use aws::{
    Tags,
    rds::{Field, Snapshot},
};
use jiff::Timestamp;

impl World {
    pub(super) fn delete(
        &mut self,
        id: &str,
        snapshot: Option<&str>,
        delete_backups: bool,
        now: Timestamp,
    ) -> Answer<()> {
        let until = after(now, self.durations.deleting);
        let kept = self.get(id)?.clone();
        if self.is_protected(id) {
            return refuse(
                "InvalidParameterCombination",
                "Cannot delete protected DB Instance, please disable deletion protection",
            );
        }
        let unsnapshotable =
            ["failed", "incompatible-restore", "incompatible-network"].contains(&kept.seen.status.as_str());
        let is_open =
            ["available", "stopped", "storage-full", "incompatible-parameters"].contains(&kept.seen.status.as_str());
        if !is_open && !unsnapshotable {
            return refuse("InvalidDBInstanceState", format!("Instance {id} is {}", kept.seen.status));
        }
        if let Some(name) = snapshot {
            if kept.seen.source.is_some() {
                return refuse(
                    "InvalidParameterCombination",
                    "FinalDBSnapshotIdentifier can not be specified when deleting a replica instance",
                );
            }
            if unsnapshotable {
                return refuse(
                    "InvalidDBInstanceState",
                    format!("{id} is {}: no snapshot can be taken", kept.seen.status),
                );
            }
            if self.snapshots.contains_key(name) {
                return refuse("DBSnapshotAlreadyExists", format!("{name} exists"));
            }
            let tags = if kept.seen.settings.flag(Field::CopyTags) == Some(true) {
                kept.seen.tags.clone()
            } else {
                Tags::new()
            };
            let seen =
                Snapshot { id: name.into(), instance: id.into(), status: "creating".into(), tags, created: None };
            let snapshot = KeptSnapshot {
                seen,
                ready: until,
                data: kept.data,
                password: kept.password.clone(),
                settings: kept.seen.settings.clone(),
                username: kept.seen.username.clone(),
            };
            self.snapshots.insert(name.to_owned(), snapshot);
        }
        if !delete_backups {
            self.kept_backups.push(id.to_owned());
        }
        let kept = self.get(id)?;
        kept.seen.status = "deleting".into();
        kept.until = Some((until, Next::Gone));
        // AWS makes standalone instances of the replicas.
        for replica in self.instances.values_mut().filter(|one| one.seen.source.as_deref() == Some(id)) {
            replica.seen.source = None;
            self.promoted.push(replica.seen.id.clone());
        }
        Ok(())
    }

    pub(super) fn gone(&mut self, id: &str) {
        let Some(kept) = self.instances.remove(id) else { return };
        if let Some(source) = kept.seen.source.and_then(|source| self.instances.get_mut(&source)) {
            source.seen.replicas.remove(id);
        }
        let is_left = self.instances.values().any(|other| other.data == kept.data)
            || self.snapshots.values().any(|snapshot| snapshot.data == kept.data);
        if !is_left {
            self.destroyed.push(kept.data);
        }
    }
}

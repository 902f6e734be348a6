//! What comes with time.

use super::{Kept, World};
use crate::clock::after;
use aws::rds::{Field, Settings, major};
use jiff::Timestamp;

/// What becomes of an instance when its time has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is created; the first backup is taken where there are any.
    Created,
    /// What waited is applied.
    Changed,
    /// It has its new password.
    Reset,
    /// It is available.
    Available,
    /// It is gone.
    Gone,
}

impl World {
    /// Lets come what has its time.
    pub(super) fn settle(&mut self, now: Timestamp) {
        for snapshot in self.snapshots.values_mut().filter(|snapshot| snapshot.ready <= now) {
            if snapshot.seen.status == "creating" {
                snapshot.seen.status = "available".into();
                snapshot.seen.created = Some(snapshot.ready);
            }
        }
        let due = |kept: &Kept| kept.until.clone().filter(|(at, _)| *at <= now);
        while let Some((id, (at, next))) = self.instances.iter().find_map(|(id, kept)| Some((id.clone(), due(kept)?))) {
            self.come(&id, at, &next);
        }
    }

    fn come(&mut self, id: &str, at: Timestamp, next: &Next) {
        if *next == Next::Gone {
            return self.gone(id);
        }
        let durations = self.durations;
        let Some(kept) = self.instances.get_mut(id) else { return };
        kept.until = None;
        kept.seen.status = "available".into();
        let retention = kept.seen.settings.number(Field::Retention).unwrap_or(0);
        match next {
            Next::Created => {
                let port = kept.seen.settings.number(Field::Port).unwrap_or(5432);
                let address = format!("{id}.abc.eu-central-1.rds.amazonaws.com");
                kept.seen.endpoint = Some(aws::rds::Endpoint { address, port });
                if retention > 0 {
                    kept.seen.status = "backing-up".into();
                    kept.until = Some((after(at, durations.backing_up), Next::Available));
                }
            }
            Next::Changed => {
                let change = std::mem::take(&mut kept.seen.pending);
                if change.get(Field::Storage).is_some() {
                    kept.seen.status = "storage-optimization".into();
                    kept.until = Some((after(at, durations.optimizing), Next::Available));
                }
                self.apply(id, &change);
            }
            Next::Reset => {
                if let Some(password) = kept.pending_password.take() {
                    (kept.password, kept.seen.password_pending) = (password, false);
                }
            }
            Next::Available | Next::Gone => {}
        }
    }

    /// Applies settings. Replicas of a PostgreSQL that gets another major version get it, too.
    pub(super) fn apply(&mut self, id: &str, change: &Settings) {
        let Some(kept) = self.instances.get_mut(id) else { return };
        let version = |settings: &Settings| settings.text(Field::EngineVersion).unwrap_or_default().to_owned();
        let from = version(&kept.seen.settings);
        if change
            .get(Field::ParameterGroup)
            .is_some_and(|group| kept.seen.settings.get(Field::ParameterGroup) != Some(group))
        {
            kept.seen.pending_reboot = true;
        }
        kept.seen.settings = kept.seen.settings.overlaid(change);
        let to = version(&kept.seen.settings);
        if major(&from) != major(&to) {
            for replica in self.instances.values_mut().filter(|one| one.seen.source.as_deref() == Some(id)) {
                replica.seen.settings.set(Field::EngineVersion, to.as_str());
                replica.seen.settings.set(Field::ParameterGroup, format!("default.postgres{}", major(&to)));
            }
        }
    }

    /// The maintenance window of all.
    pub(super) fn open_window(&mut self, now: Timestamp) {
        let until = after(now, self.durations.modifying);
        for kept in self.instances.values_mut() {
            if !kept.seen.pending.is_empty() && kept.seen.status == "available" {
                kept.seen.status = "modifying".into();
                kept.until = Some((until, Next::Changed));
            }
            kept.seen.pending_reboot = false;
        }
    }
}

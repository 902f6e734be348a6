//! Changes: at once, or waiting for the window.

use super::{Answer, Next, World, create::version, refuse};
use crate::clock::after;
use aws::rds::{Field, Settings, major};
use jiff::Timestamp;

fn number(version: &str) -> Vec<u32> {
    version.split('.').filter_map(|part| part.parse().ok()).collect()
}

impl World {
    pub(super) fn modify(
        &mut self,
        id: &str,
        change: &Settings,
        immediately: bool,
        allow_major: bool,
        now: Timestamp,
    ) -> Answer<()> {
        let modifying = self.durations.modifying;
        let kept = self.get(id)?.clone();
        let only_protection = change.iter().all(|(field, _)| field == Field::DeletionProtection);
        let is_open = match kept.seen.status.as_str() {
            "available" => true,
            "storage-full" => change.get(Field::Storage).is_some(),
            "failed" | "incompatible-restore" | "incompatible-network" => only_protection,
            _ => false,
        };
        if !is_open {
            return refuse("InvalidDBInstanceState", format!("{id} is {}", kept.seen.status));
        }
        let mut change = change.clone();
        let have = kept.seen.settings.clone();
        if let Some(wish) = change.text(Field::EngineVersion) {
            let to = version(wish)?;
            let from = have.text(Field::EngineVersion).unwrap_or_default();
            if number(&to) < number(from) {
                return refuse("InvalidParameterCombination", format!("Cannot upgrade postgres from {from} to {to}"));
            }
            if major(&to) != major(from) && !allow_major {
                return refuse("InvalidParameterCombination", "The AllowMajorVersionUpgrade flag must be present");
            }
            if major(&to) != major(from) && kept.seen.source.is_some() {
                return refuse("InvalidParameterCombination", "replicas are upgraded with their source");
            }
            let lags = |one: &Settings| number(one.text(Field::EngineVersion).unwrap_or_default()) < number(&to);
            let behind =
                self.instances.values().any(|one| one.seen.source.as_deref() == Some(id) && lags(&one.seen.settings));
            if major(&to) == major(from) && behind {
                return refuse("DBUpgradeDependencyFailure", "upgrade the read replicas first");
            }
            change.set(Field::EngineVersion, to);
        }
        if change.number(Field::Storage).zip(have.number(Field::Storage)).is_some_and(|(wish, have)| wish < have) {
            return refuse("InvalidParameterValue", "storage cannot be reduced");
        }
        if change.number(Field::Retention) == Some(0) && !kept.seen.replicas.is_empty() {
            return refuse("InvalidParameterCombination", "backups cannot be turned off while there are read replicas");
        }
        if let Some(group) = change.text(Field::SubnetGroup).filter(|group| !self.subnet_groups.contains(*group)) {
            return refuse("DBSubnetGroupNotFoundFault", format!("DB subnet group '{group}' does not exist"));
        }
        self.check_group(&kept.seen.effective().overlaid(&change))?;
        // Some are done at once, whatever is said.
        let at_once = change.only(|field| field.default_when().is_none());
        self.apply(id, &at_once);
        let waits = change.only(|field| field.default_when().is_some());
        let kept = self.get(id)?;
        for (field, value) in waits.iter() {
            // To wish what there is takes back what waits.
            if kept.seen.settings.get(field) == Some(value) {
                kept.seen.pending = kept.seen.pending.only(|other| other != field);
            } else {
                kept.seen.pending.set(field, value.clone());
            }
        }
        if immediately && !kept.seen.pending.is_empty() {
            kept.seen.status = "modifying".into();
            kept.until = Some((after(now, modifying), Next::Changed));
        }
        Ok(())
    }

    pub(super) fn set_password(&mut self, id: &str, password: &str, now: Timestamp) -> Answer<()> {
        let modifying = self.durations.modifying;
        let kept = self.get(id)?;
        if kept.seen.status != "available" {
            return refuse("InvalidDBInstanceState", format!("{id} is {}", kept.seen.status));
        }
        kept.pending_password = Some(password.to_owned());
        kept.seen.password_pending = true;
        kept.seen.status = "resetting-master-credentials".into();
        // What waits for the window goes on waiting.
        kept.until = Some((after(now, modifying), Next::Reset));
        Ok(())
    }
}

//! Instances that come.

use super::{Answer, Kept, Next, World, refuse};
use crate::clock::after;
use aws::{
    Tags,
    rds::{Call, Field, Instance, Settings, major},
};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Minor versions that a major one alone stands for.
const NEWEST: [(&str, &str); 3] = [("15", "15.8"), ("16", "16.4"), ("17", "17.2")];

/// The version that is meant.
pub(super) fn version(text: &str) -> Answer<String> {
    match NEWEST.iter().find(|(name, _)| *name == major(text)) {
        Some((name, newest)) if *name == text => Ok((*newest).to_owned()),
        Some(_) => Ok(text.to_owned()),
        None => refuse("InvalidParameterCombination", format!("Cannot find version {text} for postgres")),
    }
}

/// Letters, digits and single hyphens; first a letter, last no hyphen.
fn is_legal(id: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&id.len())
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && id.chars().all(legal)
        && !id.ends_with('-')
        && !id.contains("--")
}

impl World {
    pub(super) fn create(&mut self, call: &Call, now: Timestamp) -> Answer<()> {
        let Call::CreateInstance { id, settings, username, password, tags, .. } = call else {
            return refuse("InvalidParameterValue", "not a creation");
        };
        let secret = password.reveal();
        if !(8..=128).contains(&secret.len()) || secret.contains(['/', '"', '@', ' ']) {
            return refuse("InvalidParameterValue", "The parameter MasterUserPassword is not a valid password");
        }
        let Some(storage) = settings.number(Field::Storage) else {
            return refuse("InvalidParameterCombination", "AllocatedStorage is required");
        };
        if storage < 20 {
            return refuse("InvalidParameterValue", "Invalid storage size");
        }
        let engine = version(settings.text(Field::EngineVersion).unwrap_or("16"))?;
        let settings = defaults(&engine).overlaid(settings).with(Field::EngineVersion, engine);
        self.next_data += 1;
        let data = self.next_data;
        self.start(id, settings, tags, None, data, username, secret, now)
    }

    pub(super) fn restore(
        &mut self,
        id: &str,
        snapshot: &str,
        settings: &Settings,
        tags: &Tags,
        now: Timestamp,
    ) -> Answer<()> {
        let Some(from) = self.snapshots.get(snapshot).cloned() else {
            return refuse("DBSnapshotNotFound", format!("{snapshot} not found"));
        };
        if from.seen.status != "available" {
            return refuse("InvalidDBSnapshotState", format!("{snapshot} is {}", from.seen.status));
        }
        let refused = [Field::EngineVersion, Field::MaxStorage, Field::MaintenanceWindow];
        if let Some(field) = refused.iter().find(|field| settings.get(**field).is_some()) {
            return refuse("InvalidParameterValue", format!("a restore takes no {field:?}"));
        }
        let own = [Field::EngineVersion, Field::Storage, Field::StorageType];
        let engine = from.settings.text(Field::EngineVersion).unwrap_or("16.4").to_owned();
        let base = defaults(&engine).overlaid(&from.settings.only(|field| own.contains(&field)));
        let settings = base.overlaid(settings);
        self.start(id, settings, tags, None, from.data, &from.username, &from.password, now)
    }

    pub(super) fn replicate(
        &mut self,
        id: &str,
        source: &str,
        settings: &Settings,
        tags: &Tags,
        now: Timestamp,
    ) -> Answer<()> {
        if self.instances.contains_key(id) {
            return refuse("DBInstanceAlreadyExists", "DB instance already exists");
        }
        let siblings = self.instances.values().filter(|one| one.seen.source.as_deref() == Some(source)).count();
        let from = self.get(source)?.clone();
        if from.seen.status != "available" {
            return refuse("InvalidDBInstanceState", format!("{source} is not in available state"));
        }
        if from.seen.settings.number(Field::Retention).unwrap_or(0) == 0 {
            return refuse("InvalidDBInstanceState", "Automated backups are not enabled for this database instance");
        }
        if siblings >= 15 {
            return refuse("InvalidParameterCombination", "The source has the most replicas it may have");
        }
        let refused = [Field::EngineVersion, Field::Retention, Field::BackupWindow, Field::MaintenanceWindow];
        if let Some(field) = refused.iter().find(|field| settings.get(**field).is_some()) {
            return refuse("InvalidParameterValue", format!("a replica's creation takes no {field:?}"));
        }
        // The protection is inherited where the call does not speak of it; backups start disabled; the security group is
        // the network's own where none is named.
        let base = from.seen.settings.only(|field| field != Field::SecurityGroups);
        let settings = base.overlaid(settings).with(Field::Retention, 0).with(Field::MultiAz, false);
        self.start(id, settings, tags, Some(source), from.data, &from.seen.username, &from.password, now)?;
        self.get(source)?.seen.replicas.insert(id.to_owned());
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "what the three ways of creation have in common")]
    fn start(
        &mut self,
        id: &str,
        settings: Settings,
        tags: &Tags,
        source: Option<&str>,
        data: u64,
        username: &str,
        password: &str,
        now: Timestamp,
    ) -> Answer<()> {
        if !is_legal(id) {
            return refuse("InvalidParameterValue", format!("{id:?} is not a valid identifier"));
        }
        if self.instances.contains_key(id) {
            return refuse("DBInstanceAlreadyExists", "DB instance already exists");
        }
        if let Some(group) = settings.text(Field::SubnetGroup).filter(|group| !self.subnet_groups.contains(*group)) {
            return refuse("DBSubnetGroupNotFoundFault", format!("DB subnet group '{group}' does not exist"));
        }
        self.check_group(&settings)?;
        let seen = Instance {
            id: id.to_owned(),
            status: "creating".into(),
            tags: tags.clone(),
            settings,
            pending: Settings::default(),
            password_pending: false,
            pending_reboot: false,
            endpoint: None,
            source: source.map(str::to_owned),
            replicas: BTreeSet::new(),
            username: username.to_owned(),
        };
        let until = Some((after(now, self.durations.creating), Next::Created));
        let password = password.to_owned();
        let kept = Kept { seen, until, hidden: self.hide, data, password, pending_password: None };
        self.instances.insert(id.to_owned(), kept);
        Ok(())
    }
}

/// What AWS fills in.
fn defaults(version: &str) -> Settings {
    Settings::default()
        .with(Field::StorageType, "gp2")
        .with(Field::Iops, 3000)
        .with(Field::Throughput, 125)
        .with(Field::MultiAz, false)
        .with(Field::ParameterGroup, format!("default.postgres{}", major(version)))
        .with(Field::SubnetGroup, "private")
        .with(Field::SecurityGroups, BTreeSet::from(["sg-default".to_owned()]))
        .with(Field::Port, 5432)
        .with(Field::Retention, 1)
        .with(Field::BackupWindow, "05:10-05:40")
        .with(Field::MaintenanceWindow, "sat:06:10-sat:06:40")
        .with(Field::Ca, "rds-ca-rsa2048-g1")
        .with(Field::AutoMinorUpgrade, true)
        .with(Field::DeletionProtection, false)
        .with(Field::CopyTags, false)
        .with(Field::ExtendedSupport, true)
        .with(Field::EngineVersion, version)
}

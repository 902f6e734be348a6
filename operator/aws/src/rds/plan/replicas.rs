//! Read replicas: made at the end, from what the primary has; removed from the end.

use super::{
    super::{Call, Field, Instance, Resource, Settings, State},
    Found, Round, unchangeable,
};
use crate::{Allow, Identity, Kind, Planned, Standing};

/// What bears a replica's name, and is not ours.
pub(super) fn standing(round: &mut Round<'_>, found: &Found<'_>) {
    for (instance, standing) in found.replicas.values() {
        let follows = instance.source.as_ref() == Some(&found.id);
        match standing {
            Standing::Retained { .. } if round.wish.adopt && follows => {
                let tags = round.wish.owner.tags();
                let id = instance.id.clone();
                round.add(Planned::new(Call::Tag { resource: Resource::Instance, id, tags }));
            }
            Standing::Retained { .. } => {
                let words =
                    format!("DB instance {} was a former platform's: set adopt: true to go on with it", instance.id);
                round.tell(Kind::Retained, words);
            }
            Standing::NameConflict => {
                let words =
                    format!("{}: a DB instance of this name bears other tags than ours: it is left alone", instance.id);
                round.tell(Kind::NameConflict, words);
            }
            Standing::Ours | Standing::Absent => {}
        }
    }
}

/// Removes those that are too many, the highest first.
pub(super) fn remove(round: &mut Round<'_>, found: &Found<'_>) {
    let keep = if round.wish.deleted { 0 } else { round.wish.spec.replicas };
    let mut first = None;
    for (index, instance) in found.our_replicas().rev().filter(|(index, _)| *index >= keep) {
        let hold = first.replace(instance.id.clone()).map(|id| format!("{id} first"));
        if instance.state() == State::Deleting {
            round.wait(format!("{} is deleting", instance.id));
            continue;
        }
        let hold = hold.or_else(|| {
            matches!(instance.state(), State::Changing | State::Unknown)
                .then(|| format!("{} is {}", instance.id, instance.status))
        });
        if instance.settings.flag(Field::DeletionProtection) == Some(true) {
            round.add(unprotect(instance).hold(hold));
            continue;
        }
        let call = Call::DeleteInstance { id: instance.id.clone(), snapshot: None, delete_backups: true };
        let planned = Planned::new(call).costs(format!("replica {index}, whose data the primary has, too")).hold(hold);
        round.add(match instance.source.as_ref() == Some(&found.id) {
            true => planned,
            false => planned.consent(Allow::DeletePromoted, "it was promoted, and may hold what the primary does not"),
        });
    }
}

/// Lifts the protection of deletion.
pub(super) fn unprotect(instance: &Instance) -> Planned<Call> {
    Planned::new(Call::ModifyInstance {
        id: instance.id.clone(),
        change: Settings::default().with(Field::DeletionProtection, false),
        immediately: false,
        major: false,
    })
}

/// Makes those that are missing. `group` keeps back what names the parameter group.
pub(super) fn create(round: &mut Round<'_>, found: &Found<'_>, primary: Option<&Instance>, group: Option<&String>) {
    let wish = round.wish;
    let hold = match primary {
        None => Some(format!("{} is not there yet", found.id)),
        Some(primary) if primary.settings.number(Field::Retention) == Some(0) => {
            let words = format!("{} has no backups, which replicas are made from", found.id);
            if wish.spec.backup_retention.is_none() && primary.effective().number(Field::Retention) == Some(0) {
                return round.tell(Kind::Invalid, format!("{words}: set backupRetention to 1 or more"));
            }
            Some(words)
        }
        Some(primary) => unchangeable(primary),
    };
    for index in (0..wish.spec.replicas).filter(|index| !found.replicas.contains_key(index)) {
        let id = Identity::replica(&found.id, index);
        if round.in_grace(&id) {
            round.wait(format!("{id} is being created"));
            continue;
        }
        // Version and storage are the source's, and a window is only taken by a change.
        let settings = wish.replica(&found.id).only(|field| {
            !matches!(field, Field::EngineVersion | Field::Storage | Field::MaintenanceWindow | Field::ExtendedSupport)
        });
        let call = Call::CreateReplica { id, source: found.id.clone(), settings, tags: wish.owner.tags() };
        let planned = Planned::new(call).costs(format!("an instance of class {}", wish.spec.instance_class));
        round.add(planned.hold(group.cloned()).hold(hold.clone()));
    }
}

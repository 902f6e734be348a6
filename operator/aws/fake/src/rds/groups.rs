//! Parameter groups.

use super::{Answer, World, refuse};
use aws::{
    Tags,
    rds::{Field, ParameterGroup, Settings, major},
};
use std::collections::{BTreeMap, BTreeSet};

/// Parameters that need a reboot.
const AT_REBOOT: [&str; 2] = ["max_connections", "shared_buffers"];

impl World {
    fn group(&mut self, name: &str) -> Answer<&mut ParameterGroup> {
        match self.groups.get_mut(name) {
            Some(group) => Ok(group),
            None => refuse("DBParameterGroupNotFound", format!("DBParameterGroup not found: {name}")),
        }
    }

    /// The group is there, and of the version's family.
    pub(super) fn check_group(&self, settings: &Settings) -> Answer<()> {
        let Some(name) = settings.text(Field::ParameterGroup) else { return Ok(()) };
        let engine = format!("postgres{}", major(settings.text(Field::EngineVersion).unwrap_or_default()));
        let family = match (name.strip_prefix("default."), self.groups.get(name)) {
            (Some(family), _) => family,
            (None, Some(group)) => &group.family,
            (None, None) => return refuse("DBParameterGroupNotFound", format!("DBParameterGroup not found: {name}")),
        };
        if family == engine {
            return Ok(());
        }
        refuse("InvalidParameterCombination", format!("{name} is of {family}, and cannot be used with {engine}"))
    }

    pub(super) fn create_group(&mut self, name: &str, family: &str, tags: &Tags) -> Answer<()> {
        if self.groups.contains_key(name) {
            return refuse("DBParameterGroupAlreadyExists", format!("Parameter group {name} already exists"));
        }
        let at_reboot = AT_REBOOT.map(str::to_owned).into();
        let group = ParameterGroup { family: family.into(), tags: tags.clone(), values: BTreeMap::new(), at_reboot };
        self.groups.insert(name.to_owned(), group);
        Ok(())
    }

    pub(super) fn set_parameters(&mut self, name: &str, values: &BTreeMap<String, (String, bool)>) -> Answer<()> {
        let group = self.group(name)?;
        if values.is_empty() || values.len() > 20 {
            return refuse("InvalidParameterValue", "1 to 20 parameters");
        }
        if values.iter().any(|(name, (_, at_reboot))| AT_REBOOT.contains(&name.as_str()) && !at_reboot) {
            return refuse("InvalidParameterCombination", "cannot use immediate apply method for static parameter");
        }
        group.values.extend(values.iter().map(|(name, (value, _))| (name.clone(), value.clone())));
        let reboot = values.values().any(|(_, at_reboot)| *at_reboot);
        self.pending_reboot(name, reboot);
        Ok(())
    }

    pub(super) fn reset_parameters(&mut self, name: &str, names: &BTreeMap<String, bool>) -> Answer<()> {
        let group = self.group(name)?;
        if names.is_empty() || names.len() > 20 {
            return refuse("InvalidParameterValue", "1 to 20 parameters");
        }
        group.values.retain(|parameter, _| !names.contains_key(parameter));
        self.pending_reboot(name, names.values().any(|at_reboot| *at_reboot));
        Ok(())
    }

    fn pending_reboot(&mut self, name: &str, reboot: bool) {
        for kept in self.instances.values_mut() {
            if reboot && kept.seen.settings.text(Field::ParameterGroup) == Some(name) {
                kept.seen.pending_reboot = true;
            }
        }
    }

    pub(super) fn delete_group(&mut self, name: &str) -> Answer<()> {
        self.group(name)?;
        let users: BTreeSet<&str> = self
            .instances
            .values()
            .filter(|kept| kept.seen.effective().text(Field::ParameterGroup) == Some(name))
            .map(|kept| kept.seen.id.as_str())
            .collect();
        if !users.is_empty() {
            return refuse("InvalidDBParameterGroupState", format!("{users:?} use the group"));
        }
        self.groups.remove(name);
        Ok(())
    }
}

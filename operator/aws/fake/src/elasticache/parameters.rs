//! Parameter groups.

use super::{
    Answer, World,
    group::{family, is_yes},
    refuse,
};
use aws::{
    Tags,
    elasticache::{Field, ParameterGroup, Settings},
};
use std::collections::{BTreeMap, BTreeSet};

impl World {
    fn parameter_group(&mut self, name: &str) -> Answer<&mut ParameterGroup> {
        match self.parameters.get_mut(name) {
            Some(group) => Ok(group),
            None => refuse("CacheParameterGroupNotFound", format!("CacheParameterGroup not found: {name}")),
        }
    }

    /// The group is there, of the engine's family, and says the same of cluster mode.
    pub(super) fn check_parameters(&self, settings: &Settings) -> Answer<()> {
        let Some(name) = settings.text(Field::ParameterGroup) else { return Ok(()) };
        let is_clustered = settings.flag(Field::ClusterMode) == Some(true);
        let (of, says) = match (name.strip_prefix("default."), self.parameters.get(name)) {
            // AWS changes from one default to the next with the engine.
            (Some(_), _) => return Ok(()),
            (None, Some(group)) => (&group.family, is_yes(group.values.get("cluster-enabled"))),
            (None, None) => {
                return refuse("CacheParameterGroupNotFound", format!("CacheParameterGroup not found: {name}"));
            }
        };
        if *of != family(settings) {
            return refuse("InvalidParameterCombination", format!("{name} is of {of}, not {}", family(settings)));
        }
        if says != is_clustered {
            return refuse("InvalidParameterCombination", format!("{name} says otherwise of cluster-enabled"));
        }
        Ok(())
    }

    pub(super) fn create_parameters(&mut self, name: &str, family: &str, tags: &Tags) -> Answer<()> {
        if self.parameters.contains_key(name) {
            return refuse("CacheParameterGroupAlreadyExists", format!("{name} already exists"));
        }
        let group = ParameterGroup { family: family.into(), tags: tags.clone(), values: BTreeMap::new() };
        self.parameters.insert(name.to_owned(), group);
        Ok(())
    }

    pub(super) fn set_parameters(&mut self, name: &str, values: &BTreeMap<String, String>) -> Answer<()> {
        let group = self.parameter_group(name)?;
        if values.is_empty() || values.len() > 20 {
            return refuse("InvalidParameterValue", "1 to 20 parameters");
        }
        group.values.extend(values.clone());
        Ok(())
    }

    pub(super) fn reset_parameters(&mut self, name: &str, names: &BTreeSet<String>) -> Answer<()> {
        let group = self.parameter_group(name)?;
        if names.is_empty() || names.len() > 20 {
            return refuse("InvalidParameterValue", "1 to 20 parameters");
        }
        group.values.retain(|parameter, _| !names.contains(parameter));
        Ok(())
    }

    pub(super) fn delete_parameters(&mut self, name: &str) -> Answer<()> {
        self.parameter_group(name)?;
        let uses = |settings: &Settings| settings.text(Field::ParameterGroup) == Some(name);
        if self.groups.values().any(|kept| uses(&kept.seen.settings) || uses(&kept.seen.pending)) {
            return refuse("InvalidCacheParameterGroupState", format!("{name} is used"));
        }
        self.parameters.remove(name);
        Ok(())
    }
}

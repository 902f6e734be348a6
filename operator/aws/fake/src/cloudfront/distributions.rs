//! Distributions that come, change and go.

use super::{Answer, Invalidation, Kept, World, check, fill, matches, refuse};
use crate::clock::after;
use aws::{
    Tags,
    cloudfront::{Distribution, Element},
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Quotas of CloudFront's, per distribution.
const MOST_PATHS: usize = 3000;
const MOST_WILDCARDS: usize = 15;

impl World {
    pub(super) fn create(&mut self, reference: &str, config: &Element, tags: &Tags, now: Timestamp) -> Answer<()> {
        if config.name != "DistributionConfig" || config.value("CallerReference") != Some(reference) {
            return refuse("InvalidArgument", "The configuration has another CallerReference");
        }
        if self.references.contains(reference) {
            return refuse(
                "DistributionAlreadyExists",
                "The caller reference that you are using to create a distribution is associated with another distribution.",
            );
        }
        check::config(self, config, None)?;
        if let Some(field) = check::missing(config) {
            return refuse("InvalidArgument", format!("{field} is required"));
        }
        self.references.insert(reference.to_owned());
        let until = after(now, self.durations.deploying);
        let hide = self.hide;
        self.keep(config.clone(), tags.clone(), Some(until), hide);
        Ok(())
    }

    pub(super) fn keep(&mut self, mut config: Element, tags: Tags, until: Option<Timestamp>, hidden: u32) -> String {
        fill(&mut config);
        fill::extra(&mut config);
        let number = self.number();
        let id = format!("E{number:013}");
        let seen = Distribution {
            id: id.clone(),
            arn: format!("arn:aws:cloudfront::123456789012:distribution/{id}"),
            domain_name: format!("d{number}.cloudfront.net"),
            status: if until.is_some() { "InProgress".into() } else { "Deployed".into() },
            etag: format!("ETAG{}", self.number()),
            config,
        };
        self.distributions.insert(id.clone(), Kept { seen, tags, until, hidden });
        id
    }

    pub(super) fn update(&mut self, id: &str, etag: &str, config: &Element, now: Timestamp) -> Answer<()> {
        let Some(kept) = self.distributions.get(id) else {
            return refuse("NoSuchDistribution", "The specified distribution does not exist.");
        };
        matches(etag, &kept.seen.etag)?;
        if config.value("CallerReference") != kept.seen.config.value("CallerReference") {
            return refuse("IllegalUpdate", "The CallerReference cannot be changed.");
        }
        if let Some(field) = check::missing(config) {
            return refuse("IllegalUpdate", format!("{field} is missing"));
        }
        check::config(self, config, Some(id))?;
        let mut config = config.clone();
        fill(&mut config);
        let etag = format!("ETAG{}", self.number());
        let until = after(now, self.durations.deploying);
        if let Some(kept) = self.distributions.get_mut(id) {
            (kept.seen.config, kept.seen.etag, kept.until) = (config, etag, Some(until));
            kept.seen.status = "InProgress".into();
        }
        Ok(())
    }

    /// Somebody else's update.
    pub(super) fn edit(&mut self, id: &str, change: impl FnOnce(&mut Element)) {
        let etag = format!("ETAG{}", self.number());
        if let Some(kept) = self.distributions.get_mut(id) {
            change(&mut kept.seen.config);
            kept.seen.etag = etag;
        }
    }

    pub(super) fn delete(&mut self, id: &str, etag: &str) -> Answer<()> {
        let Some(kept) = self.distributions.get(id) else {
            return refuse("NoSuchDistribution", "The specified distribution does not exist.");
        };
        matches(etag, &kept.seen.etag)?;
        if kept.seen.is_enabled() || !kept.seen.is_deployed() {
            return refuse(
                "DistributionNotDisabled",
                "The distribution you are trying to delete has not been disabled.",
            );
        }
        let reference = kept.seen.reference().to_owned();
        if !self.blocks {
            self.references.remove(&reference);
        }
        self.distributions.remove(id);
        Ok(())
    }

    pub(super) fn set_tags(&mut self, id: &str, arn: &str, tags: &Tags) -> Answer<()> {
        match self.distributions.get_mut(id).filter(|kept| kept.seen.arn == arn) {
            Some(kept) => {
                kept.tags.extend(tags.clone());
                Ok(())
            }
            None => refuse("NoSuchResource", format!("{arn} does not exist")),
        }
    }

    pub(super) fn invalidate(
        &mut self,
        id: &str,
        reference: &str,
        paths: &BTreeSet<String>,
        now: Timestamp,
    ) -> Answer<()> {
        if !self.distributions.contains_key(id) {
            return refuse("NoSuchDistribution", "The specified distribution does not exist.");
        }
        if let Some(path) = paths.iter().find(|path| !path.starts_with('/') || path.trim_end_matches('*').contains('*'))
        {
            return refuse("InvalidArgument", format!("{path} is not a path"));
        }
        let same = self.invalidations.iter().find(|one| one.distribution == id && one.reference == reference);
        if let Some(same) = same {
            // The same request once more is the same invalidation.
            return if same.paths == *paths {
                Ok(())
            } else {
                refuse("InvalidArgument", "another batch of this reference")
            };
        }
        let open: Vec<&Invalidation> =
            self.invalidations.iter().filter(|one| one.distribution == id && one.until > now).collect();
        let all = || open.iter().flat_map(|one| &one.paths).chain(paths);
        if all().count() > MOST_PATHS || all().filter(|path| path.ends_with('*')).count() > MOST_WILDCARDS {
            return refuse(
                "TooManyInvalidationsInProgress",
                "You have exceeded the maximum number of allowable InProgress invalidation batch requests",
            );
        }
        let until = after(now, self.durations.invalidating);
        let (distribution, reference, paths) = (id.to_owned(), reference.to_owned(), paths.clone());
        self.invalidations.push(Invalidation { distribution, reference, paths, until });
        Ok(())
    }

    /// What a read shows: not what is too new.
    pub(super) fn shown(&mut self) -> BTreeMap<String, Kept> {
        let mut shown = BTreeMap::new();
        for (id, kept) in &mut self.distributions {
            if kept.hidden > 0 {
                kept.hidden -= 1;
            } else {
                shown.insert(id.clone(), kept.clone());
            }
        }
        shown
    }
}

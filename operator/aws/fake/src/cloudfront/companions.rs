//! Policies, access controls and functions.

use super::{Answer, Companions, KeptCompanion, World, matches, refuse};
use aws::cloudfront::{Companion, CompanionKind, Element};

impl World {
    pub(super) fn create_companion(
        &mut self,
        kind: CompanionKind,
        name: &str,
        config: &Element,
        code: Option<&str>,
    ) -> Answer<()> {
        if self.companions.contains_key(&(kind, name.to_owned())) {
            return refuse(format!("{}AlreadyExists", kind.name()), format!("{name} exists"));
        }
        let longest = if kind == CompanionKind::Function { 64 } else { 128 };
        let legal = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if name.is_empty() || name.len() > longest || !name.chars().all(legal) {
            return refuse("InvalidArgument", format!("{name:?} is not a name"));
        }
        let is_function = kind == CompanionKind::Function;
        if is_function != code.is_some_and(|code| code.contains("function handler(")) {
            return refuse("InvalidArgument", "a function has code with a handler, and nothing else has");
        }
        if config.value("Name").is_some_and(|other| other != name) || config.value("Name").is_none() != is_function {
            return refuse("InvalidArgument", "the configuration has another name");
        }
        let number = |name: &str| config.value(name).and_then(|text| text.parse::<u64>().ok());
        if kind == CompanionKind::CachePolicy {
            let ttls = (number("MinTTL"), number("DefaultTTL"), number("MaxTTL"));
            let (Some(min), Some(default), Some(max)) = ttls else {
                return refuse("InvalidArgument", "The TTLs are required");
            };
            if !(min <= default && default <= max) {
                return refuse("InvalidArgument", "The TTLs do not stand in their order");
            }
            let key = config.get("ParametersInCacheKeyAndForwardedToOrigin");
            if max == 0
                && key.is_some_and(|key| key.mentions("whitelist") || key.mentions("all") || key.mentions("true"))
            {
                return refuse(
                    "InvalidArgument",
                    "The parameter HeaderBehavior is invalid for policy with caching disabled",
                );
            }
        }
        let comment = config.value("Comment").or(config.value("Description")).unwrap_or_default().to_owned();
        if comment.len() > 128 {
            return refuse("InvalidArgument", "the comment is too long");
        }
        let hide = self.hide;
        self.keep_companion(kind, name, &comment, config.clone(), hide);
        Ok(())
    }

    pub(super) fn keep_companion(
        &mut self,
        kind: CompanionKind,
        name: &str,
        comment: &str,
        config: Element,
        hidden: u32,
    ) {
        let number = self.number();
        let is_function = kind == CompanionKind::Function;
        let id = if is_function {
            format!("arn:aws:cloudfront::123456789012:function/{name}")
        } else {
            format!("00000000-0000-0000-0000-{number:012}")
        };
        let (name, comment) = (name.to_owned(), comment.to_owned());
        let seen = Companion { kind, name: name.clone(), id, comment, etag: None, live: !is_function };
        let etag = format!("ETAG{number}");
        self.companions.insert((kind, name), KeptCompanion { seen, config, etag, hidden });
    }

    pub(super) fn publish(&mut self, name: &str, etag: &str) -> Answer<()> {
        let Some(kept) = self.companions.get_mut(&(CompanionKind::Function, name.to_owned())) else {
            return refuse("NoSuchFunctionExists", format!("{name} does not exist"));
        };
        matches(etag, &kept.etag)?;
        kept.seen.live = true;
        Ok(())
    }

    pub(super) fn delete_companion(&mut self, kind: CompanionKind, name: &str, id: &str, etag: &str) -> Answer<()> {
        let Some(kept) = self.companions.get(&(kind, name.to_owned())).filter(|kept| kept.seen.id == id) else {
            return refuse(format!("NoSuch{}", kind.name()), format!("{name} does not exist"));
        };
        matches(etag, &kept.etag)?;
        if self.distributions.values().any(|one| one.seen.config.mentions(id)) {
            return refuse(format!("{}InUse", kind.name()), format!("{name} is used by a distribution"));
        }
        self.companions.remove(&(kind, name.to_owned()));
        Ok(())
    }

    /// What a read shows: not what is too new.
    pub(super) fn shown_companions(&mut self) -> Companions {
        let mut shown = Companions::new();
        for (key, kept) in &mut self.companions {
            if kept.hidden > 0 {
                kept.hidden -= 1;
            } else {
                shown.insert(key.clone(), kept.clone());
            }
        }
        shown
    }
}

//! What was seen: answers of reads, as plain values.

use super::{CompanionKind, Element};
use crate::{Tags, acm};

/// What was seen at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// All distributions: others of our tags are looked for among them.
    pub listed: Vec<Listed>,
    /// Those that were looked at.
    pub read: Vec<Distribution>,
    /// All of them were: one is looked for by its `CallerReference`, which lists do not show.
    pub all_read: bool,
    /// The account's own policies, access controls and functions.
    pub companions: Vec<Companion>,
    /// The certificate that is wished, where one is. That it could not be looked at fails nothing else.
    pub certificate: Option<acm::Answer>,
}

/// A distribution, as lists show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// `Id`.
    pub id: String,
    /// Its tags.
    pub tags: Tags,
}

/// A distribution.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// `Id`.
    pub id: String,
    /// `ARN`.
    pub arn: String,
    /// `DomainName`: where names that it serves lead to.
    pub domain_name: String,
    /// `Status`: `InProgress` or `Deployed`.
    pub status: String,
    /// Version of the configuration.
    pub etag: String,
    /// `DistributionConfig`, as it is.
    pub config: Element,
}

/// A policy, an access control or a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Companion {
    /// What it is.
    pub kind: CompanionKind,
    /// Its name, of which there is one of each kind.
    pub name: String,
    /// Its id; a function's ARN.
    pub id: String,
    /// What it says of itself.
    pub comment: String,
    /// Its version, where it was asked for: a function's in stage `DEVELOPMENT`.
    pub etag: Option<String>,
    /// It can be used: a function is once it is published.
    pub live: bool,
}

impl Distribution {
    /// What is configured is everywhere.
    pub fn is_deployed(&self) -> bool {
        self.status == "Deployed"
    }

    /// It answers.
    pub fn is_enabled(&self) -> bool {
        self.config.value("Enabled") == Some("true")
    }

    /// `CallerReference`.
    pub fn reference(&self) -> &str {
        self.config.value("CallerReference").unwrap_or_default()
    }
}

impl Seen {
    pub(super) fn distribution(&self, id: &str) -> Option<&Distribution> {
        self.read.iter().find(|one| one.id == id)
    }

    pub(super) fn tags(&self, id: &str) -> Option<&Tags> {
        self.listed.iter().find(|one| one.id == id).map(|one| &one.tags)
    }
}

//! The calls that change something.

use super::{CompanionKind, Element, overlay};
use crate::Tags;
use std::collections::BTreeSet;

/// A call that changes something. Each can be repeated: the second is refused, or changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// Makes a distribution, with its tags.
    Create {
        /// Its `CallerReference`, which is in the configuration, too.
        reference: String,
        /// `DistributionConfig`.
        config: Element,
        /// Whose it is.
        tags: Tags,
    },
    /// Replaces a distribution's configuration.
    Update {
        /// Its id.
        id: String,
        /// Version of the configuration that was read, for `If-Match`.
        etag: String,
        /// The whole new one.
        config: Element,
        /// What is another than before, in words.
        changes: Vec<String>,
    },
    /// Deletes a disabled distribution.
    Delete {
        /// Its id.
        id: String,
        /// Version of the configuration that was read, for `If-Match`.
        etag: String,
    },
    /// Says whose a distribution is.
    Tag {
        /// Its id.
        id: String,
        /// Its ARN.
        arn: String,
        /// Whose.
        tags: Tags,
    },
    /// Makes the edges forget.
    Invalidate {
        /// The distribution's id.
        id: String,
        /// Its `CallerReference`.
        reference: String,
        /// What is forgotten.
        paths: BTreeSet<String>,
    },
    /// Makes a policy, an access control or a function.
    CreateCompanion {
        /// What.
        kind: CompanionKind,
        /// Its name.
        name: String,
        /// Its configuration.
        config: Element,
        /// A function's code.
        code: Option<String>,
    },
    /// Makes a function usable.
    Publish {
        /// Its name.
        name: String,
        /// Version of it, for `If-Match`.
        etag: String,
    },
    /// Deletes a policy, an access control or a function that nothing uses.
    DeleteCompanion {
        /// What.
        kind: CompanionKind,
        /// Its name.
        name: String,
        /// Its id; a function's ARN.
        id: String,
        /// Version of it, for `If-Match`.
        etag: String,
    },
}

impl crate::Call for Call {
    fn operation(&self) -> &'static str {
        match self {
            Self::Create { .. } => "CreateDistributionWithTags",
            Self::Update { .. } => "UpdateDistribution",
            Self::Delete { .. } => "DeleteDistribution",
            Self::Tag { .. } => "TagResource",
            Self::Invalidate { .. } => "CreateInvalidation",
            Self::CreateCompanion { kind, .. } => match kind {
                CompanionKind::CachePolicy => "CreateCachePolicy",
                CompanionKind::OriginRequestPolicy => "CreateOriginRequestPolicy",
                CompanionKind::ResponseHeadersPolicy => "CreateResponseHeadersPolicy",
                CompanionKind::OriginAccessControl => "CreateOriginAccessControl",
                CompanionKind::Function => "CreateFunction",
            },
            Self::Publish { .. } => "PublishFunction",
            Self::DeleteCompanion { kind, .. } => match kind {
                CompanionKind::CachePolicy => "DeleteCachePolicy",
                CompanionKind::OriginRequestPolicy => "DeleteOriginRequestPolicy",
                CompanionKind::ResponseHeadersPolicy => "DeleteResponseHeadersPolicy",
                CompanionKind::OriginAccessControl => "DeleteOriginAccessControl",
                CompanionKind::Function => "DeleteFunction",
            },
        }
    }

    fn resource(&self) -> &str {
        match self {
            Self::Create { reference, .. } => reference,
            Self::Update { id, .. } | Self::Delete { id, .. } | Self::Tag { id, .. } | Self::Invalidate { id, .. } => {
                id
            }
            Self::CreateCompanion { name, .. } | Self::Publish { name, .. } | Self::DeleteCompanion { name, .. } => {
                name
            }
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::Create { reference: _, config, tags } => {
                format!("create a distribution: {} {}", overlay::summary(config), crate::owner::whose(tags))
            }
            Self::Update { id, etag: _, config: _, changes } => format!("change {id}: {}", changes.join("; ")),
            Self::Delete { id, etag: _ } => format!("delete {id}"),
            Self::Tag { id, arn: _, tags } => format!("tag {id} {}", crate::owner::whose(tags)),
            Self::Invalidate { id, reference, paths } => {
                let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
                format!("invalidate {} of {id} as {reference}", paths.join(" "))
            }
            // The name has a hash of all that is in it, a function's code included.
            Self::CreateCompanion { kind, name, config, code: _ } => {
                format!("create {} {name}: {}", kind.name(), overlay::summary(config))
            }
            Self::Publish { name, etag: _ } => format!("publish function {name}"),
            Self::DeleteCompanion { kind, name, id: _, etag: _ } => format!("delete {} {name}", kind.name()),
        }
    }
}

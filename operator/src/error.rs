//! What can go wrong in a pass, and what then: retry with backoff, wait and look again, or stop until the spec changes.

use crds::status::Reason;
use std::time::Duration;

/// The result of a step of a pass.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Something has to become ready; look again soon, without backoff.
    Wait,
    /// A failure that goes away: again with backoff.
    Retry,
    /// Nothing changes until the spec does.
    Terminal,
}

/// What can go wrong in a pass.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The spec cannot be carried out as written.
    #[error("{field}: {problem}")]
    InvalidSpec {
        /// Path of the field, as `spec.apps[web].port`.
        field: String,
        /// What is wrong, and how to mend it.
        problem: String,
    },
    /// An object of the name we need belongs to somebody else.
    #[error("{kind} {name} exists and belongs to {holder}: rename or remove it, or rename the app")]
    NameConflict {
        /// Kind of the object.
        kind: String,
        /// Its name.
        name: String,
        /// Who holds it.
        holder: String,
    },
    /// An optional API that an object needs is not installed.
    #[error("{kind} {name} needs the API {api}, which is not installed in this cluster: install it")]
    ApiMissing {
        /// Kind of the object.
        kind: String,
        /// Its name.
        name: String,
        /// Group and version.
        api: String,
    },
    /// The API server answered with an error, or not at all.
    #[error("{verb} {kind} {name}: {}", describe(source))]
    Api {
        /// What was asked: `get`, `list`, `patch`, `delete`.
        verb: &'static str,
        /// Kind of the object.
        kind: String,
        /// Its name; empty for a list.
        name: String,
        /// The answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// Somebody else was faster: a Secret of passwords came to be while others were being made for it, or the platform went
    /// while its objects were being looked at.
    #[error("{0} was changed by somebody else meanwhile: it is looked at again")]
    Raced(String),
    /// The pass took longer than its deadline.
    #[error("the pass took longer than {}s; the API server is slow or unreachable", .0.as_secs())]
    Deadline(Duration),
    /// A step of the pass panicked; a defect. What it said is in the log only: it may quote what the spec holds.
    #[error("a defect of the operator ended the pass, and it is tried again: the operator's log says where")]
    Panicked,
    /// Something of ours cannot be serialised; a defect.
    #[error("{0} cannot be serialised")]
    Serialize(&'static str, #[source] serde_json::Error),
}

impl Error {
    /// An error of the API server, with what was asked.
    pub fn api(verb: &'static str, kind: impl Into<String>, name: impl Into<String>, source: kube::Error) -> Self {
        Self::Api { verb, kind: kind.into(), name: name.into(), source: Box::new(source) }
    }

    /// What to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::InvalidSpec { .. } => Class::Terminal,
            Self::NameConflict { .. } | Self::ApiMissing { .. } => Class::Wait,
            Self::Raced(_) | Self::Deadline(_) | Self::Panicked | Self::Serialize(..) => Class::Retry,
            // 409 is a lost race; see `is_conflict`.
            Self::Api { .. } => match self.code() {
                Some(400 | 401 | 403 | 404 | 405 | 422) => Class::Wait,
                Some(500) if self.is_refused_form() => Class::Wait,
                _ => Class::Retry,
            },
        }
    }

    /// The reason a condition carries for it.
    pub fn reason(&self) -> Reason {
        match self {
            Self::InvalidSpec { .. } => Reason::InvalidSpec,
            Self::NameConflict { .. } => Reason::NameConflict,
            Self::ApiMissing { .. } => Reason::NotFound,
            Self::Raced(_) | Self::Deadline(_) | Self::Panicked | Self::Serialize(..) => Reason::ProviderError,
            Self::Api { source, .. } => match self.code() {
                Some(401) => Reason::PermissionDenied,
                Some(403) if is_authorization(source) => Reason::PermissionDenied,
                Some(400 | 403) => Reason::Rejected,
                Some(422) if describe(source).contains("immutable") => Reason::ImmutableField,
                Some(422) => Reason::Rejected,
                Some(500) if self.is_refused_form() => Reason::Rejected,
                _ => Reason::ProviderError,
            },
        }
    }

    /// A static name for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::InvalidSpec { .. } => "invalid_spec",
            Self::NameConflict { .. } => "name_conflict",
            Self::ApiMissing { .. } => "api_missing",
            Self::Raced(_) => "conflict",
            Self::Deadline(_) => "deadline",
            Self::Panicked => "panic",
            Self::Serialize(..) => "serialize",
            Self::Api { .. } => match self.code() {
                Some(403) => "forbidden",
                Some(404) => "not_found",
                Some(409) => "conflict",
                Some(422) => "rejected",
                Some(429) => "throttled",
                Some(_) => "api",
                None => "connection",
            },
        }
    }

    /// The kind of the object that it is about.
    pub fn kind(&self) -> Option<&str> {
        match self {
            Self::NameConflict { kind, .. } | Self::ApiMissing { kind, .. } | Self::Api { kind, .. } => Some(kind),
            _ => None,
        }
    }

    /// HTTP status of the API server's answer.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Api { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            _ => None,
        }
    }

    /// A field that the server's schema does not know (from an overlay, say) is answered with 500 by some versions.
    fn is_refused_form(&self) -> bool {
        matches!(self, Self::Api { source, .. } if describe(source).contains("failed to create typed patch object"))
    }

    /// Whether another writer was faster: again at once, not worth a warning.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Raced(_)) || self.code() == Some(409)
    }
}

/// A refusal by authorization, not by quota, admission or a namespace that is being deleted.
fn is_authorization(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status)
        if status.message.contains(" cannot ") && !status.message.contains("because it is being terminated"))
}

/// The server's own words; of a failed connection the innermost cause, which is the one that says something.
fn describe(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return format!("{} ({})", status.message, status.code);
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn answer(code: u16, message: &str) -> Error {
        let status = Status::failure(message, "").with_code(code);
        Error::api("patch", "Service", "story-web", kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn every_answer_has_its_class_and_reason() {
        let cannot = r#"services "x" is forbidden: User "u" cannot patch resource "services" in API group "" in the namespace "n""#;
        for (error, class, reason) in [
            (answer(500, "etcd is away"), Class::Retry, Reason::ProviderError),
            (answer(503, ""), Class::Retry, Reason::ProviderError),
            (answer(429, ""), Class::Retry, Reason::ProviderError),
            (answer(409, "modified"), Class::Retry, Reason::ProviderError),
            (answer(403, cannot), Class::Wait, Reason::PermissionDenied),
            (answer(403, "exceeded quota: services=1"), Class::Wait, Reason::Rejected),
            (
                answer(403, "unable to create new content in namespace n because it is being terminated"),
                Class::Wait,
                Reason::Rejected,
            ),
            (answer(422, "spec.ports: Required value"), Class::Wait, Reason::Rejected),
            (answer(422, "spec.selector: field is immutable"), Class::Wait, Reason::ImmutableField),
            (
                answer(500, "failed to create typed patch object (x): .spec.foo: field not declared in schema"),
                Class::Wait,
                Reason::Rejected,
            ),
            (Error::Deadline(Duration::from_secs(60)), Class::Retry, Reason::ProviderError),
            (Error::Panicked, Class::Retry, Reason::ProviderError),
            (Error::InvalidSpec { field: "spec".into(), problem: "x".into() }, Class::Terminal, Reason::InvalidSpec),
        ] {
            assert_eq!((error.class(), error.reason()), (class, reason), "{error}");
        }
    }

    #[test]
    fn an_answer_names_verb_kind_name_and_the_servers_words() {
        let text = answer(422, "spec.ports: Required value").to_string();
        assert_eq!(text, "patch Service story-web: spec.ports: Required value (422)");
    }

    #[test]
    fn a_lost_connection_shows_its_cause() {
        let error = Error::api("get", "Service", "x", kube::Error::Service("connection refused".into()));
        assert!(error.to_string().contains("connection refused"), "{error}");
        assert_eq!(error.class(), Class::Retry);
    }
}

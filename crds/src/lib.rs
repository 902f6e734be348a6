//! The `LearningPlatform` resource: its types, the rules that admission enforces, its status and the generated
//! CustomResourceDefinition. No client and no async runtime lives here, so that everything may depend on it.

#![deny(missing_docs)]

pub mod freeze;
mod learning_platform;
pub mod prometheus;
mod reference;
mod schema;
pub mod status;
pub mod tiers;

pub use learning_platform::{ConfigMapKey, LearningPlatform, LearningPlatformSpec, SecretKey};
pub use reference::reference;
pub use schema::{Violation, crd, validate};

/// The API group of every resource and the prefix of every annotation and label of this project.
pub const GROUP: &str = "learningplatform.dev";
/// The served and stored version.
pub const VERSION: &str = "v1alpha1";

/// Annotation: while `"true"`, a pass observes and reports, but writes nothing but the status.
pub const SUSPEND_ANNOTATION: &str = "learningplatform.dev/suspend";
/// Annotation: any new value (usually a time) asks for a pass now.
pub const RECONCILE_AT_ANNOTATION: &str = "learningplatform.dev/reconcile-at";
/// Annotation: asks for new passwords of the stores in the cluster, once for each new value: a word (usually a time) for all
/// of them, or `<item>=<word>`, several of them between commas.
pub const ROTATE_PASSWORDS_ANNOTATION: &str = "learningplatform.dev/rotate-passwords";
/// Annotation: asks that a database in the cluster goes on with the data of its most advanced read replica, because its primary is
/// lost, once for each new word: `<database>=<word>`, with shards `<database>/<shard>=<word>`, several of them between commas.
/// Replicas that cannot be asked any more are named after it: `main=friday without story-main-pg-ro-1`.
pub const PROMOTE_ANNOTATION: &str = "learningplatform.dev/promote";
/// Annotation: names of freezes that do not hold, with commas between them.
pub const URGENT_ANNOTATION: &str = "learningplatform.dev/urgent";
/// Prefix of the annotation that holds an app's floor up for a time; the app's name follows. The value is a
/// [`status::Hold`] as JSON.
pub const HOLD_ANNOTATION_PREFIX: &str = "learningplatform.dev/hold.";

/// All CustomResourceDefinitions of the project, in the order of installation.
pub fn all_crds() -> Vec<k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition> {
    vec![crd()]
}

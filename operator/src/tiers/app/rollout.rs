//! Whether an app's pods may become what the spec says now, and which Jobs that takes. Pure: memory is what there is, the
//! Deployment and the Jobs.

use super::{
    jobs::{self, Phase},
    runs::{self, Run, State},
};
use crate::{
    apply::{What, differences},
    conditions::{self, Verdict},
    freeze::Freeze,
    naming::FieldManager,
    validate::ValidApp,
};
use crds::{
    status::{ConditionType, Reason},
    tiers::jobs::AppJob,
};
use kube::core::DynamicObject;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Fields that a message names at most.
const NAMED: usize = 3;
const TEMPLATE: &str = "spec.template";

/// What is to happen to an app's pods.
#[derive(Clone, Debug, Default)]
pub struct Rollout {
    /// Whether they may change.
    pub gate: Gate,
    /// Jobs to make before they change.
    pub before: Vec<DynamicObject>,
    /// Jobs to make after they have changed.
    pub after: Vec<DynamicObject>,
    /// Names of the Jobs that stay.
    pub keep: BTreeSet<String>,
}

/// Whether an app's pods may change.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Gate {
    /// They may, or are as they should be.
    #[default]
    Open,
    /// They may although a freeze holds: they are broken, in this way.
    Repair(Freeze, Reason),
    /// A freeze holds a change of these fields.
    Frozen(Freeze, Vec<String>),
    /// Something has to end first.
    Waits(Reason, String),
    /// The Deployment's last change has not been taken up yet.
    Unseen,
}

impl Gate {
    /// Whether what runs stays as it is.
    pub fn holds(&self) -> bool {
        !matches!(self, Self::Open | Self::Repair(..))
    }

    /// What the condition of the app's pods says in view of that.
    pub fn tell(&self, pods: Verdict, exists: bool) -> Verdict {
        match self {
            Self::Waits(reason, words) => {
                let message = if exists { format!("{words}; meanwhile {}", pods.message) } else { words.clone() };
                Verdict::new(ConditionType::AppReady, conditions::State::False, *reason, message)
            }
            Self::Repair(freeze, reason) => {
                let words = format!("the freeze {} does not hold what mends it: it was {reason}", freeze.name);
                Verdict { message: format!("{}; {words}", pods.message), ..pods }
            }
            Self::Open | Self::Frozen(..) | Self::Unseen => pods,
        }
    }

    /// The condition that says what is held until when.
    pub fn pending(&self) -> Option<Verdict> {
        let Self::Frozen(freeze, fields) = self else { return None };
        let more = fields.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message = format!(
            "the freeze {} holds a rollout until {}, which changes {}{more} of the pods: for a rollout before that set the annotation {}: {}",
            freeze.name,
            freeze.until,
            fields.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", "),
            crds::URGENT_ANNOTATION,
            freeze.name,
        );
        Some(Verdict::new(ConditionType::RolloutPending, conditions::State::True, Reason::Frozen, message))
    }
}

/// What the decision is made of.
pub(super) struct Seen<'a> {
    /// The Deployment as it should be.
    pub wanted: &'a DynamicObject,
    /// The Deployment as it is.
    pub live: Option<&'a DynamicObject>,
    /// How the pods of that are.
    pub pods: &'a Verdict,
    /// The Jobs of the platform, the newest first.
    pub runs: &'a [Run],
    /// The freeze that holds.
    pub freeze: Option<&'a Freeze>,
}

/// What is to happen to an app's pods.
pub(super) fn decide(app: &ValidApp, seen: &Seen<'_>) -> Rollout {
    let template = jobs::template(seen.wanted);
    let revision = jobs::revision(seen.live);
    let changes = seen.live.map(|live| changes(seen.wanted, live));
    let own: Vec<&Run> = seen.runs.iter().filter(|run| run.ours && run.app == app.key.app).collect();
    let named = |phase| {
        let jobs = app.spec.jobs.iter().filter(move |job| Phase::of(job) == Some(phase));
        jobs.map(|job| (job, jobs::name(app, job, template, revision))).collect::<Vec<_>>()
    };
    let (before, after) = (named(Phase::Before), named(Phase::After));
    let current: BTreeSet<&str> = before.iter().chain(&after).map(|(_, name)| name.as_str()).collect();

    let mut rollout = Rollout::default();
    let kept = own.iter().copied().filter(|run| current.contains(run.name.as_str()) || (!run.ended() && !run.idle));
    rollout.keep = kept.chain(runs::history(app, seen.runs)).map(|run| run.name.clone()).collect();

    let make = |job: &AppJob| jobs::job(app, job, template, revision);
    match changes {
        Some(changes) if changes.is_empty() => {
            // The name of what runs after a rollout carries the revision, which is settled once the pods are ready.
            if seen.pods.state == conditions::State::True {
                let due = after.iter().filter(|(job, name)| {
                    let busy = |run: &&&Run| run.job == job.name && run.is_under_way(Phase::After) && !run.idle;
                    !own.iter().any(|run| run.name == *name) && !own.iter().any(|run| busy(&run))
                });
                rollout.after = due.filter_map(|(job, _)| make(job)).collect();
            }
        }
        changes => {
            rollout.gate = gate(seen, changes.unwrap_or_default(), before.is_empty());
            if !rollout.gate.holds()
                && let Some((reason, words, start)) = first(&before, &own)
            {
                rollout.before = start.and_then(make).into_iter().collect();
                rollout.gate = Gate::Waits(reason, words);
            }
        }
    }
    rollout
}

/// Whether a freeze or the Deployment's own controller holds the change.
fn gate(seen: &Seen<'_>, fields: Vec<String>, jobless: bool) -> Gate {
    let Some(live) = seen.live else { return Gate::Open };
    let broken = seen.pods.state == conditions::State::False && seen.pods.reason != Reason::Progressing;
    match seen.freeze {
        Some(freeze) if broken => Gate::Repair(freeze.clone(), seen.pods.reason),
        Some(freeze) => Gate::Frozen(freeze.clone(), fields),
        // Until then the revision, which names the Jobs, is that of the rollout before.
        None if !jobless && !is_seen(live) => Gate::Unseen,
        None => Gate::Open,
    }
}

fn is_seen(live: &DynamicObject) -> bool {
    live.data["status"]["observedGeneration"].as_i64() >= live.metadata.generation
}

/// What has to end before the pods may change: why, in words, and the job of which a run is to be made.
fn first<'a>(before: &[(&'a AppJob, String)], own: &[&Run]) -> Option<(Reason, String, Option<&'a AppJob>)> {
    let earlier = own
        .iter()
        .find(|run| run.is_under_way(Phase::Before) && !run.idle && before.iter().all(|(_, name)| *name != run.name));
    if let Some(run) = earlier {
        let words = format!("the job {} of an earlier change is let end before the rollout: Job {}", run.job, run.name);
        return Some((Reason::Progressing, words, None));
    }
    before.iter().find_map(|(job, name)| {
        let known = own.iter().find(|run| run.name == *name);
        let waits = |words: String| Some((Reason::Progressing, words, None));
        let title = format!("the job {}", job.name);
        match known.map(|run| (&run.state, &run.trouble)) {
            None => {
                let words = format!("{title} runs before the rollout: Job {name}");
                Some((Reason::Progressing, words, Some(*job)))
            }
            Some((State::Running, None)) => waits(format!("{title} runs before the rollout: Job {name}")),
            Some((State::Running, Some(trouble))) => {
                Some((trouble.reason, format!("{title} cannot run before the rollout: {}", trouble.message), None))
            }
            Some((State::Failed(why), _)) => {
                let words = format!(
                    "{title} failed and stops the rollout ({why}): see the logs of Job {name}; a change of app or job tries again, and so does the deletion of the Job"
                );
                Some((Reason::JobFailed, words, None))
            }
            Some((State::Succeeded, _)) => None,
        }
    })
}

/// The fields in which the pods would change, below the pod template.
pub(super) fn changes(wanted: &DynamicObject, live: &DynamicObject) -> Vec<String> {
    let found = differences(&only_template(wanted), &only_template(live), FieldManager::Main);
    // A field that only changes hands changes no pod.
    let paths = found.into_iter().filter(|found| found.what != What::NotOwned).map(|found| found.path);
    let paths = paths.filter_map(|path| match path.strip_prefix(TEMPLATE) {
        Some(inner) => Some(inner.strip_prefix('.').unwrap_or(TEMPLATE).to_owned()),
        // Where none of it is ours, it is compared as one.
        None => (path == "spec").then(|| TEMPLATE.to_owned()),
    });
    paths.collect()
}

/// A Deployment without what does not shape its pods.
fn only_template(deployment: &DynamicObject) -> Value {
    let api_version = deployment.types.as_ref().map(|types| &types.api_version);
    json!({
        "apiVersion": api_version,
        "metadata": { "managedFields": deployment.metadata.managed_fields },
        "spec": { "template": jobs::template(deployment) },
    })
}

/// Every Job of a rollout, as if none had been made.
pub fn all(app: &ValidApp, wanted: &DynamicObject, live: Option<&DynamicObject>) -> Rollout {
    let (template, revision) = (jobs::template(wanted), jobs::revision(live));
    let of = |phase| {
        let jobs = app.spec.jobs.iter().filter(move |job| Phase::of(job) == Some(phase));
        jobs.filter_map(|job| jobs::job(app, job, template, revision)).collect()
    };
    Rollout { before: of(Phase::Before), after: of(Phase::After), ..Rollout::default() }
}

//! Checks as data, and the engine that runs them: categories in order, retries while there is time; a fatal failure ends its
//! category, and everything after an essential one.

pub mod cdns;
pub mod cluster;
pub mod platforms;
pub mod pre;
mod remedy;
mod schema;
pub mod stores;
mod text;
mod topic;

pub use remedy::remedy;
pub use schema::{SchemaDifference, compare};
pub use text::{short, table};
pub use topic::Topic;

use crate::{exit::Exit, output::Mark};
use futures::future::BoxFuture;
use serde::Serialize;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The sentence is true; the evidence, if there is any to show.
    Good(String),
    /// It does not matter here, or is a matter of taste; what is so.
    Note(String),
    /// The sentence is false.
    Bad(Finding),
    /// It could not be told, and why.
    Unknown(String),
}

/// What is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What, and why that matters.
    pub what: String,
    /// The command that mends it, or shows more.
    pub fix: String,
}

impl Verdict {
    /// Something wrong.
    pub fn bad(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Bad(Finding { what: what.into(), fix: fix.into() })
    }
}

type Run = Arc<dyn Fn() -> BoxFuture<'static, Verdict> + Send + Sync>;

/// A check.
#[derive(Clone)]
pub struct Check {
    /// A sentence that is true when it passes.
    pub description: String,
    /// Where the README says more.
    pub topic: Topic,
    /// Whether its failure ends the category.
    pub fatal: bool,
    /// Whether its failure is a warning, which changes no exit status.
    pub warning: bool,
    /// Whether a failure may go by itself.
    pub retry: bool,
    /// Longest time of one attempt.
    pub deadline: Duration,
    run: Run,
}

impl Check {
    /// An ordinary check: its failure is an error, and is final.
    pub fn new<F, Fut>(description: impl Into<String>, topic: Topic, run: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Verdict> + Send + 'static,
    {
        Self {
            description: description.into(),
            topic,
            fatal: false,
            warning: false,
            retry: false,
            deadline: Duration::from_secs(20),
            run: Arc::new(move || Box::pin(run())),
        }
    }

    /// Nothing after it makes sense without it.
    pub fn fatal(self) -> Self {
        Self { fatal: true, ..self }
    }

    /// Its failure is a warning.
    pub fn warning(self) -> Self {
        Self { warning: true, ..self }
    }

    /// Its failure may go by itself.
    pub fn retry(self) -> Self {
        Self { retry: true, ..self }
    }
}

/// Checks under a heading.
pub struct Category {
    /// The heading.
    pub name: String,
    /// The checks, in order.
    pub checks: Vec<Check>,
    /// Whether nothing after it makes sense where something fatal failed.
    pub essential: bool,
}

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// A sentence that is true when it passes.
    pub description: String,
    /// How it is.
    pub result: Outcome,
    /// Evidence for a good result, or what is so.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub evidence: String,
    /// What is wrong, and why that matters.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub problem: String,
    /// The command that mends it, or shows more.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fix: String,
    /// Where to read more.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub see: String,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It passed.
    Good,
    /// Something worth knowing.
    Note,
    /// It failed, and that is bearable.
    Warning,
    /// It failed.
    Error,
    /// It could not be told.
    Unknown,
}

impl Outcome {
    /// The mark of its line.
    pub fn mark(self) -> Mark {
        match self {
            Self::Good => Mark::Good,
            Self::Note => Mark::Off,
            Self::Warning => Mark::Warning,
            Self::Error => Mark::Bad,
            Self::Unknown => Mark::Unknown,
        }
    }
}

/// What a category came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CategoryReport {
    /// The heading.
    pub category: String,
    /// The checks that ran.
    pub checks: Vec<Line>,
}

/// Runs checks, and remembers what they came to.
pub struct Engine {
    /// Until when failures are tried again.
    until: Instant,
    /// Time between two attempts.
    pause: Duration,
    /// Tells of retries.
    progress: fn(&str),
    /// What has been found so far.
    pub reports: Vec<CategoryReport>,
    stopped: bool,
}

impl Engine {
    /// An engine that tries failures again for so long.
    pub fn new(wait: Duration, progress: fn(&str)) -> Self {
        let now = Instant::now();
        // Beyond what the clock can count nothing ends by time.
        let until = now.checked_add(wait).unwrap_or(now + Duration::from_secs(86_400 * 365));
        Self { until, pause: Duration::from_secs(1), progress, reports: Vec::new(), stopped: false }
    }

    /// Runs a category, unless something fatal has failed in an essential one before.
    pub async fn run(&mut self, category: Category) {
        if self.stopped {
            return;
        }
        let mut lines = Vec::new();
        for check in category.checks {
            let verdict = self.attempt(&check).await;
            let failed = matches!(verdict, Verdict::Bad(_) | Verdict::Unknown(_));
            lines.push(line(&check, verdict));
            if failed && check.fatal {
                self.stopped = category.essential;
                break;
            }
        }
        self.reports.push(CategoryReport { category: category.name, checks: lines });
    }

    async fn attempt(&self, check: &Check) -> Verdict {
        let mut told = String::new();
        loop {
            let verdict = match tokio::time::timeout(check.deadline, (check.run)()).await {
                Ok(verdict) => verdict,
                Err(_) => Verdict::Unknown(format!("no answer within {} s", check.deadline.as_secs_f64())),
            };
            let why = match &verdict {
                Verdict::Good(_) | Verdict::Note(_) => return verdict,
                Verdict::Bad(finding) => &finding.what,
                Verdict::Unknown(why) => why,
            };
            let left = self.until.saturating_duration_since(Instant::now());
            if !check.retry || left.is_zero() {
                return verdict;
            }
            if told != *why {
                (self.progress)(&format!("waiting up to {} s for: {}: {why}", left.as_secs(), check.description));
                told.clone_from(why);
            }
            tokio::time::sleep(self.pause.min(left)).await;
        }
    }

    /// 1 if anything failed, else 2 if anything could not be told, else 0. Warnings count for nothing.
    pub fn exit(&self) -> Exit {
        let results = || self.reports.iter().flat_map(|r| r.checks.iter().map(|l| l.result));
        if results().any(|r| r == Outcome::Error) {
            Exit::Found
        } else if results().any(|r| r == Outcome::Unknown) {
            Exit::Unknown
        } else {
            Exit::Good
        }
    }
}

fn line(check: &Check, verdict: Verdict) -> Line {
    let mut line = Line {
        description: check.description.clone(),
        result: Outcome::Good,
        evidence: String::new(),
        problem: String::new(),
        fix: String::new(),
        see: String::new(),
    };
    match verdict {
        Verdict::Good(evidence) => line.evidence = evidence,
        Verdict::Note(note) => (line.result, line.evidence) = (Outcome::Note, note),
        Verdict::Bad(Finding { what, fix }) => {
            line.result = if check.warning { Outcome::Warning } else { Outcome::Error };
            (line.problem, line.fix) = (what, fix);
            line.see = format!("README.md#{}", check.topic.anchor());
        }
        Verdict::Unknown(why) => {
            line.result = if check.warning { Outcome::Warning } else { Outcome::Unknown };
            line.problem = format!("it could not be told: {why}");
        }
    }
    line
}

/// What an error of the API server says about a check.
pub(crate) fn unknown(error: &kube::Error) -> Verdict {
    Verdict::Unknown(crate::say(error))
}

#[cfg(test)]
mod tests;

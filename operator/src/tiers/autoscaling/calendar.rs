//! iCalendar files of schedules: where they are read, which events count, and for how far ahead.

use super::policy::{Calendars, FieldError};
use crate::error::Error;
use crds::{status::Reason, tiers::autoscaling::Autoscaling};
use decide::{
    Duration, Time,
    calendar::{CalendarError, Expansion},
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use std::collections::{BTreeMap, BTreeSet};

/// Events are expanded from one day back (a window may be open) to this far ahead; policies are mapped anew daily.
pub const HORIZON: Duration = Duration::from_mins(35 * 24 * 60);

const BACK: Duration = Duration::from_mins(24 * 60);

/// The windows of an iCalendar text around `now`, of the events whose summary contains `summary`. Where `zone` is silent, the
/// calendar names the zone of times without one.
///
/// # Errors
/// A text that cannot be used; the message names the event and the remedy.
pub fn windows(text: &str, zone: Option<&str>, summary: Option<&str>, now: Time) -> Result<Expansion, CalendarError> {
    decide::calendar::windows(text, zone, summary, now.minus(BACK), now.plus(HORIZON))
}

/// Calendars that could not be read now, by name and key of their ConfigMap: why, in the server's words.
pub type Failures = BTreeMap<(String, String), (Reason, String)>;

/// The texts of the calendars that schedules refer to. What is not there is left out, and the mapping tells so; of what
/// cannot be read the text in `known`, which was read before, still counts: a refusal says nothing about the calendar.
pub async fn calendars(
    client: &Client,
    namespace: &str,
    specs: impl IntoIterator<Item = &Autoscaling>,
    known: &Calendars,
) -> (Calendars, Failures) {
    let references: BTreeSet<(String, String)> = specs
        .into_iter()
        .flat_map(|autoscaling| &autoscaling.schedules)
        .filter_map(|schedule| schedule.calendar.as_ref())
        .map(|calendar| (calendar.config_map.name.clone(), calendar.config_map.key.clone()))
        .collect();
    let (mut texts, mut failures) = (Calendars::new(), Failures::new());
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    for reference in references {
        let (name, key) = &reference;
        match api.get_opt(name).await {
            Ok(map) => {
                let text = map.and_then(|map| map.data.unwrap_or_default().remove(key));
                texts.extend(text.map(|text| (reference, text)));
            }
            Err(error) => {
                let error = Error::api("get", "ConfigMap", name, error);
                tracing::warn!(%namespace, %error, "a calendar cannot be read");
                let mut problem = error.to_string();
                if let Some(last) = known.get(&reference) {
                    problem.push_str("; what was read last counts");
                    texts.insert(reference.clone(), last.clone());
                }
                failures.insert(reference, (error.reason(), problem));
            }
        }
    }
    (texts, failures)
}

/// What is wrong with an app's calendars, by their fields: those that could not be read, and of the others what the mapping
/// says.
pub fn problems(autoscaling: &Autoscaling, failures: &Failures, mapped: Vec<FieldError>) -> Vec<(Reason, FieldError)> {
    let mut problems = Vec::new();
    for schedule in &autoscaling.schedules {
        let Some(reference) = schedule.calendar.as_ref().map(|calendar| &calendar.config_map) else { continue };
        if let Some((reason, problem)) = failures.get(&(reference.name.clone(), reference.key.clone())) {
            problems.push((*reason, FieldError { field: field(&schedule.name), problem: problem.clone() }));
        }
    }
    let unread: BTreeSet<String> = problems.iter().map(|(_, error)| error.field.clone()).collect();
    for error in mapped {
        match error.problem.contains("does not exist") {
            true if unread.contains(&error.field) => {}
            true => problems.push((Reason::NotFound, error)),
            false => problems.push((Reason::InvalidSpec, error)),
        }
    }
    problems
}

/// The path of a schedule's calendar below `autoscaling`.
pub(super) fn field(schedule: &str) -> String {
    format!("schedules[{schedule}].calendar.configMap")
}

//! Conditions by the kstatus conventions: set, carry over, and the worst of many. Pure; the time is an argument.

use crds::status::{ConditionType, Reason};
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

/// Value of a condition, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It holds.
    True,
    /// Not known yet.
    Unknown,
    /// It does not hold.
    False,
}

impl State {
    /// The word as it stands in the resource.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::Unknown => "Unknown",
            Self::False => "False",
        }
    }
}

/// What a room says about an item: a condition without time and generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Which condition.
    pub type_: ConditionType,
    /// Its value.
    pub state: State,
    /// Why, one word per cause.
    pub reason: Reason,
    /// Why, in words that name the object and the remedy.
    pub message: String,
}

impl Verdict {
    /// A verdict.
    pub fn new(type_: ConditionType, state: State, reason: Reason, message: impl Into<String>) -> Self {
        Self { type_, state, reason, message: message.into() }
    }
}

/// How bad a reason is beside others of the same state: what only a human mends comes before what mends itself.
fn severity(reason: Reason) -> u8 {
    match reason {
        Reason::Succeeded | Reason::NotConfigured => 0,
        Reason::Settling | Reason::Held | Reason::Paused => 1,
        Reason::Progressing => 2,
        Reason::Suspended | Reason::Deleting => 3,
        Reason::ProviderError => 4,
        Reason::InvalidSpec => 9,
        Reason::PermissionDenied => 8,
        _ => 5,
    }
}

/// The worst verdict of `type_` over items: a False before an Unknown before a True, then by reason, then in the order
/// given. Its message names the item unless there is only one. None where no item has that condition.
pub fn worst<'a>(type_: ConditionType, items: impl IntoIterator<Item = (&'a str, &'a Verdict)>) -> Option<Verdict> {
    let mut found: Vec<_> = items.into_iter().filter(|(_, v)| v.type_ == type_).collect();
    let count = found.len();
    found.sort_by_key(|(_, v)| std::cmp::Reverse((v.state, severity(v.reason))));
    let (name, verdict) = *found.first()?;
    let alike = found.iter().filter(|(_, v)| v.state == verdict.state && v.state != State::True).count();
    let mut merged = verdict.clone();
    if verdict.state == State::True && severity(verdict.reason) == 0 && count > 1 {
        merged.message = format!("{count} of {count} {}: {}", items_of(type_), verdict.message);
    } else if count > 1 {
        merged.message = format!("{name}: {}", verdict.message);
        if alike > 1 {
            merged.message.push_str(&format!(" (and {} more)", alike - 1));
        }
    }
    Some(merged)
}

fn items_of(type_: ConditionType) -> &'static str {
    match type_ {
        ConditionType::CacheReady => "caches",
        ConditionType::DatabaseReady => "databases",
        ConditionType::CdnReady => "CDNs",
        _ => "apps",
    }
}

/// The conditions that `verdicts` make, sorted by type; where a condition of `before` has the same value, its transition
/// time is carried over, so that an unchanged state gives an unchanged status.
pub fn render(
    verdicts: impl IntoIterator<Item = Verdict>,
    before: &[Condition],
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    let mut conditions: Vec<Condition> = verdicts
        .into_iter()
        .map(|verdict| {
            let last_transition_time = before
                .iter()
                .find(|c| c.type_ == verdict.type_.as_str() && c.status == verdict.state.as_str())
                .map_or(Time(whole_seconds(now)), |c| c.last_transition_time.clone());
            Condition {
                type_: verdict.type_.to_string(),
                status: verdict.state.as_str().to_owned(),
                reason: verdict.reason.to_string(),
                message: truncate(&verdict.message, 2048),
                last_transition_time,
                observed_generation: Some(generation),
            }
        })
        .collect();
    conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
    conditions
}

/// The API's times are whole seconds: a finer one would come back changed.
fn whole_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// Cut to at most `bytes`, on a character boundary, with a mark where something is missing.
pub fn truncate(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let mut end = bytes.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConditionType::AppReady;

    fn verdict(state: State, reason: Reason) -> Verdict {
        Verdict::new(AppReady, state, reason, "words")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_worst_wins_and_names_its_item() {
        let good = verdict(State::True, Reason::Succeeded);
        let starting = verdict(State::False, Reason::Progressing);
        let broken = verdict(State::False, Reason::ImagePull);
        let unknown = verdict(State::Unknown, Reason::Progressing);
        let other = Verdict::new(ConditionType::MetricsAvailable, State::False, Reason::NoSeries, "x");
        let worst_of = |items: &[(&str, &Verdict)]| worst(AppReady, items.iter().copied()).unwrap();
        assert_eq!(worst_of(&[("a", &good), ("b", &starting), ("c", &broken)]).reason, Reason::ImagePull);
        assert_eq!(worst_of(&[("a", &good), ("b", &unknown)]).state, State::Unknown);
        assert_eq!(worst_of(&[("a", &starting), ("b", &unknown)]).state, State::False);
        assert_eq!(worst_of(&[("a", &good), ("a", &other)]).state, State::True);
        assert_eq!(worst_of(&[("a", &good), ("b", &broken)]).message, "b: words");
        assert_eq!(worst_of(&[("a", &broken), ("b", &broken)]).message, "a: words (and 1 more)");
        assert_eq!(worst_of(&[("a", &broken)]).message, "words", "an only item needs no name");
        assert_eq!(worst(AppReady, []), None);
    }

    #[test]
    fn times_change_only_with_the_value() {
        let first = render([verdict(State::True, Reason::Succeeded)], &[], 1, at(10));
        assert_eq!(first[0].last_transition_time.0, at(10));
        let again = render([verdict(State::True, Reason::Held)], &first, 2, at(20));
        assert_eq!(again[0].last_transition_time.0, at(10));
        let turned = render([verdict(State::False, Reason::Progressing)], &again, 2, at(30));
        assert_eq!(turned[0].last_transition_time.0, at(30));
    }

    #[test]
    fn a_cut_is_on_a_character_boundary() {
        assert_eq!(truncate("short", 10), "short");
        let cut = truncate(&"ä".repeat(20), 11);
        assert!(cut.len() <= 11 && cut.ends_with('…'), "{cut}");
    }
}

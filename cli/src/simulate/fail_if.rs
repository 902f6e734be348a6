//! Gates for CI: `underCapacitySeconds>60`.

use replay::{Summary, short};
use std::{fmt, str::FromStr};

/// A condition on the summary under which the command fails.
#[derive(Clone, Debug, PartialEq)]
pub struct FailIf {
    field: usize,
    operator: Operator,
    limit: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Equal,
}

/// The longer ones first: `>=` begins with `>`.
const OPERATORS: [(&str, Operator); 5] = [
    (">=", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("==", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
];

impl FailIf {
    /// The sentence of a failure; `None` where the condition does not hold.
    pub fn failure(&self, summary: &Summary) -> Option<String> {
        let value = summary.values()[self.field];
        let holds = match self.operator {
            Operator::Greater => value > self.limit,
            Operator::GreaterOrEqual => value >= self.limit,
            Operator::Less => value < self.limit,
            Operator::LessOrEqual => value <= self.limit,
            Operator::Equal => value == self.limit,
        };
        holds.then(|| format!("--fail-if {self}: {} is {}", Summary::FIELDS[self.field], short(value)))
    }

    /// Whether it looks at the time under capacity.
    pub fn needs_capacity(&self) -> bool {
        Summary::FIELDS[self.field] == "underCapacitySeconds"
    }
}

impl fmt::Display for FailIf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = OPERATORS.iter().find(|(_, operator)| *operator == self.operator).map_or("", |(text, _)| text);
        write!(f, "{}{operator}{}", Summary::FIELDS[self.field], self.limit)
    }
}

impl FromStr for FailIf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = text.find(['>', '<', '=']);
        let parts = found.and_then(|at| {
            let (name, rest) = text.split_at(at);
            OPERATORS
                .iter()
                .find_map(|(sign, operator)| Some((name.trim(), *operator, rest.strip_prefix(sign)?.trim())))
        });
        let Some((name, operator, limit)) = parts else {
            return Err(format!(
                "{text:?} has no comparison: write a field, one of > >= < <= == and a number, as in 'underCapacitySeconds>60'"
            ));
        };
        let field = Summary::FIELDS.iter().position(|field| *field == name);
        let field = field
            .ok_or_else(|| format!("{name:?} is no field of the summary: use one of {}", Summary::FIELDS.join(", ")))?;
        let number = limit.parse::<f64>().ok().filter(|number| number.is_finite());
        let limit = number.ok_or_else(|| format!("{limit:?} is no number: write one such as 60, without a unit"))?;
        Ok(Self { field, operator, limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use replay::Plain;

    const SUMMARY: Summary = Summary {
        pod_hours: Plain(12.5),
        peak_pods: 20,
        under_capacity_seconds: Plain(60.0),
        scale_ups: 4,
        scale_downs: 12,
        blocked_downs: 0,
    };

    #[test]
    fn a_condition_holds_or_not() {
        let table = [
            ("underCapacitySeconds>60", false),
            ("underCapacitySeconds>=60", true),
            (" underCapacitySeconds > 59.5 ", true),
            ("podHours<12.5", false),
            ("podHours<=12.5", true),
            ("peakPods==20", true),
            ("blockedDowns==1", false),
            ("scaleUps>3", true),
            ("scaleDowns<3", false),
        ];
        for (text, fails) in table {
            let failure = text.parse::<FailIf>().unwrap().failure(&SUMMARY);
            assert_eq!(failure.is_some(), fails, "{text}: {failure:?}");
        }
        let failure = "peakPods>8".parse::<FailIf>().unwrap().failure(&SUMMARY);
        assert_eq!(failure.as_deref(), Some("--fail-if peakPods>8: peakPods is 20"));
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        let table = [
            ("", "no comparison"),
            ("peakPods", "no comparison"),
            ("peakPods=3", "no comparison"),
            ("peakPods=>3", "no comparison"),
            ("peakpods>3", "use one of podHours, peakPods, underCapacitySeconds, scaleUps, scaleDowns, blockedDowns"),
            ("peakPods>", "is no number"),
            ("underCapacitySeconds>1m", "without a unit"),
            ("peakPods>NaN", "is no number"),
            ("peakPods>3>4", "is no number"),
        ];
        for (text, part) in table {
            let error = text.parse::<FailIf>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}

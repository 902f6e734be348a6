//! How many read replicas the load asks for, whoever runs the servers: what is kept with the data and told of the last decision. Pure.

use crate::{
    keeper::read_replicas::Scaled,
    tiers::store::{record::Record, told},
};
use decide::Time;
use jiff::Timestamp;

/// Key of the record: read replicas that are wanted by the load on them.
pub const REPLICAS: &str = "REPLICAS";
/// Key of the record: since when.
const SINCE: &str = "REPLICAS_SINCE";
/// Key of the record: why.
const WHY: &str = "REPLICAS_WHY";

/// Read replicas that are wanted, of at least the first and at most the second number: as recorded, else the fewest.
pub fn wanted(record: Option<&Record>, (least, most): (u32, u32)) -> u32 {
    let recorded = record.and_then(|record| record.get(REPLICAS)?.parse().ok());
    recorded.map_or(least, |replicas: u32| replicas.clamp(least, most))
}

/// When their number was changed last.
pub fn last_move(record: Option<&Record>) -> Option<Time> {
    record.and_then(|record| record.get(SINCE)?.parse::<Timestamp>().ok()).map(Time::from)
}

/// Keeps the last decision with the data, so that it outlives the operator; where their number is fixed, none.
pub fn keep(record: &mut Record, scales: bool, scaled: Option<&Scaled>) {
    if !scales {
        record.retain(|key, _| ![REPLICAS, SINCE, WHY].contains(&key.as_str()));
        return;
    }
    if let Some(scaled) = scaled {
        record.insert(REPLICAS.to_owned(), scaled.replicas.to_string());
        record.insert(SINCE.to_owned(), scaled.at.to_string());
        record.insert(WHY.to_owned(), scaled.why.clone());
    }
}

/// How many the load asks for, since when and why, and what another number waits for; None before there is anything of it.
pub fn told(record: Option<&Record>, wanted: u32, waits: Option<String>) -> Option<String> {
    let changed = || {
        let record = record?;
        let (since, why) = (record.get(SINCE)?, record.get(WHY)?);
        Some(format!("{wanted} read replicas since {since}: {why}"))
    };
    told::scaling(changed(), waits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_kept_inside_of_the_bounds_and_goes_with_the_scaling() {
        let mut record = Record::default();
        record.insert("ENDPOINT".to_owned(), "primary:5432".to_owned());
        assert_eq!((wanted(None, (1, 4)), told(Some(&record), 1, None)), (1, None));
        let scaled = Scaled { replicas: 3, at: Time::from_secs(1_800_000_000), why: "the load".to_owned() };
        keep(&mut record, true, Some(&scaled));
        keep(&mut record, true, None);
        assert_eq!(last_move(Some(&record)), Some(scaled.at));
        assert_eq!([(1, 4), (1, 2), (4, 5)].map(|bounds| wanted(Some(&record), bounds)), [3, 2, 4]);
        let words = told(Some(&record), 3, Some("waits".to_owned())).unwrap();
        assert_eq!(words, format!("3 read replicas since {}: the load; waits", scaled.at));
        keep(&mut record, false, Some(&scaled));
        assert_eq!(record.keys().collect::<Vec<_>>(), ["ENDPOINT"]);
    }
}

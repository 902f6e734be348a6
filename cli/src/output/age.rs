//! Spans of time in few characters.

use jiff::Timestamp;

/// A span since a moment as kubectl writes ages: `45s`, `2m`, `3h`, `5d`. A moment in the future is `0s`.
pub fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = (now.as_second() - since.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A span since a moment as part of a sentence: `4 s ago`.
pub fn ago(since: Timestamp, now: Timestamp) -> String {
    let age = age(since, now);
    let (number, unit) = age.split_at(age.len() - 1);
    let unit = if unit == "m" { "min" } else { unit };
    format!("{number} {unit} ago")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let now = Timestamp::UNIX_EPOCH;
        for (seconds, short, long) in [
            (0, "0s", "0 s ago"),
            (119, "119s", "119 s ago"),
            (150, "2m", "2 min ago"),
            (7300, "2h", "2 h ago"),
            (400_000, "4d", "4 d ago"),
            (-9, "0s", "0 s ago"),
        ] {
            let since = Timestamp::from_second(-seconds).unwrap();
            assert_eq!((age(since, now), ago(since, now)), (short.into(), long.into()));
        }
    }
}

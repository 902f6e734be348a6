//! Traces as tables: `time,rate,latency`.

use anyhow::{Result, anyhow, bail};
use replay::trace::{self, Clock, Hold, Reading, Series, Trace};

/// The header with latency, and without.
const HEADERS: [&str; 2] = ["time,rate,latency", "time,rate"];

/// A trace from the text of a table called `name`.
///
/// The header is `time,rate,latency`, or `time,rate` where latency was not recorded. Times are seconds or RFC 3339 and rise
/// strictly; the rate is in requests per second and the latency in seconds. A row holds until the next. An empty field
/// is a missing series, `NaN` is NaN, `error` a failed query.
///
/// # Errors
/// The first place that cannot be read, with file, line and column, and how to mend it.
pub fn parse(name: &str, text: &str) -> Result<Trace> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines =
        text.lines().enumerate().map(|(index, line)| (index + 1, line)).filter(|(_, line)| !line.trim().is_empty());
    let Some((number, header)) = lines.next() else {
        bail!("{name}: is empty: write the header {} and one row per moment", HEADERS[0]);
    };
    let columns: Vec<&str> = fields(header).collect();
    if !HEADERS.contains(&columns.join(",").as_str()) {
        bail!(
            "{name}:{number}: the header is {header:?}: it must be exactly {} (or {} without latency)",
            HEADERS[0],
            HEADERS[1]
        );
    }

    let (mut rate, mut latency) = (Vec::new(), Vec::new());
    let mut clock = None;
    for (number, line) in lines {
        let cells: Vec<&str> = fields(line).collect();
        if cells.len() != columns.len() {
            bail!(
                "{name}:{number}: {} fields where the header has {}: write an empty field for a missing value, and numbers with a decimal point",
                cells.len(),
                columns.len()
            );
        }
        let place = |column: usize| format!("{name}:{number}: column {} ({})", column + 1, columns[column]);
        let (time, written) = trace::time(cells[0]).map_err(|problem| anyhow!("{}: {problem}", place(0)))?;
        if *clock.get_or_insert(written) != written {
            bail!(
                "{}: {:?} is written unlike the rows above: use either seconds or RFC 3339 throughout",
                place(0),
                cells[0]
            );
        }
        if let Some((before, _)) = rate.last()
            && time <= *before
        {
            let what = if time == *before { "the same time as" } else { "before" };
            bail!(
                "{}: {:?} is {what} the row above: sort the rows by time and keep one row per time",
                place(0),
                cells[0]
            );
        }
        let cell = |column: usize| reading(cells[column]).map_err(|problem| anyhow!("{}: {problem}", place(column)));
        rate.push((time, cell(1)?));
        if columns.len() > 2 {
            latency.push((time, cell(2)?));
        }
    }
    let latency = (columns.len() > 2).then(|| Series::new(latency, Hold::UntilNext));
    Trace::new(Series::new(rate, Hold::UntilNext), latency, clock.unwrap_or(Clock::Seconds))
        .ok_or_else(|| anyhow!("{name}: has a header and no row: write one row per moment, such as 0,120,0.08"))
}

fn fields(line: &str) -> impl Iterator<Item = &str> {
    line.split(',').map(|field| {
        let field = field.trim();
        field.strip_prefix('"').and_then(|field| field.strip_suffix('"')).unwrap_or(field)
    })
}

fn reading(cell: &str) -> Result<Reading, String> {
    if cell.is_empty() {
        return Ok(Reading::Missing);
    }
    if cell.eq_ignore_ascii_case("error") {
        return Ok(Reading::Failed);
    }
    cell.parse().map(Reading::Number).map_err(|_| {
        format!("{cell:?} is no number: write one such as 120 or 0.08, NaN, error for a failed query, or nothing for a missing series")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use decide::Time;
    use replay::trace::Cursor;

    #[test]
    fn every_kind_of_cell_is_read() {
        let text = "\u{feff}time,rate,latency\r\n0,320,0.08\r\n\r\n5,,NaN\r\n10,error, +Inf \r\n15,\"-1\",error\r\n20,1e2,-Inf\r\n";
        let trace = parse("t.csv", text).unwrap();
        let latency = trace.latency.clone().unwrap();
        let (mut rates, mut latencies) = (Cursor::default(), Cursor::default());
        let seen: Vec<String> = (0..5)
            .map(|row| {
                let now = Time::from_secs(row * 5);
                format!("{:?} {:?}", trace.rate.at(&mut rates, now).reading, latency.at(&mut latencies, now).reading)
            })
            .collect();
        let expected = [
            "Number(320.0) Number(0.08)",
            "Missing Number(NaN)",
            "Failed Number(inf)",
            "Number(-1.0) Failed",
            "Number(100.0) Number(-inf)",
        ];
        assert_eq!(seen, expected);
        assert_eq!((trace.start, trace.end), (Time::from_secs(0), Time::from_secs(25)));
    }

    #[test]
    fn latency_need_not_be_recorded() {
        assert_eq!(parse("t.csv", "time,rate\n0,1\n").unwrap().latency, None);
    }

    #[test]
    fn bad_tables_are_refused_with_their_place_and_remedy() {
        let table = [
            ("", "t.csv: is empty"),
            ("\n  \n", "t.csv: is empty"),
            ("time,rate,latency\n", "t.csv: has a header and no row"),
            ("0,320,0.08\n", "t.csv:1: the header is \"0,320,0.08\": it must be exactly time,rate,latency"),
            ("Time,Rate,Latency\n0,1,1\n", "t.csv:1: the header is"),
            ("rate,time,latency\n0,1,1\n", "t.csv:1: the header is"),
            ("time;rate;latency\n0;1;1\n", "t.csv:1: the header is"),
            ("time,rate,latency\n0,1\n", "t.csv:2: 2 fields where the header has 3"),
            ("time,rate,latency\n0,1,5,0.1\n", "t.csv:2: 4 fields where the header has 3"),
            ("time,rate\n0,1,0.1\n", "t.csv:2: 3 fields where the header has 2"),
            ("time,rate,latency\n0,many,0.1\n", "t.csv:2: column 2 (rate): \"many\" is no number: write one such as"),
            ("time,rate,latency\n0,1,80ms\n", "t.csv:2: column 3 (latency): \"80ms\" is no number"),
            ("time,rate,latency\n0,1,0.1\n\nsoon,1,0.1\n", "t.csv:4: column 1 (time): \"soon\" is no time"),
            ("time,rate,latency\n,1,0.1\n", "t.csv:2: column 1 (time): \"\" is no time"),
            (
                "time,rate,latency\n0,1,\n0,2,\n",
                "t.csv:3: column 1 (time): \"0\" is the same time as the row above: sort",
            ),
            ("time,rate,latency\n5,1,\n0,2,\n", "t.csv:3: column 1 (time): \"0\" is before the row above: sort"),
            (
                "time,rate,latency\n0,1,\n1970-01-01T00:01:00Z,2,\n",
                "t.csv:3: column 1 (time): \"1970-01-01T00:01:00Z\" is written unlike",
            ),
        ];
        for (text, expected) in table {
            let error = parse("t.csv", text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text:?}\n  gave     {error}\n  expected {expected}");
        }
    }
}

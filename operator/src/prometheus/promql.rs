//! PromQL text: how values and identities are written so that no name can change the meaning of a query.

use std::collections::BTreeMap;

/// `text` as a PromQL string.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// `text` as a part of a regular expression (RE2) that matches just it.
pub fn regex_escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if r"\.+*?()|[]{}^$".contains(character) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

/// A regular expression for any of `texts`: sorted by length, longest first, so that of two that both match, the more
/// specific one is tried first.
pub fn any_of<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut texts: Vec<&str> = texts.into_iter().collect();
    texts.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
    texts.dedup();
    texts.iter().map(|text| regex_escaped(text)).collect::<Vec<_>>().join("|")
}

/// A matcher for a label that has any of `values`: an equality for one.
pub fn matcher<'a>(label: &str, values: impl IntoIterator<Item = &'a str>) -> String {
    let mut values: Vec<&str> = values.into_iter().collect();
    values.sort_unstable();
    values.dedup();
    match values.as_slice() {
        [one] => format!("{label}={}", quoted(one)),
        many => format!("{label}=~{}", quoted(&any_of(many.iter().copied()))),
    }
}

/// Equality matchers for all of `labels`.
pub fn equalities(labels: &BTreeMap<String, String>) -> Vec<String> {
    labels.iter().map(|(label, value)| format!("{label}={}", quoted(value))).collect()
}

/// A selector; braces only where there is something in them.
pub fn selector(metric: &str, matchers: &[String]) -> String {
    if matchers.is_empty() { metric.to_owned() } else { format!("{metric}{{{}}}", matchers.join(",")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_escapes_from_a_string() {
        assert_eq!(quoted(r#"a"} or vector(1) or x{y="\"#), r#""a\"} or vector(1) or x{y=\"\\""#);
        assert_eq!(quoted("a\nb"), "\"a\\nb\"");
    }

    #[test]
    fn a_regex_matches_just_its_text() {
        assert_eq!(regex_escaped("a.b|c"), r"a\.b\|c");
        assert_eq!(matcher("app", ["a.b", "x"]), r#"app=~"a\\.b|x""#);
        assert_eq!(matcher("app", ["a.b"]), r#"app="a.b""#);
    }

    #[test]
    fn the_more_specific_name_is_tried_first() {
        assert_eq!(any_of(["web", "web-admin", "web"]), "web-admin|web");
    }
}

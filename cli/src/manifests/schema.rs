//! The checks of the CRD's structural schema, as the API server makes them, and one that it does not make: an unknown
//! field is an error, where the server drops it.

use super::tree::{Content, Node};
use regex::Regex;
use serde_json::{Map, Value};
use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

/// A problem without its document.
pub(super) struct Found {
    pub(super) line: u64,
    pub(super) field: String,
    pub(super) message: String,
}

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let schema = crds::crd().spec.versions.into_iter().next().and_then(|v| v.schema?.open_api_v3_schema);
    let mut schema = schema.and_then(|s| serde_json::to_value(s).ok()).unwrap_or_default();
    // What every resource has; its own schema leaves these open.
    for (name, kind) in [("apiVersion", "string"), ("kind", "string"), ("metadata", "object")] {
        schema["properties"][name] = serde_json::json!({"type": kind});
    }
    schema["properties"]["metadata"] = serde_json::json!({
        "type": "object", "x-kubernetes-preserve-unknown-fields": true, "required": ["name"],
        "properties": {
            "name": {"type": "string", "description": "Name of the platform; its objects are called after it."},
            "namespace": {"type": "string"},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    });
    schema["properties"]["status"] =
        serde_json::json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    schema
});

/// Every pattern of the schema; a pattern that this engine cannot read is left to the server.
static PATTERNS: LazyLock<HashMap<String, Regex>> = LazyLock::new(|| {
    fn collect(schema: &Value, into: &mut HashMap<String, Regex>) {
        match schema {
            Value::Object(object) => {
                if let Some(pattern) = object.get("pattern").and_then(Value::as_str)
                    && let Ok(regex) = Regex::new(pattern)
                {
                    into.insert(pattern.to_owned(), regex);
                }
                object.values().for_each(|inner| collect(inner, into));
            }
            Value::Array(items) => items.iter().for_each(|inner| collect(inner, into)),
            _ => {}
        }
    }
    let mut patterns = HashMap::new();
    collect(&SCHEMA, &mut patterns);
    patterns
});

/// What to write where a pattern is not matched.
const REMEDIES: [(&str, &str); 53] = [
    ("^[a-z0-9-]+$", "write a region as AWS does, such as eu-central-1"),
    ("^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$", "write the ARN of a role, such as arn:aws:iam::123456789012:role/name"),
    ("^[0-9a-f]{16}$", "write the plan's hash from the status, such as 0123456789abcdef"),
    (r"^db\.[a-z0-9.-]+$", "write a class of RDS, such as db.t4g.medium"),
    (r"^cache\.[a-z0-9.-]+$", "write a type of ElastiCache's nodes, such as cache.t4g.medium"),
    (r"^[6-9](\.[0-9]+){0,2}$", "write a version in quotes, such as 8 or 8.0"),
    ("^[A-Za-z][A-Za-z0-9_-]*$", "write a name of letters, digits, - and _ that begins with a letter, such as learner"),
    ("^[a-z0-9]+$", "write a kind of volume in lower case, such as gp3"),
    (r"^[0-9]{2}(\.[0-9]+)?$", "write a version in quotes, such as 17 or 17.4"),
    ("^sg-[0-9a-z]+$", "write the id of a security group, such as sg-0a1b2c3d"),
    ("^[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9]$", "write a window in UTC, such as 03:00-03:30"),
    (
        "^(mon|tue|wed|thu|fri|sat|sun):[0-2][0-9]:[0-5][0-9]-(mon|tue|wed|thu|fri|sat|sun):[0-2][0-9]:[0-5][0-9]$",
        "write a window in UTC, such as sun:04:00-sun:04:30",
    ),
    (r"^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$", "write a duration in h, m, s and ms, such as 90s or 1h30m"),
    (
        r"^(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE][+-]?[0-9]+))?$",
        "write a quantity with at most one suffix, such as 100, 0.5, 500m or 512Mi",
    ),
    ("^([1-9]?[0-9]|100)%$", "write a percentage such as 25%, or a whole number without quotes"),
    (
        "^([0-9]+-)*[0-9]*[a-z][a-z0-9]*(-[a-z0-9]+)*$",
        "write the name of a port in lower-case letters, digits and dashes, such as http, or a number without quotes",
    ),
    (NAME, "write a name in lower-case letters, digits and dashes, such as web-1"),
    ("^[a-zA-Z_:][a-zA-Z0-9_:]*$", "write the name of a metric alone, such as http_requests_total"),
    (r"^/\S*$", "write a path that begins with /, such as /api/health"),
    ("^/[^:]*$", "write an absolute path, such as /tmp"),
    (r"^\S+$", "write an image without spaces, such as registry.example/web:1.2"),
    (
        r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?)(:[0-9]{1,5})?$",
        "write host or host:port, such as redis.example:6379 or [fd00::7]:6379",
    ),
    ("^[A-Za-z_][A-Za-z0-9_]*$", "write letters, digits and _ alone, no digit first, such as DATABASE_URL"),
    ("^[A-Za-z0-9_-]+$", "write letters, digits, _ and - alone, such as session"),
    (
        r"^https?://[^\s/?#@]+(/[^\s?#]*)?$",
        "write an address such as http://prometheus.monitoring:9090, credentials under auth",
    ),
    (
        r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        "write a host name in lower case, such as learn.example or *.learn.example",
    ),
    (
        "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?$",
        "write a local time such as 2026-12-07T07:30, and its zone as timeZone",
    ),
    ("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "write a date such as 2026-12-07"),
    (
        "^([A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*)?$",
        "write a zone of the IANA database, such as Europe/Berlin or UTC",
    ),
    (r"^[^\r\n\x00]*$", "write it on one line, such as 16MB"),
    ("^[a-z_][a-z0-9_-]*$", "write the name of an extension in lower case, such as pg_trgm"),
    ("^[a-z_][a-z0-9_]*$", "write lower-case letters, digits and _ alone, no digit first, such as story"),
    ("^[a-z0-9][a-z0-9.-]*[a-z0-9]$", "write the name of a bucket alone, such as school-backups"),
    (
        "^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$",
        "write a folder without / at its ends, such as learning/story-main",
    ),
    ("^[1-9][0-9]*[dwm]$", "write a number of days, weeks or months, such as 30d"),
    ("^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", "write the name of an object in lower case, such as backups"),
    ("^([01][0-9]|2[0-3]):[0-5][0-9]$", "write a time of day such as 07:30"),
    ("^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", "write a time of day such as 18:00, at most 24:00"),
    ("^(0ns|([0-9]+[hms])+)$", "write a duration of whole seconds in h, m and s, such as 24h or 90s"),
    ("^[!-~]+$", "write it without spaces, such as Authorization"),
    ("^[A-Z]{2}$", "write a country by the two letters of its code, such as DE"),
    (r"^(\*|https?://[^\s/]+)$", "write an origin such as https://learn.example, or * for all"),
    (r"^/[^\s*]*\*?$", "write a path that begins with /, with a star at its end at most, such as /courses/*"),
    ("^E[A-Z0-9]+$", "write the id as CloudFront shows it, such as E2QWRUHAPOMQZL"),
    (r"^[^/\s]\S*$", "write it without / at its start, such as index.html"),
    (
        r"^(arn:aws:wafv2:us-east-1:[0-9]{12}:global/webacl/\S+)?$",
        "write the ARN of a web ACL for CloudFront, such as arn:aws:wafv2:us-east-1:123456789012:global/webacl/school/0a1b2c3d",
    ),
    ("^vo_[A-Za-z0-9]+$", "write the id of a VPC origin, such as vo_0a1b2c3d"),
    (r"^(/\S*[^/\s])?$", "write a path with / at its start and none at its end, such as /assets"),
    ("^([a-z]{2}(-[a-z]+)+-[0-9])?$", "write the name of a region, such as eu-central-1, or nothing"),
    (
        "^[A-Za-z0-9_.*$/~\"'@:+&?-]+$",
        "write a pattern of letters, digits and _ - . * $ / ~ \" ' @ : + & ? alone, such as /static/*",
    ),
    (
        "^arn:aws:cloudfront::[0-9]{12}:function/[A-Za-z0-9_-]+$",
        "write the ARN of a function, such as arn:aws:cloudfront::123456789012:function/rewrite",
    ),
    (
        "^arn:aws:acm:[a-z0-9-]+:[0-9]{12}:certificate/[A-Za-z0-9-]+$",
        "write the ARN of a certificate, such as arn:aws:acm:us-east-1:123456789012:certificate/0a1b2c3d",
    ),
    (
        r"^([a-z0-9][a-z0-9.-]*\.s3[a-z0-9.-]*\.amazonaws\.com)?$",
        "write the bucket by its name in DNS, such as logs.s3.amazonaws.com",
    ),
];

/// A name as of an object in Kubernetes.
const NAME: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// All problems of a resource, in the order of the file.
pub(super) fn check(node: &Node) -> Vec<Found> {
    let mut walk = Walk { path: String::new(), found: Vec::new() };
    walk.node(&SCHEMA, node, node.line);
    walk.found.sort_by_key(|f| f.line);
    walk.found
}

/// The resource as JSON, without the nulls: in a field of the schema they say nothing. Where the spec is open they are for
/// whoever reads it, and the API server keeps them.
pub(super) fn without_nulls(node: &Node) -> Value {
    let Content::Map(entries) = &node.content else { return node.to_json() };
    let kept = entries.iter().filter(|(_, _, value)| value.content != Content::Null).map(|(key, _, value)| {
        let schema = if key == "spec" { &SCHEMA["properties"]["spec"] } else { &Value::Null };
        (key.clone(), pruned(schema, value))
    });
    Value::Object(kept.collect())
}

fn pruned(schema: &Value, node: &Node) -> Value {
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return node.to_json();
    }
    match &node.content {
        Content::List(items) => Value::Array(items.iter().map(|item| pruned(&schema["items"], item)).collect()),
        Content::Map(entries) => {
            let kept = entries.iter().filter(|(_, _, value)| value.content != Content::Null).map(|(key, _, value)| {
                let field = &schema["properties"][key];
                let field = if field.is_null() { &schema["additionalProperties"] } else { field };
                (key.clone(), pruned(field, value))
            });
            Value::Object(kept.collect())
        }
        _ => node.to_json(),
    }
}

struct Walk {
    path: String,
    found: Vec<Found>,
}

impl Walk {
    fn say(&mut self, line: u64, message: String) {
        self.found.push(Found { line, field: self.path.clone(), message });
    }

    fn within(&mut self, step: &str, then: impl FnOnce(&mut Self)) {
        let before = self.path.len();
        if !self.path.is_empty() && !step.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(step);
        then(self);
        self.path.truncate(before);
    }

    fn node(&mut self, schema: &Value, node: &Node, line: u64) {
        if schema["x-kubernetes-int-or-string"] == true {
            match &node.content {
                Content::Text(text) => self.text(schema, text, line),
                // A quantity such as 0.5 is a number that is no integer; the server takes the integers only.
                Content::Number(number) if !(number.is_i64() || number.is_u64()) => {
                    self.say(line, format!("{number} is not a whole number: put it in quotes"));
                }
                Content::Number(number) => self.number(schema, number, line),
                other => self.say(line, format!("must be a number or a text, but is {}", named(other))),
            }
            return;
        }
        let wanted = schema["type"].as_str().unwrap_or("object");
        match (&node.content, wanted) {
            (Content::Map(entries), "object") => self.map(schema, entries, line),
            (Content::List(items), "array") => self.list(schema, items, line),
            (Content::Text(text), "string") => self.text(schema, text, line),
            (Content::Bool(_), "boolean") => {}
            (Content::Number(number), "integer" | "number") => self.number(schema, number, line),
            (Content::Null, _) if schema["nullable"] == true => {}
            (other, _) => {
                let quotes = match (wanted, other) {
                    ("string", Content::Number(_) | Content::Bool(_)) => ": put it in quotes",
                    ("integer" | "boolean", Content::Text(text)) if text.parse::<i64>().is_ok() || is_bool(text) => {
                        ": remove the quotes"
                    }
                    _ => "",
                };
                self.say(line, format!("must be {}, but is {}{quotes}", article(wanted), named(other)));
            }
        }
    }

    fn map(&mut self, schema: &Value, entries: &[(String, u64, Node)], line: u64) {
        let properties = schema["properties"].as_object();
        let open = schema["x-kubernetes-preserve-unknown-fields"] == true;
        for (key, key_line, value) in entries {
            let known = properties.and_then(|p| p.get(key));
            if value.content == Content::Null && known.is_some_and(|k| k["nullable"] != true) {
                continue;
            }
            let inner = known.or_else(|| Some(&schema["additionalProperties"]).filter(|a| a.is_object()));
            self.within(key, |walk| match inner {
                Some(inner) => walk.node(inner, value, *key_line),
                None if open => {}
                None => {
                    let hint = match properties.and_then(|p| nearest_field(key, p)) {
                        Some(near) => format!("did you mean {near}?"),
                        None => format!("see `kubectl explain {}`", explained(&walk.path)),
                    };
                    walk.say(*key_line, format!("unknown field; {hint}"));
                }
            });
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !entries.iter().any(|(key, _, value)| key == name && value.content != Content::Null) {
                let about = first_sentence(&schema["properties"][name]).map(|about| format!("; {about}"));
                let about = about.unwrap_or_default();
                self.within(name, |walk| walk.say(line, format!("is missing{about}")));
            }
        }
        self.most(schema, "maxProperties", entries.len(), "entries", line);
    }

    fn list(&mut self, schema: &Value, items: &[Node], line: u64) {
        self.most(schema, "maxItems", items.len(), "entries", line);
        if let Some(least) = schema["minItems"].as_u64()
            && (items.len() as u64) < least
        {
            self.say(line, format!("must have at least {least} entries"));
        }
        let keys: Vec<&str> =
            schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut seen = HashSet::new();
        for (index, item) in items.iter().enumerate() {
            self.within(&format!("[{index}]"), |walk| {
                walk.node(&schema["items"], item, item.line);
                let id: Vec<&str> = keys.iter().filter_map(|key| item.text(key)).collect();
                if !keys.is_empty() && id.len() == keys.len() && !seen.insert(id.clone()) {
                    let (keys, id) = (keys.join(", "), id.join(", "));
                    let message = format!("a second entry with {keys} {id}: names are unique, rename one of them");
                    walk.say(item.line, message);
                }
            });
        }
    }

    fn text(&mut self, schema: &Value, text: &str, line: u64) {
        if let Some(allowed) = schema["enum"].as_array() {
            let allowed: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
            if !allowed.contains(&text) {
                let hint = nearest(text, allowed.iter().copied()).map(|near| format!("; did you mean {near}?"));
                let list = allowed.join(", ");
                self.say(line, format!("{text:?} is not one of {list}{}", hint.unwrap_or_default()));
            }
        }
        let length = text.chars().count();
        if let Some(least) = schema["minLength"].as_u64()
            && (length as u64) < least
        {
            self.say(
                line,
                if length == 0 { "is empty".to_owned() } else { format!("must have at least {least} characters") },
            );
            return;
        }
        self.most(schema, "maxLength", length, "characters", line);
        if let Some(pattern) = schema["pattern"].as_str()
            && PATTERNS.get(pattern).is_some_and(|regex| !regex.is_match(text))
        {
            let remedy = REMEDIES.iter().find(|(of, _)| *of == pattern).map_or_else(
                || first_sentence(schema).map(|about| format!("; {about}")).unwrap_or_default(),
                |(_, remedy)| format!(": {remedy}"),
            );
            self.say(line, format!("{text:?} does not match {pattern}{remedy}"));
        }
    }

    fn number(&mut self, schema: &Value, number: &serde_json::Number, line: u64) {
        let value = number.as_f64().unwrap_or_default();
        if schema["type"] == "integer" && !(number.is_i64() || number.is_u64()) {
            self.say(line, format!("is {number}, but must be a whole number"));
        }
        if let Some(least) = schema["minimum"].as_f64()
            && value < least
        {
            self.say(line, format!("is {number}, but must be at least {least}"));
        }
        if let Some(most) = schema["maximum"].as_f64()
            && value > most
        {
            self.say(line, format!("is {number}, but must be at most {most}"));
        }
    }

    fn most(&mut self, schema: &Value, bound: &str, count: usize, of: &str, line: u64) {
        if let Some(most) = schema[bound].as_u64()
            && count as u64 > most
        {
            self.say(line, format!("has {count} {of}, but may have at most {most}"));
        }
    }
}

/// What a field is about.
fn first_sentence(schema: &Value) -> Option<String> {
    let about = schema["description"].as_str()?.split_inclusive(". ").next()?.trim().replace('\n', " ");
    (!about.is_empty()).then_some(about)
}

fn is_bool(text: &str) -> bool {
    matches!(text, "true" | "false")
}

fn article(kind: &str) -> &str {
    match kind {
        "string" => "a text",
        "array" => "a list",
        "object" => "a mapping",
        "integer" => "a whole number",
        "boolean" => "true or false",
        _ => "a number",
    }
}

fn named(content: &Content) -> String {
    match content {
        Content::Null => "empty".to_owned(),
        Content::Bool(value) => value.to_string(),
        Content::Number(number) => format!("the number {number}"),
        Content::Text(text) => format!("the text {text:?}"),
        Content::List(_) => "a list".to_owned(),
        Content::Map(_) => "a mapping".to_owned(),
    }
}

/// The parent of a path in the words of `kubectl explain`, which knows no indices.
fn explained(path: &str) -> String {
    let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
    let plain: String = parent.split('[').map(|s| s.split_once(']').map_or(s, |(_, rest)| rest)).collect();
    if plain.is_empty() { "learningplatform".to_owned() } else { format!("learningplatform.{plain}") }
}

/// The known field that was probably meant: one spelled nearly so, or one of the same name a level deeper.
fn nearest_field(key: &str, properties: &Map<String, Value>) -> Option<String> {
    let deeper = || {
        properties.iter().find_map(|(outer, schema)| {
            let inner = schema["properties"].as_object()?;
            inner.contains_key(key).then(|| format!("{outer}.{key}"))
        })
    };
    let same = properties.keys().find(|k| k.eq_ignore_ascii_case(key)).cloned();
    same.or_else(deeper).or_else(|| nearest(key, properties.keys().map(String::as_str)).map(str::to_owned))
}

/// The candidate nearest in spelling, if any is near enough to be meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    candidates
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(score, _)| *score > 0.82)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_has_a_remedy_that_matches_it() {
        for pattern in PATTERNS.keys() {
            assert!(REMEDIES.iter().any(|(of, _)| of == pattern), "{pattern} has no remedy");
        }
        for (pattern, remedy) in REMEDIES {
            let regex = PATTERNS.get(pattern).unwrap_or_else(|| panic!("{pattern} is no pattern of the schema"));
            let examples = remedy.split("such as ").nth(1).expect(remedy);
            let example = examples.split([',', ' ']).next().expect(remedy);
            assert!(regex.is_match(example), "{remedy}: {example} does not match {pattern}");
        }
    }
}

//! What is ours, laid over a configuration as it was read; and what differs between two configurations for CloudFront.
//!
//! Two forms mean the same to CloudFront where they differ in the order of names, in what is empty or left out, or in what is
//! filled in by default. So both are brought into one form before they are compared, and what differs then is what is ours and
//! changed, because nothing else was touched.

use super::element::{Element, is_secret};
use std::collections::{BTreeMap, BTreeSet};

/// What a part of a configuration is to be.
#[derive(Clone, PartialEq)]
pub(super) enum Patch {
    /// A text.
    Text(String),
    /// It must not be there.
    Absent,
    /// It is not ours, but where it names one of these, which are.
    Without(BTreeSet<String>),
    /// These fields, and others as they are.
    Fields(Vec<(&'static str, Patch)>),
    /// A list of names without an order; all of it is ours.
    Names {
        /// The items' name.
        item: &'static str,
        values: BTreeSet<String>,
        /// Fields beside the list.
        also: Vec<(&'static str, Patch)>,
    },
    /// A list of entries that are told apart by a key. Fields of an entry that are not ours stay with it.
    Entries {
        /// The items' name.
        item: &'static str,
        /// The key's name.
        key: &'static str,
        entries: Vec<(String, Patch)>,
        others: Others,
        /// Whether their order means something.
        ordered: bool,
    },
}

/// What becomes of entries that are not ours.
#[derive(Clone, PartialEq)]
pub(super) enum Others {
    /// They go.
    Remove,
    /// They stay where they are, but for these.
    Keep { gone: BTreeSet<String> },
}

impl Patch {
    pub fn text(text: impl ToString) -> Self {
        Self::Text(text.to_string())
    }

    pub fn names(item: &'static str, values: &BTreeSet<String>) -> Self {
        Self::Names { item, values: values.clone(), also: Vec::new() }
    }

    /// The part made from nothing.
    pub fn build(&self, name: &str) -> Element {
        let mut element = Element::node(name, Vec::new());
        self.lay_over(&mut element);
        element
    }

    /// Whether it says no more than that there is nothing.
    fn is_empty(&self) -> bool {
        match self {
            // A structure says something by being there: of which kind an origin is, for one. And some texts have to be there.
            Self::Text(_) | Self::Fields(_) => false,
            Self::Absent | Self::Without(_) => true,
            Self::Names { values, also, .. } => values.is_empty() && also.iter().all(|(_, patch)| patch.is_empty()),
            Self::Entries { entries, .. } => entries.is_empty(),
        }
    }

    /// Lays it over what there is.
    pub fn lay_over(&self, have: &mut Element) {
        match self {
            Self::Text(text) => have.text.clone_from(text),
            Self::Absent => {}
            Self::Without(ids) => {
                let stays = |one: &&Element| !ids.iter().any(|id| one.mentions(id));
                let items: Vec<Element> = have.items().iter().filter(stays).cloned().collect();
                if items.len() < have.items().len() {
                    replace_items(have, items);
                }
            }
            Self::Fields(patches) => fields(have, patches),
            Self::Names { item, values, also } => {
                let there: BTreeSet<&str> = have.items().iter().map(|one| one.text.as_str()).collect();
                if there != values.iter().map(String::as_str).collect() {
                    let items = values.iter().map(|value| Element::text(item, value)).collect();
                    replace_items(have, items);
                } else {
                    replace_items(have, have.items().to_vec());
                }
                fields(have, also);
            }
            Self::Entries { item, key, entries, others, ordered } => {
                let items = merged(have.items(), item, key, entries, others, *ordered);
                replace_items(have, items);
            }
        }
    }
}

fn fields(have: &mut Element, patches: &[(&'static str, Patch)]) {
    for (at, (name, patch)) in patches.iter().enumerate() {
        let names_ours = |ids: &BTreeSet<String>| have.value(name).is_some_and(|text| ids.contains(text));
        if *patch == Patch::Absent || matches!(patch, Patch::Without(ids) if names_ours(ids)) {
            have.remove(name);
        } else if let Some(child) = have.get_mut(name) {
            patch.lay_over(child);
        } else if !patch.is_empty() {
            // Behind those that stand before it in AWS's model, which patches follow; in front where there are none.
            let before: Vec<&str> = patches[..at].iter().map(|(name, _)| *name).collect();
            let place = have.children.iter().rposition(|child| before.contains(&&*child.name));
            let after: Vec<&str> = patches[at..].iter().map(|(name, _)| *name).collect();
            let end =
                have.children.iter().position(|child| after.contains(&&*child.name)).unwrap_or(have.children.len());
            have.children.insert(place.map_or(end, |place| place + 1), patch.build(name));
        }
    }
}

/// Sets `Items` and counts them.
fn replace_items(have: &mut Element, items: Vec<Element>) {
    let quantity = items.len();
    match have.get_mut("Quantity") {
        Some(child) => child.text = quantity.to_string(),
        None => have.children.insert(0, Element::text("Quantity", quantity)),
    }
    if items.is_empty() {
        have.remove("Items");
    } else if let Some(child) = have.get_mut("Items") {
        child.children = items;
    } else {
        let place = have.children.iter().position(|child| child.name == "Quantity").map_or(0, |place| place + 1);
        have.children.insert(place, Element::node("Items", items));
    }
}

fn merged(
    have: &[Element],
    item: &str,
    key: &str,
    entries: &[(String, Patch)],
    others: &Others,
    ordered: bool,
) -> Vec<Element> {
    let name = |one: &Element| one.value(key).unwrap_or_default().to_owned();
    let is_ours = |one: &Element| entries.iter().any(|(entry, _)| *entry == name(one));
    let stays = |one: &Element| match others {
        Others::Remove => false,
        Others::Keep { gone } => !gone.contains(&name(one)),
    };
    let mut ours: Vec<(String, Element)> = entries
        .iter()
        .map(|(entry, patch)| {
            let there = have.iter().find(|one| name(one) == *entry).cloned();
            let mut element = there.unwrap_or_else(|| Element::node(item, vec![Element::text(key, entry)]));
            patch.lay_over(&mut element);
            (entry.clone(), element)
        })
        .collect();
    // Ours take the places that ours have, in the order that is wished where there is one; new ones come last.
    let mut items = Vec::new();
    for one in have.iter().filter(|one| is_ours(one) || stays(one)) {
        if !is_ours(one) {
            items.push(one.clone());
        } else if ordered {
            items.push(ours.remove(0).1);
        } else if let Some(at) = ours.iter().position(|(entry, _)| *entry == name(one)) {
            items.push(ours.remove(at).1);
        }
    }
    items.extend(ours.into_iter().map(|(_, element)| element));
    items
}

/// Names that AWS fills in from other fields.
const MIRRORS: [&str; 3] = ["Quantity", "Certificate", "CertificateSource"];
/// Names that say nothing beside a cache policy.
const LEGACY: [&str; 4] = ["ForwardedValues", "MinTTL", "DefaultTTL", "MaxTTL"];
/// What entries of a list are told apart by, the first that they have.
const KEYS: [&str; 8] = ["PathPattern", "HeaderName", "ErrorCode", "EventType", "OriginId", "Id", "Header", "Key"];
/// Lists whose order means something.
const ORDERED: [&str; 2] = ["CacheBehaviors", "Members"];

/// What a field is where nothing is said of it, by AWS's documentation.
fn is_default(name: &str, text: &str) -> bool {
    match name {
        _ if text.is_empty() || text == "false" => true,
        "MinTTL" => text == "0",
        "DefaultTTL" => text == "86400",
        "MaxTTL" => text == "31536000",
        "ErrorCachingMinTTL" | "ConnectionTimeout" => text == "10",
        "ConnectionAttempts" => text == "3",
        "OriginReadTimeout" => text == "30",
        "OriginKeepaliveTimeout" => text == "5",
        "PriceClass" => text == "PriceClass_All",
        "RestrictionType" | "Forward" => text == "none",
        _ => false,
    }
}

/// The one form: what each field says, by its path.
pub(super) fn canonical(element: &Element) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    flatten(element, "", &mut fields);
    fields
}

fn flatten(element: &Element, path: &str, fields: &mut BTreeMap<String, String>) {
    let is_legacy = |child: &Element| element.value("CachePolicyId").is_some() && LEGACY.contains(&&*child.name);
    for child in element.children.iter().filter(|child| !MIRRORS.contains(&&*child.name) && !is_legacy(child)) {
        let path = if path.is_empty() { child.name.clone() } else { format!("{path}.{}", child.name) };
        if child.name == "Items" {
            items(child, path.trim_end_matches(".Items"), &element.name, fields);
        } else if !child.children.is_empty() {
            flatten(child, &path, fields);
        } else if !is_default(&child.name, &child.text) {
            fields.insert(path, child.text.clone());
        }
    }
}

fn items(items: &Element, path: &str, list: &str, fields: &mut BTreeMap<String, String>) {
    if items.children.iter().all(|one| one.children.is_empty()) {
        let mut names: Vec<&str> = items.children.iter().map(|one| one.text.as_str()).collect();
        names.sort_unstable();
        if !names.is_empty() {
            fields.insert(path.to_owned(), names.join(", "));
        }
        return;
    }
    let mut keys = Vec::new();
    for one in &items.children {
        let key = KEYS.iter().find_map(|key| one.value(key)).map_or_else(|| format!("{one:?}"), str::to_owned);
        flatten(one, &format!("{path}[{key}]"), fields);
        keys.push(key);
    }
    if ORDERED.contains(&list) {
        fields.insert(format!("{path} in order"), keys.join(", "));
    }
}

/// What differs, in words and without secrets, sorted.
pub(super) fn differences(have: &Element, wish: &Element) -> Vec<String> {
    let (have, wish) = (canonical(have), canonical(wish));
    let paths: BTreeSet<&String> = have.keys().chain(wish.keys()).collect();
    let differ = paths.into_iter().filter(|path| have.get(*path) != wish.get(*path));
    differ
        .map(|path| {
            if path.rsplit('.').next().is_some_and(is_secret) {
                return format!("{path}: another secret");
            }
            let word = |fields: &BTreeMap<String, String>| fields.get(path).map_or("-".to_owned(), |text| text.clone());
            format!("{path}: {} → {}", word(&have), word(&wish))
        })
        .collect()
}

/// All that it says, in words and without secrets.
pub(super) fn summary(element: &Element) -> String {
    let word = |(path, text): (String, String)| match path.rsplit('.').next().is_some_and(is_secret) {
        true => format!("{path}=secret"),
        false => format!("{path}={text}"),
    };
    canonical(element).into_iter().map(word).collect::<Vec<_>>().join("; ")
}

//! The zones that a calendar names.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;

use super::text::Component;
use super::{CalendarError, short, windows_zones};
use crate::schedule::time_zone;

/// No zone of the tz database has a longer name.
const MAX_ZONE: usize = 100;

pub(super) struct Zones {
    /// Of all-day events and of times without a zone.
    default: TimeZone,
    /// Names of the calendar's own, with the IANA name that their definition states.
    aliases: Vec<(String, String)>,
}

impl Zones {
    /// The zones of a calendar; what it says of a default counts where `given` is silent. Also the name of that default, where
    /// it is unknown.
    pub(super) fn new(given: Option<TimeZone>, components: &[Component]) -> (Self, BTreeSet<String>) {
        let mut zones = Self { default: TimeZone::UTC, aliases: aliases(components) };
        let own = components.iter().map(|component| component.text("X-WR-TIMEZONE")).find(|name| !name.is_empty());
        let mut unknown = BTreeSet::new();
        match (given, own) {
            (Some(zone), _) => zones.default = zone,
            (None, Some(name)) => zones.default = zones.get(&name, &mut unknown),
            (None, None) => {}
        }
        (zones, unknown)
    }

    /// The zone of a name, else the default; then the name is added to `unknown`.
    pub(super) fn get(&self, name: &str, unknown: &mut BTreeSet<String>) -> TimeZone {
        let alias = self.aliases.iter().find(|(own, _)| own == name).and_then(|(_, iana)| lookup(iana));
        alias.or_else(|| lookup(name)).unwrap_or_else(|| {
            unknown.insert(short(name));
            self.default()
        })
    }

    pub(super) fn default(&self) -> TimeZone {
        self.default.clone()
    }

    pub(super) fn default_name(&self) -> String {
        self.default.iana_name().unwrap_or("UTC").to_owned()
    }
}

/// The zone of an IANA name.
///
/// # Errors
/// A name that the built-in tz database does not know.
pub(super) fn find(name: &str) -> Result<TimeZone, CalendarError> {
    time_zone(name).map_err(|_| CalendarError::UnknownZone(name.into()))
}

fn lookup(name: &str) -> Option<TimeZone> {
    // Some programs prefix the name with a path of their own, such as /example.org/Olson_1/Europe/Berlin.
    let mut rest = name.trim_matches(['"', '/']);
    while rest.len() <= MAX_ZONE {
        let iana = windows_zones::iana(rest).unwrap_or(rest);
        if let Ok(zone) = time_zone(iana) {
            return Some(zone);
        }
        rest = rest.split_once('/')?.1;
    }
    None
}

fn aliases(components: &[Component]) -> Vec<(String, String)> {
    let zones = components.iter().filter(|component| component.name == "VTIMEZONE");
    zones
        .filter_map(|zone| {
            let value = |name| zone.property(name).map(|property| property.value.clone());
            Some((value("TZID")?, value("X-LIC-LOCATION")?))
        })
        .collect()
}

//! Whether an image of PostgreSQL stays with its C library. Another one sorts texts in another order, and indexes that were made
//! with the old one no longer find what is there.

use super::{Place, known};
use crate::check::{Check, Topic, Verdict};
use crds::tiers::database::Database;
use operator::tiers::database::{cloud_native_pg, in_cluster::DEFAULT_IMAGE};

/// Words in tags that are no release of a distribution.
const NO_RELEASE: [&str; 8] = ["latest", "slim", "beta", "debian", "ubuntu", "alpine", "dev", "standard"];
/// Distributions whose releases are numbers.
const NUMBERED: [&str; 8] = ["alpine", "debian", "ubuntu", "ubi", "rocky", "alma", "fedora", "el"];

/// Whether the image says its distribution's release.
pub(super) fn suite(database: &Database, place: &Place) -> Option<Check> {
    let in_cluster = database.in_cluster.as_ref().map(|spec| spec.image.as_deref().unwrap_or(DEFAULT_IMAGE));
    let delegated = database.cloud_native_pg.as_ref().map(|spec| &spec.image);
    let delegated = delegated.map(|image| image.as_deref().unwrap_or(cloud_native_pg::DEFAULT_IMAGE));
    let image = in_cluster.or(delegated)?;
    let description = format!("the image of database {} names its distribution's release", database.name);
    let verdict = match release(image) {
        Some(release) => Verdict::Good(release),
        None => Verdict::bad(
            format!(
                "{image} may come with another C library one day, which sorts texts in another order: indexes on texts are \
                 wrong from then on"
            ),
            format!("{}   # write the release, too, as in 17-bookworm, or a digest", place.edit()),
        ),
    };
    Some(known(description, Topic::ImageSuite, verdict).warning())
}

/// The release in an image's tag, or its digest.
fn release(image: &str) -> Option<String> {
    if let Some((_, digest)) = image.split_once('@') {
        return Some(digest.chars().take(19).collect());
    }
    let name = image.rsplit('/').next()?;
    let (_, tag) = name.split_once(':')?;
    let parts: Vec<&str> = tag.split(['-', '_']).collect();
    let is_number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    parts.iter().enumerate().find_map(|(at, part)| {
        let letters = part.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        let numbered = NUMBERED.contains(&letters);
        let next = parts.get(at + 1).filter(|next| is_number(next));
        match (numbered, letters.len() < part.len(), next) {
            (true, true, _) => Some((*part).to_owned()),
            (true, false, Some(number)) => Some(format!("{part}-{number}")),
            // A code name: bookworm, noble.
            (false, false, _) => {
                let word = part.len() >= 4 && part.chars().all(|c| c.is_ascii_lowercase());
                (word && !NO_RELEASE.contains(part)).then(|| (*part).to_owned())
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_in_a_tag() {
        for (image, expected) in [
            (DEFAULT_IMAGE, Some("bookworm")),
            ("postgres:16.4-bookworm", Some("bookworm")),
            ("postgres:17-alpine3.20", Some("alpine3.20")),
            ("pgvector/pgvector:0.8.0-pg17-trixie", Some("trixie")),
            ("registry:5000/team/postgres:17-ubi9", Some("ubi9")),
            ("bitnami/postgresql:17.2.0-debian-12-r1", Some("debian-12")),
            ("ghcr.io/cloudnative-pg/postgresql:17.2-standard-bookworm", Some("bookworm")),
            (cloud_native_pg::DEFAULT_IMAGE, Some("bookworm")),
            ("postgres@sha256:0123456789abcdef0123", Some("sha256:0123456789ab")),
            ("postgres", None),
            ("registry:5000/postgres", None),
            ("postgres:latest", None),
            ("postgres:17", None),
            ("postgres:18rc1", None),
            ("postgres:17-alpine", None),
            ("pgvector/pgvector:pg17", None),
            ("timescale/timescaledb:latest-pg17", None),
            ("postgis/postgis:17-3.5", None),
        ] {
            assert_eq!(release(image).as_deref(), expected, "{image}");
        }
    }
}

//! The view as text.

use super::view::{CdnView, PlatformView, StoreView};
use crate::commands::backup::size;
use crate::output::{Mark, Style, age, ago, pad};
use crds::{
    status::{BackupStatus, BackupWindow, Reshaping, StoreServer},
    tiers::backup::BackupMethod,
};
use jiff::Timestamp;

/// Platforms one below the other.
pub fn table(views: &[PlatformView], style: &Style, now: Timestamp) -> String {
    views.iter().map(|view| platform(view, style, now)).collect::<Vec<_>>().join("\n")
}

fn platform(view: &PlatformView, style: &Style, now: Timestamp) -> String {
    let since = view.since.map(|since| format!(" for {}", age(since, now))).unwrap_or_default();
    let head = format!(
        "{}  {}{since}  ",
        style.bold(&format!("{}/{}", view.namespace, view.name)),
        style.paint(view.mark, &view.state)
    );
    let mut out = style.hang(&head, &view.message);
    if let Some(stale) = &view.stale {
        let when = stale.changed.map(|changed| format!(" {}", ago(changed, now))).unwrap_or_default();
        let text = match stale.observed {
            Some(observed) => format!(
                "spec changed{when}, not seen yet: what follows is of generation {observed}, the spec is at {}",
                stale.generation
            ),
            None => format!("spec written{when}, not seen yet"),
        };
        out.push_str(&style.hang(&format!("  {} ", style.mark(Mark::Progress)), &text));
    }
    if view.suspended {
        let text = format!("suspended: nothing is written until annotation {} goes", crds::SUSPEND_ANNOTATION);
        out.push_str(&style.hang(&format!("  {} ", style.mark(Mark::Warning)), &text));
    }
    let label = |item: &super::Item| format!("{} {}", item.tier, item.name);
    // One very long name does not push every text out of a narrow window.
    let widest = view.items.iter().map(|i| label(i).len()).max().unwrap_or(0).min(style.width / 2);
    for item in &view.items {
        let prefix = format!("  {}  {} ", pad(&label(item), widest), style.mark(item.mark));
        let since = item.since.map(|since| format!(" for {}", age(since, now))).unwrap_or_default();
        let text = match item.mark {
            Mark::Good | Mark::Off => item.message.clone(),
            mark => format!("{}{since}: {}", style.paint(mark, &item.reason), item.message),
        };
        out.push_str(&style.hang(&prefix, &text));
        if let Some(store) = &item.store {
            out.push_str(&details(store, &item.message, style, now));
        }
        if let Some(cdn) = &item.cdn {
            out.push_str(&of_cdn(cdn, &item.message, style));
        }
    }
    out
}

/// What is known of a store, a line each. What the item has said already is not said again.
fn details(store: &StoreView, said: &str, style: &Style, now: Timestamp) -> String {
    let mut out = String::new();
    let mut line = |label: &str, text: &str| out.push_str(&style.hang(&format!("      {label:9} "), text));
    if let Some(address) = store.address.as_ref().filter(|address| !said.contains(address.as_str())) {
        line("address", address);
    }
    if let Some(promise) = &store.promise {
        line("promise", promise);
    }
    if let Some(deletion) = &store.deletion {
        line("deletion", deletion);
    }
    let changed = store.passwords_changed.as_ref().and_then(|at| at.parse().ok());
    if let Some(changed) = changed {
        line("password", &format!("changed {}", ago(changed, now)));
    }
    let ends = store.certificate_expires.as_ref().and_then(|at| at.parse::<Timestamp>().ok());
    if let Some(ends) = ends {
        let text = if ends > now {
            format!("the certificate is valid for another {}", age(now, ends))
        } else {
            format!("the certificate has ended {}: apps that verify it cannot connect", ago(ends, now))
        };
        line("tls", &text);
    }
    if let Some(rotation) = &store.rotation {
        line("rotation", rotation);
    }
    for promotion in &store.promotions {
        let shard = promotion.shard.map(|shard| format!("shard {shard}: ")).unwrap_or_default();
        line("promotion", &format!("{shard}{:?}: {}", promotion.state, promotion.message));
    }
    if let Some(pooler) = &store.pooler {
        line("pooler", pooler);
    }
    if let Some(backup) = &store.backup {
        line("backup", &store.backup_trouble.clone().unwrap_or_else(|| backups(backup, now)));
    }
    if let Some(window) = &store.backup_window {
        line("backup", &store.backup_trouble.clone().unwrap_or_else(|| backup_window(window, now)));
    }
    if let Some(Reshaping { keys_before, keys_after }) = store.reshaping {
        line(
            "reshaping",
            &match keys_after {
                Some(after) => format!("{keys_before} keys before the last one, {after} after it"),
                None => format!("under way, {keys_before} keys before it"),
            },
        );
    }
    out + &servers(&store.servers, style)
}

/// What is known of a CDN, a line each.
fn of_cdn(cdn: &CdnView, said: &str, style: &Style) -> String {
    let mut out = String::new();
    let mut line = |label: &str, text: &str| out.push_str(&style.hang(&format!("      {label:9} "), text));
    if let Some(domain) = cdn.domain_name.as_ref().filter(|domain| !said.contains(domain.as_str())) {
        line("address", domain);
    }
    if let Some(certificate) =
        cdn.certificate.as_ref().filter(|it| !cdn.warnings.iter().any(|said| said.ends_with(*it)))
    {
        line("TLS", &format!("certificate {certificate}"));
    }
    if cdn.deploying {
        line("deploying", "what AWS has accepted is on its way to the edges, which takes some minutes");
    }
    if let Some(deletion) = &cdn.deletion {
        line("deletion", deletion);
    }
    for policy in &cdn.bucket_policies {
        line("bucket", &format!("the policy of origin {}'s bucket needs: {}", policy.origin, policy.statement));
    }
    for warning in &cdn.warnings {
        line("warning", warning);
    }
    out
}

fn backups(backup: &BackupStatus, now: Timestamp) -> String {
    let last = backup.backups.first().map_or("none yet".to_owned(), |last| {
        let when = last.ended.parse().map(|ended| format!(", {}", ago(ended, now))).unwrap_or_default();
        let place = match (&backup.bucket, backup.uploaded) {
            (None, _) if backup.method == Some(BackupMethod::VolumeSnapshot) => {
                "in the storage system of the cluster".to_owned()
            }
            (None, _) => "in this cluster alone".to_owned(),
            (Some(bucket), Some(true)) => format!("here and in {bucket}"),
            (Some(bucket), _) => format!("here; {bucket} does not have everything yet"),
        };
        format!("{}{when}, {}; {} kept, {place}", last.name, size(last.bytes), backup.backups.len())
    });
    let log = if backup.streaming == Some(false) { "; the log that follows is not received now" } else { "" };
    format!("{last}{log}")
}

fn backup_window(window: &BackupWindow, now: Timestamp) -> String {
    let when = |time: &Option<String>| Some(ago(time.as_ref()?.parse().ok()?, now));
    let last = when(&window.last).map_or("none yet".to_owned(), |last| format!("the last one {last}"));
    let since = when(&window.restorable_since).map(|since| format!("; restorable since {since}")).unwrap_or_default();
    let log = if window.archiving == Some(false) { "; the log that follows is not archived now" } else { "" };
    format!("{last}{since}, in {}{log}", window.location)
}

/// The servers in columns; in a narrow window as sentences.
fn servers(servers: &[StoreServer], style: &Style) -> String {
    // Where there is but one shard there are no slots.
    let sharded = servers.iter().any(|server| server.slots.is_some_and(|slots| slots > 0));
    let cells = |server: &StoreServer| {
        let shard = server.shard.map(|shard| format!("shard {shard}")).unwrap_or_default();
        let slots = server.slots.filter(|_| sharded).map(|slots| format!("{slots} slots")).unwrap_or_default();
        [server.pod.clone(), server.role.clone(), shard, slots, server.state.clone()]
    };
    let rows: Vec<_> = servers.iter().map(cells).collect();
    let widths: [usize; 5] = std::array::from_fn(|at| rows.iter().map(|row| row[at].len()).max().unwrap_or(0));
    let mut out = String::new();
    for (number, row) in rows.iter().enumerate() {
        let prefix = format!("      {:9} ", if number == 0 { "servers" } else { "" });
        let used = row.iter().zip(widths).filter(|(_, width)| *width > 0);
        let text = used.map(|(cell, width)| pad(cell, width)).collect::<Vec<_>>().join("  ");
        let text = text.trim_end();
        if prefix.len() + text.len() <= style.width {
            out.push_str(&format!("{prefix}{text}\n"));
        } else {
            out.push_str(&style.hang(&prefix, text));
        }
    }
    out
}

//! Memory settings derived from the container's limit.

/// Settings for `bytes` of memory and `connections` clients.
///
/// `shared_buffers` a quarter, `effective_cache_size` half: PostgreSQL's documentation ("a reasonable starting value for
/// `shared_buffers` is 25% of the memory"; half is its conservative figure for the cache, which counts against a container's
/// limit too). `maintenance_work_mem` a sixteenth, at most 2 GB, and `work_mem` a third of the rest shared by all
/// connections: what pgtune gives a web application.
pub(super) fn memory(bytes: u64, connections: u32) -> [(String, String); 4] {
    let megabytes = bytes >> 20;
    let buffers = (megabytes / 4).max(16);
    let maintenance = (megabytes / 16).clamp(16, 2048);
    let work = (megabytes.saturating_sub(buffers) * 1024 / (3 * u64::from(connections.max(1)))).max(4096);
    [
        ("effective_cache_size", format!("{}MB", (megabytes / 2).max(16))),
        ("maintenance_work_mem", format!("{maintenance}MB")),
        ("shared_buffers", format!("{buffers}MB")),
        ("work_mem", format!("{work}kB")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_the_limit() {
        let values = |bytes, connections| memory(bytes, connections).map(|(_, value)| value);
        assert_eq!(values(4 << 30, 100), ["2048MB", "256MB", "1024MB", "10485kB"]);
        assert_eq!(values(64 << 30, 200), ["32768MB", "2048MB", "16384MB", "83886kB"]);
        assert_eq!(values(64 << 20, 500), ["32MB", "16MB", "16MB", "4096kB"]);
        assert_eq!(values(0, 0), ["16MB", "16MB", "16MB", "4096kB"]);
    }
}

//! The scripts of the pods.

/// File name and text of each script. They are mounted beside `postgresql.conf`, and found there by one another.
///
/// `primary.sh` and `replica.sh` start the servers, `promote.sh` makes a primary of a replica's data, `ready.sh` is the readiness
/// probe of both, `stop.sh` the preStop hook. They run with `sh` as a user of the image, and write only below `PGDATA`'s parent
/// and `LP_RUN_DIR`. `common.sh` lists the environment. `archive.sh`, `backup.sh` and `hold.sh` run in pods of their own and write
/// to the volume of the backups alone. `upload.sh` and `download.sh` run in rclone's image.
pub const SCRIPTS: [(&str, &str); 18] = [
    ("common.sh", include_str!("../scripts/common.sh")),
    ("primary.sh", include_str!("../scripts/primary.sh")),
    ("promote.sh", include_str!("../scripts/promote.sh")),
    ("replica.sh", include_str!("../scripts/replica.sh")),
    ("ready.sh", include_str!("../scripts/ready.sh")),
    ("stop.sh", include_str!("../scripts/stop.sh")),
    ("repository.sh", include_str!("../scripts/repository.sh")),
    ("archive.sh", include_str!("../scripts/archive.sh")),
    ("backup.sh", include_str!("../scripts/backup.sh")),
    ("dump.sh", include_str!("../scripts/dump.sh")),
    ("hold.sh", include_str!("../scripts/hold.sh")),
    ("layout.sh", include_str!("../scripts/layout.sh")),
    ("bucket.sh", include_str!("../scripts/bucket.sh")),
    ("upload.sh", include_str!("../scripts/upload.sh")),
    ("download.sh", include_str!("../scripts/download.sh")),
    ("restore.sh", include_str!("../scripts/restore.sh")),
    ("load.sh", include_str!("../scripts/load.sh")),
    ("fetch.sh", include_str!("../scripts/fetch.sh")),
];

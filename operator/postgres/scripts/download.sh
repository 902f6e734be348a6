#!/bin/sh
# Brings a backup, with the log that follows a base backup, from a bucket to $PGDATA.fetched, for restore.sh. Does nothing where there are data, or where
# some are known of. Cut off, it goes on with what it had.
# LP_RESTORE_BACKUP, LP_RESTORE_TIME  as in restore.sh
. "${0%/*}/common.sh"
. "${0%/*}/layout.sh"
. "${0%/*}/bucket.sh"
fetched=$PGDATA.fetched
repository=$fetched/repository
if has_data || [ -n "$identifier" ]; then
  exit 0
fi

fail() {
  error=$(why)
  refuse RestoreRefused "${bucket#*:} cannot be read: ${error:-$*}"
}

rm -rf "$run/choice" && mkdir -p "$run/choice" "$repository/wal" "$repository/receiving"
remote copy --include '/*/backup.json' "$bucket/backups" "$run/choice/backups" || [ $? = 3 ] || fail 'rclone says nothing'
choose "$run/choice"
say "fetching backup $chosen from ${bucket#*:}"
for other in "$repository"/backups/*; do
  [ "$other" = "$repository/backups/$chosen" ] || rm -rf "$other"
done
remote copy "$bucket/backups/$chosen" "$repository/backups/$chosen" || fail 'rclone says nothing'
if is_logical "$repository/backups/$chosen/backup.json"; then
  say "fetched backup $chosen"
  exit 0
fi
segment=$(field "$repository/backups/$chosen/backup.json" segment)
for folder in wal receiving; do
  list "$folder" >"$run/list" || fail 'rclone says nothing'
  # Segments from where the backup begins on, and the histories of timelines.
  awk -v first="${segment#????????}" 'index($0, ".") != 25 || substr($0, 9, 16) "" >= first ""' "$run/list" >"$run/wanted"
  [ ! -s "$run/wanted" ] ||
    remote copy --files-from-raw "$run/wanted" --no-traverse "$bucket/$folder" "$repository/$folder" || fail 'rclone says nothing'
done
say "fetched backup $chosen, and $(ls "$repository/wal" | wc -l) segments of the log that follows"

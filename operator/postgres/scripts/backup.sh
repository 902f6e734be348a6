#!/bin/sh
# Takes a base backup, and lets go of old ones with the log that no backup needs any more.
# LP_KEEP      how many backups to keep
# LP_BUCKET    where upload.sh brings them beside this; empty where it does not
# LP_PATIENCE  seconds without a sign of it after which it is not waited for
. "${0%/*}/common.sh"
. "${0%/*}/repository.sh"
. "${0%/*}/layout.sh"
: "${LP_KEEP:?}"
child=
trap '[ -z "$child" ] || kill "$child" 2>/dev/null; exit 143' TERM INT

fail() {
  say "$*"
  printf 'BackupFailed: %s\n' "$*" >"${LP_TERMINATION_LOG:-/dev/termination-log}" || :
  exit 1
}

# A base backup holds the log that makes it consistent, so that it can be restored without any more.
take() {
  begun=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  name=$(date -u +%Y%m%dt%H%M%Sz)
  [ ! -e "$repository/backups/$name" ] || { sleep 1 && name=$(date -u +%Y%m%dt%H%M%Sz); }
  new=$repository/backups/.$name
  pg_basebackup -d "$primary" -D "$new" -F tar -Z 1 -X stream -c fast --no-password 2>"$run/backup.err" &
  child=$!
  wait "$child" || fail "pg_basebackup: $(tail -n 1 "$run/backup.err")"
  child=
  # From version 18 on an archive can be held against the checksums; before, a restore does that with the files.
  major=$(pg_basebackup --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
  if [ "$major" -ge 18 ]; then
    pg_verifybackup -n -q "$new" 2>"$run/backup.err" || fail "pg_verifybackup: $(tail -n 1 "$run/backup.err")"
  fi
  gzip -t "$new/pg_wal.tar.gz" && gzip -dc "$new/base.tar.gz" | tar -xOf - backup_label >"$run/backup_label" ||
    fail 'the archive that was written cannot be read'
  start=$(sed -n 's/^START WAL LOCATION: \([^ ]*\) .*/\1/p' "$run/backup_label")
  segment=$(sed -n 's/^START WAL LOCATION: .*(file \([0-9A-F]*\)).*/\1/p' "$run/backup_label")
  timeline=$(sed -n 's/^START TIMELINE: //p' "$run/backup_label")
  end=$(sed -n 's/.*"End-LSN": "\([^"]*\)".*/\1/p' "$new/backup_manifest" | tail -n 1)
  [ -n "$start" ] && [ -n "$segment" ] && [ -n "$timeline" ] && [ -n "$end" ] || fail 'the archive that was written says nothing of the log'
  cat >"$new/backup.json" <<JSON
{
  "name": "$name",
  "method": "base",
  "begun": "$begun",
  "ended": "$(date -u +%Y-%m-%dT%H:%M:%SZ)",
  "bytes": $(($(du -sk "$new" | sed 's/[^0-9].*//') * 1024)),
  "start": "$start",
  "end": "$end",
  "segment": "$segment",
  "timeline": $timeline,
  "systemIdentifier": "$theirs",
  "server": "$(ask_primary 'SHOW server_version')"
}
JSON
  sync && mv "$new" "$repository/backups/$name" && flush_dir "$repository/backups"
}

# Only after one that is complete, so that there is always one.
retain() {
  complete "$repository" | awk -v keep="$LP_KEEP" '{ all[NR] = $0 } END { for (i = 1; i <= NR - keep; i++) print all[i] }' |
    while read -r old; do
      # Removal is not atomic, renaming is: a backup half removed must never look whole.
      mv "$repository/backups/$old" "$repository/backups/.$old" && rm -rf "$repository/backups/.$old" && say "let go of $old"
    done
  oldest=$(field "$repository/backups/$(complete "$repository" | head -n 1)/backup.json" segment)
  [ -n "$oldest" ] && pg_archivecleanup -x .gz "$repository/wal" "$oldest"
}

# What the operator tells of it: this backup, and those that are kept, the newest first, as far as there is room.
report() {
  printf '{"last": %s, "backups": [' "$(tr -d '\n' <"$repository/backups/$name/backup.json")"
  separator=
  for kept in $(complete "$repository" | sort -r | head -n 30); do
    file=$repository/backups/$kept/backup.json
    printf '%s{"name": "%s", "ended": "%s", "bytes": %s}' "$separator" "$kept" "$(field "$file" ended)" "$(field "$file" bytes)"
    separator=', '
  done
  printf ']%s}\n' "$uploaded"
}

# Waits until the bucket has it, for as long as something is brought there.
await_upload() {
  uploaded=
  [ -n "${LP_BUCKET:-}" ] || return 0
  uploaded=', "uploaded": true'
  since=$(date +%s) names=$LP_BACKUP_DIR/upload/names
  until grep -qxF "$name" "$names" 2>/dev/null; do
    alive=$(cat "$LP_BACKUP_DIR/upload/alive" 2>/dev/null) || alive=0
    [ "$alive" -ge "$since" ] || alive=$since
    if [ $(($(date +%s) - alive)) -ge "${LP_PATIENCE:-300}" ]; then
      uploaded=', "uploaded": false'
      say 'it is not in the bucket yet'
      return 0
    fi
    sleep 1 &
    child=$!
    wait "$child" || :
    child=
  done
}

write_passfile
open_repository 2>"$run/ask.err" || fail "$(tail -n 1 "$run/ask.err")"
exec 9>"$repository/lock"
flock 9
# What a backup left that was killed.
rm -rf "$repository"/backups/.[0-9]*
say "taking a base backup of $LP_PRIMARY"
take
retain || say 'old log could not be removed'
exec 9>&-
await_upload
report >"$run/report"
say "done: $name"
cat "$run/report" >"${LP_TERMINATION_LOG:-/dev/termination-log}"

#!/bin/sh
# Takes a backup, and lets go of old ones with the log that no backup needs any more.
# LP_METHOD    Logical for dumps; else a base backup
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

now() { date -u +%Y-%m-%dT%H:%M:%SZ; }

# What is written aside, and has its name when it is complete. Sets name and new.
take() {
  begun=$(now)
  name=$(date -u +%Y%m%dt%H%M%Sz)
  [ ! -e "$repository/backups/$name" ] || { sleep 1 && name=$(date -u +%Y%m%dt%H%M%Sz); }
  new=$repository/backups/.$name
  "$1"
  sync && mv "$new" "$repository/backups/$name" && flush_dir "$repository/backups"
}

# A base backup holds the log that makes it consistent, so that it can be restored without any more.
base() {
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
  "ended": "$(now)",
  "bytes": $(size "$new"),
  "start": "$start",
  "end": "$end",
  "segment": "$segment",
  "timeline": $timeline,
  "systemIdentifier": "$theirs",
  "server": "$(ask_primary 'SHOW server_version')"
}
JSON
}

# What files take, in bytes.
size() { printf '%s\n' $(($(du -sk "$1" | sed 's/[^0-9].*//') * 1024)); }

# Only after one that is complete, so that there is always one.
retain() {
  complete "$repository" | awk -v keep="$LP_KEEP" '{ all[NR] = $0 } END { for (i = 1; i <= NR - keep; i++) print all[i] }' |
    while read -r old; do
      # Removal is not atomic, renaming is: a backup half removed must never look whole.
      mv "$repository/backups/$old" "$repository/backups/.$old" && rm -rf "$repository/backups/.$old" && say "let go of $old"
    done
  base='' oldest=
  for kept in $(complete "$repository"); do
    is_logical "$repository/backups/$kept/backup.json" || {
      base=$kept oldest=$(field "$repository/backups/$kept/backup.json" segment)
      break
    }
  done
  if [ -n "$oldest" ]; then
    pg_archivecleanup -x .gz "$repository/wal" "$oldest"
  elif [ -z "$base" ] && [ "${LP_METHOD:-}" = Logical ]; then
    # Only base backups are followed by log, and none is left, nor is any on its way.
    rm -rf "$repository/wal" "$repository/receiving" && mkdir "$repository/wal" "$repository/receiving"
  fi
}

# What the operator tells of it: this backup, and those that are kept, the newest first, as far as there is room.
report() {
  file=$repository/backups/$name/backup.json
  # The kubelet takes 4096 bytes.
  printf '{"last": {"name": "%s", "begun": "%s", "ended": "%s", "bytes": %s}, "backups": [' \
    "$name" "$(field "$file" begun)" "$(field "$file" ended)" "$(field "$file" bytes)"
  separator=
  for kept in $(complete "$repository" | sort -r | head -n 30); do
    file=$repository/backups/$kept/backup.json
    method=
    [ "$(field "$file" method)" != logical ] || method=', "method": "Logical"'
    printf '%s{"name": "%s", "ended": "%s", "bytes": %s%s}' "$separator" "$kept" "$(field "$file" ended)" "$(field "$file" bytes)" "$method"
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
if [ "${LP_METHOD:-}" = Logical ]; then
  . "${0%/*}/dump.sh"
  say "dumping the databases of $LP_PRIMARY"
  take dump
else
  say "taking a base backup of $LP_PRIMARY"
  take base
fi
retain || say 'old log could not be removed'
exec 9>&-
await_upload
report >"$run/report"
say "done: $name"
cat "$run/report" >"${LP_TERMINATION_LOG:-/dev/termination-log}"

# shellcheck shell=sh
# How backups are laid out, on a volume and in a bucket. Read by the scripts that look for them, never run by itself.
#
# system                whose backups these are, for good
# backups/<name>/       a backup: what pg_basebackup writes, or a logical one: globals.sql with the roles and of each database <oid>.dump,
#                       as pg_dump writes it; and backup.json. One without backup.json is none
# wal/<segment>.gz      the log that follows base backups, segment by segment
# receiving/            the segments that are being received; in a bucket <segment>.partial.gz, the end of the log as of some seconds ago

# A text of a backup.json.
field() { sed -n "s/^ *\"$2\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" "$1"; }

# The names of the complete backups below a directory, the oldest first: they are times.
complete() {
  for file in "$1"/backups/*/backup.json; do
    [ ! -f "$file" ] || { file=${file%/*} && printf '%s\n' "${file##*/}"; }
  done
}

# Whether a backup.json is that of a logical backup, which no log follows.
is_logical() { [ "$(field "$1" method)" = logical ]; }

# The backup below the directory $1 to begin a restore with: the one that is named, else the newest that was complete by then and leads
# there. Sets chosen.
choose() {
  if [ "${LP_RESTORE_BACKUP:-latest}" != latest ]; then
    chosen=$LP_RESTORE_BACKUP
  else
    chosen='' logical=
    # Backups tell their end in whole seconds.
    by=$(printf '%s\n' "${LP_RESTORE_TIME:-}" | sed 's/\.[0-9]*Z$/Z/')
    for name in $(complete "$1"); do
      ended=$(field "$1/backups/$name/backup.json" ended)
      if [ -n "$by" ] && is_logical "$1/backups/$name/backup.json"; then
        logical=', and no log leads from a logical one to a time: leave targetTime out to restore the newest'
        continue
      fi
      [ -n "$by" ] && [ "$(printf '%s\n' "$ended" "$by" | LC_ALL=C sort | head -n 1)" != "$ended" ] || chosen=$name
    done
    [ -n "$chosen" ] ||
      refuse RestoreRefused "no complete ${logical:+base }backup is there${LP_RESTORE_TIME:+ that had ended by $LP_RESTORE_TIME}$logical"
  fi
  [ -f "$1/backups/$chosen/backup.json" ] || refuse RestoreRefused "there is no backup $chosen, or it is not complete"
  [ -z "${LP_RESTORE_TIME:-}" ] || ! is_logical "$1/backups/$chosen/backup.json" ||
    refuse RestoreRefused "backup $chosen is logical, and no log leads from it to a time: leave targetTime out, or name a base backup"
}

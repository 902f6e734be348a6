# shellcheck shell=sh
# Makes a database out of a backup. Read by primary.sh where there are no data and none are known.
#
# LP_RESTORE_DIR     the backup volume, for reading alone
# LP_RESTORE_BACKUP  the name of a backup, or `latest`
# LP_RESTORE_TIME    as of when, in UTC as 2026-11-02T08:00:00Z; empty for all that was received

# The backup to begin with: the one that is named, else the newest that was complete by then.
choose() {
  if [ "${LP_RESTORE_BACKUP:-latest}" != latest ]; then
    chosen=$LP_RESTORE_BACKUP
  else
    chosen=
    # Backups tell their end in whole seconds.
    by=$(printf '%s\n' "${LP_RESTORE_TIME:-}" | sed 's/\.[0-9]*Z$/Z/')
    for file in "$source"/backups/*/backup.json; do
      [ -f "$file" ] || continue
      ended=$(sed -n 's/^ *"ended": "\([^"]*\)".*/\1/p' "$file")
      file=${file%/*}
      [ -n "$by" ] && [ "$(printf '%s\n' "$ended" "$by" | LC_ALL=C sort | head -n 1)" != "$ended" ] || chosen=${file##*/}
    done
    [ -n "$chosen" ] || refuse RestoreRefused "no complete backup is there${LP_RESTORE_TIME:+ that had ended by $LP_RESTORE_TIME}"
  fi
  [ -f "$source/backups/$chosen/backup.json" ] || refuse RestoreRefused "there is no backup $chosen, or it is not complete"
}

# Into the directory $1, which is not there. What is left of one that was cut off has been removed.
restore() {
  source=${LP_RESTORE_DIR:?}/repository
  choose
  backup=$source/backups/$chosen
  say "restoring backup $chosen${LP_RESTORE_TIME:+ as of $LP_RESTORE_TIME}"
  mkdir -m 700 "$1"
  gzip -dc "$backup/base.tar.gz" | tar -xf - -C "$1" || refuse RestoreRefused "backup $chosen cannot be unpacked: the log says why"
  [ "$(cat "$1/PG_VERSION")" = "$major" ] ||
    refuse RestoreRefused "backup $chosen is of PostgreSQL $(cat "$1/PG_VERSION"), and the image has $major"
  # Every file against its checksum: a backup that was damaged must not become a database.
  pg_verifybackup -n -q -m "$backup/backup_manifest" "$1" ||
    refuse RestoreRefused "backup $chosen is damaged: the log names the files"
  gzip -dc "$backup/pg_wal.tar.gz" | tar -xf - -C "$1/pg_wal" || refuse RestoreRefused "the log in backup $chosen cannot be unpacked"
  # The settings of the other database came along, as did what its setup was run with.
  rm -f "$1/lp_setup" "$1/standby.signal"
  : >"$1/postgresql.auto.conf"
  : >"$1/recovery.signal"
  before=$(control "$1" "Latest checkpoint's TimeLineID")
  target=
  # Where this setting is read the server knows no names of zones yet, not even Z.
  [ -z "${LP_RESTORE_TIME:-}" ] || target="-c recovery_target_time='${LP_RESTORE_TIME%Z}+00'"
  # Nobody can connect before all is replayed; then it goes on, on a timeline of its own.
  pg_ctl -D "$1" -W -s start -l "$run/recovery.log" -o "-c config_file=$run/postgresql.conf -c listen_addresses= \
    -c unix_socket_directories=$run/setup -c synchronous_standby_names= -c hot_standby=off -c recovery_target_action=promote \
    -c restore_command='sh $conf/fetch.sh %f %p' $target"
  until psql -X -q -h "$run/setup" -p "$port" -U postgres -d postgres -c '' 2>/dev/null; do
    sleep 1
    pg_ctl -D "$1" status >/dev/null || {
      cat "$run/recovery.log" >&2
      refuse RestoreRefused "backup $chosen cannot be replayed: $(sed -n 's/.*\(FATAL\|PANIC\): *//p' "$run/recovery.log" | tail -n 1)"
    }
  done
  cat "$run/recovery.log" >&2
  pg_ctl -D "$1" -w -t 86400 -s -m fast stop
  after=$(control "$1" "Latest checkpoint's TimeLineID")
  [ "$after" -gt "$before" ] || refuse RestoreRefused "the database did not go on a timeline of its own: it is on $after"
  say "restored backup $chosen: timeline $after follows $before"
}

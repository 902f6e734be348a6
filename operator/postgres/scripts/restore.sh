# shellcheck shell=sh
# Makes a database out of a backup. Read by primary.sh where no data are known.
#
# LP_RESTORE_DIR       the backup volume, for reading alone; or what download.sh has brought
# LP_RESTORE_BACKUP    the name of a backup, or `latest`
# LP_RESTORE_TIME      as of when, in UTC as 2026-11-02T08:00:00Z; empty for all that was received
# LP_RESTORE_SNAPSHOT  the name of the snapshot that the volume was made of

. "${0%/*}/layout.sh"

# Into the directory $1, which is not there. What is left of one that was cut off has been removed.
restore() {
  source=${LP_RESTORE_DIR:?}/repository
  choose "$source"
  backup=$source/backups/$chosen
  say "restoring backup $chosen${LP_RESTORE_TIME:+ as of $LP_RESTORE_TIME}"
  if is_logical "$backup/backup.json"; then
    . "$conf/load.sh"
    load "$1" "$backup"
    return
  fi
  mkdir -m 700 "$1"
  gzip -dc "$backup/base.tar.gz" | tar -xf - -C "$1" || refuse RestoreRefused "backup $chosen cannot be unpacked: the log says why"
  [ "$(cat "$1/PG_VERSION")" = "$major" ] ||
    refuse RestoreRefused "backup $chosen is of PostgreSQL $(cat "$1/PG_VERSION"), and the image has $major"
  # Every file against its checksum: a backup that was damaged must not become a database.
  pg_verifybackup -n -q -m "$backup/backup_manifest" "$1" ||
    refuse RestoreRefused "backup $chosen is damaged: the log names the files"
  gzip -dc "$backup/pg_wal.tar.gz" | tar -xf - -C "$1/pg_wal" || refuse RestoreRefused "the log in backup $chosen cannot be unpacked"
  target=
  # Where this setting is read the server knows no names of zones yet, not even Z.
  [ -z "${LP_RESTORE_TIME:-}" ] || target="-c recovery_target_time='${LP_RESTORE_TIME%Z}+00'"
  replay "$1" "backup $chosen" "sh $conf/fetch.sh %f %p" "$target"
}

# Takes the data that are here for what they are: those of another database, as a crash would have left them at one moment. Can be
# cut off and begun again.
adopt() {
  snapshot="snapshot $LP_RESTORE_SNAPSHOT"
  has_data || refuse RestoreRefused "the volume holds no database: $snapshot is not one of a database's volume, or the volume was not made of it"
  [ "$(cat "$PGDATA/PG_VERSION")" = "$major" ] ||
    refuse RestoreRefused "$snapshot is of PostgreSQL $(cat "$PGDATA/PG_VERSION"), and the image has $major"
  say "taking over the data of $snapshot"
  # Nobody else has this volume: the process that is named there ran elsewhere. Slots would keep log for replicas that are not this
  # database's; a base backup has none of these either.
  rm -rf "$PGDATA/postmaster.pid" "$PGDATA/lp_promotion" "$PGDATA.new" "$PGDATA.fetched"
  find "$PGDATA/pg_replslot" -mindepth 1 -delete
  # All log that there is lies beside the data.
  replay "$PGDATA" "$snapshot" false ''
}

# Lets the server of the directory $1, which $2 names, replay what there is, with the restore_command $3 and the options $4.
replay() {
  # The settings of the other database came along, as did what its setup was run with.
  rm -f "$1/lp_setup" "$1/standby.signal"
  : >"$1/postgresql.auto.conf"
  : >"$1/recovery.signal"
  before=$(control "$1" "Latest checkpoint's TimeLineID")
  # Nobody can connect before all is replayed; then it goes on, on a timeline of its own.
  pg_ctl -D "$1" -W -s start -l "$run/recovery.log" -o "-c config_file=$run/postgresql.conf -c listen_addresses= \
    -c unix_socket_directories=$run/setup -c synchronous_standby_names= -c hot_standby=off -c recovery_target_action=promote \
    -c restore_command='$3' $4"
  until psql -X -q -h "$run/setup" -p "$port" -U postgres -d postgres -c '' 2>/dev/null; do
    sleep 1
    pg_ctl -D "$1" status >/dev/null || {
      cat "$run/recovery.log" >&2
      refuse RestoreRefused "$2 cannot be replayed: $(sed -n 's/.*\(FATAL\|PANIC\): *//p' "$run/recovery.log" | tail -n 1)"
    }
  done
  cat "$run/recovery.log" >&2
  pg_ctl -D "$1" -w -t 86400 -s -m fast stop
  after=$(control "$1" "Latest checkpoint's TimeLineID")
  [ "$after" -gt "$before" ] || refuse RestoreRefused "the database did not go on a timeline of its own: it is on $after"
  say "restored $2: timeline $after follows $before"
}

# shellcheck shell=sh
# What the scripts of backups share. Read by them after common.sh, never run by itself.
#
# LP_BACKUP_DIR   the backup volume. Its directory `repository` is laid out as layout.sh says
# LP_PRIMARY      the primary's address
# LP_SECRET_DIR   backup.password
repository=${LP_BACKUP_DIR:?}/repository
primary="host=${LP_PRIMARY:?} port=$port user=lp_backup passfile=$run/pgpass application_name=$POD_NAME connect_timeout=5"
[ -z "$tls" ] || primary="$primary sslmode=verify-full sslrootcert=$tls/ca.crt"
primary="$primary keepalives_idle=10 keepalives_interval=5 keepalives_count=3"

# A passfile that libpq accepts: mounted files belong to root and are readable by the group, which it refuses.
write_passfile() {
  { printf '*:*:*:lp_backup:' && sed -e 's/\\/\\\\/g' -e 's/:/\\:/g' "$secrets/backup.password"; } >"$run/pgpass.$$"
  mv "$run/pgpass.$$" "$run/pgpass"
}

ask_primary() {
  psql -X -A -t -q -F ' ' -v ON_ERROR_STOP=1 -d "$primary dbname=postgres options=-csearch_path=pg_catalog" -c "$1"
}

# Makes sure that the volume is of this database. Two systems in one place could not be told apart. Fails where the primary
# cannot be asked.
open_repository() {
  theirs=$(ask_primary 'SELECT system_identifier FROM pg_control_system()') || return 1
  [ -z "$identifier" ] || [ "$theirs" = "$identifier" ] ||
    refuse WrongCluster "$LP_PRIMARY is system $theirs, the record says $identifier"
  mkdir -p "$repository/backups" "$repository/wal" "$repository/receiving" || return 1
  if [ -s "$repository/system" ]; then
    ours=$(cat "$repository/system")
    [ "$ours" = "$theirs" ] ||
      refuse WrongCluster "the backup volume holds backups of system $ours, and $LP_PRIMARY is system $theirs: nothing is added to them"
  else
    printf '%s\n' "$theirs" >"$repository/system.new" && sync "$repository/system.new" &&
      mv "$repository/system.new" "$repository/system" && flush_dir "$repository"
  fi
}

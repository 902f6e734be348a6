#!/bin/sh
# Starts the primary. Never makes a new database where one is known to have been: an empty volume under a known identity
# is refused, and the operator says so.
. "${0%/*}/common.sh"

# Runs setup.sql as the superuser on a server that nobody else reaches: another socket, no TCP. Its commits wait for no
# replica, since none can connect.
setup() {
  # A verifier that is missing, or a password in its place, changes nothing.
  for role in operator replication pooler backup monitor; do
    # Of the exporter there is one only where there is an exporter.
    [ "$role" != monitor ] || [ -e "$secrets/monitor.verifier" ] || continue
    grep -q '^SCRAM-SHA-256\$' "$secrets/$role.verifier" || { say "$role.verifier is no SCRAM verifier"; return 1; }
  done
  rm -f "$1/lp_setup"
  pg_ctl -D "$1" -w -t 86400 -s start -o "-c config_file=$run/postgresql.conf -c listen_addresses= \
    -c unix_socket_directories=$run/setup -c synchronous_standby_names= -c synchronous_commit=local \
    -c log_statement=none -c log_min_duration_statement=-1 -c log_min_error_statement=panic" || return 1
  result=0
  LP_SECRETS=$secrets psql -X -q -h "$run/setup" -p "$port" -U postgres -d postgres -f "$conf/setup.sql" >/dev/null || result=$?
  pg_ctl -D "$1" -w -t 86400 -s -m fast stop || return 1
  [ "$result" = 0 ] || return 1
  setup_key >"$1/lp_setup"
}

# An empty cluster. The default locale sorts by code points, in the same way with every C library: a new image never makes an index
# wrong.
initialize() {
  locale=${LP_LOCALE:-C.UTF-8}
  provider="--locale=$locale"
  [ "$locale" != C.UTF-8 ] || [ "$major" -lt 17 ] || provider="$provider --locale-provider=builtin --builtin-locale=C.UTF-8"
  # shellcheck disable=SC2086
  initdb -D "$1" -k -N -U postgres -E UTF8 $provider --auth-local=peer --auth-host=scram-sha-256 >/dev/null
}

# What setup.sql is run with: its mark, and a checksum that changes with the verifiers.
setup_key() {
  sed -n '1s/^-- lp.setup = //p' "$conf/setup.sql"
  cat "$secrets"/*.verifier | cksum
}

# The mark of the last setup, for the operator to see.
applied() {
  printf "lp.setup = '%s'\n" "$(sed -n 1p "$PGDATA/lp_setup")"
}

[ -z "${LP_RECORD_PROMOTION:-}" ] || . "${0%/*}/promote.sh"

# As long as nothing is known of the data, and only once: from then on they are this database's own.
if [ -n "${LP_RESTORE_SNAPSHOT:-}" ] && [ -z "$identifier" ] && [ "$(cat "$PGDATA/lp_restored" 2>/dev/null)" != "$LP_RESTORE_SNAPSHOT" ]; then
  . "$conf/restore.sh"
  write_conf </dev/null
  adopt
  # With its passwords in place of the other's.
  setup "$PGDATA" || refuse SetupFailed 'the first setup of the database failed: the log says where'
  printf '%s\n' "$LP_RESTORE_SNAPSHOT" >"$PGDATA/lp_restored"
  flush_dir "$PGDATA/lp_restored"
fi

if has_data; then
  found=$(control "$PGDATA" 'Database system identifier')
  [ -n "$found" ] || refuse DataMissing "the control file in $PGDATA cannot be read"
  [ -z "$identifier" ] || [ "$found" = "$identifier" ] ||
    refuse WrongCluster "the volume holds the data of system $found, the record says $identifier"
  for signal in standby recovery; do
    [ ! -e "$PGDATA/$signal.signal" ] || refuse NotPrimary "the volume holds a replica's data ($signal.signal): it would not accept writes"
  done
  timeline=$(control "$PGDATA" "Latest checkpoint's TimeLineID")
  [ -z "${LP_RECORD_TIMELINE:-}" ] || [ "$timeline" -ge "$LP_RECORD_TIMELINE" ] ||
    refuse NotPrimary "the volume holds timeline $timeline, the record says that the database went on in $LP_RECORD_TIMELINE"
  # What it was restored from, where it was fetched.
  rm -rf "$PGDATA.fetched"
  write_conf </dev/null
  [ "$(setup_key)" = "$(cat "$PGDATA/lp_setup" 2>/dev/null)" ] || setup "$PGDATA" ||
    {
      # The next start tries again; the operator does not restart for it.
      say 'the setup failed: the server starts without it'
      printf 'failed-%s\n' "$(setup_key)" >"$PGDATA/lp_setup"
    }
else
  [ -z "$identifier" ] ||
    refuse DataMissing "the record says that system $identifier has its data here, and $PGDATA holds none: nothing is created in its place"
  [ ! -d "$PGDATA" ] || rmdir "$PGDATA" 2>/dev/null ||
    refuse DataMissing "$PGDATA holds files but no database: nothing is created over them"
  write_conf </dev/null
  rm -rf "$PGDATA.new"
  mkdir -p "${PGDATA%/*}"
  if [ -n "${LP_RESTORE_DIR:-}" ]; then
    . "$conf/restore.sh"
    restore "$PGDATA.new"
  else
    initialize "$PGDATA.new"
  fi
  setup "$PGDATA.new" || refuse SetupFailed 'the first setup of the database failed: the log says where'
  initdb -S -D "$PGDATA.new"
  mv "$PGDATA.new" "$PGDATA"
  flush_dir "${PGDATA%/*}"
  rm -rf "$PGDATA.fetched"
fi

applied | write_conf
serve

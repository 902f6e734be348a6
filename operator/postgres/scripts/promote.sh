# shellcheck shell=sh
# Goes on with the data of a replica that was elected while no primary ran: copies them, follows until all is here that the
# replica had, and leaves for a timeline of its own. Read by primary.sh while the record names one. The replica itself is only
# read: as long as this is not finished, nothing has been decided that could not be begun again.
#
# LP_RECORD_PROMOTION           the word of this promotion; the data carry it
# LP_RECORD_PROMOTION_FROM      host of the elected replica
# LP_RECORD_PROMOTION_LSN       what it had replayed when it was elected
# LP_RECORD_PROMOTION_REPLICAS  numbers of the replicas that shall follow
# LP_RECORD_SYNCHRONOUS_COMMIT, LP_RECORD_SYNCHRONOUS_STANDBY_NAMES
#                               what a commit waited for, and goes on waiting for
: "${LP_RECORD_PROMOTION_FROM:?}" "${LP_RECORD_PROMOTION_LSN:?}"
: "${identifier:?}"
child=
trap '[ -z "$child" ] || kill "$child" 2>/dev/null; exit 143' TERM INT

# How the elected replica is reached: sets elected. Its certificate is known to have the primary's name, not that of each pod.
find_elected() {
  write_passfile
  elected="host=$LP_RECORD_PROMOTION_FROM"
  if [ -n "$tls" ]; then
    address=$(getent ahosts "$LP_RECORD_PROMOTION_FROM" | sed -n '1s/ .*//p')
    [ -n "$address" ] || return 1
    elected="host=${LP_PRIMARY:?} hostaddr=$address sslmode=verify-full sslrootcert=$tls/ca.crt"
  fi
  elected="$elected port=$port user=lp_replication passfile=$run/pgpass application_name=$POD_NAME connect_timeout=5"
  elected="$elected keepalives_idle=10 keepalives_interval=5 keepalives_count=3"
}

copy() {
  find_elected || return 1
  rm -rf "$PGDATA.new"
  mkdir -p "${PGDATA%/*}"
  pg_basebackup -d "$elected" -D "$PGDATA.new" -X stream -c fast --no-password &
  child=$!
  wait "$child" || { child=; return 1; }
  child=
  found=$(control "$PGDATA.new" 'Database system identifier')
  [ "$found" = "$identifier" ] ||
    refuse WrongCluster "$LP_RECORD_PROMOTION_FROM is system $found, the record says $identifier"
  # Both before the rename: data without the mark are never taken for a copy, and a copy never for a primary.
  : >"$PGDATA.new/standby.signal"
  printf '%s\n' "$LP_RECORD_PROMOTION" >"$PGDATA.new/lp_promotion"
  initdb -S -D "$PGDATA.new" || return 1
  mv "$PGDATA.new" "$PGDATA" && flush_dir "${PGDATA%/*}"
}

# Asks the server while nobody else reaches it.
ask_alone() { psql -X -A -t -q -v ON_ERROR_STOP=1 -h "$run/setup" -p "$port" -U postgres -d postgres -c "$1"; }

# A setting as postgresql.auto.conf has it.
setting() { printf "%s = '%s'\n" "$1" "$(printf '%s' "$2" | sed "s/'/''/g")"; }

promote() {
  find_elected || return 1
  : >"$PGDATA/postgresql.auto.conf"
  printf "primary_conninfo = '%s'\n" "$elected" | write_conf
  keep_limits
  pg_ctl -D "$PGDATA" -w -t 86400 -s start -o "-c config_file=$run/postgresql.conf -c listen_addresses= \
    -c unix_socket_directories=$run/setup -c synchronous_standby_names= -c synchronous_commit=local" || return 1
  tries=0
  until [ "$(ask_alone "SELECT pg_last_wal_replay_lsn() >= '$LP_RECORD_PROMOTION_LSN'")" = t ]; do
    # The replica may have another address by now, which the next start finds.
    tries=$((tries + 1))
    [ "$tries" -le 600 ] && pg_ctl -D "$PGDATA" -s status >/dev/null || return 1
    sleep 1 &
    child=$!
    wait "$child" || :
    child=
  done
  # Slots do not come along with a copy. They are there before the first replica asks, and keep what it needs from now on.
  for ordinal in ${LP_RECORD_PROMOTION_REPLICAS:-}; do
    ask_alone "SELECT pg_create_physical_replication_slot('lp_ro_$ordinal', true)
      WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'lp_ro_$ordinal')" >/dev/null || return 1
  done
  # From its first moment on a commit waits for what it waited for before.
  [ -z "${LP_RECORD_SYNCHRONOUS_COMMIT:-}" ] || {
    setting synchronous_commit "$LP_RECORD_SYNCHRONOUS_COMMIT"
    setting synchronous_standby_names "${LP_RECORD_SYNCHRONOUS_STANDBY_NAMES:-}"
  } >"$PGDATA/postgresql.auto.conf"
  flush_dir "$PGDATA/postgresql.auto.conf"
  pg_ctl -D "$PGDATA" -w -t 86400 -s promote || return 1
  pg_ctl -D "$PGDATA" -w -t 86400 -s -m fast stop
}

if ! has_data; then
  [ ! -d "$PGDATA" ] || rmdir "$PGDATA" 2>/dev/null ||
    refuse DataMissing "$PGDATA holds files but no database: nothing is copied over them"
  write_conf </dev/null
  say "copying $LP_RECORD_PROMOTION_FROM, which takes over by the word $LP_RECORD_PROMOTION"
  until copy; do
    say "$LP_RECORD_PROMOTION_FROM cannot be copied: trying again"
    sleep 2 &
    child=$!
    wait "$child" || :
    child=
  done
elif [ "$(cat "$PGDATA/lp_promotion" 2>/dev/null)" != "$LP_RECORD_PROMOTION" ]; then
  refuse NotPrimary "the volume holds data from before the promotion $LP_RECORD_PROMOTION: they are kept, and never go on"
fi
if [ -e "$PGDATA/standby.signal" ]; then
  say "following $LP_RECORD_PROMOTION_FROM up to $LP_RECORD_PROMOTION_LSN, and leaving it there"
  promote || { say 'the promotion was cut off: the next start goes on'; exit 1; }
fi
trap - TERM INT

#!/bin/sh
# Starts a read replica: clones the primary where there is nothing to go on with, and follows it over a slot of its own.
# LP_PRIMARY is the primary's address. The operator makes the slot, and replaces it when it is lost: a slot that was never
# used says that the data here, if any, cannot be continued.
. "${0%/*}/common.sh"
: "${LP_PRIMARY:?}"
slot=lp_ro_${POD_NAME##*-}
primary="host=$LP_PRIMARY port=$port user=lp_replication passfile=$run/pgpass application_name=$POD_NAME connect_timeout=5"
[ -z "$tls" ] || primary="$primary sslmode=verify-full sslrootcert=$tls/ca.crt"
primary="$primary keepalives_idle=10 keepalives_interval=5 keepalives_count=3"
child=
trap '[ -z "$child" ] || kill "$child" 2>/dev/null; exit 143' TERM INT

# Where the data here end: sets lsn and timeline.
position() {
  lsn=0/0 timeline=0
  has_data || return 0
  lsn=$(control "$PGDATA" 'Minimum recovery ending location')
  timeline=$(control "$PGDATA" "Min recovery ending loc's timeline")
  [ "${timeline:-0}" != 0 ] || timeline=$(control "$PGDATA" "Latest checkpoint's TimeLineID")
  lsn=${lsn:-0/0} timeline=${timeline:-0}
}

query() { psql -X -A -t -q -F ' ' -v ON_ERROR_STOP=1 -d "$primary dbname=postgres options=-csearch_path=pg_catalog" 2>"$run/ask.err"; }

# Prints "<identifier> <timeline> <state of our slot> <order>"; the order is "ahead" where the data here hold what the
# primary lacks. Fails where the primary cannot be asked.
ask_primary() {
  position
  printf '%s\n' "SELECT system_identifier, timeline_id,
    coalesce((SELECT CASE WHEN wal_status = 'lost' THEN 'lost' WHEN restart_lsn IS NULL THEN 'unused' ELSE 'used' END
              FROM pg_replication_slots WHERE slot_name = '$slot'), 'none'),
    CASE WHEN ($timeline, '$lsn'::pg_lsn) <= (timeline_id, pg_current_wal_flush_lsn()) THEN 'behind' ELSE 'ahead' END
    FROM pg_control_system(), pg_control_checkpoint()" | query
}

# Whether timeline $1, which the primary is on, was forked off before where the data here end.
diverged() {
  position
  [ "$timeline" -lt "$1" ] || return 1
  fork=$(psql -X -A -t -q -d "$primary replication=true" -c "TIMELINE_HISTORY $1" 2>"$run/ask.err" |
    sed -n "s/^\(.*|\)\{0,1\}$timeline[[:space:]]\{1,\}\([0-9A-F]*\/[0-9A-F]*\).*/\2/p")
  [ -n "$fork" ] && [ "$(printf '%s\n' "SELECT '$lsn'::pg_lsn > '$fork'" | query)" = t ]
}

# Removal is not atomic, renaming is: a directory half removed must never look whole.
discard() {
  rm -rf "$PGDATA.old" || return 1
  [ ! -e "$PGDATA" ] || mv "$PGDATA" "$PGDATA.old" || return 1
  rm -rf "$PGDATA.old" "$PGDATA.new" "$PGDATA.ahead"
}

clone() {
  discard && mkdir -p "${PGDATA%/*}" || return 1
  say "cloning $LP_PRIMARY over slot $slot"
  # Never -R: it would write the password into the data directory.
  pg_basebackup -d "$primary" -D "$PGDATA.new" -X stream -c fast -S "$slot" --no-password &
  child=$!
  wait "$child" || { child=; return 1; }
  child=
  : >"$PGDATA.new/standby.signal" && mv "$PGDATA.new" "$PGDATA" && flush_dir "${PGDATA%/*}"
}

write_conf </dev/null
said=
while :; do
  write_passfile
  if answer=$(ask_primary); then read -r theirs reached state order <<EOF
$answer
EOF
  else theirs='' reached=0 state=unreachable order=behind; fi
  [ -z "$theirs" ] || [ -z "$identifier" ] || [ "$theirs" = "$identifier" ] ||
    refuse WrongCluster "$LP_PRIMARY is system $theirs, the record says $identifier"
  if has_data; then
    found=$(control "$PGDATA" 'Database system identifier')
    expected=${identifier:-$theirs}
    [ -z "$expected" ] || [ "$found" = "$expected" ] ||
      refuse WrongCluster "the volume holds the data of system $found, not of $expected"
    # Remembered, for the primary's log grows past ours one day, and then nothing shows any more that it is another one.
    [ "$order" = behind ] || : >"$PGDATA.ahead"
    [ ! -e "$PGDATA.ahead" ] || { position && [ "$reached" -gt "$timeline" ]; } ||
      refuse ReplicaAhead "this replica holds later changes than $LP_PRIMARY: they are kept until somebody decides"
    case $state in
    unreachable) break ;;
    used)
      diverged "$reached" || break
      say "the data here cannot be continued: the primary went on without them on timeline $reached" && discard
      continue
      ;;
    unused) say 'the data here cannot be continued: the slot is new' && discard ;;
    esac
  else
    case $state in
    used | unused) clone && break ;;
    esac
  fi
  # Said once each, not every second.
  [ "$said" = "$state" ] || say "waiting: slot $slot on $LP_PRIMARY is $state $(sed -n 1p "$run/ask.err" 2>/dev/null)"
  said=$state
  sleep 1 &
  child=$!
  wait "$child" || :
  child=
done

# The primary's own settings came along with its data.
: >"$PGDATA/postgresql.auto.conf"
: >"$PGDATA/standby.signal"
write_conf <<EOF
primary_conninfo = '$primary'
primary_slot_name = '$slot'
EOF
keep_limits
serve

#!/bin/sh
# The readiness probe of both. A replica that merely accepts connections may have stopped following long ago.
# LP_MAX_LAG     seconds of replay lag up to which a replica is ready
# LP_STALE_READS serve: replicas stay ready while the primary does not answer; refuse: they do not
. "${0%/*}/common.sh"
export PGCONNECT_TIMEOUT=3

# Renewed certificates are taken here rather than over the network, which the former ones may no longer open. No connection
# ends. What was renewed meanwhile differs again.
if [ -n "$tls" ] && [ "$(cat "$tls/tls.crt")" != "$(cat "$run/tls.crt")" ]; then
  cat "$tls/tls.crt" >"$run/tls.crt.$$"
  if ask_here -c 'SELECT pg_reload_conf()' >/dev/null; then mv "$run/tls.crt.$$" "$run/tls.crt"; else rm -f "$run/tls.crt.$$"; fi
fi

if [ ! -e "$PGDATA/standby.signal" ]; then
  [ "$(ask_here -c 'SELECT NOT pg_is_in_recovery()')" = t ]
  exit
fi

# A new password takes effect with the next connection of the WAL receiver.
write_passfile

state=$(ask_here -c "SELECT CASE
  WHEN NOT pg_is_in_recovery() THEN 'primary'
  WHEN NOT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming') THEN 'alone'
  WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()
    OR pg_last_xact_replay_timestamp() > now() - interval '${LP_MAX_LAG:-10} seconds' THEN 'streaming'
  ELSE 'late' END")
case $state in
streaming) ;;
# Alone with a primary that answers, it is this replica that is broken.
alone) [ "${LP_STALE_READS:-serve}" = serve ] && ! pg_isready -q -t 3 -h "${LP_PRIMARY:?}" -p "$port" ;;
*) exit 1 ;;
esac

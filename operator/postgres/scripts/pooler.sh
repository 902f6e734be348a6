#!/bin/sh
# Runs PgBouncer. Told to stop, it serves on until no Service leads here any more; then it takes no new client, ends each
# connection of the server after its transaction, and goes when none is left. Clients that sit idle are let go with it.
# LP_POOLER_DIR  pgbouncer.ini
# LP_TLS_DIR     tls.crt, tls.key and ca.crt; without it there is no TLS
# LP_LOOK        seconds between two looks at the certificate
# LP_DRAIN       seconds until no Service leads here
set -eu
pgbouncer "${LP_POOLER_DIR:-/etc/learningplatform/pooler}/pgbouncer.ini" &
server=$!
# Renewed certificates are read anew at SIGHUP; open connections stay.
if [ -n "${LP_TLS_DIR:-}" ]; then
  (
    shown=$(cat "$LP_TLS_DIR/tls.crt")
    while sleep "${LP_LOOK:-10}" && kill -0 "$server"; do
      found=$(cat "$LP_TLS_DIR/tls.crt")
      [ "$found" = "$shown" ] || kill -HUP "$server"
      shown=$found
    done
  ) &
fi
# SIGINT is SHUTDOWN WAIT_FOR_SERVERS. SIGTERM waits for clients, from 1.23 on, and those of a pool never leave.
trap 'trap "" TERM INT; sleep "${LP_DRAIN:-5}"; kill -INT "$server" 2>/dev/null || :' TERM INT
while :; do
  code=0
  wait "$server" || code=$?
  kill -0 "$server" 2>/dev/null || exit "$code"
done

#!/bin/sh
# Runs PgBouncer. Told to stop, it serves on until no Service leads here any more; then it takes no new client, ends each
# connection of the server after its transaction, and goes when none is left. Clients that sit idle are let go with it.
# LP_POOLER_DIR  pgbouncer.ini
# LP_DRAIN       seconds until no Service leads here
set -eu
pgbouncer "${LP_POOLER_DIR:-/etc/learningplatform/pooler}/pgbouncer.ini" &
server=$!
# SIGINT is SHUTDOWN WAIT_FOR_SERVERS. SIGTERM waits for clients, from 1.23 on, and those of a pool never leave.
trap 'trap "" TERM INT; sleep "${LP_DRAIN:-5}"; kill -INT "$server" 2>/dev/null || :' TERM INT
while :; do
  code=0
  wait "$server" || code=$?
  kill -0 "$server" 2>/dev/null || exit "$code"
done

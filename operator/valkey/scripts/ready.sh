#!/bin/sh
# Whether the server answers: not while it is loading its data.
#
#   LP_PORT, LP_AUTH   as for start.sh
set -eu

cli=${LP_CLI:-$(command -v valkey-cli || command -v redis-cli)}
REDISCLI_AUTH=$(cat "${LP_AUTH:-/etc/store/auth}/password")
export REDISCLI_AUTH
[ "$("$cli" -h "${POD_IP:-127.0.0.1}" -p "${LP_PORT:-6379}" PING 2>/dev/null)" = PONG ]

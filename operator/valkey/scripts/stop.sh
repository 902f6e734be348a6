#!/bin/sh
# Hands over to a replica before the server stops, so that writes pause for less than a second. Never fails: the stop goes on anyhow.
#
#   LP_MODE, LP_PORT, LP_AUTH, LP_RUN, LP_TLS_DIR   as for start.sh
set -u

port=${LP_PORT:-6379}
cli=${LP_CLI:-$(command -v valkey-cli || command -v redis-cli)} || exit 0
host=${POD_IP:-127.0.0.1}
REDISCLI_AUTH=$(cat "${LP_AUTH:-/etc/store/auth}/password")
export REDISCLI_AUTH

# What servers of other pods show is verified by the authority.
ask() {
    "$cli" ${LP_TLS_DIR:+--tls --cacert "$LP_TLS_DIR/ca.crt"} "$@"
}

leads() {
    [ "$(ask -h "$host" -p "$port" ROLE 2>/dev/null | head -n 1)" = master ]
}

# A server that has just fetched all data refuses to stop before they are on its volume.
writing() {
    ask -h "$host" -p "$port" INFO persistence 2>/dev/null | grep -q '^aof_rewrite_in_progress:1'
}

leave() {
    tries=0
    while writing && [ "$tries" -lt 200 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
    exit 0
}

leads || leave

if [ "${LP_MODE:-}" = single ]; then
    ask -h "$host" -p "$port" FAILOVER TIMEOUT 5000 >/dev/null 2>&1 || leave
else
    nodes=$(ask -h "$host" -p "$port" CLUSTER NODES 2>/dev/null)
    me=$(echo "$nodes" | sed -n 's/^\([0-9a-f]*\) .*myself.*/\1/p')
    # shellcheck disable=SC2034  # the fields in between have no use
    echo "$nodes" | while read -r id address flags primary sent received epoch link slots; do
        if [ "$primary" = "$me" ] && [ "$flags" = slave ] && [ "$link" = connected ]; then
            address=${address%%@*}
            ask -h "${address%:*}" -p "${address##*:}" CLUSTER FAILOVER >/dev/null 2>&1 && break
        fi
    done
fi

tries=0
while leads && [ "$tries" -lt 50 ]; do
    tries=$((tries + 1))
    sleep 0.1
done
leave

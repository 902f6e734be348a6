#!/bin/sh
# Starts a server of a store, or refuses to where its data are missing.
#
#   LP_MODE                     cluster or single
#   LP_SHARD, LP_ORDINAL        numbers of the StatefulSet and of the pod in it
#   POD_NAME, POD_IP            of the pod
#   LP_DOMAIN                   of the headless Service, so that POD_NAME.LP_DOMAIN is the pod
#   LP_RECORD_POD_<shard>_<ordinal>   held: this volume held data; rejoin: others have them, start empty if they are gone
#   LP_RECORD_PRIMARY           single: the pod that leads
#   LP_CONFIG                   the configuration that all servers share
#   LP_AUTH                     directory with the files password, previous (may be missing) and users (may be missing)
#   LP_TLS_DIR                  directory with tls.crt and ca.crt, where the configuration says that the server speaks TLS
#   LP_DATA, LP_RUN             directories for data, and for files of this start
#   LP_TERMINATION_LOG          where the reason of a refusal goes
set -eu
umask 077

data=${LP_DATA:-/data}
run=${LP_RUN:-/run/store}
auth=${LP_AUTH:-/etc/store/auth}
shared=${LP_CONFIG:-/etc/store/server.conf}
log=${LP_TERMINATION_LOG:-/dev/termination-log}

server=${LP_SERVER:-$(command -v valkey-server || command -v redis-server)}

has_data() {
    for file in "$data"/appendonlydir/*.manifest "$data"/*.aof "$data"/*.rdb; do
        if [ -e "$file" ]; then return 0; fi
    done
    return 1
}

eval "record=\${LP_RECORD_POD_${LP_SHARD}_${LP_ORDINAL}:-}"
if ! has_data; then
    case $record in
    held)
        # A server that starts empty under its old name makes its replicas empty too.
        echo "DataMissing: the record says that the volume of $POD_NAME held data, and $data holds none" | tee "$log" >&2
        exit 75
        ;;
    rejoin)
        # Without its data it must not come back as the owner of its slots.
        rm -f "$data/nodes.conf"
        ;;
    esac
fi

# Every byte by its number, so that no character of a password means anything to the parser.
escaped() {
    od -An -v -tx1 | tr -d '\n' | sed 's/ /\\x/g'
}

secret() {
    # Editors and echo leave a line's end.
    value=$(cat "$auth/$1")
    printf %s "$value" | escaped
}

{
    current=$(secret password)
    accepted="\">$current\""
    if [ -s "$auth/previous" ]; then accepted="$accepted \">$(secret previous)\""; fi
    echo "user default on ~* &* +@all $accepted"
    echo "masterauth \"$current\""
    if [ -s "$auth/users" ]; then cat "$auth/users"; echo; fi
} >"$run/auth.conf"

{
    cat "$shared"
    echo "dir \"$data\""
    echo "include \"$run/auth.conf\""
    case $LP_MODE in
    cluster)
        echo "cluster-announce-ip $POD_IP"
        if [ -n "${LP_DOMAIN:-}" ]; then echo "cluster-announce-hostname $POD_NAME.$LP_DOMAIN"; fi
        ;;
    single)
        echo "replica-announce-ip $POD_IP"
        # Whoever is not the primary by record must not take writes, whatever it was before.
        if [ -n "${LP_RECORD_PRIMARY:-}" ] && [ "$LP_RECORD_PRIMARY" != "$POD_NAME" ]; then
            port=$(sed -n 's/^\(tls-\)\{0,1\}port \([1-9]\)/\2/p' "$shared")
            echo "replicaof $LP_RECORD_PRIMARY${LP_DOMAIN:+.$LP_DOMAIN} ${port:-6379}"
        fi
        ;;
    esac
} >"$run/server.conf"

# Which certificates the server starts with, for the readiness probe to see that others have come.
if [ -n "${LP_TLS_DIR:-}" ]; then cat "$LP_TLS_DIR/tls.crt" "$LP_TLS_DIR/ca.crt" >"$run/certificates"; fi

exec "$server" "$run/server.conf"

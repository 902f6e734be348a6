#!/bin/sh
# Whether the server answers: not while it is loading its data. Has it read certificates anew that have changed.
#
#   LP_PORT, LP_AUTH, LP_TLS_DIR, LP_RUN   as for start.sh
set -eu

cli=${LP_CLI:-$(command -v valkey-cli || command -v redis-cli)}
REDISCLI_AUTH=$(cat "${LP_AUTH:-/etc/store/auth}/password")
export REDISCLI_AUTH
tls=${LP_TLS_DIR:-}
run=${LP_RUN:-/run/store}

# The way to the server of its own pod leads past nobody, and a certificate that has ended must not keep the next one out.
ask() { "$cli" ${tls:+--tls --insecure} -h "${POD_IP:-127.0.0.1}" -p "${LP_PORT:-6379}" "$@" 2>/dev/null; }

# No connection ends. What changes meanwhile differs again.
if [ -n "$tls" ] && [ "$(cat "$tls/tls.crt" "$tls/ca.crt")" != "$(cat "$run/certificates" 2>/dev/null)" ]; then
    cat "$tls/tls.crt" "$tls/ca.crt" >"$run/certificates.new"
    taken=$(ask CONFIG SET tls-cert-file "$tls/tls.crt" tls-key-file "$tls/tls.key" tls-ca-cert-file "$tls/ca.crt") || taken=
    if [ "$taken" = OK ]; then mv "$run/certificates.new" "$run/certificates"; fi
fi

[ "$(ask PING)" = PONG ]

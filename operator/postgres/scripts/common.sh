# shellcheck shell=sh
# What the pod's scripts share. Read by the others, never run by itself.
#
# PGDATA                        data directory, below the volume's root
# POD_NAME                      the pod's name
# LP_CONF_DIR                   postgresql.conf, pg_hba.conf, setup.sql as the operator renders them, and these scripts
# LP_SECRET_DIR                 operator.verifier, replication.verifier, pooler.verifier, backup.verifier, monitor.verifier where
#                               there is an exporter (primary), replication.password, backup.password (backups)
# LP_TLS_DIR                    tls.crt, tls.key and ca.crt; without it the server does not speak TLS
# LP_RUN_DIR                    sockets and what is written at each start; may vanish with the container
# LP_LISTEN, LP_PORT            addresses and port to listen on
# LP_RECORD_SYSTEM_IDENTIFIER   whose data this is, from the operator's record; empty where none has ever been seen
# LP_RECORD_TIMELINE            the primary's last known timeline
# LP_LOCALE                     locale of a new primary; C.UTF-8 unless set
# LP_TERMINATION_LOG            where a refusal is written for the kubelet
set -eu
umask 077
: "${PGDATA:?}" "${POD_NAME:?}"
conf=${LP_CONF_DIR:-/etc/learningplatform/postgres}
secrets=${LP_SECRET_DIR:-/etc/learningplatform/secrets}
tls=${LP_TLS_DIR:-}
run=${LP_RUN_DIR:-/var/run/postgresql}
port=${LP_PORT:-5432}
identifier=${LP_RECORD_SYSTEM_IDENTIFIER:-}

# A password in the environment would override the passfile, and the WAL receiver would use it.
unset PGPASSWORD PGPASSFILE PGSERVICE PGSERVICEFILE PGHOST PGHOSTADDR PGPORT PGUSER PGDATABASE PGOPTIONS 2>/dev/null || :
# Nothing of the pod's user is read: its home may be missing or not ours.
export PSQLRC=/dev/null PSQL_HISTORY=/dev/null PGCONNECT_TIMEOUT=5

# Debian's packages keep the servers out of PATH, and have a wrapper for psql there that wants Perl.
if ! command -v initdb >/dev/null 2>&1; then
  for dir in /usr/lib/postgresql/*/bin; do PATH=$dir:$PATH; done
  export PATH
fi

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# Ends the container with a reason that the operator knows, and a sentence.
refuse() {
  say "$1: $2"
  printf '%s: %s\n' "$1" "$2" >"${LP_TERMINATION_LOG:-/dev/termination-log}" || :
  exit 75
}

# One field of the control file of a data directory.
control() { LC_ALL=C pg_controldata -D "$1" 2>/dev/null | sed -n "s/^$2: *//p"; }

has_data() { [ -f "$PGDATA/global/pg_control" ]; }

# The server's configuration: the mounted file, then what only this pod knows. postgresql.auto.conf has the last word.
write_conf() {
  mkdir -p "$run/setup"
  id -un >/dev/null 2>&1 || refuse NoSuchUser "user $(id -u) is not in the image's /etc/passwd: set runAsUser to the image's postgres user"
  printf 'pod %s postgres\n' "$(id -un)" >"$run/pg_ident.conf"
  major=$(postgres --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
  hba=pg_hba.conf
  if [ -n "$tls" ]; then
    hba=pg_hba_tls.conf
    # Not by cp: the copy could not be written over by the next start of the container.
    cat "$tls/tls.crt" >"$run/tls.crt"
  fi
  {
    # Where the server can, it keeps connections for the operator, beside those for the superuser.
    [ "$major" -lt 16 ] || printf 'reserved_connections = 3\n'
    printf "include '%s/postgresql.conf'\n" "$conf"
    printf "hba_file = '%s/%s'\nident_file = '%s/pg_ident.conf'\n" "$conf" "$hba" "$run"
    # The server takes a key of root's that its group may read, as volumes of Secrets have it.
    [ -z "$tls" ] || printf "ssl = on\nssl_cert_file = '%s/tls.crt'\nssl_key_file = '%s/tls.key'\n" "$tls" "$tls"
    printf "unix_socket_directories = '%s'\nunix_socket_permissions = 0700\n" "$run"
    printf "listen_addresses = '%s'\nport = %s\n" "${LP_LISTEN:-*}" "$port"
    cat
  } >"$run/postgresql.conf"
}

# A server that replays must have at least what the primary had when it wrote the WAL that is here, whatever the file says.
keep_limits() {
  for limit in max_connections max_worker_processes max_wal_senders max_prepared_transactions max_locks_per_transaction; do
    field=$limit
    case $limit in
    max_prepared_transactions) field=max_prepared_xacts ;;
    max_locks_per_transaction) field=max_locks_per_xact ;;
    esac
    least=$(control "$PGDATA" "$field setting")
    wished=$(postgres -D "$PGDATA" -c config_file="$run/postgresql.conf" -C "$limit")
    [ "$wished" -ge "$least" ] || printf '%s = %s\n' "$limit" "$least" >>"$run/postgresql.conf"
  done
}

# A passfile that libpq accepts: mounted files belong to root and are readable by the group, which it refuses.
write_passfile() {
  [ -f "$secrets/replication.password" ] || return 0
  { printf '*:*:*:lp_replication:' && sed -e 's/\\/\\\\/g' -e 's/:/\\:/g' "$secrets/replication.password"; } >"$run/pgpass.$$"
  mv "$run/pgpass.$$" "$run/pgpass"
}

# Asks this pod's own server, as its superuser.
ask_here() { psql -X -A -t -q -v ON_ERROR_STOP=1 -h "$run" -p "$port" -U postgres -d postgres "$@"; }

# Runs the server, for good. As the container's first process it would inherit the orphans of probes that were killed, and
# PostgreSQL takes the end of a child that it does not know for a crash: it ends every session (measured). So the shell stays.
serve() {
  set -- postgres -D "$PGDATA" -c config_file="$run/postgresql.conf"
  [ $$ -eq 1 ] || exec "$@"
  "$@" &
  server=$!
  trap 'kill -INT "$server" 2>/dev/null || :' TERM INT
  while :; do
    code=0
    wait "$server" || code=$?
    kill -0 "$server" 2>/dev/null || exit "$code"
  done
}

# Directory entries outlive a crash only once the directories have been flushed.
flush_dir() { sync "$1" 2>/dev/null || sync; }

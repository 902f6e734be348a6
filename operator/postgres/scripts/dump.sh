# shellcheck shell=sh
# A logical backup: the roles, and of each database a dump as of one moment, by the server's own programs. Read by backup.sh. lp_backup may
# read all of it, once setup.sql has seen to that; what only a superuser sees stays behind: passwords of roles and of user mappings, and
# subscriptions.

# Runs a program; its complaint is why the backup failed.
attempt() {
  "$@" 2>"$run/backup.err" &
  child=$!
  wait "$child" || fail "$1: $(complaint "$1")"
  child=
}

complaint() {
  found=$(sed -n "s/^$1: error: //p" "$run/backup.err" | head -n 1)
  printf '%s\n' "${found:-$(tail -n 1 "$run/backup.err")}"
}

ask() { ask_primary "$1" 2>"$run/backup.err" || fail "psql: $(tail -n 1 "$run/backup.err")"; }

# Size and checksum of a file of the backup, as JSON.
facts() {
  [ -s "$new/$1" ] || fail "$1 was not written"
  printf '"file": "%s", "bytes": %s, "sha256": "%s"' "$1" "$(wc -c <"$new/$1" | tr -d ' ')" "$(sha256sum "$new/$1" | cut -c 1-64)"
}

# Of a database: its number, how connection strings and JSON write its name, and whether it can be read.
describe() {
  ask "SELECT CASE WHEN datname ~ '[\n\r]' THEN 'a line ends in its name'
      WHEN NOT has_database_privilege(oid, 'CONNECT') THEN format('GRANT CONNECT ON DATABASE %I TO lp_backup', datname) END
    FROM pg_database WHERE oid = $1" >"$run/why"
  why=$(cat "$run/why")
  json=$(ask "SELECT to_json(datname::text) FROM pg_database WHERE oid = $1")
  [ -z "$why" ] || fail "database $json cannot be dumped: $why"
  quoted=$(ask "SELECT '''' || replace(replace(datname, E'\\\\', E'\\\\\\\\'), '''', E'\\\\''') || '''' FROM pg_database WHERE oid = $1")
}

dump() {
  mkdir "$new"
  allowed=$(ask "SELECT rolbypassrls AND EXISTS (SELECT FROM pg_roles r WHERE r.rolname = 'pg_read_all_data' AND pg_has_role(r.oid, 'usage'))
    FROM pg_roles WHERE rolname = current_user")
  [ "$allowed" = t ] || fail 'lp_backup may not read everything yet: the primary lets it from its next start on'
  attempt pg_dumpall -d "$primary dbname=postgres" --roles-only --no-role-passwords --quote-all-identifiers --no-password \
    -f "$new/globals.sql"
  roles=$(facts globals.sql)
  databases=
  # As pg_dumpall has them: none that takes no connections, and none whose removal was cut off.
  oids=$(ask "SELECT oid FROM pg_database WHERE datallowconn AND datconnlimit <> -2 ORDER BY oid")
  for oid in $oids; do
    describe "$oid"
    # Of another major version identifiers may be keywords.
    attempt pg_dump -d "$primary dbname=$quoted" --format=custom -Z 1 --quote-all-identifiers --no-tablespaces --no-subscriptions \
      --no-password -f "$new/$oid.dump"
    # To its end: what cannot be read is no backup.
    attempt pg_restore -f /dev/null "$new/$oid.dump"
    file=$(facts "$oid.dump")
    databases="$databases${databases:+,}
    {$file, \"name\": $json}"
  done
  server=$(ask 'SHOW server_version')
  cat >"$new/backup.json" <<JSON
{
  "name": "$name",
  "method": "logical",
  "begun": "$begun",
  "ended": "$(now)",
  "bytes": $(size "$new"),
  "major": $(pg_dump --version | sed 's/[^0-9]*\([0-9]*\).*/\1/'),
  "systemIdentifier": "$theirs",
  "server": "$server",
  "roles": {$roles},
  "databases": [$databases
  ]
}
JSON
}

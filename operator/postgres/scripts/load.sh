# shellcheck shell=sh
# Makes a database of a logical backup, by a server of the same major version or a newer one. Read by restore.sh.

# The server that is made, which nobody else reaches.
alone() { "$@" -h "$run/setup" -p "$port" -U postgres; }

sql() { alone psql -X -q -v ON_ERROR_STOP=1 -d postgres "$@" >/dev/null; }

# What was made so far is of no use: the next start begins afresh. Without rows, which errors show beside what went wrong.
give_up() {
  complaint=$(sed -n 's/^.*error: //p; s/^.*ERROR: *//p' "$run/load.err" | head -n 1)
  pg_ctl -D "$1" -s -m immediate stop || :
  refuse RestoreRefused "$2 of backup $chosen cannot be restored: ${complaint:-$(tail -n 1 "$run/load.err")}"
}

# Into the directory $1, out of the backup $2.
load() {
  from=$(field "$2/backup.json" major)
  [ "$from" -le "$major" ] ||
    refuse RestoreRefused "backup $chosen was dumped by PostgreSQL $from, and the image has $major: it can be restored by $from or newer"
  sed -n 's/.*{"file": "\([a-z0-9.]*\)", "bytes": [0-9]*, "sha256": "\([0-9a-f]*\)".*/\2  \1/p' "$2/backup.json" >"$run/sums"
  (cd "$2" && sha256sum -c "$run/sums") >&2 || refuse RestoreRefused "backup $chosen is damaged: the log names the files"
  initialize "$1"
  # Nothing need survive a crash before it is whole; then all of it is flushed.
  pg_ctl -D "$1" -w -t 86400 -s start -l "$run/load.log" -o "-c config_file=$run/postgresql.conf -c listen_addresses= \
    -c unix_socket_directories=$run/setup -c synchronous_standby_names= -c fsync=off -c autovacuum=off -c log_error_verbosity=terse \
    -c log_statement=none -c log_min_duration_statement=-1 -c log_min_error_statement=panic" || {
    cat "$run/load.log" >&2
    say 'the server that backups are loaded into does not start: the next start tries again'
    exit 1
  }
  # The superuser is there. Up to version 15 there were grants by roles that from 16 on may not grant.
  grants=
  [ "$from" -ge 16 ] || grants='/^GRANT /s/ GRANTED BY .*;$/;/'
  # Not every psql of the newer major version knows this word of the older one's last releases.
  restrict=
  psql --help=commands | grep -q restrict || restrict='/^\\\(un\)*restrict /d'
  sed -e '/^CREATE ROLE "*postgres"*;$/d' -e "$grants" -e "$restrict" "$2/globals.sql" >"$run/globals.sql"
  sql -f "$run/globals.sql" 2>"$run/load.err" || give_up "$1" 'a role'
  # Every database is made anew, also those that a new cluster has; meanwhile one more is connected to.
  sql -c 'CREATE DATABASE lp_load' 2>"$run/load.err" || give_up "$1" 'the first database'
  for file in $(sed -n 's/.* \([0-9]*\.dump\)$/\1/p' "$run/sums"); do
    say "loading $file"
    # Policies are obeyed by their tables' owners, who fill materialized views; the superuser's rows never ask them.
    alone pg_restore -d lp_load --create --clean --if-exists --exit-on-error --no-tablespaces --enable-row-security --jobs=2 \
      "$2/$file" 2>"$run/load.err" ||
      give_up "$1" "$file, $(sed -n "s/.*\"file\": \"$file\".*\"name\": \(.*\)}.*/database \1/p" "$2/backup.json"),"
  done
  finish 2>"$run/load.err" || give_up "$1" 'the whole'
  pg_ctl -D "$1" -w -t 86400 -s -m fast stop
  say "restored backup $chosen, which PostgreSQL $from dumped"
}

finish() {
  sql -c 'DROP DATABASE lp_load' || return 1
  # Up to version 15 a role that could make roles could change all of them; from 16 on it must have been granted each.
  [ "$from" -ge 16 ] || [ "$major" -lt 16 ] || sql -c "DO \$\$ DECLARE name name; BEGIN
    FOR name IN SELECT rolname FROM pg_roles r WHERE NOT rolsuper AND rolname !~ '^(pg|lp)_' AND NOT EXISTS
      (SELECT FROM pg_auth_members m WHERE m.roleid = r.oid AND m.member = 'lp_operator'::regrole AND m.admin_option)
    LOOP
      EXECUTE format('GRANT %I TO lp_operator WITH ADMIN TRUE, INHERIT FALSE, SET FALSE', name);
    END LOOP; END \$\$" || return 1
  # Plans need figures, which a dump has none of.
  alone vacuumdb --all --analyze-only --quiet
}

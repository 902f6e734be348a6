-- What only a superuser may do, by the pod's own socket, at first and whenever it has changed. Repeatable.
\set ON_ERROR_STOP on
\set operator `cat "$LP_SECRETS/operator.verifier"`
\set replication `cat "$LP_SECRETS/replication.verifier"`
\set pooler `cat "$LP_SECRETS/pooler.verifier"`
\set backup `cat "$LP_SECRETS/backup.verifier"`
\set monitor `cat "$LP_SECRETS/monitor.verifier" 2>/dev/null || true`
SET client_min_messages = warning;
SELECT 'CREATE ROLE lp_operator' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lp_operator') \gexec
SELECT 'CREATE ROLE lp_replication' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lp_replication') \gexec
ALTER ROLE lp_operator NOSUPERUSER LOGIN CREATEROLE CREATEDB REPLICATION PASSWORD :'operator';
ALTER ROLE lp_replication NOSUPERUSER LOGIN REPLICATION PASSWORD :'replication';
-- The role that backups are taken by. It is there without backups, too: to add them restarts no server.
SELECT 'CREATE ROLE lp_backup' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lp_backup') \gexec
ALTER ROLE lp_backup NOSUPERUSER NOCREATEROLE NOCREATEDB LOGIN REPLICATION PASSWORD :'backup';
GRANT pg_monitor TO lp_operator;
SELECT 'GRANT pg_use_reserved_connections TO lp_operator' WHERE current_setting('server_version_num')::int >= 160000 \gexec
-- The exporter's role, which reads figures and no rows, and takes few connections; without an exporter nobody logs in by it.
SELECT :'monitor' <> '' AS monitored \gset
\if :monitored
  SELECT 'CREATE ROLE lp_monitor' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lp_monitor') \gexec
  ALTER ROLE lp_monitor NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION LOGIN CONNECTION LIMIT 3 PASSWORD :'monitor';
  GRANT pg_monitor TO lp_monitor;
\else
  SELECT 'ALTER ROLE lp_monitor NOLOGIN' WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = 'lp_monitor') \gexec
\endif
-- The pooler's role, which may look up the verifiers of logins that are nobody's but the apps'. It is there without a pooler, too:
-- to add one restarts no server.
SELECT 'CREATE ROLE lp_pooler' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lp_pooler') \gexec
ALTER ROLE lp_pooler NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION LOGIN PASSWORD :'pooler';
CREATE SCHEMA IF NOT EXISTS lp_pooler;
REVOKE ALL ON SCHEMA lp_pooler FROM PUBLIC;
GRANT USAGE ON SCHEMA lp_pooler TO lp_pooler;
CREATE OR REPLACE FUNCTION lp_pooler.lookup(wanted text, OUT login name, OUT verifier text) RETURNS SETOF record
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$ SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END FROM pg_authid
    WHERE rolname = wanted AND rolcanlogin AND NOT (rolsuper OR rolreplication OR rolcreaterole OR rolname ~ '^lp_(monitor|pooler)$') $$;
REVOKE ALL ON FUNCTION lp_pooler.lookup(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lp_pooler.lookup(text) TO lp_pooler;
GRANT ALTER SYSTEM ON PARAMETER synchronous_commit, synchronous_standby_names, primary_conninfo, max_connections,
  max_worker_processes, max_wal_senders, max_prepared_transactions, max_locks_per_transaction TO lp_operator;
GRANT EXECUTE ON FUNCTION pg_reload_conf(), pg_promote(boolean, integer), pg_show_all_file_settings() TO lp_operator;
GRANT SELECT ON pg_file_settings TO lp_operator;
-- From here on the primary's values move only by the operator's hand, after the replicas' (raising) or before (lowering).
SELECT format('ALTER SYSTEM SET %I = %L', name, setting) FROM pg_settings
  WHERE name IN ('max_connections', 'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions', 'max_locks_per_transaction') \gexec


-- What dumps read: every row, whatever policies say, and large objects, for which there is no such role. To write those is let in, too.
SELECT 'GRANT pg_read_all_data TO lp_backup' WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = 'pg_read_all_data') \gexec
ALTER ROLE lp_backup BYPASSRLS;
ALTER ROLE lp_backup SET lo_compat_privileges = on;
SELECT format('GRANT CONNECT ON DATABASE %I TO lp_backup', datname) FROM pg_database WHERE datallowconn AND datconnlimit <> -2 \gexec

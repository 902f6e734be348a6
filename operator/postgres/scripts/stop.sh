#!/bin/sh
# preStop: sessions are ended, what was written is flushed, and replicas receive the rest.
. "${0%/*}/common.sh"
pg_ctl -D "$PGDATA" -m fast -w -t 3600 stop || : # Nothing runs yet.

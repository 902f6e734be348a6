#!/bin/sh
# The restore_command: brings a file of the log from a backup volume, or from what was fetched from a bucket.
# LP_RESTORE_DIR  the volume
# $1, $2          the file's name, and where it is to be
repository=${LP_RESTORE_DIR:?}/repository
packed() { [ -f "$repository/wal/$1.gz" ] && gzip -dc "$repository/wal/$1.gz" >"$2"; }
# It may be packed while it is looked for. The end of what was received stands in a file that is padded with zeros.
packed "$1" "$2" || cp "$repository/receiving/$1" "$2" 2>/dev/null || cp "$repository/receiving/$1.partial" "$2" 2>/dev/null ||
  packed "$1" "$2" || packed "$1.partial" "$2" ||
  { [ -f "$repository/receiving/$1.partial.gz" ] && gzip -dc "$repository/receiving/$1.partial.gz" >"$2"; }

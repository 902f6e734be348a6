# shellcheck shell=sh
# What the scripts that speak to a bucket share. Read by them after common.sh and layout.sh, never run by itself. They run in the image of
# rclone, whose shell and tools are BusyBox's.
#
# LP_BUCKET           rclone's name of the folder with the backups: lp:BUCKET/FOLDER
# RCLONE_CONFIG_LP_*  how it is reached
bucket=${LP_BUCKET:?}
# No file is read or written, errors alone are told, and the scripts themselves try again.
export RCLONE_CONFIG=/notfound RCLONE_LOG_LEVEL=ERROR RCLONE_RETRIES=1 RCLONE_LOW_LEVEL_RETRIES=3 RCLONE_CONTIMEOUT=10s RCLONE_TIMEOUT=60s
# Memory: of each transfer as many parts of 5 MiB are held.
export RCLONE_TRANSFERS=2 RCLONE_S3_UPLOAD_CONCURRENCY=2 LC_ALL=C

# Runs rclone; what it complains of is kept for `why`.
remote() { rclone "$@" 2>"$run/rclone.err"; }

# The last complaint, without what differs from one try to the next.
why() {
  tail -n 1 "$run/rclone.err" |
    sed -e 's,^[0-9/]* [0-9:]* ,,' -e 's/^[A-Z]* *: //' -e 's/^Attempt [^:]* and: //' -e 's/RequestID: [^,]*, HostID: [^,]*, //' -e 's/:[0-9]*->/->/'
}

# The files below a folder of the bucket. One that is not there has none; whether there is a bucket shows when something is written.
list() {
  code=0
  remote lsf -R --files-only "$bucket/$1" || code=$?
  [ "$code" = 0 ] || [ "$code" = 3 ]
}

# Lines of the file $1 that are not in the file $2.
without() { awk -v other="$2" 'BEGIN { while ((getline line < other) > 0) there[line] } !($0 in there)' "$1"; }

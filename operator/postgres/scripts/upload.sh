#!/bin/sh
# Brings what is complete on a backup volume to a bucket, again and again, and keeps the newest backups there. `ready` as argument: whether
# the bucket had everything a short while ago.
#
# Of the volume nothing is changed but the directory `upload`: `time` says when all that was there was in the bucket, `alive` when
# something of it was, `names` which backups are. What is in the bucket goes only when there are enough newer backups in the bucket: a
# volume that is empty, or another one, removes nothing.
#
# LP_OWNER     whose folder it is: another database of the same system, such as a restored one, writes to another
# LP_METHOD    Logical where no log is received
# LP_KEEP      how many backups to keep
# LP_INTERVAL  seconds between two looks
# LP_PATIENCE  seconds for which failures are tried again before they are told
. "${0%/*}/common.sh"
. "${0%/*}/layout.sh"
repository=${LP_BACKUP_DIR:?}/repository
state=$LP_BACKUP_DIR/upload
interval=${LP_INTERVAL:-30}
patience=${LP_PATIENCE:-300}

now() { date +%s; }

if [ "${1:-}" = ready ]; then
  time=$(cat "$state/time" 2>/dev/null)
  [ $(($(now) - ${time:-0})) -lt "$patience" ]
  exit
fi

. "${0%/*}/bucket.sh"
: "${LP_KEEP:?}" "${LP_OWNER:?}"
child=
trap '[ -z "$child" ] || kill "$child" 2>/dev/null; exit 143' TERM INT

# A file of the state, at once.
mark() { printf '%s\n' "$2" >"$state/$1.new" && mv "$state/$1.new" "$state/$1"; }

# Makes sure that the folder is of this database.
claim() {
  ours="$(cat "$repository/system") $LP_OWNER"
  code=0
  remote cat "$bucket/system" >"$run/theirs" || code=$?
  case $code in
  0 | 3 | 4) ;;
  *) return 1 ;;
  esac
  theirs=$(cat "$run/theirs")
  if [ -z "$theirs" ]; then
    printf '%s\n' "$ours" >"$run/ours" && remote copyto "$run/ours" "$bucket/system"
    return
  fi
  [ "$theirs" = "$ours" ] ||
    refuse WrongCluster "${bucket#*:} holds backups of system $theirs, and these are of $ours: nothing is added to them, name another prefix"
}

# The log: segments that are not there yet, then the end that is being received.
log() {
  list wal >"$run/wal" || return 1
  (cd "$repository/wal" && ls) | grep '\.gz$' >"$run/wal.here" || :
  without "$run/wal.here" "$run/wal" >"$run/missing"
  if [ -s "$run/missing" ]; then
    remote copy --files-from-raw "$run/missing" --no-traverse "$repository/wal" "$bucket/wal" || return 1
    cat "$run/missing" >>"$run/wal"
  fi
  last=
  for file in "$repository"/receiving/*.partial; do
    [ -f "$file" ] || continue
    last=${file##*/}
    sum="$last $(cksum <"$file")"
    [ "$sum" != "$(cat "$run/partial" 2>/dev/null)" ] || continue
    # It may grow meanwhile, or just have got its name as a complete one: either way it is a part of the log from its beginning on.
    gzip -1 -c "$file" >"$run/partial.gz" || continue
    remote copyto "$run/partial.gz" "$bucket/receiving/$last.gz" || return 1
    printf '%s\n' "$sum" >"$run/partial"
  done
  list receiving >"$run/receiving" || return 1
  # One that has been followed by the whole segment.
  while read -r old; do
    [ "$old" = "$last.gz" ] || { grep -qxF -e "${old%.partial.gz}.gz" -e "$old" "$run/wal" && printf '%s\n' "$old"; }
  done <"$run/receiving" >"$run/followed" || :
  [ ! -s "$run/followed" ] || remote delete --files-from-raw "$run/followed" "$bucket/receiving"
}

# One backup, whose backup.json comes last: what is listed is whole. The log goes on meanwhile.
put() {
  say "uploading backup $1"
  rclone copy --exclude /backup.json "$repository/backups/$1" "$bucket/backups/$1" 2>"$run/put.err" &
  child=$! looked=$(now)
  while kill -0 "$child" 2>/dev/null; do
    sleep 1
    [ $(($(now) - looked)) -ge "$interval" ] || continue
    ! log || mark alive "$(now)"
    looked=$(now)
  done
  code=0
  wait "$child" || code=$?
  child=
  [ "$code" = 0 ] || { mv "$run/put.err" "$run/rclone.err" && return 1; }
  remote copyto "$repository/backups/$1/backup.json" "$bucket/backups/$1/backup.json"
}

backups() {
  complete "$repository" >"$run/here"
  list backups >"$run/objects" || return 1
  sed -n 's,/backup\.json$,,p' "$run/objects" >"$run/stored"
  for name in $(without "$run/here" "$run/stored"); do
    put "$name" || return 1
    printf '%s\n' "$name" >>"$run/stored"
  done
  sort -r "$run/stored" >"$run/newest"
  tail -n "+$((LP_KEEP + 1))" "$run/newest" >"$run/old"
  # What an upload or a removal has left that was cut off.
  sed 's,/.*,,' "$run/objects" | sort -u >"$run/all"
  without "$run/all" "$run/stored" >>"$run/old"
  for name in $(without "$run/old" "$run/here"); do
    # In this order: half removed it must never look whole.
    remote delete --include /backup.json "$bucket/backups/$name" && remote delete "$bucket/backups/$name" || return 1
    say "let go of $name in the bucket"
  done
  without "$run/newest" "$run/old" >"$run/kept"
  cat "$run/kept" "$run/here" | sort -u >"$run/names"
}

# The log that no backup in the bucket needs.
trim() {
  for file in "$run"/*z.json; do
    grep -qxF "$(basename "$file" .json)" "$run/names" || rm -f "$file"
  done
  segment=
  # Of the oldest base backup: logical ones, which may be older, need none.
  while [ -z "$segment" ] && read -r name; do
    if [ ! -s "$run/$name.json" ]; then
      remote cat "$bucket/backups/$name/backup.json" >"$run/$name.json" || return 1
    fi
    is_logical "$run/$name.json" || {
      segment=$(field "$run/$name.json" segment)
      [ -n "$segment" ] || return 0
    }
  done <"$run/names"
  if [ -z "$segment" ]; then
    # Where log is received a base backup is yet to come.
    [ -s "$run/names" ] && [ "${LP_METHOD:-}" = Logical ] || return 0
    # Behind every segment.
    segment=FFFFFFFFFFFFFFFFFFFFFFFF
  fi
  { sed 's,^,wal/,' "$run/wal" && sed 's,^,receiving/,' "$run/receiving"; } |
    awk -v first="${segment#????????}" '{ name = $0; sub(".*/", "", name) }
      index(name, ".") == 25 && substr(name, 9, 16) "" < first ""' >"$run/needless"
  [ ! -s "$run/needless" ] || remote delete --files-from-raw "$run/needless" "$bucket"
}

mkdir -p "$state"
failing=
say "bringing backups to ${bucket#*:}"
while :; do
  began=$(now)
  if [ ! -s "$repository/system" ]; then
    say 'waiting: nothing has been received yet'
  elif : >"$run/rclone.err" && claim && log && backups && trim; then
    cp "$run/names" "$state/names.new" && mv "$state/names.new" "$state/names"
    mark alive "$began"
    mark time "$began"
    [ -z "$failing" ] || say 'all is in the bucket again'
    failing=
  else
    error=$(why)
    say "failed: ${error:=the volume cannot be read, or rclone says nothing}"
    failing=${failing:-$began}
    if [ $(($(now) - failing)) -ge "$patience" ]; then
      time=$(cat "$state/time" 2>/dev/null) && time=$(date -u -d "@$time" +%Y-%m-%dT%H:%M:%SZ) || time=never
      printf '%s\n%s\n' "$time" "$error" >"${LP_TERMINATION_LOG:-/dev/termination-log}" || :
      exit 1
    fi
  fi
  sleep "$interval" &
  child=$!
  wait "$child" || :
  child=
done

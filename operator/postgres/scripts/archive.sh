#!/bin/sh
# Receives the log of the primary as it is written, over a slot of its own, so that nothing is missing after a pause. What is
# received can be restored at once; a segment that is complete is packed.
. "${0%/*}/common.sh"
. "${0%/*}/repository.sh"
slot=lp_backup
child=
trap '[ -z "$child" ] || kill -INT "$child" 2>/dev/null; exit 143' TERM INT

pack() { # file, name
  gzip -1 -c "$1" >"$repository/wal/$2.gz.new" && sync "$repository/wal/$2.gz.new" &&
    mv "$repository/wal/$2.gz.new" "$repository/wal/$2.gz" && flush_dir "$repository/wal" && rm -f "$1"
}

pack_complete() {
  for file in "$repository"/receiving/*; do
    case $file in
    *.partial | *.tmp | *'/*') ;;
    *) pack "$file" "${file##*/}" || say "${file##*/} cannot be packed" ;;
    esac
  done
}

# The state of the slot. A new one begins where the log is now: what was received before is put aside, with its end.
prepare() {
  state=$(ask_primary "SELECT coalesce((SELECT CASE WHEN wal_status = 'lost' THEN 'lost' ELSE 'there' END
    FROM pg_replication_slots WHERE slot_name = '$slot'), 'none')") || return 1
  case $state in
  lost)
    say "the primary has removed log that was not received: it is waited for a new slot"
    return 1
    ;;
  none)
    pack_complete
    for file in "$repository"/receiving/*.partial; do
      [ ! -f "$file" ] || pack "$file" "${file##*/}" || return 1
    done
    pg_receivewal -d "$primary" --slot=$slot --create-slot --if-not-exists --no-password
    ;;
  esac
}

said=
while :; do
  write_passfile
  if open_repository 2>"$run/ask.err" && prepare 2>>"$run/ask.err"; then
    say "receiving the log of $LP_PRIMARY"
    said=
    pg_receivewal -d "$primary" -D "$repository/receiving" --slot=$slot --status-interval=1 --no-loop --no-password &
    child=$!
    while kill -0 "$child" 2>/dev/null; do
      pack_complete
      sleep 1
    done
    wait "$child" || :
    child=
  else
    # Said once each, not every second.
    error=$(tail -n 1 "$run/ask.err")
    [ "$said" = "$error" ] || say "waiting: $error"
    said=$error
  fi
  pack_complete
  sleep 1 &
  child=$!
  wait "$child" || :
  child=
done

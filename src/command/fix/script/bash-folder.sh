
# in_folder RECIPE NAME NEW-NAME BYTES MODIFIED EXTENSION NEW-EXTENSION
in_folder() {
  local recipe=$1 original="$source/$2" new="$target/$3" kept="$source/$2.orig"
  if [ -n "$in_place" ] && [ -e "$kept" ] && ! [ "$kept" -ef "$original" ]; then
    say "$2" "fixed already"
    return
  fi
  if [ "$new" != "$original" ] && [ -e "$new" ]; then
    say "$3" "there is such a file already"
    return
  fi
  if [ -L "$original" ] || [ "$(wc -c <"$original")" -ne "$4" ] || [ -n "$(find "$original" -newermt "$5")" ]; then
    say "$2" "left as it is: it has changed"
    return
  fi
  cp -p -- "$original" "$work/in.$6"
  made "$recipe" "$2" "$work/in.$6" "$work/fixed.$7" || return 0
  mkdir -p -- "$(dirname -- "$new")"
  if [ -n "$in_place" ]; then
    [ "$kept" -ef "$original" ] || ln -- "$original" "$kept"
  else
    touch -r "$original" -- "$work/fixed.$7"
  fi
  if [ "$new" = "$original" ]; then
    mv -f -- "$work/fixed.$7" "$new"
  else
    # Fails if there is such a file.
    ln -- "$work/fixed.$7" "$new"
    [ -z "$in_place" ] || rm -- "$original"
  fi
  rm -f -- "$work/in.$6" "$work/fixed.$7"
  say "$3" "fixed"
}

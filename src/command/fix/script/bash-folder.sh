
# Gives an original the name that it is kept under, whole or not at all: FILE KEPT
keep() {
  mkdir -p -- "${2%/*}"
  if [ -e "$2" ] || ln -- "$1" "$2" 2>/dev/null; then return; fi
  # Another file system.
  cp -p -- "$1" "$2.part"
  ln -- "$2.part" "$2"
  rm -f -- "$2.part"
}

# in_folder RECIPE NAME NEW-NAME BYTES MODIFIED EXTENSION NEW-EXTENSION
in_folder() {
  local recipe=$1 original="$source/$2" new="$target/$3" kept="$source/$2.orig"
  [ -z "$backup" ] || kept="$backup/$2"
  if ! [ -f "$original" ] || [ -L "$original" ] || [ "$(wc -c <"$original")" -ne "$4" ] ||
    [ -n "$(find "$original" -newermt "$5")" ]; then
    if [ -n "$in_place" ] && [ -e "$kept" ]; then
      say "$2" "fixed already"
    else
      say "$2" "left as it is: it has changed"
    fi
    return
  fi
  if [ "$new" != "$original" ] && [ -e "$new" ]; then
    say "$3" "there is such a file already"
    return
  fi
  # A script that was stopped may have kept the original, and not gone on.
  if [ -n "$in_place" ] && [ -e "$kept" ] && ! cmp -s -- "$kept" "$original"; then
    say "$2" "left as it is: there is another file under the name that its original would be kept under"
    return
  fi
  cp -p -- "$original" "$work/in.$6"
  made "$recipe" "$2" "$work/in.$6" "$work/fixed.$7" || return 0
  mkdir -p -- "${new%/*}"
  if [ -n "$in_place" ]; then
    keep "$original" "$kept"
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

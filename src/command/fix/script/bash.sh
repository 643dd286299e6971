set -euo pipefail

# Whether presync accepts a file.
check() {
  "${PRESYNC:-presync}" explain --color never --profile "$profile" ${rules[@]+"${rules[@]}"} -- "$1" >/dev/null
}

say() {
  printf '%q: %s\n' "$1" "$2"
}

# made RECIPE NAME FILE FIXED-FILE: fixes a file, and fails if that does not give what presync accepts.
failed=0
made() {
  if "$1" "$3" "$4" && check "$4"; then return 0; fi
  say "$2" "left as it is: it cannot be fixed" >&2
  rm -f -- "$3" "$4"
  failed=1
  return 1
}

# Removes what is being worked on, also after a failure.
work_in() {
  work=$(mktemp -d -- "$1/.presync-fix-XXXXXX")
  trap 'rm -rf -- "$work"' EXIT
}

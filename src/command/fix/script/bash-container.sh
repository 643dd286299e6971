
# Sends a request and prints the status: METHOD URL FILE-FOR-THE-RESPONSE [OPTION-OF-CURL...]. Secrets go to curl through a
# pipe, so that no list of processes shows them. If 'copy' is set, the service copies from that URL.
copy=
call() {
  local method=$1 url=$2 body=$3 and='?'
  shift 3
  case $url in *\?*) and='&' ;; esac
  {
    if [ -n "$sas" ]; then
      printf 'url = "%s%s%s"\n' "$url" "$and" "$sas"
      [ -z "$copy" ] || printf 'header = "x-ms-copy-source: %s?%s"\n' "$copy" "$sas"
    else
      printf 'url = "%s"\nheader = "Authorization: Bearer %s"\n' "$url" "$token"
      [ -z "$copy" ] || printf 'header = "x-ms-copy-source: %s"\nheader = "x-ms-copy-source-authorization: Bearer %s"\n' "$copy" "$token"
    fi
  } | curl --config - --path-as-is --globoff --silent --show-error --request "$method" --header 'x-ms-version: 2021-12-02' \
    --header 'Expect:' --output "$body" --write-out '%{http_code}' "$@"
}

# Gets a token, unless there is a SAS or a token that is still fresh.
sign_in() {
  if [ -z "$sas" ] && [ $((SECONDS - token_at)) -gt 1800 ]; then
    token=$(az account get-access-token --resource https://storage.azure.com/ --query accessToken --output tsv)
    token_at=$SECONDS
  fi
}

# Ends the script unless a request succeeded: STATUS WHAT
need() {
  case $1 in
    2*) ;;
    *) say "$2" "the service refuses: $1 $(head -c 500 -- "$work/said" 2>/dev/null | tr -d '\000-\037')" >&2; exit 1 ;;
  esac
}

# Fetches a blob, or its first bytes, in the version that was judged: URL ETAG FILE [OPTION...]. Fails if it has changed.
get() {
  local status
  status=$(call GET "$1" "$3" --header "If-Match: $2" "${@:4}")
  case $status in
    404 | 412) say "$1" "left as it is: it has changed, or was fixed before"; return 1 ;;
  esac
  need "$status" "$1"
}

# Whether a new blob has been written before: URL NEW-URL
is_there() {
  [ "$1" != "$2" ] && [ "$(call HEAD "$2" /dev/null --head)" = 200 ] && say "$2" "there is such a blob already"
}

# The condition for writing: URL NEW-URL ETAG
condition() {
  if [ "$1" = "$2" ]; then
    condition=(--header "If-Match: $3")
  else
    condition=(--header 'If-None-Match: *' --header "x-ms-meta-presync_fixed_from: ${3//\"/}")
  fi
}

# in_container RECIPE URL NEW-URL ETAG NAME EXTENSION NEW-EXTENSION [OPTION-WITH-A-PROPERTY...]
in_container() {
  local recipe=$1 url=$2 new=$3 etag=$4
  sign_in
  ! is_there "$url" "$new" || return 0
  get "$url" "$etag" "$work/in.$6" || return 0
  keep "$5" "$work/in.$6"
  made "$recipe" "$url" "$work/in.$6" "$work/fixed.$7" || return 0
  condition "$url" "$new" "$etag"
  need "$(call PUT "$new" "$work/said" --upload-file "$work/fixed.$7" --header 'x-ms-blob-type: BlockBlob' \
    "${condition[@]}" "${@:8}")" "$new"
  rm -f -- "$work/in.$6" "$work/fixed.$7"
  say "$new" "fixed"
}

# Changes the first bytes; the service copies the rest: URL NEW-URL ETAG NAME BYTES KEPT-BYTES BRAND [OPTION...]
on_the_service() {
  local url=$1 new=$2 etag=$3 bytes=$5 kept=$6 at number=0 id list='' part
  sign_in
  ! is_there "$url" "$new" || return 0
  if [ -n "$backup" ]; then
    get "$url" "$etag" "$work/in" || return 0
    keep "$4" "$work/in"
  fi
  at=0
  if [ -n "$7" ]; then
    get "$url" "$etag" "$work/head" --header "x-ms-range: bytes=0-$((kept - 1))" || return 0
    printf '%s' "$7" >>"$work/head"
    at=$((kept + 4))
    need "$(call PUT "$new?comp=block&blockid=0000000000000000" "$work/said" --upload-file "$work/head")" "$new"
    list='<Latest>0000000000000000</Latest>'
  fi
  while [ "$at" -lt "$bytes" ]; do
    number=$((number + 1))
    id=$(printf '%016d' "$number")
    part=$((at + 268435456 < bytes ? at + 268435456 : bytes))
    need "$(copy=$url call PUT "$new?comp=block&blockid=$id" "$work/said" --data '' \
      --header "x-ms-source-range: bytes=$at-$((part - 1))" --header "x-ms-source-if-match: $etag")" "$url"
    list="$list<Latest>$id</Latest>"
    at=$part
  done
  condition "$url" "$new" "$etag"
  need "$(call PUT "$new?comp=blocklist" "$work/said" --header 'Content-Type: text/xml' \
    --data "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>$list</BlockList>" "${condition[@]}" "${@:8}")" "$new"
  rm -f -- "$work/in" "$work/head"
  say "$new" "fixed"
}

# to_folder RECIPE URL NAME NEW-NAME ETAG EXTENSION NEW-EXTENSION
to_folder() {
  local new
  sign_in
  if [ -e "$target/$4" ]; then
    say "$4" "there is such a file already"
    return
  fi
  get "$2" "$5" "$work/in.$6" || return 0
  made "$1" "$4" "$work/in.$6" "$work/fixed.$7" || return 0
  new="$target/$4"
  mkdir -p -- "${new%/*}"
  ln -- "$work/fixed.$7" "$target/$4"
  rm -f -- "$work/in.$6" "$work/fixed.$7"
  say "$4" "fixed"
}

# Keeps a copy of an original, if that is wanted: NAME FILE
keep() {
  [ -n "$backup" ] && ! [ -e "$backup/$1" ] || return 0
  local kept="$backup/$1"
  mkdir -p -- "${kept%/*}"
  cp -- "$2" "$work/original"
  ln -- "$work/original" "$backup/$1"
  rm -- "$work/original"
}

sas=${AZURE_STORAGE_SAS_TOKEN:-}
sas=${sas#\?}
token=
token_at=-1801

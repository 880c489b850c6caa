# Reads lines until the test process is gone, then counts and cleans up. $1: the directory of the tests, $2: the runtime.
lines=$(cat)
if [ -n "$lines" ]; then
  printf '%s\n' "$lines" | sed -n 's/^skip //p' | sort | uniq -c | while read -r count reason; do
    printf 'skipped: %s: %s\n' "$count" "$reason" >&2
  done
fi
for state in "$1"/*/root/*/; do
  [ -d "$state" ] || continue
  id=$(basename "$state")
  "$2" --root "$(dirname "$state")" delete --force "$id" </dev/null >/dev/null 2>&1
done
rm -rf --one-file-system "$1"

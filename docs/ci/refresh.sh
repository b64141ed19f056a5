#!/bin/sh
# Re-signs VERSION, which expires after 30 days. Run it at least every week, with the timestamp key and
# nothing else. It may be run again at any time.
#
#   sh docs/ci/refresh.sh [further flags of `signer refresh`]
#
# Never add --revive here: it re-signs a VERSION that has expired, which an attacker may have put back.
# A person decides that: README.md.
#
# From the environment:
#   SIGNER_REPO, SIGNER_ROOT, SIGNER_STATE, CHANNEL   as for publish.sh
#   SIGNER_KEYS     where the timestamp key is; default: env:TIMESTAMP_KEY
#   WARN_DAYS       when to warn of the release's expiry; default: 60 days before
#   WARN_ROOT_DAYS  when to warn of the root's; default: 90 days before
#
# Exit codes: 0 refreshed; 1 refreshed, but the release or the root expires soon and a person must act;
# else those of `signer`, such as 3 if the release or the root has expired.
set -eu

CHANNEL=${CHANNEL:-stable}
WARN_DAYS=${WARN_DAYS:-60}
WARN_ROOT_DAYS=${WARN_ROOT_DAYS:-90}
SIGNER_KEYS=${SIGNER_KEYS:-env:TIMESTAMP_KEY}

for key in $SIGNER_KEYS; do
    set -- "$@" --key "$key"
done

for try in 1 2 3; do
    code=0
    signer refresh --channel "$CHANNEL" "$@" || code=$?
    [ "$code" = 4 ] || break
    echo "refresh: try $try of 3 did not get through" >&2
done
[ "$code" = 0 ] || exit "$code"

# A release and a root expire too, and no refresh renews them. If one has expired already, nothing was
# refreshed, and `signer` has said so. It fails here if clients refuse what is published all the same.
shown=$(signer show --channel "$CHANNEL") || {
    code=$?
    [ -z "$shown" ] || printf '%s\n' "$shown" >&2
    exit "$code"
}
soon=$(printf '%s\n' "$shown" | awk -v release="$WARN_DAYS" -v root="$WARN_ROOT_DAYS" '
    /^  (root|release) / {
        days = $1 == "root" ? root : release
        if ($NF == "days" && $(NF - 1) < days) print
    }')
if [ -n "$soon" ]; then
    printf '%s\n' "refresh: VERSION is refreshed, but what it names expires soon:" "$soon" \
        "For the release, publish a new one or run \`signer renew\`; for the root, \`signer root renew\`: keys/README.md." >&2
    exit 1
fi

#!/bin/sh
# Renews VERSION, which expires after 30 days: run it every week, with the timestamp key and nothing else. May be run again at any time.
#
#   sh docs/ci/refresh.sh [further flags of `signer refresh`]
#
# From the environment:
#   SIGNER_REPO, SIGNER_ROOT, CHANNEL   as for publish.sh
#   SIGNER_KEYS   where the timestamp key is; default: env:TIMESTAMP_KEY
#   WARN_DAYS     default: 60
#
# Exit codes: 0 renewed; 1 renewed, but the release or the root expires within WARN_DAYS and a person must act; else those of `signer`.
set -eu

CHANNEL=${CHANNEL:-stable}
WARN_DAYS=${WARN_DAYS:-60}
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

# A release and a root expire too, and no refresh renews them.
shown=$(signer show --channel "$CHANNEL")
soon=$(printf '%s\n' "$shown" | awk -v days="$WARN_DAYS" \
    '/^  (root|release) / && (/EXPIRED/ || ($NF == "days" && $(NF - 1) < days))')
if [ -n "$soon" ]; then
    printf '%s\n' "refresh: VERSION is renewed, but not for long:" "$soon" \
        "Publish a release for the one, \`signer root renew\` for the other: keys/README.md." >&2
    exit 1
fi

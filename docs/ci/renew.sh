#!/bin/sh
# Renews the release of a product that did not change: the same version and executables under a new
# number, valid for another 180 days. It requires the release and the timestamp keys, so run it in the
# job that has them, or as a person. It may be run again at any time.
#
#   sh docs/ci/renew.sh [further flags of `signer renew`]
#
# From the environment:
#   SIGNER_REPO, SIGNER_ROOT, SIGNER_STATE, SIGNER_KEYS, CHANNEL   as for publish.sh
#   RENEW_DAYS    a release with at least so many days left is not renewed; default: 90
#
# Exit codes: 0 renewed, or not due; else those of `signer`.
set -eu

CHANNEL=${CHANNEL:-stable}
RENEW_DAYS=${RENEW_DAYS:-90}
SIGNER_KEYS=${SIGNER_KEYS:-env:RELEASE_KEY env:TIMESTAMP_KEY}

for key in $SIGNER_KEYS; do
    set -- "$@" --key "$key"
done

for try in 1 2 3; do
    code=0
    shown=$(signer show --channel "$CHANNEL") || code=$?
    [ -n "$shown" ] || exit "$code"
    left=$(printf '%s\n' "$shown" | awk '/^  release / && $NF == "days" { print $(NF - 1) }')
    if [ -n "$left" ] && [ "$left" -ge "$RENEW_DAYS" ]; then
        echo "renew: the release on $CHANNEL is valid for $left days; nothing was changed"
        exit 0
    fi
    code=0
    signer renew --channel "$CHANNEL" "$@" || code=$?
    [ "$code" = 4 ] || exit "$code"
    echo "renew: try $try of 3 did not get through" >&2
done
exit 4

#!/bin/sh
# Publishes one build as a signed release: what every CI here calls. May be run again at any time.
#
#   VERSION=42 sh docs/ci/publish.sh x86_64-unknown-linux-gnu=dist/mytool ... [-- further flags of `signer release`]
#
# From the environment:
#   VERSION       the build number: an integer that only grows
#   SIGNER_REPO   where to publish: s3://bucket/prefix, or a directory
#   SIGNER_ROOT   the root document that the tool carries
#   SIGNER_KEYS   where the keys are, never the keys; default: env:RELEASE_KEY env:TIMESTAMP_KEY
#   SIGNER_STATE  a file that CI keeps from run to run: README.md, "The publisher's memory"
#   CHANNEL       default: stable
#   MAX_BEHIND    how far behind the published build a late one may be; default: 20
#
# Exit codes: 0 published now, published before, or superseded by a newer build; else those of `signer` (2 usage, 3 refused,
# 4 repository not reached or lost to another publisher three times, 5 this machine).
set -eu

CHANNEL=${CHANNEL:-stable}
MAX_BEHIND=${MAX_BEHIND:-20}
SIGNER_KEYS=${SIGNER_KEYS:-env:RELEASE_KEY env:TIMESTAMP_KEY}

fail() {
    code=$1
    shift
    printf 'publish: %s\n' "$@" >&2
    exit "$code"
}

case ${VERSION:-} in
    '' | 0* | *[!0-9]* | ???????????????????*)
        fail 2 "VERSION must be a build number such as 42: digits only, at most 18, no zero in front" ;;
esac

# What is published now: `published` is its build number, or empty. `signer` also fails, but after it
# has shown something, if nothing is published or if clients would refuse it: a release mends that. A
# repository that cannot be read ends the script here.
look() {
    status=0
    shown=$(signer show --channel "$CHANNEL") || status=$?
    [ -n "$shown" ] || exit "$status"
    published=$(printf '%s\n' "$shown" | sed -n "s/^  \([1-9][0-9]\{0,17\}\) on $CHANNEL, release [0-9]*\$/\1/p")
}

# A build that was taken back stays so, also when its pipeline is run again.
end_if_taken_back() {
    retracted=$(printf '%s\n' "$shown" | sed -n 's/^  takes back //p')
    case ", $retracted, " in
        *", $VERSION, "*)
            fail 3 "build $VERSION is not published: build $published, which is, took it back" \
                "Publish its successor. If it is to come back itself, run \`signer release\`." ;;
    esac
}

# One try. One that loses at VERSION itself can leave its manifest above what the other publisher
# published, and `signer` then names it: `left`. The next try finishes that release.
try_release() {
    code=0
    said=$(signer release --version "$VERSION" --channel "$CHANNEL" "$@" 2>&1 >&3) || code=$?
    [ -z "$said" ] || printf '%s\n' "$said" >&2
    manifest=$(printf '%s\n' "$said" | sed -n 's/^signer: manifest \([0-9a-f]\{64\}\) of this release was written, but VERSION was not.*/\1/p')
    left=${manifest:-$left}
} 3>&1

# Gives way to a newer build. What this run left would keep every publisher from going on, so the
# newer build is published again under a number above it.
abandon_left() {
    [ -n "$left" ] || return 0
    set --
    for key in $SIGNER_KEYS; do
        set -- "$@" --key "$key"
    done
    for again in 1 2 3; do
        code=0
        signer renew --channel "$CHANNEL" --abandon "$left" "$@" >&2 || code=$?
        [ "$code" = 4 ] || break
        echo "publish: try $again of 3 to renew build $published did not get through" >&2
    done
    [ "$code" = 0 ] || exit "$code"
}

# A newer build is published: this one came late, which is no fault. One that is far behind did not come late, and one that is to take
# builds back is a person's, who must not be told that all is well.
end_if_superseded() {
    if [ -z "$published" ] || [ "$published" -le "$VERSION" ]; then
        return 0
    fi
    abandon_left
    if [ $((published - VERSION)) -gt "$MAX_BEHIND" ]; then
        fail 3 "build $VERSION is not published: it is $((published - VERSION)) behind build $published, which is, and no pipeline is so late" \
            "If the CI's counter has started again, raise OFFSET. To take build $published back, run \`signer release\` with --retract."
    fi
    case " $* " in
        *" --retract "* | *" --retract="*)
            fail 3 "build $VERSION is not published and nothing is taken back: build $published, which is, is newer" \
                "To go back to an older build, run \`signer release\` with these flags." ;;
    esac
    # What is saved after this run must be as new as what the other run saved.
    if [ -n "${SIGNER_STATE:-}" ]; then
        signer verify --channel "$CHANNEL" > /dev/null
    fi
    echo "superseded: build $VERSION is not published, because the newer build $published is"
    exit 0
}

# The arguments before `--` are artifacts, those after it are flags of `signer release`.
[ $# -gt 0 ] || fail 2 "name each executable as TARGET=PATH, such as x86_64-unknown-linux-gnu=target/release/mytool"
own=yes
for argument; do
    shift
    case $own,$argument in
        yes,--) own=no ;;
        yes,*) set -- "$@" --artifact "$argument" ;;
        *) set -- "$@" "$argument" ;;
    esac
done
for key in $SIGNER_KEYS; do
    set -- "$@" --key "$key"
done

left=
look
end_if_taken_back
end_if_superseded "$@"
if [ "$published" = "$VERSION" ]; then
    # An earlier run published it and may have ended before it had read everything back. What it published stays as it is.
    signer verify --channel "$CHANNEL"
    printf '%s\n' "build $VERSION was published before; nothing was changed" "$shown"
    exit 0
fi

for try in 1 2 3; do
    try_release "$@"
    case $code in
        0) exit 0 ;;
        3 | 4) ;;
        *) exit "$code" ;;
    esac
    # Refused or lost: perhaps because a newer build came first. Anything else that was refused stays refused.
    look
    end_if_superseded "$@"
    if [ "$code" = 3 ] || [ "$published" = "$VERSION" ]; then
        exit "$code"
    fi
    echo "publish: try $try of 3 did not get through" >&2
done
exit 4

#!/bin/sh
# Checks the files that other jobs built, before a job that has secrets runs any of them.
#
#   sh docs/ci/check.sh DIR PATH=SHA256 ...
#
# DIR must contain exactly the files PATH, relative to DIR, and each must have its SHA-256 sum. Take
# the sums from a channel that only the job that built the file can write: on GitHub the outputs of
# that job. A sum that came with the file proves nothing, because it can be replaced with the file.
#
# A file without a sum is refused too: if DIR is on PATH, a file named `sed` would run in the place
# of the system's. So are symbolic links and everything else that is not a regular file.
#
# Exit codes: 0 all files are what their jobs built; 2 usage; 3 refused.
set -eu
LC_ALL=C
export LC_ALL

fail() {
    code=$1
    shift
    printf 'check: %s\n' "$@" >&2
    exit "$code"
}

[ $# -ge 2 ] || fail 2 "usage: check.sh DIR PATH=SHA256 ..."
dir=$1
shift
if [ ! -d "$dir" ] || [ -L "$dir" ]; then
    fail 3 "$dir is not a directory, so nothing was downloaded to it"
fi
CDPATH='' cd -- "$dir"

# The arguments are checked before any file is: a job that failed to set its output leaves an empty
# sum, and that must never count as a match.
expected=
for argument; do
    path=${argument%%=*}
    sum=${argument#*=}
    case $argument in
        =* | [!A-Za-z0-9._]* | *[!A-Za-z0-9._/-]*=*) fail 2 "invalid path in the argument: $path" ;;
        *=*) ;;
        *) fail 2 "an argument has the form PATH=SHA256, but this one has no sum: $path" ;;
    esac
    case $sum in
        '') fail 3 "$path has an empty SHA-256 sum" \
            "The job that built it did not set its output, or the name of the output is wrong." ;;
        *[!0-9a-f]*) fail 3 "$path has an invalid SHA-256 sum: it is not lower-case hexadecimal" ;;
    esac
    [ ${#sum} = 64 ] || fail 3 "$path has an invalid SHA-256 sum: ${#sum} digits instead of 64"
    expected="$expected./$path
"
done
expected=$(printf %s "$expected" | sort)

# File names come from the job that uploaded them. Whatever could end a line, drive a terminal or be
# a command to the runner that reads this log becomes `?`, which no PATH contains.
found=$(find . ! -type d -print0 | tr '\000\n' '\n?' | tr -c 'A-Za-z0-9._/\n-' '?' | sort)

# Prints the lines of $2 that are not in $3, each after the text $1.
difference() {
    printf '%s\n' "$2" | while IFS= read -r line; do
        case "
$3
" in
            *"
$line
"*) ;;
            *) printf 'check: %s: %s\n' "$1" "$line" >&2 ;;
        esac
    done
}

if [ "$found" != "$expected" ]; then
    difference "unexpected file" "$found" "$expected"
    difference "missing file" "$expected" "$found"
    fail 3 "$dir must contain exactly the files that have a sum, each of them once"
fi

if command -v sha256sum > /dev/null; then
    sha256() { sha256sum; }
else
    sha256() { shasum -a 256; } # macOS before 15
fi

for argument; do
    path=${argument%%=*}
    sum=${argument#*=}
    if [ ! -f "$path" ] || [ -L "$path" ]; then
        fail 3 "$path is not a regular file"
    fi
    actual=$(sha256 < "$path")
    actual=${actual%% *}
    if [ "$actual" != "$sum" ]; then
        fail 3 "$path has the SHA-256 sum $actual, but the job that built it reported $sum" \
            "Another job replaced the artifact, or the download is damaged." \
            "Find the job that uploaded it. Treat a replaced artifact as an attack on the keys."
    fi
done
echo "check: every file has the SHA-256 sum that its job reported ($#)"

#!/bin/sh
# Downloads one file that a job of this GitLab pipeline built, and nothing else of its artifacts.
#
#   sh docs/ci/gitlab-fetch.sh JOB PATH
#
# JOB is the name of the job, PATH the file in its artifacts and here. The job's id comes from
# GitLab, and only the job itself can upload artifacts under this id. Requires curl and Python 3.
#
# From the environment, set by GitLab: CI_API_V4_URL, CI_PROJECT_ID, CI_PIPELINE_ID, CI_JOB_TOKEN.
#
# Exit codes: 0 downloaded; else that of curl or Python.
set -eu

job=$1
path=$2
project=$CI_API_V4_URL/projects/$CI_PROJECT_ID

get() {
    curl --fail --silent --show-error --location --retry 3 --header "JOB-TOKEN: $CI_JOB_TOKEN" "$@"
}

jobs=$(get "$project/pipelines/$CI_PIPELINE_ID/jobs?per_page=100")
id=$(printf %s "$jobs" | python3 -I -c '
import json, sys
ids = [job["id"] for job in json.load(sys.stdin) if job["name"] == sys.argv[1]]
if len(ids) != 1:
    sys.exit(f"fetch: {len(ids)} jobs of this pipeline are named {sys.argv[1]}, instead of one")
print(int(ids[0]))
' "$job")
mkdir -p "$(dirname "$path")"
get --output "$path" "$project/jobs/$id/artifacts/$path"

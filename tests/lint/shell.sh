#!/usr/bin/env bash
# Whether shellcheck finds nothing in the shell scripts.
set -euo pipefail
cd "$1"
command -v shellcheck >/dev/null || { echo "shellcheck is absent" && exit 77; }
shellcheck -x slurm/*.sh slurm/*.sbatch slurm/machines/*.sh slurm/testbed/*.sh tests/run.sh tests/lint/*.sh .ci/run

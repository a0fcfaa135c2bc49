#!/usr/bin/env bash
# bash tests/fuzz/run.sh [SECONDS]: fuzzes every reader of untrusted files for that long (600), as many at a time as
# there are processors, under the address and undefined-behaviour sanitizers. A finding is left in build/fuzz/found.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=slurm/library.sh
source slurm/library.sh
export seconds=${1:-600}
targets=(gguf safetensors tokenizer_json chat_template)
prepare_environment
build fuzz "${targets[@]/#/fuzz_}"
"$venv/bin/python" tests/fuzz/make_seeds.py build/fuzz/seeds
mkdir -p build/fuzz/found

fuzz_one() {
    local said
    said=$("build/fuzz/tests/fuzz/fuzz_$1" "$seconds" "build/fuzz/seeds/$1" "build/fuzz/found/$1" 2>"build/fuzz/$1.log") || {
        echo "fuzz $1: a finding, see build/fuzz/$1.log and build/fuzz/found/$1"
        return 1
    }
    echo "fuzz $1: $said"
}
export -f fuzz_one
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'fuzz_one {}'

#!/usr/bin/env bash
# Sets up, builds and runs all tests, and builds the CUDA preset with its GPU tests (skipped, and counted, where
# there is no GPU). Can be run again at any time. The last line is `N passed, N failed, N skipped`.
#   --all   the long tests too
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=slurm/library.sh
source slurm/library.sh

excluded='^(gpu|long)$'
case ${1:-} in
    --all) excluded='^gpu$' ;;
    '') ;;
    *) sed -n 's/^# \{0,1\}//; 2,4p' "$0" >&2 && exit 2 ;;
esac

# run_tests PRESET CTEST-OPTION...: the verdict is in the file that summarize_tests.py reads.
run_tests() {
    local preset=$1 start
    shift
    start=$(now)
    say "Testing build/$preset ..."
    rm -f "build/$preset/junit.xml"
    ctest --test-dir "build/$preset" -j "$(nproc)" --output-on-failure --no-tests=ignore \
        --test-output-size-passed 1000000 --test-output-size-failed 1000000 \
        --output-junit "$root/build/$preset/junit.xml" "$@" || true
    say "Testing build/$preset: done in $(($(now) - start)) s"
}

started=$(now)
step "Setting up" bash slurm/setup.sh whole
prepare_environment
build dev all
run_tests dev -LE "$excluded"

build cuda popalign
gpu_targets=$(cmake --build build/cuda --target help | sed -n 's/^\(test_gpu[A-Za-z0-9_]*\):.*/\1/p')
# shellcheck disable=SC2086 # a list of words
[[ -z $gpu_targets ]] || build cuda $gpu_targets
run_tests cuda -L gpu

say "Everything took $(($(now) - started)) s"
exec "$venv/bin/python" tests/summarize_tests.py build/dev/junit.xml build/cuda/junit.xml

# shellcheck shell=bash
# Shared by the scripts of this folder and tests/run.sh; sourced after `set -euo pipefail`.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export venv=$root/build/venv

# Prints a message for people on stderr; stdout is for results.
say() { printf 'popalign: %s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}
now() { date +%s; }

# step WHAT COMMAND...: says what is done and how long it took; stops with one line if it fails. The command
# is a program, not a shell function: inside a condition `set -e` would not hold in one.
step() {
    local what=$1 start status=0
    shift
    start=$(now)
    say "$what ..."
    "$@" || status=$?
    if ((status == 75)); then
        say "$what: stopped after $(($(now) - start)) s with everything saved; run the same command again"
        exit 75
    fi
    ((status == 0)) || fail "$what failed (status $status after $(($(now) - start)) s); see above"
    say "$what: done in $(($(now) - start)) s"
}

# Sets the environment for Open MPI and the compiler cache.
prepare_environment() {
    if ((EUID == 0)); then
        export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    fi
    if ! command -v ssh >/dev/null && ! command -v rsh >/dev/null; then
        export OMPI_MCA_plm_rsh_agent=/bin/false # one machine needs no remote shell, but mpirun looks for it
    fi
    if [[ ! -d ${HOME:-/nonexistent}/.cache/ccache ]]; then
        export CCACHE_DIR=${CCACHE_DIR:-$root/build/ccache}
    fi
    # One compilation serves all presets and clones that would do the same.
    export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=true
}

# build PRESET TARGET...: configures where needed and builds.
build() {
    local preset=$1 options=()
    shift
    [[ -z ${LIBTORCH_ROOT:-} ]] || options+=("-DLIBTORCH_ROOT=$LIBTORCH_ROOT")
    step "Configuring build/$preset" cmake --preset "$preset" -S "$root" "${options[@]}" --log-level=WARNING
    step "Building $* in build/$preset" cmake --build "$root/build/$preset" -j "$(nproc)" --target "$@"
}

#!/usr/bin/env bash
# Submits a run as a chain of jobs, each starting when the one before it succeeded: synthesis, judging, training,
# evaluation. From the repository's root:
#   bash slurm/pipeline.sh --config run.yaml [--machine NAME] [--set key.path=value]... [-- SBATCH-OPTION...]
#   --machine NAME      options and environment of slurm/machines/NAME.sh
#   --stages "S ..."    only these of: synthesize judge train evaluate
# Arguments behind -- go to sbatch: counts of nodes and tasks, time, account. Prints the jobs' ids.
set -euo pipefail
# shellcheck source=slurm/library.sh
source "$(dirname "$0")/library.sh"
cd "$root"

arguments=() stages='synthesize judge train evaluate' machine=''
while (($#)); do
    case $1 in
        --help | -h) sed -n 's/^# \{0,1\}//; 2,8p' "$0" && exit 0 ;;
        --) shift && break ;;
        --config | --set | --machine | --stages)
            (($# >= 2)) || fail "$1 wants a value; see --help"
            case $1 in
                --machine) machine=$2 ;;
                --stages) stages=$2 ;;
                --config) arguments+=("$1" "$(realpath "$2")") ;;
                *) arguments+=("$1" "$2") ;;
            esac
            shift 2
            ;;
        *) fail "unknown option $1; see --help" ;;
    esac
done
command -v sbatch >/dev/null || fail "sbatch is not here; submit from a login node"
submit=()
if [[ -n $machine ]]; then
    [[ -e slurm/machines/$machine.sh ]] || fail "slurm/machines/$machine.sh is not there"
    # shellcheck source=/dev/null
    source "slurm/machines/$machine.sh"
fi
popalign=${POPALIGN:-$root/build/release/popalign}
[[ -x $popalign ]] || fail "$popalign is not there; build it, or name it in POPALIGN"

prepare_environment
# A wrong key or an unknown file is said here, not by a job hours later.
directory=$("$popalign" config get run.directory "${arguments[@]}")
mkdir -p "$directory/slurm"

previous='' ids=()
export POPALIGN_ROOT=$root POPALIGN_MACHINE=$machine POPALIGN=$popalign
for stage in $stages; do
    [[ -e slurm/$stage.sbatch ]] || fail "there is no stage '$stage'"
    options=("--output=$directory/slurm/%x-%j.log" "${submit[@]}" "$@")
    [[ -z $previous ]] || options+=("--dependency=afterok:$previous" --kill-on-invalid-dep=yes)
    previous=$(sbatch --parsable "${options[@]}" "slurm/$stage.sbatch" "${arguments[@]}")
    previous=${previous%%;*} # a federation adds its cluster
    ids+=("$previous")
    echo "$stage $previous"
done
joined=$(IFS=, && echo "${ids[*]}")
say "Status: squeue --jobs=$joined; logs and configs: $directory/slurm"

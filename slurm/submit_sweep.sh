#!/usr/bin/env bash
# Submits the jobs of a sweep; `popalign sweep --submit` calls it.
#   submit_sweep.sh FOLDER MAX_RUNNING CONFIG [--set key.path=value]... -- [SBATCH-OPTION...]
# FOLDER/jobs.txt has a job a line: name, the jobs it waits for (or -), the file with its parts, their number. Lists
# longer than Slurm's MaxArraySize become several arrays. POPALIGN_MACHINE names a file of machines/.
set -euo pipefail
# shellcheck source=slurm/library.sh
source "$(dirname "$0")/library.sh"

(($# >= 3)) || {
    sed -n 's/^# \{0,1\}//; 2,5p' "$0" >&2
    exit 2
}
folder=$(realpath "$1") max_running=$2 config=$3
shift 3
arguments=(--config "$config")
while (($#)) && [[ $1 != -- ]]; do
    arguments+=("$1")
    shift
done
[[ ${1:-} != -- ]] || shift
command -v sbatch >/dev/null || fail "sbatch is not here; submit from a login node"
submit=()
if [[ -n ${POPALIGN_MACHINE:-} ]]; then
    # shellcheck source=/dev/null
    source "$root/slurm/machines/$POPALIGN_MACHINE.sh"
fi
# An array's largest index is below this.
max_array=$(scontrol show config | sed -n 's/^MaxArraySize *= *//p')
export POPALIGN_ROOT=$root

declare -A ids=() # of a name's jobs, as dependencies name them
all=()

# send NAME COUNT OPTION...: submits an array over the list FOLDER/NAME.txt, from task FIRST on.
send() {
    local name=$1 first=$2 count=$3 id limit=''
    shift 3
    ((max_running == 0)) || limit=%$max_running
    id=$(POPALIGN_FIRST_TASK=$first sbatch --parsable --job-name="$name" --array="0-$((count - 1))$limit" \
        --output="$folder/%x-%A_%a.log" --kill-on-invalid-dep=yes "${submit[@]}" "$@" \
        "$root/slurm/sweep.sbatch" "$folder/$name.txt" "${arguments[@]}")
    id=${id%%;*}
    ids[$name]+=${ids[$name]:+:}$id
    all+=("$id")
    echo "$name $id $count"
}

while read -r name after _ count; do
    dependency=()
    if [[ $after != - ]]; then
        wanted=''
        for before in ${after//,/ }; do wanted+=:${ids[$before]}; done
        dependency=("--dependency=afterok$wanted")
    fi
    for ((first = 0; first < count; first += max_array)); do
        left=$((count - first))
        send "$name" "$first" "$((left < max_array ? left : max_array))" "${dependency[@]}" "$@"
    done
done <"$folder/jobs.txt"

# The table, once all have ended, whether well or not.
after=$(IFS=: && echo "${all[*]}")
id=$(POPALIGN_JOBS=${after//:/,} sbatch --parsable --job-name=collect --dependency="afterany:$after" --output="$folder/%x-%j.log" \
    "${submit[@]}" "$@" "$root/slurm/sweep.sbatch" collect "${arguments[@]}")
echo "collect ${id%%;*} 1"
say "Status: popalign sweep --status ${arguments[*]}; squeue --jobs=${after//:/,}; logs: $folder"

#!/usr/bin/env bash
# The main job on this machine by one command: sets up what is missing, builds, and goes from instructions to
# an aligned model and a report on MPI ranks. Run again, it goes on where it was. Within a Slurm allocation
# (slurm/quickstart.sbatch) the ranks are started by srun.
#   --teacher, --student, --rival PATH   models of your own: HF directories or GGUF files
#   --instructions FILE                  instructions of your own (data/README.md)
#   --ranks N                            MPI ranks (2)
#   --directory DIR                      where the run goes (runs/quickstart)
set -euo pipefail
# shellcheck source=slurm/library.sh
source "$(dirname "$0")/library.sh"

usage() {
    sed -n 's/^# \{0,1\}//; 2,8p' "$0"
}

ranks=2 directory=runs/quickstart instructions=''
declare -A model=([teacher]='' [student]='' [rival]='')
while (($#)); do
    case $1 in
        --help | -h) usage && exit 0 ;;
        --teacher | --student | --rival | --instructions | --ranks | --directory)
            (($# >= 2)) || { usage >&2 && exit 2; }
            ;;&
        --teacher | --student | --rival) model[${1#--}]=$(realpath -m "$2") ;;
        --instructions) instructions=$(realpath -m "$2") ;;
        --ranks) ranks=$2 ;;
        --directory) directory=$(realpath -m --relative-base="$root" "$2") ;;
        *) usage >&2 && exit 2 ;;
    esac
    shift 2
done
[[ $ranks =~ ^[1-9][0-9]*$ ]] || fail "--ranks $ranks is not a positive number"
for path in "${model[@]}" "$instructions"; do
    [[ -z $path || -e $path ]] || fail "$path does not exist; give an existing file or directory"
done
cd "$root"

# Overrides of configs/quickstart.yaml, and the models to fetch.
overrides=(--set "run.directory=$directory")
for name in teacher student rival; do
    [[ -z ${model[$name]} ]] || overrides+=(--set "models.$name.path=${model[$name]}")
done
[[ -z $instructions ]] || overrides+=(--set "instructions.path=$instructions")
fetched=()
[[ -n ${model[teacher]} ]] || fetched+=(qwen)
[[ -n ${model[student]} && -n ${model[rival]} ]] || fetched+=(smollm2)

settings="${overrides[*]}"
mkdir -p "$directory"
if [[ -e $directory/settings && $(<"$directory/settings") != "$settings" ]]; then
    fail "$directory holds a run with other models or instructions; give another --directory or remove it"
fi
printf '%s\n' "$settings" >"$directory/settings"

started=$(now)
step "Setting up" bash slurm/setup.sh thin "${fetched[@]:-none}"
prepare_environment
build release popalign
popalign=$root/build/release/popalign
[[ -x $popalign ]] || fail "$popalign was not built"

cores=$(nproc)
export OMP_NUM_THREADS=$((cores > ranks ? cores / ranks : 1))
if [[ -n ${SLURM_JOB_ID:-} ]] && command -v srun >/dev/null; then
    launch=(srun --mpi=pmix -n "$ranks")
else
    # Unbound, for Open MPI would tie all threads of a rank to one core.
    launch=(mpirun -n "$ranks" --bind-to none)
    ((ranks <= cores)) || launch+=(--oversubscribe)
fi

# stage NAME OUTPUT ARGUMENT...: runs a command of popalign unless its last output is there, and notes the time.
stage() {
    local name=$1 output=$directory/$2 start
    shift 2
    if [[ -e $output ]]; then
        say "$name: $output is there"
        return
    fi
    start=$(now)
    step "$name" "${launch[@]}" "$popalign" "$@" --config configs/quickstart.yaml "${overrides[@]}" \
        >>"$directory/output.log"
    printf '{"stage": "%s", "seconds": %d, "ranks": %d, "threads": %d}\n' \
        "$name" $(($(now) - start)) "$ranks" "$OMP_NUM_THREADS" >>"$directory/stages.jsonl"
}

evaluation=$directory/evaluate
stage "Synthesis" pairs.h5 synthesize
stage "Judging" contrast_accuracy.json judge
stage "Held-out pairs before training" evaluate/preference_before.json \
    evaluate preference --model student --output "$evaluation/preference_before.json"
stage "Training" train/finished.json train
stage "Held-out pairs after training" evaluate/preference_after.json \
    evaluate preference --model "$directory/model" --output "$evaluation/preference_after.json"
stage "Win rate" evaluate/win_rate.json evaluate win-rate

step "Writing the report" "$venv/bin/python" analysis/report.py --run "$directory"
echo "All done in $(($(now) - started)) s, set-up and build included. Look at:"
printf '  %-40s %s\n' \
    "$directory/report.html" "everything, in a browser" \
    "$directory/pairs.h5" "the pairs and verdicts; build/release/popalign inspect $directory/pairs.h5" \
    "$directory/train/metrics.jsonl" "a line for each training step" \
    "$directory/model" "the aligned model, as transformers loads it" \
    "$evaluation" "the figures of the evaluations"

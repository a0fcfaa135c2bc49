# shellcheck shell=bash
# Shared by the batch scripts; sourced within a Slurm job, from the repository's root. Counts come from SLURM_*
# only. POPALIGN names the program (build/release/popalign), POPALIGN_MACHINE a file of machines/.
# shellcheck source=slurm/library.sh
source slurm/library.sh
prepare_environment

popalign=${POPALIGN:-$root/build/release/popalign}
export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
# Since Slurm 22.05 srun takes the threads of a task from here, not from the job.
export SRUN_CPUS_PER_TASK=$OMP_NUM_THREADS

launch=() # options of srun that the machine wants
prepare() { :; }
if [[ -n ${POPALIGN_MACHINE:-} ]]; then
    # shellcheck source=/dev/null
    source "slurm/machines/$POPALIGN_MACHINE.sh"
fi
prepare
[[ -x $popalign ]] || fail "$popalign is not there; build it, or name it in POPALIGN"

# A requeued job would use the step numbers of its first start again, under which a node that was lost may still
# hold the sockets of Slurm's PMIx plugin: the step does not start there.
if ((${SLURM_RESTART_COUNT:-0} > 0)); then
    for ((used = 8 * (SLURM_RESTART_COUNT % 8); used > 0; --used)); do
        srun --mpi=none --nodes=1 --ntasks=1 --quiet true 2>/dev/null || true
    done
fi

# The program saves before the job's end; where Slurm does not say when that is, its queue does.
if [[ -z ${SLURM_JOB_END_TIME:-} ]]; then
    job_end=$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%e 2>/dev/null || true)
    job_end=$(date --date="$job_end" +%s 2>/dev/null || true)
    [[ -z $job_end ]] || export SLURM_JOB_END_TIME=$job_end
fi

# on_ranks COMMAND...: runs it on all tasks of the job: by srun with PMIx, or else by mpirun, which starts its
# own daemons by srun. Either leaves with the status of the ranks.
on_ranks() {
    if [[ ${POPALIGN_LAUNCHER:-} != mpirun ]] && srun --mpi=list 2>&1 | grep -qw pmix; then
        # A rank that is gone ends the step: the others would wait for it.
        srun --mpi=pmix --kill-on-bad-exit=1 "${launch[@]}" "$@"
    elif command -v mpirun >/dev/null; then
        say "No PMIx in this Slurm (or POPALIGN_LAUNCHER=mpirun): the ranks are started by mpirun"
        # Unbound, for Open MPI would tie all threads of a rank to one core.
        mpirun -n "$SLURM_NTASKS" --bind-to none "$@"
    else
        fail "neither srun --mpi=pmix nor mpirun can start ranks here; ask for a PMIx plugin of Slurm"
    fi
}

# Succeeds if a rank said that it saved, or was ended by the signal that announces the time limit: stages without a
# state of their own lose what they were at, and no file is ever half written.
stopped() {
    (($1 == 75 || $1 == 128 + $(kill -l USR1) || $1 == 128 + $(kill -l TERM)))
}

# Succeeds if any of the last three starts added to what the run has saved. A job that is stopped before it has
# finished anything would otherwise go round for ever.
progresses() {
    local file=$directory/slurm/saved-$SLURM_JOB_ID before="" idle=0 bytes
    bytes=$(du -sb --exclude=slurm --exclude=cost.jsonl --exclude=stages.jsonl "$directory" | cut -f1)
    [[ ! -f $file ]] || read -r before idle <"$file"
    if [[ $bytes == "$before" ]]; then idle=$((idle + 1)); else idle=0; fi
    printf '%s %s\n' "$bytes" "$idle" >"$file"
    ((idle < 3))
}

requeue() {
    local restarts=${SLURM_RESTART_COUNT:-0}
    ((restarts < ${POPALIGN_MAX_RESTARTS:-100})) || fail "$1: stopped again after $restarts restarts; not requeued"
    progresses || fail "$1: stopped, and three starts in a row have saved nothing new; not requeued. Give it a longer --time, or smaller batches"
    say "$1: stopped with everything saved; job $SLURM_JOB_ID goes back into the queue"
    scontrol requeue "$SLURM_JOB_ID" || exit 75
    sleep 60 # Slurm ends this script
    exit 75
}

# stage NAME ARGUMENT...: `popalign ARGUMENT...` on all ranks. Leaves the time in stages.jsonl of `directory`;
# requeues the job where it was stopped, and ends it where it failed.
stage() {
    local name=$1 start status=0
    shift
    start=$(now)
    say "$name on $SLURM_NTASKS ranks of $SLURM_JOB_NUM_NODES nodes ($SLURM_JOB_NODELIST), job $SLURM_JOB_ID"
    on_ranks "$popalign" "$@" || status=$?
    printf '{"stage": "%s", "seconds": %d, "ranks": %d, "threads": %d, "nodes": %d, "job": %d, "status": %d}\n' \
        "$name" $(($(now) - start)) "$SLURM_NTASKS" "$OMP_NUM_THREADS" "$SLURM_JOB_NUM_NODES" "$SLURM_JOB_ID" \
        "$status" >>"$directory/stages.jsonl"
    if stopped "$status"; then requeue "$name"; fi
    ((status == 0)) || exit "$status"
}

# open_run ARGUMENT...: sets `directory` to the run's, and leaves the effective config there by the job's id.
open_run() {
    local config
    config=$("$popalign" synthesize "$@" --print-config)
    directory=$("$popalign" config get run.directory "$@")
    mkdir -p "$directory/slurm"
    printf '%s\n' "$config" >"$directory/slurm/$SLURM_JOB_NAME-$SLURM_JOB_ID.yaml"
}

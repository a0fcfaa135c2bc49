#!/usr/bin/env bash
# A real two-node Slurm on this machine, for tests; a Slurm that is already there is not touched.
#   testbed.sh start DIR          starts munged, slurmctld and two slurmd (n1, n2); everything lies in DIR
#   testbed.sh run DIR COMMAND... runs a command there: sbatch, srun, scancel and squeue mean this Slurm
#   testbed.sh kill DIR NODE      ends a node at once, with all that runs on it, as a power cut would
#   testbed.sh revive DIR NODE    starts it again
#   testbed.sh stop DIR           stops all, by process id
# TESTBED_CPUS (2) and TESTBED_MAX_ARRAY_SIZE (8) are read by `start`. DIR should be short: sockets lie in it.
set -euo pipefail

fail() {
    printf 'testbed: %s\n' "$*" >&2
    exit 1
}

PATH=$PATH:/usr/sbin:/sbin # where Debian keeps the daemons
declare -rA node_ports=([n1]=1 [n2]=2)

# Three free consecutive ports, from a random place on.
free_ports() {
    local base port
    for _ in {1..50}; do
        base=$((20000 + RANDOM))
        for port in "$base" $((base + 1)) $((base + 2)); do
            if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue 2; fi
        done
        echo "$base"
        return
    done
    fail "no three free ports on this machine"
}

write_configuration() {
    local base=$1
    cat >"$directory/slurm.conf" <<CONFIGURATION
ClusterName=testbed
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$base
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
CredType=cred/munge
# A requeued job starts again once its credentials have expired: seconds here, two minutes by default.
AuthInfo=socket=$directory/munge.socket,cred_expire=5
StateSaveLocation=$directory/state
SlurmdSpoolDir=$directory/spool-%n
SlurmctldPidFile=$directory/slurmctld.pid
SlurmdPidFile=$directory/slurmd-%n.pid
SlurmctldLogFile=$directory/slurmctld.log
SlurmdLogFile=$directory/slurmd-%n.log
# srun --mpi=pmix fails where two nodes share one temporary folder.
TmpFS=$directory/tmp-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=pmix
ReturnToService=2
MaxArraySize=${TESTBED_MAX_ARRAY_SIZE:-8}
SlurmdTimeout=10
KillWait=15
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,bf_interval=1,sched_min_interval=10000
NodeName=n[1-2] NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=[$((base + 1))-$((base + 2))] CPUs=${TESTBED_CPUS:-2} Boards=1 SocketsPerBoard=1 CoresPerSocket=${TESTBED_CPUS:-2} ThreadsPerCore=1 RealMemory=1000
PartitionName=test Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP
CONFIGURATION
}

# alive NAME: whether the daemon whose id NAME.pid holds is running.
alive() {
    [[ -s $directory/$1.pid ]] && kill -0 "$(<"$directory/$1.pid")" 2>/dev/null
}

# within SECONDS WHAT COMMAND...: waits until the command succeeds.
within() {
    local limit=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < limit)) || fail "$what; see the logs in $directory"
        sleep 0.1
    done
}

start_node() {
    rm -f "$directory/slurmd-$1.pid"
    slurmd -N "$1"
    within 20 "slurmd of $1 does not come up" alive "slurmd-$1"
}

nodes_idle() {
    [[ $(sinfo --noheader --format=%T --Node | sort -u) == idle ]]
}

start() {
    local program base
    for program in munged slurmctld slurmd srun; do
        command -v "$program" >/dev/null || fail "$program is absent (Debian: slurm-wlm, munge)"
    done
    ((${#directory} < 80)) || fail "$directory is too long a path for sockets; take one below /tmp"
    [[ ! -e $directory/slurm.conf ]] || fail "$directory holds a testbed already; stop it first"
    mkdir -p "$directory"/{state,spool-n1,spool-n2,tmp-n1,tmp-n2}
    chmod 755 "$directory"
    trap 'stop' ERR EXIT # nothing half started stays
    base=$(free_ports)
    write_configuration "$base"
    (umask 077 && head -c 128 /dev/urandom >"$directory/munge.key")
    munged --force --key-file="$directory/munge.key" --socket="$directory/munge.socket" \
        --pid-file="$directory/munged.pid" --log-file="$directory/munged.log" \
        --seed-file="$directory/munge.seed" --num-threads=2
    within 10 "munged does not come up" alive munged
    slurmctld
    within 20 "slurmctld does not come up" alive slurmctld
    start_node n1
    start_node n2
    within 30 "the nodes do not become idle" nodes_idle
    trap - ERR EXIT
    echo "export SLURM_CONF=$SLURM_CONF"
}

# The children of a process, theirs, and so on.
descendants() {
    local child
    for child in $(ps -o pid= --ppid "$1"); do
        echo "$child"
        descendants "$child"
    done
}

# Step daemons, of one node or of both: they keep their slurmd's log open.
step_daemons() {
    local pid
    for pid in $(ps -eo pid=,comm= | awk '$2 ~ /^slurmstepd/ {print $1}'); do
        if readlink "/proc/$pid/fd/"* 2>/dev/null | grep -qx "$directory/slurmd-${1:-n[12]}.log"; then
            echo "$pid"
        fi
    done
}

kill_node() {
    local daemon victims
    [[ -n ${node_ports[$1]:-} ]] || fail "there are the nodes n1 and n2, not '$1'"
    daemon=$(<"$directory/slurmd-$1.pid")
    mapfile -t victims < <(for pid in $(step_daemons "$1"); do
        echo "$pid"
        descendants "$pid"
    done)
    kill -KILL "$daemon" "${victims[@]}" 2>/dev/null || true
}

stop() {
    local name pid
    trap - ERR EXIT
    if alive slurmctld; then
        timeout 10 scancel --quiet --full --signal=KILL --user="$(id -un)" 2>/dev/null || true
        timeout 10 scancel --quiet --user="$(id -un)" 2>/dev/null || true
    fi
    for name in slurmctld slurmd-n1 slurmd-n2 munged; do
        if alive "$name"; then
            pid=$(<"$directory/$name.pid")
            kill "$pid"
            for _ in {1..50}; do
                kill -0 "$pid" 2>/dev/null || break
                sleep 0.1
            done
            kill -KILL "$pid" 2>/dev/null || true
        fi
    done
    for pid in $(step_daemons); do
        # shellcheck disable=SC2046 # a list of ids
        kill -KILL $(descendants "$pid") "$pid" 2>/dev/null || true
    done
    rm -f "$directory"/{munge.socket,munge.key} "$directory/slurm.conf"
}

(($# >= 2)) || {
    sed -n 's/^# \{0,1\}//; 2,8p' "$0" >&2
    exit 2
}
command=$1 directory=$(realpath -m "$2")
shift 2
export SLURM_CONF=$directory/slurm.conf
[[ $command == start || -e $SLURM_CONF ]] || fail "no testbed in $directory"
case $command in
    start) start ;;
    run) exec "$@" ;;
    kill) kill_node "$@" ;;
    revive) start_node "$@" ;;
    stop) stop ;;
    *) fail "unknown command $command; see the head of $0" ;;
esac

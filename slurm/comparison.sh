#!/usr/bin/env bash
# PopAlign beside the paper's baselines (RLCD, RLAIF, context distillation, labelled DPO, six draws, PPO) on equal
# terms, by one command: sets up what is missing, builds, makes the data and the models, and fills the paper's tables.
# Run again, it goes on where it was. Arguments are those of analysis/comparison.py, as
#   --labels FILE   rows {prompt, chosen, rejected}: instructions, Label-DPO and labelled held-out pairs
#   --instructions N, --tokens N, --epochs N, --ranks N, --directory DIR
set -euo pipefail
# shellcheck source=slurm/library.sh
source "$(dirname "$0")/library.sh"

if [[ ${1:-} == --help || ${1:-} == -h ]]; then
    sed -n 's/^# \{0,1\}//; 2,6p' "$0"
    exit 0
fi
step "Setting up" bash "$root/slurm/setup.sh" thin qwen smollm2
prepare_environment
build release popalign
step "Comparison" "$venv/bin/python" "$root/analysis/comparison.py" --program "$root/build/release/popalign" "$@"

#!/usr/bin/env bash
# Makes build/peers, a Python environment with llama.cpp and its server (compiled here, about 5 minutes).
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=slurm/library.sh
source slurm/library.sh
[[ -x build/peers/bin/python ]] || step "Making a Python environment in build/peers" python3 -m venv build/peers
build/peers/bin/python -c 'import llama_cpp.server.app' 2>/dev/null ||
    step "Compiling llama.cpp (5 minutes)" build/peers/bin/python -m pip install --quiet \
        --disable-pip-version-check --no-input --no-cache-dir 'llama-cpp-python[server]==0.3.36'

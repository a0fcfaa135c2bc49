#!/usr/bin/env bash
# Makes a Debian machine ready to build and run PopAlign. What is there is left alone.
#   bash slurm/setup.sh thin [MODEL...]   what the quick start uses: libtorch for the CPU, the report's packages
#   bash slurm/setup.sh whole [MODEL...]  what the tests use: all of torch (CUDA too), transformers, trl, linters
# MODEL is smollm2, qwen or none; both by default. With LIBTORCH_ROOT set, `thin` fetches no libtorch. Only apt
# writes outside build/; where it may not, the missing packages are listed and the script stops.
set -euo pipefail
# shellcheck source=slurm/library.sh
source "$(dirname "$0")/library.sh"

packages=(g++ cmake ninja-build ccache pkg-config git ca-certificates python3 python3-venv
    openmpi-bin libopenmpi-dev libhdf5-openmpi-dev libboost-serialization-dev libyaml-cpp-dev
    libcli11-dev libfmt-dev nlohmann-json3-dev libpcre2-dev libutf8proc-dev libssl-dev
    libcurl4-openssl-dev zlib1g-dev)
reports=(numpy==2.4.6 h5py==3.16.0 matplotlib==3.11.2 scipy==1.17.1 pyarrow==26.0.1)
thin_torch=(torch==2.15.0 nvidia-cuda-runtime==13.2.86 nvidia-cuda-cupti==13.2.86)
whole=(torch==2.15.0 transformers==5.23.* tokenizers==0.23.* trl==1.16.* gguf==0.19.* pytest==9.2.* "${reports[@]}")

install_packages() {
    command -v dpkg-query >/dev/null || {
        say "Not a Debian system: its packages are taken as given; CMake says what is missing"
        return
    }
    local missing=() package
    for package in "${packages[@]}"; do
        [[ $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null) == 'install ok installed' ]] ||
            missing+=("$package")
    done
    if ((${#missing[@]} == 0)); then
        say "Debian packages: all ${#packages[@]} are there"
        return
    fi
    local as_root=()
    if ((EUID != 0)); then
        if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
            as_root=(sudo -n)
        else
            fail "Debian packages are missing; ask for: apt-get install -y ${missing[*]}"
        fi
    fi
    as_root+=(env DEBIAN_FRONTEND=noninteractive)
    step "Updating the list of Debian packages" "${as_root[@]}" apt-get update -qq
    step "Installing ${missing[*]}" "${as_root[@]}" apt-get install -y -qq --no-install-recommends \
        -o Dpkg::Use-Pty=0 "${missing[@]}"
}

# Succeeds if the environment has these packages at these versions.
has_all() {
    "$venv/bin/python" - "$@" <<'PYTHON'
import fnmatch, importlib.metadata, sys
def there(wanted):
    name, _, version = wanted.partition("==")
    try:
        return fnmatch.fnmatch(importlib.metadata.version(name).partition("+")[0], version or "*")
    except importlib.metadata.PackageNotFoundError:
        return False
sys.exit(not all(map(there, sys.argv[1:])))
PYTHON
}

pip_install() {
    local what=$1
    shift
    # Large wheels are unpacked beside the environment, for /tmp may be small.
    mkdir -p "$root/build/tmp"
    step "$what" env TMPDIR="$root/build/tmp" "$venv/bin/python" -m pip install --quiet \
        --disable-pip-version-check --no-input --no-cache-dir "$@"
    rm -rf "$root/build/tmp"
}

make_environment() {
    local python=/usr/bin/python3
    [[ -x $python ]] || python=python3
    "$venv/bin/python" -m pip --version &>/dev/null ||
        step "Making a Python environment in build/venv" "$python" -m venv --clear "$venv"
    if [[ $1 == whole ]]; then
        # NCCL tells the whole torch from the thin one.
        has_all "${whole[@]}" nvidia-nccl-cu13 ||
            pip_install "Installing torch with CUDA, transformers, trl and pytest (5 GB)" "${whole[@]}"
    else
        has_all "${reports[@]}" || pip_install "Installing what the report uses" "${reports[@]}"
        # These two packages hold all libraries for the CPU that lie outside torch.
        [[ -n ${LIBTORCH_ROOT:-} ]] || has_all "${thin_torch[@]}" ||
            pip_install "Installing libtorch for the CPU (1.3 GB)" --no-deps "${thin_torch[@]}"
    fi
    say "Python environment: all is there"
}

mode=${1:-}
[[ $mode == thin || $mode == whole ]] || {
    sed -n 's/^# \{0,1\}//; 2,6p' "$0" >&2
    exit 2
}
shift
[[ $mode == thin ]] || packages+=(libgtest-dev libsentencepiece-dev shellcheck clang-format-14 slurm-wlm munge)
prepare_environment
install_packages
make_environment "$mode"
[[ ${1:-} == none ]] ||
    step "Checking the models" "$venv/bin/python" "$root/data/fetch_models.py" --directory "$root/build/models" "$@"

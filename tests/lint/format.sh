#!/usr/bin/env bash
# Whether clang-format 14 would leave all C++ files as they are.
set -euo pipefail
cd "$1"
command -v clang-format-14 >/dev/null || { echo "clang-format-14 is absent" && exit 77; }
find include src tests -name '*.[ch]pp' -print0 | xargs -0 clang-format-14 --dry-run -Werror

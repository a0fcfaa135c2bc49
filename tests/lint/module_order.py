#!/usr/bin/env python3
"""Holds the one-way order of the modules (src/README.md): a file may include its own module and those to
its left, stages never each other, and public headers nothing of MPI, NCCL, CUDA or HDF5."""

import pathlib
import re
import sys

LEVEL = {"base": 0, "comm": 1, "record": 2, "store": 3, "lm": 4, "synthesis": 5, "contrast": 5,
         "preference": 5, "evaluation": 5, "campaign": 6, "app": 7}
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"](?:popalign/)?(\w+)/[^>"]*[>"]')
FOREIGN = re.compile(r'^\s*#\s*include\s*[<"]((?:mpi|nccl|hdf5|H5\w*|cuda\w*|cublas\w*)(?:\.h|_api\.h|/.*))[>"]')


def problems(file, module, public):
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        found = INCLUDE.match(line)
        other = found.group(1) if found else module
        if other in LEVEL and other != module and LEVEL[other] >= LEVEL[module]:
            yield f"{file}:{number}: {module} includes {other}, which is not to its left"
        foreign = FOREIGN.match(line)
        if public and foreign:
            yield f"{file}:{number}: a public header includes {foreign.group(1)}"


def main(root):
    found, files = [], 0
    for folder, public in ((root / "include/popalign", True), (root / "src", False)):
        for file in sorted(folder.rglob("*.?pp")):
            module = file.relative_to(folder).parts[0]
            files += 1
            if module not in LEVEL:
                found.append(f"{file}:1: {module} is not a module of the table")
            else:
                found += problems(file, module, public)
    print("\n".join(found) or f"{files} files keep the order")
    return 1 if found or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))

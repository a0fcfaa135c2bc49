#!/usr/bin/env python3
"""Holds the one-way order of the modules and of their folders, as src/README.md states it: a file includes only what stands
to the left of it; those in braces never each other; private headers stay in their module; a public header has a user in
another module and includes nothing of MPI, NCCL, CUDA or HDF5; a folder of src/ holds at most 45 files."""

import collections
import pathlib
import re
import sys

ORDER = re.compile(r"^    (\w+): (\w[^<]*|\{[^}]*\})( < .+)$")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])((?:popalign/)?)([\w/]+)\.hpp[>"]')
FOREIGN = re.compile(r'^\s*#\s*include\s*[<"]((?:mpi|nccl|hdf5|H5\w*|cuda\w*|cublas\w*)(?:\.h|_api\.h|/.*))[>"]')
MOST_FILES = 45
SHOWS_MPI = "comm/native"  # what must name MPI's types stays out of include/; HDF5 needs it all the same


def read_orders(readme):
    """{"modules": {"base": 0, ...}, "lm": {"text": 0, ...}}: equal levels never include each other."""
    orders = {}
    for line in readme.read_text(encoding="utf-8").splitlines():
        found = ORDER.match(line)
        if found:
            steps = (found[2] + found[3]).split(" < ")
            orders[found[1]] = {name: level for level, step in enumerate(steps) for name in re.findall(r"\w+", step)}
    return orders


class Place:
    """Where a file stands: its module and the folder inside it (None: beside the folders, above them)."""

    def __init__(self, parts, orders):
        self.module = parts[0]
        inner = orders.get(self.module, {})
        self.folder = parts[1] if len(parts) > 2 and parts[1] in inner else None
        self.level = inner.get(self.folder, len(inner))


def problems_of(file, public, here, orders, users):
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        place = f"{file}:{number}"
        foreign = FOREIGN.match(line)
        if public and foreign:
            yield f"{place}: a public header includes {foreign[1]}"
        found = INCLUDE.match(line)
        if not found or found[3].split("/")[0] not in orders["modules"]:
            continue
        there = Place(found[3].split("/"), orders)
        if there.module != here.module:
            if orders["modules"][there.module] >= orders["modules"][here.module]:
                yield f"{place}: {here.module} includes {there.module}, which is not to its left"
            if not found[2] and found[3] != SHOWS_MPI:
                yield f"{place}: a private header of {there.module}; include its public one or move it to include/"
            users[found[3]].add(here.module)
        elif there.folder != here.folder and there.level >= here.level:
            yield f"{place}: {here.module}/{here.folder or ''} includes {there.folder or 'a file above it'}, not to its left"


def unused(root, users):
    for header in sorted((root / "include/popalign").rglob("*.hpp")):
        name = header.relative_to(root / "include/popalign").with_suffix("").as_posix()
        if not users[name]:
            yield f"{header}:1: no other module includes it; it belongs beside its source in src/"


def crowded(root):
    for folder in sorted(path for path in (root / "src").rglob("*") if path.is_dir()):
        count = sum(path.is_file() for path in folder.iterdir())
        if count > MOST_FILES:
            yield f"{folder}: {count} files; divide it (at most {MOST_FILES})"


def main(root):
    orders = read_orders(root / "src/README.md")
    found, files, users = [], 0, collections.defaultdict(set)
    for folder, public in ((root / "include/popalign", True), (root / "src", False)):
        for file in sorted(folder.rglob("*.?pp")):
            parts = file.relative_to(folder).parts
            files += 1
            if parts[0] not in orders["modules"]:
                found.append(f"{file}:1: {parts[0]} is not a module of src/README.md")
            else:
                found += problems_of(file, public, Place(parts, orders), orders, users)
    found += [*unused(root, users), *crowded(root)]
    print("\n".join(found) or f"{files} files keep the order")
    return 1 if found or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))

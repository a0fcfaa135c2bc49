#!/usr/bin/env python3
"""Checks of the tracked files as a whole: a README in every folder, no machine's paths, no registry's host,
valid instructions and templates."""

import json
import pathlib
import re
import subprocess
import sys

# Spelled in pieces, for this file is checked too.
FORBIDDEN = re.compile("|".join(["/" + "work/", "/" + "root/", "/" + r"home/\w", "py" + r"pi\.org",
                                 "python" + r"hosted\.", "index" + "-url"]))

# A comment that begins so hangs: it names its subject last.
HANGING = re.compile(r"^\s*(?:///?<?|#+) *(What|Whether what|Of (?:the|what|all|each)|That which|Whoever)\b|///< *(What|Of the)\b")


def tracked(root):
    names = subprocess.run(["git", "-C", root, "ls-files", "-z"], capture_output=True, check=True)
    return [root / name for name in names.stdout.decode().split("\0") if name and (root / name).is_file()]


def check_readmes(root, files):
    folders = {parent for file in files for parent in file.relative_to(root).parents}
    have = {file.relative_to(root).parent for file in files if file.name == "README.md"}
    for folder in sorted(folders - have):
        # A header folder is described beside its sources, a test folder above it; dotted ones are tools'.
        if folder.parts[:2] == ("include", "popalign") or folder.parts[:2] == ("tests", "unit") \
                or (folder.parts and folder.parts[0].startswith(".")):
            continue
        yield f"{folder}: no README.md says what lives here"


def check_words(root, files):
    for file in files:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, 1):
            found = FORBIDDEN.search(line)
            if found:
                yield f"{file.relative_to(root)}:{number}: {found.group(0)!r} belongs to one machine"


def check_comments(root, files):
    for file in files:
        if file.suffix in {".cpp", ".hpp", ".py", ".sh", ".sbatch", ".cmake"} or file.name == "CMakeLists.txt":
            for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
                if found := HANGING.search(line):
                    yield f"{file.relative_to(root)}:{number}: {found[1] or found[2]!r} begins a comment; say the role first"


def check_instructions(path):
    ids, texts, categories = set(), set(), set()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        row = json.loads(line)
        if set(row) != {"id", "category", "instruction"} or not all(
                isinstance(value, str) and value.strip() == value != "" for value in row.values()):
            yield f"{path.name}:{number}: wants id, category and instruction, each a trimmed text"
            continue
        if row["id"] in ids or row["instruction"] in texts:
            yield f"{path.name}:{number}: repeats an id or an instruction"
        if number <= 24 and len(row["instruction"].split()) > 60:
            yield f"{path.name}:{number}: the first 24 have at most 60 words, for the quick start"
        ids.add(row["id"]), texts.add(row["instruction"]), categories.add(row["category"])
    if len(ids) < 160 or len(categories) < 10:
        yield f"{path.name}: {len(ids)} instructions of {len(categories)} categories are too few"


def check_strategy(path, strategy):
    """What the program, which reads the rest strictly, cannot know."""
    if strategy.get("name") != path.stem or not strategy.get("source"):
        yield f"{path.name}: wants name (the file's) and source"


def check_judge(path, judge):
    wanted, known = {"name", "source", "system", "user", "verdict"}, {"assistant_prefix", "labels", "max_new_tokens"}
    if not wanted <= set(judge) <= wanted | known or judge["name"] != path.stem:
        yield f"{path.name}: wants name (the file's), {', '.join(sorted(wanted - {'name'}))}"
        return
    for field in ("{instruction}", "{first}") + (() if judge["verdict"] == "rating" else ("{second}",)):
        if judge["user"].count(field) == 0:
            yield f"{path.name}: `user` wants {field}"


def main(root):
    try:
        import yaml
    except ImportError:
        print("the Python package yaml is absent")
        return 77
    try:
        files = tracked(root)
    except (OSError, subprocess.CalledProcessError):
        print("not a git checkout")
        return 77
    found = [*check_readmes(root, files), *check_words(root, files), *check_comments(root, files),
             *check_instructions(root / "data/instructions.jsonl")]
    for folder, check in (("strategies", check_strategy), ("judges", check_judge)):
        for path in sorted((root / "configs" / folder).glob("*.yaml")):
            found += check(path, yaml.safe_load(path.read_text(encoding="utf-8")))
    print("\n".join(found) or f"{len(files)} tracked files are in order")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))

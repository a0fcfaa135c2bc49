#!/usr/bin/env python3
"""Lists the CTest cases of a pytest file for CMake, one a line: `FUNCTION PROCESSORS TIMEOUT LABEL...`.

A case is a test function; or `all`, the whole file, where its `pytestmark` has `one_case`. The markers `processors`,
`timeout` and `long` of a function win over those of the file. The file is read, not imported.
usage: list_cases.py FILE [--processors 1] [--timeout 120]
"""
import argparse
import ast
import pathlib
import sys

LABELS = ("long",)
PREFIX = "pytest.mark."


def read_markers(nodes):
    """{"long": None, "timeout": 900}"""
    markers = {}
    for node in nodes:
        name = ast.unparse(node.func if isinstance(node, ast.Call) else node)
        if name.startswith(PREFIX):
            value = node.args[0] if isinstance(node, ast.Call) and node.args else None
            markers[name.removeprefix(PREFIX)] = value.value if isinstance(value, ast.Constant) else None
    return markers


def file_markers(tree):
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            return read_markers(node.value.elts if isinstance(node.value, ast.List) else [node.value])
    return {}


def cases(path, defaults):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    names = [function.name for function in functions]
    if not names or len(set(names)) < len(names):
        sys.exit(f"{path}: {'a test function is defined twice' if names else 'no test function'}")
    shared = {**defaults, **file_markers(tree)}
    found = [(function.name, read_markers(function.decorator_list)) for function in functions]
    if "one_case" not in shared:
        return [(name, {**shared, **markers}) for name, markers in found]
    if any(markers.keys() & {*defaults, *LABELS} for _, markers in found):
        sys.exit(f"{path}: one_case leaves the markers of single functions without effect")
    return [("all", shared)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--processors", default="1")
    parser.add_argument("--timeout", default="120")
    arguments = parser.parse_args()
    defaults = {"processors": arguments.processors or "1", "timeout": arguments.timeout or "120"}
    for name, markers in cases(arguments.file, defaults):
        print(name, markers["processors"], markers["timeout"], *(label for label in LABELS if label in markers))


if __name__ == "__main__":
    main()

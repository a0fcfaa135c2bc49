"""Fixtures of the parity tests; those of tests/conftest.py are there as well."""
import json

import pytest


@pytest.fixture(scope="session")
def references():
    """tokenizer_references.py, which needs HF `tokenizers` and `gguf`."""
    return pytest.importorskip("tokenizer_references")


@pytest.fixture(scope="session")
def tokenize(program):
    """tokenize(MODEL, ROWS, OPTION...) gives the program's row for each row."""
    def call(model, rows, *options):
        done = program.run("tokenize", "--model", model, *options, input="".join(json.dumps(row) + "\n" for row in rows))
        return [json.loads(line) for line in done.stdout.split("\n")[:-1]]
    return call


@pytest.fixture(scope="session")
def require_equal():
    """require_equal(ROWS, OURS, THEIRS) fails with the first few that differ."""
    def check(rows, ours, theirs):
        assert len(rows) == len(ours) == len(theirs) > 0
        different = [i for i in range(len(rows)) if ours[i] != theirs[i]]
        shown = [f"  {rows[i]!a}\n    ours   {ours[i]!a}\n    theirs {theirs[i]!a}" for i in different[:5]]
        if different:
            pytest.fail("\n".join([f"{len(different)} of {len(rows)} differ:", *shown]), pytrace=False)
        print(f"{len(rows)} compared")
    return check

#!/usr/bin/env python3
"""Reads a pair file with h5py by its contract alone: usage contract_test.py LAUNCHER... WRITE_SAMPLE"""

import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy as np
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

COUNT = 20
COLUMNS = {
    "models": ["name", "path", "sha256", "parameters", "tokenizer_sha256", "template_sha256"],
    "instructions": ["id", "source", "text", "context", "split"],
    "generations": ["name", "model", "template"],
    "responses": ["instruction", "generation", "text", "thought", "tokens", "logprob", "finish_reason", "parsed",
                  "seed", "attempts", "prompt_tokens", "answer_tokens"],
    "strategies": ["name", "level", "variant"],
    "pairs": ["instruction", "strategy", "chosen", "rejected", "flags"],
    "verdicts": ["pair", "judge", "order", "label", "probability", "raw", "parsed", "judges"],
    "verdicts/judges": ["name", "model", "template", "template_sha256"],
    "reference/key": ["chosen_logprob", "rejected_logprob"],
}


def texts(group):
    assert set(group) == {"bytes", "offsets"}, set(group)
    data, offsets = group["bytes"][:], group["offsets"][:]
    assert data.dtype == np.uint8 and offsets.dtype == np.uint64
    assert offsets[0] == 0 and offsets[-1] == len(data)
    return [bytes(data[a:b]).decode() for a, b in zip(offsets[:-1], offsets[1:])]


def check_response(responses, row):
    """The formulas of sample_rows.cpp."""
    assert responses["instruction"][row] == row // 3 and responses["generation"][row] == row % 2
    assert texts(responses["text"])[row] == ("" if row % 7 == 0 else f"Antwort {row} für 東京\n")
    assert texts(responses["thought"])[row] == ("t" * (row % 50) if row % 3 == 0 else "")
    first, last = responses["tokens/offsets"][row:row + 2]
    assert responses["tokens/values"].dtype == np.int32
    assert responses["tokens/values"][first:last].tolist() == [row * 100 + i for i in range(row % 11)]
    assert responses["logprob"][row] == -0.125 * row
    assert responses["finish_reason"][row] == (row % 5 == 0) and responses["parsed"][row] == (row % 4 != 0)
    assert responses["seed"][row] == 0x9E3779B97F4A7C15 * (row + 1) % 2**64


def check(file):
    def text_attribute(name):
        value = file.attrs[name]
        return value.decode() if isinstance(value, bytes) else str(value)

    assert text_attribute("format") == "popalign.pairs" and file.attrs["format_version"] == 1
    assert text_attribute("config") == "run: {name: sample}\n# " + "x" * 200_000 + "\n"
    assert json.loads(text_attribute("provenance")) == {"version": "0"}
    for group, names in COLUMNS.items():
        assert set(file[group]) == set(names), (group, set(file[group]))

    def stored(name, item):
        if isinstance(item, h5py.Dataset):
            assert item.chunks and item.fletcher32, f"{name} is not chunked and checksummed"
            assert item.dtype.kind in "uif" and item.ndim == 1, f"{name} is {item.dtype}"
    file.visititems(stored)

    assert texts(file["models/name"]) == ["teacher", "student"]
    assert file["models/parameters"][:].tolist() == [135_000_000, 7]
    assert texts(file["generations/template"]) == ["- user: {instruction}\n", ""]
    assert texts(file["strategies/level"]) == ["prompt", "model"]
    assert texts(file["instructions/id"]) == [f"id-{row}" for row in range(COUNT)]
    for row in range(3 * COUNT):
        check_response(file["responses"], row)
    pairs = file["pairs"]
    for row in range(2 * COUNT):
        found = [int(pairs[name][row]) for name in COLUMNS["pairs"]]
        instruction, strategy = divmod(row, 2)
        first = 3 * instruction
        assert found == [instruction, strategy, first, first + 1 + strategy, 16 * (instruction % 6 == 0)], found
    for name, value in [("pairs/flags", "refusal"), ("responses/finish_reason", "length"),
                        ("instructions/split", "held_out"), ("verdicts/order", "rejected_first"),
                        ("verdicts/label", "tie")]:
        meaning = file[name].attrs["meaning"]
        meaning = meaning.decode() if isinstance(meaning, bytes) else str(meaning)
        assert value in json.loads(meaning).values(), (name, meaning)
    verdicts = file["verdicts"]
    keys = list(zip(verdicts["judge"][:], verdicts["pair"][:], verdicts["order"][:]))
    assert keys == sorted(keys) and len(keys) == 8 * COUNT
    assert texts(verdicts["raw"]) == [f"A{pair}" for pair in verdicts["pair"][:]]
    assert texts(verdicts["judges/name"]) == ["teacher", "länge"]
    assert np.all(file["reference/key/chosen_logprob"][:] == -1.5)


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "pairs.h5"
        subprocess.run([*sys.argv[1:], path], check=True)
        with h5py.File(path) as file:
            check(file)
        print(f"h5py {h5py.__version__} reads it")


if __name__ == "__main__":
    main()

"""Reads a pair file with h5py by its contract alone. write_sample writes it, on two ranks, by known formulas."""
import json

import pytest
from pair_files import strings
from program import execute, on_ranks

h5py, np = pytest.importorskip("h5py"), pytest.importorskip("numpy")
pytestmark = pytest.mark.one_case

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
    data, offsets = group["bytes"], group["offsets"]
    assert data.dtype == np.uint8 and offsets.dtype == np.uint64
    assert offsets[0] == 0 and offsets[-1] == len(data)
    return strings(group)


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


@pytest.fixture(scope="module")
def file(build, shared_directory):
    path = shared_directory / "pairs.h5"
    execute(*on_ranks(2, build / "tests/unit/store/pairs/write_sample", path))
    with h5py.File(path) as opened:
        yield opened


def text_attribute(item, name):
    value = item.attrs[name]
    return value.decode() if isinstance(value, bytes) else str(value)


def test_attributes(file):
    assert text_attribute(file, "format") == "popalign.pairs" and file.attrs["format_version"] == 1
    assert text_attribute(file, "config") == "run: {name: sample}\n# " + "x" * 200_000 + "\n"
    assert json.loads(text_attribute(file, "provenance")) == {"version": "0"}


@pytest.mark.parametrize("group", COLUMNS)
def test_columns(file, group):
    assert set(file[group]) == set(COLUMNS[group])


def test_columns_are_chunked_and_checksummed(file):
    def check(name, item):
        if isinstance(item, h5py.Dataset):
            assert item.chunks and item.fletcher32, name
            assert item.dtype.kind in "uif" and item.ndim == 1, f"{name} is {item.dtype}"
    file.visititems(check)


def test_tables_beside_the_pairs(file):
    assert texts(file["models/name"]) == ["teacher", "student"]
    assert file["models/parameters"][:].tolist() == [135_000_000, 7]
    assert texts(file["generations/template"]) == ["- user: {instruction}\n", ""]
    assert texts(file["strategies/level"]) == ["prompt", "model"]
    assert texts(file["instructions/id"]) == [f"id-{row}" for row in range(COUNT)]
    assert np.all(file["reference/key/chosen_logprob"][:] == -1.5)


def test_responses(file):
    for row in range(3 * COUNT):
        check_response(file["responses"], row)


def test_pairs(file):
    pairs = file["pairs"]
    for row in range(2 * COUNT):
        instruction, strategy = divmod(row, 2)
        first = 3 * instruction
        assert [int(pairs[name][row]) for name in COLUMNS["pairs"]] == [
            instruction, strategy, first, first + 1 + strategy, 16 * (instruction % 6 == 0)]


@pytest.mark.parametrize("column, value", [("pairs/flags", "refusal"), ("responses/finish_reason", "length"),
                                           ("instructions/split", "held_out"), ("verdicts/order", "rejected_first"),
                                           ("verdicts/label", "tie")])
def test_numbers_have_their_meaning_beside_them(file, column, value):
    assert value in json.loads(text_attribute(file[column], "meaning")).values()


def test_verdicts(file):
    verdicts = file["verdicts"]
    keys = list(zip(verdicts["judge"][:], verdicts["pair"][:], verdicts["order"][:]))
    assert keys == sorted(keys) and len(keys) == 8 * COUNT
    assert texts(verdicts["raw"]) == [f"A{pair}" for pair in verdicts["pair"][:]]
    assert texts(verdicts["judges/name"]) == ["teacher", "länge"]

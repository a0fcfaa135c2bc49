"""Reads what a run left behind. Everything may be missing: a piece that is not there is None."""

import json
import pathlib
from dataclasses import dataclass, field

import h5py
import numpy as np

KNOWN_FLAGS = {"1": "identical", "2": "empty", "4": "truncated", "8": "unparsed", "16": "refusal"}


def read_json(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def read_jsonl(path):
    """The rows of a JSONL file; lines that are not whole (a run that was cut off) are left out."""
    rows = []
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                try:
                    rows.append(json.loads(line))
                except ValueError:
                    continue
    except OSError:
        return None
    return rows or None


class Strings:
    """A column of strings: a byte array and an offsets array, one longer than the count."""

    def __init__(self, group):
        self.bytes, self.offsets = group["bytes"], group["offsets"][:]

    def __len__(self):
        return len(self.offsets) - 1

    def __getitem__(self, row):
        return bytes(self.bytes[self.offsets[row]:self.offsets[row + 1]]).decode("utf-8", "replace")

    def all(self):
        return [self[row] for row in range(len(self))]

    def lengths(self):
        return np.diff(self.offsets.astype(np.int64))


@dataclass
class StrategyCounts:
    """What the pair file says of one strategy; lengths are means over its pairs."""
    name: str
    level: str
    variant: str
    pairs: int
    usable: int
    flags: dict
    chosen_tokens: float
    rejected_tokens: float
    chosen_bytes: float
    rejected_bytes: float
    chosen_longer: float  # the share of pairs


@dataclass
class Example:
    instruction: str
    chosen: str
    rejected: str
    thought: str
    flags: list


@dataclass
class PairSummary:
    config: str
    provenance: dict
    models: list
    instructions: int
    responses: int
    pairs: int
    strategies: list
    flags: dict  # name -> bit, as the file says
    examples: dict = field(default_factory=dict)


def read_flags(column):
    """Names and bits of the flags; every file says what its bits mean."""
    meaning = json.loads(text_of(column.attrs["meaning"])) if "meaning" in column.attrs else KNOWN_FLAGS
    return {name: int(bit) for bit, name in meaning.items()}


def text_of(attribute):
    return attribute.decode() if isinstance(attribute, bytes) else str(attribute)


def read_pairs(path, examples_per_strategy):
    with h5py.File(path, "r") as file:
        if text_of(file.attrs.get("format", "")) != "popalign.pairs":
            raise ValueError(f"{path} is not a pair file (its `format` is not popalign.pairs)")
        instructions = Strings(file["instructions/text"])
        texts, thoughts = Strings(file["responses/text"]), Strings(file["responses/thought"])
        tokens = np.diff(file["responses/tokens/offsets"][:].astype(np.int64))
        pairs = {name: file[f"pairs/{name}"][:].astype(np.int64)
                 for name in ("instruction", "strategy", "chosen", "rejected", "flags")}
        names, levels, variants = (Strings(file[f"strategies/{name}"]).all()
                                   for name in ("name", "level", "variant"))
        model_columns = {name: Strings(file[f"models/{name}"]).all() for name in ("name", "path", "sha256")}
        parameters = file["models/parameters"][:].tolist()
        summary = PairSummary(
            config=text_of(file.attrs.get("config", "")),
            provenance=json.loads(text_of(file.attrs.get("provenance", "{}")) or "{}"),
            models=[dict(zip((*model_columns, "parameters"), row))
                    for row in zip(*model_columns.values(), parameters)],
            instructions=len(instructions), responses=len(texts), pairs=len(pairs["strategy"]),
            strategies=[], flags=read_flags(file["pairs/flags"]))
        lengths = texts.lengths()
        for index, name in enumerate(names):
            rows = np.flatnonzero(pairs["strategy"] == index)
            chosen, rejected = pairs["chosen"][rows], pairs["rejected"][rows]
            bits = pairs["flags"][rows]

            def mean(values):
                return float(np.mean(values)) if len(values) else float("nan")

            summary.strategies.append(StrategyCounts(
                name, levels[index], variants[index], len(rows), int(np.sum(bits == 0)),
                {flag: int(np.sum(bits & bit != 0)) for flag, bit in summary.flags.items()},
                mean(tokens[chosen]), mean(tokens[rejected]), mean(lengths[chosen]),
                mean(lengths[rejected]), mean(lengths[chosen] > lengths[rejected])))
            # Unflagged pairs first: they are what training sees.
            shown = rows[np.argsort(bits != 0, kind="stable")][:examples_per_strategy]
            summary.examples[name] = [
                Example(instructions[pairs["instruction"][row]], texts[pairs["chosen"][row]],
                        texts[pairs["rejected"][row]], thoughts[pairs["chosen"][row]],
                        [flag for flag, bit in summary.flags.items() if pairs["flags"][row] & bit])
                for row in shown]
        return summary


def read_preference(path):
    """`{"all": figures, "strategies": {name: figures}}`: reward accuracy and margin, and the accuracy of the
    log-probability a token, which needs no reference. A model that is its own reference has no reward accuracy."""
    def figures(entry):
        interval = dict(entry["reward_accuracy"])
        own_reference = interval["value"] == 0 and entry["reward_margin"] == 0
        return {"n": entry["n"], "accuracy": None if own_reference else interval["value"],
                "lower": interval["lower"], "upper": interval["upper"],
                "margin": entry["reward_margin"],
                "logps": {"accuracy": entry["logps_accuracy"]["value"],
                          "lower": entry["logps_accuracy"]["lower"], "upper": entry["logps_accuracy"]["upper"]}}
    try:
        json_value = read_json(path)
        return json_value and {"all": figures(json_value["overall"]),
                               "strategies": {name: figures(entry)
                                              for name, entry in json_value["strategies"].items()}}
    except (KeyError, TypeError):
        return None


def read_benchmarks(directory):
    """The results of `evaluate <benchmark>` by name; files that are no such result are left out."""
    results = (read_json(path) for path in sorted(directory.glob("*.json")))
    named = {result["benchmark"]: result for result in results if isinstance(result, dict) and "benchmark" in result}
    named.pop("win-rate", None)  # of the run's own held-out instructions: read apart
    return named


@dataclass
class Run:
    directory: pathlib.Path
    pairs: PairSummary | None
    pairs_problem: str
    contrast: dict | None
    metrics: list | None
    before: dict | None
    after: dict | None
    win_rate: dict | None
    benchmarks: dict
    stages: list | None


def read_run(directory, examples_per_strategy=2):
    directory = pathlib.Path(directory)
    pairs, problem = None, ""
    try:
        pairs = read_pairs(directory / "pairs.h5", examples_per_strategy)
    except FileNotFoundError:
        problem = "pairs.h5 is not there"
    except (OSError, KeyError, ValueError) as error:
        problem = f"pairs.h5 could not be read: {error}"
    evaluation = directory / "evaluate"
    return Run(directory, pairs, problem, read_json(directory / "contrast_accuracy.json"),
               read_jsonl(directory / "train/metrics.jsonl"),
               read_preference(evaluation / "preference_before.json"),
               read_preference(evaluation / "preference_after.json"),
               read_json(evaluation / "win_rate.json"), read_benchmarks(evaluation), read_jsonl(directory / "stages.jsonl"))

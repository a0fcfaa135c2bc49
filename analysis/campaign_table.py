#!/usr/bin/env python3
"""The table of a sweep: reads results.csv, averages over seeds, writes Parquet.

usage: campaign_table.py SWEEP_DIRECTORY    writes results.parquet beside results.csv
"""

import csv
import math
import pathlib
import sys
from collections import defaultdict

TEXT = {"run", "mix", "designs", "strategies", "state", "error"}


def value_of(column, text):
    if column in TEXT:
        return text
    if text == "":
        return None
    try:
        return float(text) if any(c in text for c in ".eE") and text.lstrip("-")[0].isdigit() else int(text)
    except ValueError:
        return text


def read_results(directory):
    with (pathlib.Path(directory) / "results.csv").open(newline="", encoding="utf-8") as file:
        return [{column: value_of(column, text) for column, text in row.items()} for row in csv.DictReader(file)]


def factor_columns(rows):
    """Config keys that the sweep varies: dotted columns."""
    return [name for name in (rows[0] if rows else {}) if "." in name and "/" not in name]


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def over_seeds(rows):
    """One row for all runs that differ only in the seed: means of the figures, `seeds`, and under `values` the
    single ones. Rows of runs that are not done are left out."""
    groups = defaultdict(list)
    keys = ["mix", "designs", "strategies", "instructions", "draws", *factor_columns(rows)]
    for row in rows:
        if row["state"] == "done":
            groups[tuple(row[key] for key in keys)].append(row)
    means = []
    for members in groups.values():
        mean = {name: value for name, value in members[0].items() if not is_number(value) or name in keys}
        values = {}
        for name in members[0]:
            found = [m[name] for m in members if is_number(m.get(name))]
            if found and name not in keys:
                values[name] = found
                mean[name] = math.fsum(found) / len(found)
        means.append({**mean, "seeds": len(members), "values": values})
    return means


def write_parquet(directory):
    import pyarrow
    import pyarrow.parquet

    rows = read_results(directory)
    columns = {}
    for name in rows[0] if rows else {}:
        values = [row[name] for row in rows]
        mixed = any(isinstance(v, str) for v in values) and any(is_number(v) for v in values)
        columns[name] = [None if v is None else str(v) for v in values] if mixed else values
    path = pathlib.Path(directory) / "results.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        print(write_parquet(sys.argv[1]))
    except OSError as error:
        sys.exit(f"campaign_table: {error}; run `popalign sweep --collect` first")

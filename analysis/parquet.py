#!/usr/bin/env python3
"""Parquet files as JSON Lines, for `popalign import`, and JSON Lines of `popalign export` as Parquet.

    python analysis/parquet.py IN.parquet OUT.jsonl        any number of row groups, read one after another
    python analysis/parquet.py IN.jsonl OUT.parquet

Which way it goes is told by the endings. Needs pyarrow; without it the exit status is 77."""
import argparse
import json
import os
import pathlib
import sys

ROWS = 1024  # in memory at a time


def to_json_lines(source, target, parquet):
    rows = 0
    with open(target, "w", encoding="utf-8", newline="\n") as out:
        for batch in parquet.ParquetFile(source).iter_batches(ROWS):
            for row in batch.to_pylist():
                out.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
                rows += 1
    return rows


def batches_of(source):
    """Lists of rows; lines end at "\\n" alone, for strings may hold U+2028."""
    with open(source, encoding="utf-8", newline="\n") as lines:
        batch = []
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                batch.append(json.loads(line))
            except ValueError as error:
                sys.exit(f"{source}:{number}: not JSON ({error}); correct or remove the line")
            if len(batch) == ROWS:
                yield batch
                batch = []
        if batch:
            yield batch


def columns_of(source):
    """All members of all rows, in the order in which they appear: rows may lack some."""
    names = {}
    for batch in batches_of(source):
        for row in batch:
            names.update(dict.fromkeys(row))
    return list(names)


def to_parquet(source, target, parquet, pyarrow):
    names, schema, rows = columns_of(source), None, 0
    for batch in batches_of(source):
        table = pyarrow.Table.from_pylist([{name: row.get(name) for name in names} for row in batch])
        schema = pyarrow.unify_schemas([schema, table.schema]) if schema else table.schema
    if schema is None:
        sys.exit(f"{source}: holds no rows; give at least one")
    with parquet.ParquetWriter(target, schema) as writer:
        for batch in batches_of(source):
            writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))
            rows += len(batch)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("target", type=pathlib.Path)
    arguments = parser.parse_args()
    from_parquet = arguments.source.suffix == ".parquet"
    if from_parquet == (arguments.target.suffix == ".parquet"):
        parser.error("exactly one of the two files ends in .parquet")
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        print(f"skipped: {error}; pip install pyarrow")
        return 77
    partial = arguments.target.with_name(arguments.target.name + ".partial")
    try:
        if from_parquet:
            rows = to_json_lines(arguments.source, partial, parquet)
        else:
            rows = to_parquet(arguments.source, partial, parquet, pyarrow)
        os.replace(partial, arguments.target)
    except (OSError, pyarrow.ArrowException) as error:
        sys.exit(f"{arguments.source}: {error}")
    finally:
        partial.unlink(missing_ok=True)
    print(f"{arguments.target}: {rows} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())

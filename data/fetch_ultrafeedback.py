#!/usr/bin/env python3
"""Writes the instructions of the public UltraFeedback set in the form of instructions.jsonl.

The set is HuggingFaceH4/ultrafeedback_binarized (MIT licence), whose prompts the paper uses.
"""

import argparse
import json
import logging
import os
import sys
import tempfile

DATASET = "HuggingFaceH4/ultrafeedback_binarized"


def prompts(split):
    """The prompts of a split, in its order, each once."""
    try:
        from datasets import load_dataset
    except ImportError:
        sys.exit("fetch_ultrafeedback: the Python package `datasets` is missing; "
                 "install it with `build/venv/bin/pip install datasets`")
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)  # its retries would fill the screen
    try:
        rows = load_dataset(DATASET, split=split, streaming=True)
        seen = set()
        for row in rows:
            if row["prompt"].strip() and row["prompt"] not in seen:
                seen.add(row["prompt"])
                yield row["prompt"]
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        sys.exit(f"fetch_ultrafeedback: {DATASET} ({split}) could not be read ({reason}); "
                 "check the connection and the name of the split")


def write(path, rows):
    """Writes beside and renames, so that no half-written file is left; returns the row count."""
    folder = os.path.dirname(os.path.abspath(path))
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".ultrafeedback-")
    try:
        count = 0
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            for count, row in enumerate(rows, 1):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        return count
    except BaseException:
        os.unlink(temporary)
        raise


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="data/ultrafeedback.jsonl")
    parser.add_argument("--split", default="train_prefs",
                        help="train_prefs (about 61,000; what the paper uses) or test_prefs (2,000)")
    parser.add_argument("--limit", type=int, help="only the first so many")
    arguments = parser.parse_args()
    if arguments.limit is not None and arguments.limit < 1:
        parser.error("--limit must be at least 1")

    def rows():
        for number, prompt in enumerate(prompts(arguments.split), 1):
            yield {"id": f"ultrafeedback-{arguments.split}-{number:06d}", "category": "ultrafeedback",
                   "instruction": prompt}
            if number == arguments.limit:
                return

    try:
        count = write(arguments.output, rows())
    except OSError as error:
        sys.exit(f"fetch_ultrafeedback: {arguments.output}: {error.strerror}")
    print(f"{count} instructions in {arguments.output}")


if __name__ == "__main__":
    main()

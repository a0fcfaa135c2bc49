"""Journals as another program sees them, and runs that are worth being interrupted."""
import json
import struct

from harness import write_config

HEADER, FRAME = 16, 16


def records(path):
    """(offset, length) of the payload of each whole record."""
    data = path.read_bytes()
    at = HEADER
    while at + FRAME <= len(data):
        length = struct.unpack_from("<Q", data, at)[0]
        if at + FRAME + length > len(data):
            return
        yield at + FRAME, length
        at += FRAME + length


def journals(directory):
    return sorted(directory.rglob("*.journal"))


def count_records(directory):
    return sum(1 for path in journals(directory) for _ in records(path))


def write_small_run(path, directory, model, instructions, tokens):
    """Five strategies of a tiny model, the same bytes on any number of ranks. Returns the config and how many answers
    it makes. (Demonstrations are long, in tokens that are bytes.)"""
    write_config(path, directory, model, instructions={"limit": instructions, "held_out": 0},
                 synthesis={"deterministic": True, "max_new_tokens": tokens, "max_thought_tokens": 4, "batch_size": 4,
                            "max_input_tokens": 8000})
    config = json.loads(path.read_text())
    config["strategies"] = [entry for entry in config["strategies"] if entry["name"] != "demonstration"]
    path.write_text(json.dumps(config))
    return path, 8 * instructions

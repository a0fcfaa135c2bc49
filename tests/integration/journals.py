"""Journals as another program reads them, and a run that is worth interrupting."""
import struct

from run_configs import strategies, write_config

HEADER, FRAME = 16, 16


def records(path):
    """(offset, length) of the payload of each whole record."""
    data = path.read_bytes()
    position = HEADER
    while position + FRAME <= len(data):
        length = struct.unpack_from("<Q", data, position)[0]
        if position + FRAME + length > len(data):
            return
        yield position + FRAME, length
        position += FRAME + length


def journals(directory):
    return sorted(directory.rglob("*.journal"))


def count_records(directory):
    return sum(1 for path in journals(directory) for _ in records(path))


def write_small_run(path, directory, model, instructions, tokens):
    """Five strategies of a tiny model, the same bytes on any number of ranks. Returns the config and how many answers
    it makes. (No demonstrations: where tokens are bytes, these are long.)"""
    write_config(path, directory, model, instructions={"limit": instructions, "held_out": 0},
                 strategies=strategies("prefix", "elicitive", "refine", "nparam", "leaderboard"),
                 synthesis={"deterministic": True, "max_new_tokens": tokens, "max_thought_tokens": 4, "batch_size": 4,
                            "max_input_tokens": 8000})
    return path, 8 * instructions

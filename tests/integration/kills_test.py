"""Runs that are killed again and again, on changing ranks, end with the pairs of a run that was left alone: nothing is
lost and nothing made twice.
usage: kills_test.py POPALIGN [KILLS] [SEED]
"""
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time

from harness import check, children, dataset_contents, run, start
from journals import count_records, write_small_run
from tiny_model import write_tiny_model

SKIP = 77
INSTRUCTIONS, TOKENS = 24, 48


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def wait_at_most(seconds, process, condition=lambda: False):
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None and not condition():
        time.sleep(0.002)


def strike(process, ranks, victims, draw):
    """Kills one rank, or all of them with their launcher; returns once all are gone."""
    members = children(process.pid) if ranks > 1 else [process.pid]
    if not members:  # the launcher has not got to starting them
        members = [process.pid]
    for pid in [draw.choice(members)] if victims == "one rank" else [*members, process.pid]:
        kill(pid)
    process.wait(timeout=60)
    while any(is_alive(pid) for pid in members):
        time.sleep(0.01)


class Series:
    """Runs on directories of their own, each killed until it is complete."""

    def __init__(self, program, model, work, reference):
        self.program, self.model, self.work, self.reference = program, model, work, reference
        self.complete = 0
        self.renew()

    def renew(self):
        self.directory = self.work / "killed"
        shutil.rmtree(self.directory, ignore_errors=True)
        self.config, self.answers = write_small_run(self.work / "killed.yaml", self.directory, self.model,
                                                    INSTRUCTIONS, TOKENS)

    def compare(self):
        contents = dataset_contents(self.directory / "pairs.h5")
        if contents != self.reference:
            differing = [name for name in self.reference if contents.get(name) != self.reference[name]]
            sys.exit(f"failed: columns {differing} differ after kills")
        made = count_records(self.directory)
        if made != self.answers:
            sys.exit(f"failed: {made} answers were journalled where {self.answers} are wanted")
        left = list(self.directory.rglob("*.partial"))
        if left:
            sys.exit(f"failed: {left} left behind")
        self.complete += 1

    def kill_once(self, draw, when, duration):
        ranks = draw.randint(1, 4)
        victims = draw.choice(["one rank", "all ranks"])
        process = start(self.program, "synthesize", "--config", self.config, ranks=ranks)
        if when == "merge":
            wait_at_most(120, process, lambda: (self.directory / "pairs.h5.partial").exists())
            time.sleep(draw.random() * 0.02)
        else:
            wait_at_most(draw.random() * duration, process)
        running = process.poll() is None
        strike(process, ranks, victims, draw)
        if (self.directory / "pairs.h5").exists():
            # Whether it was killed at its very end or had ended: what is there must be whole.
            self.compare()
            self.renew()
        return running, f"{victims} of {ranks}, {when}"


def main():
    program = pathlib.Path(sys.argv[1])
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    draw = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 0)
    try:
        import h5py  # noqa: F401
        import numpy  # noqa: F401
    except ImportError as error:
        print(f"skipped: {error}")
        return SKIP
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        model = write_tiny_model(work / "model")
        config, answers = write_small_run(work / "whole.yaml", work / "whole", model, INSTRUCTIONS, TOKENS)
        begin = time.monotonic()
        run(program, "synthesize", "--config", config, ranks=2)
        duration = time.monotonic() - begin
        check(count_records(work / "whole") == answers, f"{answers} answers in the journals of a run left alone")
        series = Series(program, model, work, dataset_contents(work / "whole/pairs.h5"))
        done, notes = 0, []
        for attempt in range(10 * kills):
            # The first and every fourth during the merge, which is short.
            running, note = series.kill_once(draw, "merge" if attempt % 4 == 0 else "synthesis", duration)
            done += running
            notes += [note] if running else []
            if done == kills:
                break
        check(done == kills, f"{done} kills hit a run at work: {'; '.join(notes[:4])} ...")
        run(program, "synthesize", "--config", series.config, ranks=draw.randint(1, 4))
        series.compare()
        print(f"ok: {series.complete} runs completed between {kills} kills, each byte for byte as the one left alone")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Judging and answering that are killed or told to stop, on changing ranks, end with the verdicts and answers of a run
that was left alone: what was journalled is not made again.
usage: evaluation_kills_test.py POPALIGN [SEED]
"""
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile

from harness import SKIP, check, children, dataset_contents, run, start, wait_for
from journals import count_records, write_small_run
from kills_test import strike
from tiny_model import write_tiny_model

INSTRUCTIONS, ITEMS = 120, 60


class Interrupted:
    """A command that is started again and again on one directory."""

    def __init__(self, program, arguments, journals, wanted):
        self.program, self.arguments, self.journals, self.wanted = program, arguments, journals, wanted

    def made(self):
        return count_records(self.journals) if self.journals.exists() else 0

    def start(self, ranks):
        return start(self.program, *self.arguments, ranks=ranks)

    def wait_until_at_work(self, process):
        """Returns how many there are, some of them made by this process."""
        before = self.made()
        wait_for(lambda: self.made() > before, process, "the job is at work", 120)
        made = self.made()
        check(before < made < self.wanted,
              f"at work: {made} of {self.wanted} are journalled, {before} of them before")
        return made

    def kill(self, ranks, victims, draw):
        process = self.start(ranks)
        made = self.wait_until_at_work(process)
        strike(process, ranks, victims, draw)
        check(made <= self.made() <= self.wanted, f"{victims} of {ranks} killed, nothing is lost")

    def stop(self, ranks, by):
        process = self.start(ranks)
        self.wait_until_at_work(process)
        target = children(process.pid)[0] if ranks > 1 else process.pid
        subprocess.run(["kill", f"-{by.name.removeprefix('SIG')}", str(target)], check=True)
        status = process.wait(timeout=120)
        check(status == 75, f"{by.name} to one of {ranks}: exit status {status}")

    def finish(self, ranks, what):
        known = self.made()
        done = run(self.program, *self.arguments, ranks=ranks)
        for words in what(known, self.wanted - known):
            check(words in done.stderr, f"the last run says '{words}'")
        check(self.made() == self.wanted, f"{self.wanted} are journalled: none twice")
        return done


def judging(program, work, model, draw):
    whole, directory = work / "whole", work / "killed"
    config, _ = write_small_run(work / "whole.yaml", whole, model, INSTRUCTIONS, 24)
    run(program, "synthesize", "--config", config, ranks=2)
    directory.mkdir()
    (directory / "pairs.h5").write_bytes((whole / "pairs.h5").read_bytes())
    run(program, "judge", "--config", config, ranks=2)
    wanted = count_records(whole / "verdicts")
    arguments = ["judge", "--config", config, "--set", f"run.directory={directory}", "--set", "judge.batch_tokens=512"]
    interrupted = Interrupted(program, arguments, directory / "verdicts", wanted)
    interrupted.kill(3, "all ranks", draw)
    interrupted.kill(2, "one rank", draw)
    interrupted.stop(1, signal.SIGTERM)
    interrupted.stop(2, signal.SIGUSR1)
    journalled = interrupted.made()
    interrupted.finish(4, lambda known, left: [f"; {left} to make"])
    check(journalled < wanted, f"{wanted - journalled} were left for the last run")
    contents, reference = (dataset_contents(path / "pairs.h5") for path in (directory, whole))
    differing = [name for name in reference if contents.get(name) != reference[name]]
    check(not differing, f"verdicts and all other columns are those of a run left alone {differing}")


def write_hh(folder):
    folder.mkdir()
    for name in ("harmless", "helpful"):
        rows = []
        for i in range(ITEMS // 2):
            dialogue = f"\n\nHuman: Tell me {i} {name} things.\n\nAssistant: "
            rows.append({"chosen": dialogue + "Yes.", "rejected": dialogue + "No."})
        (folder / f"{name}-base-test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def answering(program, work, model, draw):
    write_hh(work / "hh")
    config = work / "evaluate.yaml"
    config.write_text(json.dumps({
        "run": {"directory": str(work / "alone"), "device": "cpu"},
        "models": {"one": {"path": str(model)}, "other": {"path": str(write_tiny_model(work / "other", seed=1))}},
        "instructions": {"path": str(work / "none.jsonl")}, "strategies": [{"name": "prefix", "model": "one"}],
        "evaluate": {"judge": "longest", "baseline": "other", "max_new_tokens": 192, "batch_size": 2, "temperature": 1.0}}))
    arguments = ["evaluate", "hh-rlhf", "--config", config, "--model", "one", "--data", work / "hh"]
    run(program, *arguments, ranks=2)
    directory = work / "stopped"
    interrupted = Interrupted(program, [*arguments, "--set", f"run.directory={directory}"], directory / "answers",
                              2 * ITEMS)
    interrupted.kill(2, "all ranks", draw)
    interrupted.stop(1, signal.SIGUSR1)
    interrupted.kill(3, "one rank", draw)
    interrupted.stop(2, signal.SIGTERM)
    check(not (directory / "evaluate").exists(), "no figures of unfinished answers")
    interrupted.finish(4, lambda known, left: [f"{known if known < ITEMS else known - ITEMS} known"])
    mine, alone = ((path / "evaluate/hh-rlhf.jsonl").read_bytes() for path in (directory, work / "alone"))
    check(mine == alone, f"the {ITEMS} items, byte for byte, are those of a run left alone")
    again = run(program, *arguments, "--set", f"run.directory={directory}")
    check("loaded" not in again.stderr and interrupted.made() == 2 * ITEMS, "once more: no model is loaded for them")
    late = [*arguments, "--set", f"run.directory={work}/late", "--set", "run.time_limit=1", "--set",
            "evaluate.max_new_tokens=4000"]
    run(program, *late, ranks=2, expect=75)


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    draw = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    try:
        import h5py  # noqa: F401
        import numpy  # noqa: F401
    except ImportError as error:
        print(f"skipped: {error}")
        return SKIP
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        model = write_tiny_model(work / "model")
        judging(program, work, model, draw)
        answering(program, work, model, draw)
    return 0


if __name__ == "__main__":
    sys.exit(main())

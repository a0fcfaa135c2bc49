"""Judging and answering that are killed or told to stop, on changing ranks, end with the verdicts and answers of a run
that was left alone: what was journalled is not made again."""
import os
import random
import signal

import pytest
from journals import count_records, write_small_run
from pair_files import dataset_contents, differing, write_rows
from run_configs import write_json
from tiny_model import write_tiny_model

INSTRUCTIONS, ITEMS = 120, 60
pytestmark = pytest.mark.timeout(600)


class Interrupted:
    """A command that is started again and again on one directory. `wanted` is what its journals hold in the end."""

    def __init__(self, program, arguments, journals, wanted):
        self.program, self.arguments, self.journals, self.wanted = program, arguments, journals, wanted
        self.draw = random.Random(0)

    def made(self):
        return count_records(self.journals) if self.journals.exists() else 0

    def start_and_wait_until_at_work(self, ranks):
        """The job, and how many records there are, some of them made by it."""
        job, before = self.program.start(*self.arguments, ranks=ranks), self.made()
        job.wait_until(lambda: self.made() > before, "records are written", 120)
        made = self.made()
        assert before < made < self.wanted
        return job, made

    def kill_all(self, ranks):
        job, made = self.start_and_wait_until_at_work(ranks)
        job.kill_with_ranks()
        assert made <= self.made() <= self.wanted, "nothing is lost"

    def kill_one(self, ranks):
        job, made = self.start_and_wait_until_at_work(ranks)
        job.kill_one_rank(self.draw)
        assert made <= self.made() <= self.wanted, "nothing is lost"

    def stop(self, ranks, by):
        job, _ = self.start_and_wait_until_at_work(ranks)
        os.kill(job.rank_processes()[0], by)
        assert job.wait(timeout=120) == 75, by.name

    def finish(self, ranks, announced):
        """The last run; it says `announced(KNOWN)`."""
        known = self.made()
        assert known < self.wanted, "something is left for the last run"
        said = self.program.run(*self.arguments, ranks=ranks).stderr
        assert announced(known) in said
        assert self.made() == self.wanted, "none is made twice"


def test_judging(program, tiny_model, directory):
    whole, killed = directory / "whole", directory / "killed"
    config, _ = write_small_run(directory / "whole.yaml", whole, tiny_model, INSTRUCTIONS, 24)
    program.run("synthesize", "--config", config, ranks=2)
    killed.mkdir()
    (killed / "pairs.h5").write_bytes((whole / "pairs.h5").read_bytes())
    program.run("judge", "--config", config, ranks=2)
    wanted = count_records(whole / "verdicts")
    arguments = ["judge", "--config", config, "--set", f"run.directory={killed}", "--set", "judge.batch_tokens=512"]
    interrupted = Interrupted(program, arguments, killed / "verdicts", wanted)
    interrupted.kill_all(3)
    interrupted.kill_one(2)
    interrupted.stop(1, signal.SIGTERM)
    interrupted.stop(2, signal.SIGUSR1)
    interrupted.finish(4, lambda known: f"; {wanted - known} to make")
    assert not differing(dataset_contents(killed / "pairs.h5"), dataset_contents(whole / "pairs.h5"))


def write_hh_rlhf(folder):
    folder.mkdir()
    for name in ("harmless", "helpful"):
        dialogues = [f"\n\nHuman: Tell me {i} {name} things.\n\nAssistant: " for i in range(ITEMS // 2)]
        write_rows(folder / f"{name}-base-test.jsonl", [{"chosen": text + "Yes.", "rejected": text + "No."} for text in dialogues])
    return folder


@pytest.fixture
def answering(directory, tiny_model):
    """The arguments of an evaluation on 60 dialogues, whose run directory is `alone`."""
    config = write_json(directory / "evaluate.yaml", {
        "run": {"directory": str(directory / "alone"), "device": "cpu"},
        "models": {"one": {"path": str(tiny_model)}, "other": {"path": str(write_tiny_model(directory / "other", seed=1))}},
        "instructions": {"path": str(directory / "none.jsonl")}, "strategies": [{"name": "prefix", "model": "one"}],
        "evaluate": {"judge": "longest", "baseline": "other", "max_new_tokens": 192, "batch_size": 2, "temperature": 1.0}})
    return ["evaluate", "hh-rlhf", "--config", config, "--model", "one", "--data", write_hh_rlhf(directory / "hh")]


def test_answering(program, directory, answering):
    program.run(*answering, ranks=2)
    stopped = directory / "stopped"
    interrupted = Interrupted(program, [*answering, "--set", f"run.directory={stopped}"], stopped / "answers", 2 * ITEMS)
    interrupted.kill_all(2)
    interrupted.stop(1, signal.SIGUSR1)
    interrupted.kill_one(3)
    interrupted.stop(2, signal.SIGTERM)
    assert not (stopped / "evaluate").exists(), "no figures of unfinished answers"
    interrupted.finish(4, lambda known: f"{known if known < ITEMS else known - ITEMS} known")
    name = "evaluate/hh-rlhf.jsonl"
    assert (stopped / name).read_bytes() == (directory / "alone" / name).read_bytes()
    again = program.run(*answering, "--set", f"run.directory={stopped}")
    assert "loaded" not in again.stderr and interrupted.made() == 2 * ITEMS, "once more: no model is loaded for them"


def test_a_deadline_ends_answering(program, directory, answering):
    program.run(*answering, "--set", f"run.directory={directory}/late", "--set", "run.time_limit=1", "--set",
                "evaluate.max_new_tokens=4000", ranks=2, expect=75)

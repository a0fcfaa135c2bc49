"""Training that is killed again and again ends with the losses of a run that was left alone.

Every kill (SIGKILL to the launcher and all ranks) comes at a random moment, half of them while a checkpoint is written.
"""
import os
import random
import signal
import time

import pytest
from pair_files import read_rows, write_rows
from run_configs import write_json

STEPS_PER_EPOCH = 12
FEW, MANY = 3, 20
pytestmark = pytest.mark.timeout(600)


class Trainings:
    """Trainings of the same model on the same 48 pairs, which differ by how they are interrupted."""

    def __init__(self, program, model, directory):
        self.program, self.model, self.directory = program, model, directory
        rows = [{"id": str(i), "prompt": f"Question {i % 24}?", "chosen": "Yes, " + "so " * (i % 7), "rejected": f"No {i}"}
                for i in range(48)]
        write_rows(directory / "rows.jsonl", rows)
        program.run("import", "--format", "trl", "--input", directory / "rows.jsonl", "--output", directory / "pairs.h5")
        self.losses_alone = {}

    def make(self, name, epochs, zero_stage=0):
        run = self.directory / name
        run.mkdir()
        (run / "pairs.h5").write_bytes((self.directory / "pairs.h5").read_bytes())
        config = write_json(self.directory / f"{name}.yaml", {
            "run": {"directory": str(run), "device": "cpu"}, "models": {"student": {"path": str(self.model)}},
            "train": {"model": "student", "beta": 0.1, "learning_rate": 1e-3, "global_batch_size": 4, "epochs": epochs,
                      "checkpoint_steps": 1, "exclude_flags": [], "zero_stage": zero_stage}})
        return Training(self.program, config, run, epochs)

    def alone(self, epochs):
        """The losses of a run that nobody interrupts."""
        if epochs not in self.losses_alone:
            self.losses_alone[epochs] = self.make(f"whole-{epochs}", epochs).finish(2)
        return self.losses_alone[epochs]


class Training:
    def __init__(self, program, config, directory, epochs):
        self.program, self.directory, self.epochs = program, directory, epochs
        self.arguments = ["train", "--config", config]

    def start(self, ranks):
        return self.program.start(*self.arguments, ranks=ranks)

    def finish(self, ranks):
        """Runs to the end. The losses."""
        self.program.run(*self.arguments, ranks=ranks)
        rows = read_rows(self.directory / "train/metrics.jsonl")
        assert [row["step"] for row in rows] == list(range(1, STEPS_PER_EPOCH * self.epochs + 1)), "one line a step"
        return [row["loss"] for row in rows]

    def checkpoints(self, pattern):
        return sorted(path.name for path in (self.directory / "train/checkpoints").glob(pattern))

    def newest(self):
        """The step of the newest checkpoint."""
        names = self.checkpoints("step-??????")
        return int(names[-1][5:]) if names else 0

    def kill_repeatedly(self, kills, ranks):
        """Kills it at work, each start on the next of the `ranks`. How many kills came within a write."""
        draw, writing = random.Random(7), 0
        for done in range(kills):
            job, before, inside = self.start(ranks[done % len(ranks)]), self.newest(), done % 2 == 0
            # Half of the kills come within a write, the others a random time after some step of this start.
            job.wait_until(lambda: self.newest() > before and (not inside or self.checkpoints("*.partial")), "a step is made")
            if not inside:
                time.sleep(draw.uniform(0, 0.05))
                job.require_running("a kill comes while the run goes on")
            job.kill_with_ranks()
            writing += bool(self.checkpoints("*.partial"))
        return writing


@pytest.fixture(scope="module")
def trainings(program, tiny_model, shared_directory):
    return Trainings(program, tiny_model, shared_directory)


def check_kills(trainings, kills, zero_stage):
    epochs = 2 + kills // 2  # each start makes a step at least, and a few more before the kill comes
    training = trainings.make(f"killed-{zero_stage}", epochs, zero_stage)
    assert training.kill_repeatedly(kills, [2]) > 0, "no kill came within a write"
    found, expected = training.finish(2), trainings.alone(epochs)
    if zero_stage == 0:
        assert found == expected
    else:
        assert max(abs(a - b) for a, b in zip(found, expected, strict=True)) < 1e-6


def check_kills_on_other_ranks(trainings, kills):
    epochs = 2 + kills // 2
    training = trainings.make("other", epochs)
    training.kill_repeatedly(kills, [1, 4, 2])
    worst = max(abs(a - b) / b for a, b in zip(training.finish(3), trainings.alone(epochs), strict=True))
    assert worst < 1e-4


@pytest.mark.parametrize("zero_stage", (0, 2))
def test_killed(trainings, zero_stage):
    check_kills(trainings, FEW, zero_stage)


def test_killed_on_another_number_of_ranks_each_time(trainings):
    check_kills_on_other_ranks(trainings, FEW)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("zero_stage", (0, 2))
def test_killed_twenty_times(trainings, zero_stage):
    check_kills(trainings, MANY, zero_stage)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_killed_twenty_times_on_another_number_of_ranks_each_time(trainings):
    check_kills_on_other_ranks(trainings, MANY)


@pytest.mark.parametrize("name", ("SIGUSR1", "SIGTERM"))
def test_stopped_by_a_signal(trainings, name):
    training = trainings.make(name, epochs=3)
    job = training.start(2)
    job.wait_until(lambda: training.newest() >= 2, "the training has begun")
    for process in job.ranks().values():
        os.kill(process, getattr(signal, name))
    assert job.wait(timeout=60) == 75
    assert training.newest() < STEPS_PER_EPOCH * training.epochs, "it was stopped early"
    assert training.finish(2) == trainings.alone(training.epochs)


def test_a_lost_rank_ends_the_job_and_is_named(trainings):
    training = trainings.make("lost", epochs=8)
    job = training.start(2)
    job.wait_until(lambda: training.newest() >= 1 and 1 in job.ranks(), "the training has begun")
    start = time.monotonic()
    os.kill(job.ranks()[1], signal.SIGKILL)
    assert job.wait(timeout=60) != 0 and time.monotonic() - start < 10
    assert "rank 1" in job.last_words()

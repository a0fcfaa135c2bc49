"""Synthesis that is killed again and again, on changing ranks, ends with the pairs of a run that was left alone: nothing is
lost and nothing made twice."""
import random
import shutil
import time

import pytest
from journals import count_records, write_small_run
from pair_files import dataset_contents, differing

INSTRUCTIONS, TOKENS = 24, 48


class Series:
    """Runs on directories of their own, each killed until it is complete."""

    def __init__(self, program, model, directory, reference):
        self.program, self.model, self.parent, self.reference = program, model, directory, reference
        self.complete = 0
        self.renew()

    def renew(self):
        self.directory = self.parent / "killed"
        shutil.rmtree(self.directory, ignore_errors=True)
        self.config, self.answers = write_small_run(self.parent / "killed.yaml", self.directory, self.model,
                                                    INSTRUCTIONS, TOKENS)

    def compare(self):
        assert not differing(dataset_contents(self.directory / "pairs.h5"), self.reference)
        assert count_records(self.directory) == self.answers, "as many answers are journalled as are wanted"
        assert not list(self.directory.rglob("*.partial"))
        self.complete += 1

    def kill_once(self, draw, during_merge, duration):
        """Whether the kill came while the run was at work."""
        ranks = draw.randint(1, 4)
        one_rank = draw.choice([True, False])
        job = self.program.start("synthesize", "--config", self.config, ranks=ranks)
        if during_merge:
            wait_at_most(120, job, (self.directory / "pairs.h5.partial").exists)
            time.sleep(draw.random() * 0.02)
        else:
            wait_at_most(draw.random() * duration, job)
        at_work = job.poll() is None
        if one_rank:
            job.kill_one_rank(draw)
        else:
            job.kill_with_ranks()
        if (self.directory / "pairs.h5").exists():
            # Whether it was killed at its very end or had ended: what is there must be whole.
            self.compare()
            self.renew()
        elif at_work:
            assert job.returncode != 0, "the launcher reports the killed rank"
        return at_work


def wait_at_most(seconds, job, condition=lambda: False):
    end = time.monotonic() + seconds
    while time.monotonic() < end and job.poll() is None and not condition():
        time.sleep(0.002)


def kill_repeatedly(program, model, directory, kills, seed):
    config, answers = write_small_run(directory / "whole.yaml", directory / "whole", model, INSTRUCTIONS, TOKENS)
    start = time.monotonic()
    program.run("synthesize", "--config", config, ranks=2)
    duration = time.monotonic() - start
    assert count_records(directory / "whole") == answers
    draw = random.Random(seed)
    series = Series(program, model, directory, dataset_contents(directory / "whole/pairs.h5"))
    done = 0
    for attempt in range(10 * kills):
        # The first and every fourth during the merge, which is short.
        done += series.kill_once(draw, attempt % 4 == 0, duration)
        if done == kills:
            break
    assert done == kills, "kills that hit a run at work"
    program.run("synthesize", "--config", series.config, ranks=draw.randint(1, 4))
    series.compare()
    print(f"{series.complete} runs completed between {kills} kills, each byte for byte as the one left alone")


@pytest.mark.timeout(600)
def test_four_kills(program, tiny_model, directory):
    kill_repeatedly(program, tiny_model, directory, 4, seed=0)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_fifty_kills(program, tiny_model, directory):
    kill_repeatedly(program, tiny_model, directory, 50, seed=1)

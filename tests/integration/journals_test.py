"""Damaged journals, a full disk, a directory that cannot be written, a clock that jumps, a merge while others write: each
with a clear message, and nothing lost that was finished."""
import json
import shutil
import time

import pytest
from journals import count_records, journals, records, write_small_run
from pair_files import dataset_contents, differing, strings
from program import execute, on_ranks

INSTRUCTIONS, TOKENS = 8, 32
pytestmark = pytest.mark.timeout(300)


class Case:
    """A finished run, and others of the same pairs."""

    def __init__(self, program, model, directory):
        self.program, self.model, self.directory = program, model, directory
        self.whole = directory / "whole"
        self.config, self.answers = write_small_run(directory / "whole.yaml", self.whole, model, INSTRUCTIONS, TOKENS)
        program.run("synthesize", "--config", self.config, ranks=2)
        self.reference = dataset_contents(self.whole / "pairs.h5")

    def interrupted(self, name):
        """A copy of the finished run without its pair file."""
        shutil.copytree(self.whole, self.directory / name)
        (self.directory / name / "pairs.h5").unlink()
        return self.directory / name

    def command(self, directory):
        config, _ = write_small_run(self.directory / f"{directory.name}.yaml", directory, self.model, INSTRUCTIONS, TOKENS)
        return ["synthesize", "--config", config]

    def require_same_pairs(self, path):
        assert not differing(dataset_contents(path), self.reference)

    def finish(self, directory, ranks=3):
        """Ends a run; its messages."""
        said = self.program.run(*self.command(directory), ranks=ranks).stderr
        self.require_same_pairs(directory / "pairs.h5")
        return said


@pytest.fixture
def case(program, tiny_model, directory):
    return Case(program, tiny_model, directory)


def test_a_torn_tail(case):
    run = case.interrupted("torn")
    path = journals(run)[1]
    position, length = list(records(path))[-1]
    path.write_bytes(path.read_bytes()[:position + length // 2])
    said = case.finish(run)
    assert f"{path}: {16 + length // 2} bytes of an unfinished record" in said
    assert f"{case.answers - 1} of {case.answers} answers are made" in said, "one answer is made again"


def test_a_flipped_byte(case):
    run = case.interrupted("flipped")
    path = journals(run)[0]
    data = bytearray(path.read_bytes())
    position, length = list(records(path))[3]
    data[position + length - 1] ^= 4
    path.write_bytes(data)
    said = case.finish(run)
    assert f"{path}: damaged at byte {position - 16}" in said
    assert f"{case.answers - 1} of {case.answers} answers are made" in said, "one answer is made again"


def test_a_full_disk_and_one_that_is_read_only(program, case, small_disk):
    disk = small_disk("12k")
    run = disk.path / "full"
    command = case.command(run)
    said = program.run(*command, ranks=2, expect=1).stderr
    assert "append to the journal" in said and "No space left on device" in said
    assert 0 < count_records(run) < case.answers, "what fitted is kept"
    disk.change("size=68k")  # enough for the journals and what decides them
    said = program.run(*command, ranks=3, expect=1).stderr
    assert f"{run / 'pairs.h5.partial'}: cannot " in said, "its first page or the space of the rest"
    assert count_records(run) == case.answers
    disk.change("size=8m")
    assert f"{case.answers} of {case.answers} answers are made already" in case.finish(run)
    (run / "pairs.h5").unlink()
    disk.change("ro")
    said = program.run(*command, ranks=2, expect=1).stderr
    assert "Read-only file system" in said and str(run) in said
    disk.change("rw")
    case.finish(run)


def test_a_clock_that_jumps_by_days(program, case, root, directory):
    library = directory / "jumping_clock.so"
    execute("cc", "-shared", "-fPIC", "-o", library, root / "tests/support/jumping_clock.c", "-ldl")
    run = directory / "clock"
    execute(*on_ranks(2, "env", f"LD_PRELOAD={library}", program.path, *case.command(run), "--set", "run.time_limit=3000"))
    case.require_same_pairs(run / "pairs.h5")


def test_merges_while_others_write(program, case):
    run = case.directory / "live"
    command = case.command(run)
    job = program.start(*command, ranks=2)
    merges = 0
    while job.poll() is None:
        if count_records(run) < case.answers // 4:
            time.sleep(0.02)
            continue
        said = program.run(*command, "--merge-only", ranks=2).stderr
        assert "unfinished record" not in said, "a live journal's tail is nothing to tell of"
        require_part(program, run / "pairs-so-far.h5", case.whole / "pairs.h5")
        merges += 1
    assert job.returncode == 0 and merges > 0, job.last_words()
    case.require_same_pairs(run / "pairs.h5")
    program.run(*command, "--merge-only", ranks=3)
    case.require_same_pairs(run / "pairs-so-far.h5")


def require_part(program, path, whole):
    """The pairs of `path` are some of those of `whole`, in order."""
    assert json.loads(program.run("inspect", path, "--verify").stdout)["problems"] == []
    some, known = texts_of_pairs(path), texts_of_pairs(whole)
    assert some == [pair for pair in known if pair in some]


def texts_of_pairs(path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path) as file:
        texts, ids = strings(file["responses/text"]), strings(file["instructions/id"])
        return [(ids[i], int(s), texts[chosen], texts[rejected]) for i, s, chosen, rejected in zip(
            *(file[f"pairs/{name}"][:] for name in ("instruction", "strategy", "chosen", "rejected")))]

"""Pairs of a real model are the same on 1, 2 and 4 ranks, byte for byte. (kills_test.py: and after ranks were killed.)"""
import pytest
from pair_files import dataset_contents, differing
from run_configs import write_config

pytestmark = [pytest.mark.one_case, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def synthesized(program, model, shared_directory):
    """Config and pair file by the number of ranks."""
    made = {}
    for ranks in (1, 2, 4):
        directory = shared_directory / f"ranks-{ranks}"
        config = write_config(shared_directory / f"{ranks}.yaml", directory, model, synthesis={"deterministic": True})
        program.run("synthesize", "--config", config, ranks=ranks)
        made[ranks] = config, directory / "pairs.h5"
    return made


def test_one_two_and_four_ranks_make_the_same_bytes(synthesized):
    contents = {ranks: dataset_contents(path) for ranks, (_, path) in synthesized.items()}
    assert contents[1] and not differing(contents[1], contents[2]) and not differing(contents[1], contents[4])


def test_a_finished_run_is_not_made_again(program, synthesized):
    config, path = synthesized[2]
    before = path.stat().st_mtime_ns
    program.run("synthesize", "--config", config)
    assert path.stat().st_mtime_ns == before
    program.run("synthesize", "--config", config, "--set", "run.seed=1", expect=2)


def test_a_deadline_saves_and_leaves_with_75(program, model, directory):
    run = directory / "late"
    config = write_config(directory / "late.yaml", run, model, run={"time_limit": 1})
    program.run("synthesize", "--config", config, ranks=2, expect=75)
    assert not (run / "pairs.h5").exists()

"""Stages whose models lie in slices over a group of ranks: the same results, and failures that all ranks leave with."""
import pytest
from pair_files import dataset_contents, read_rows
from run_configs import write_config


def results(program, directory, model, ranks, tensor_parallel):
    """The pair file's contents and the answers behind the win rate."""
    run = directory / f"{ranks}-{tensor_parallel}"
    config = write_config(directory / f"{run.name}.yaml", run, model, run={"tensor_parallel": tensor_parallel},
                          synthesis={"temperature": 0}, evaluate={"temperature": 0})
    for command in (("synthesize",), ("judge",), ("evaluate", "win-rate", "--model", "student")):
        program.run(*command, "--config", config, ranks=ranks)
    return dataset_contents(run / "pairs.h5"), [row["answer"] for row in read_rows(next(run.rglob("win_rate.jsonl")))]


@pytest.mark.timeout(900)
def test_two_groups_of_three_ranks_find_what_one_rank_finds(program, directory, model):
    numpy = pytest.importorskip("numpy")
    whole, whole_answers = results(program, directory, model, 1, 1)
    sliced, sliced_answers = results(program, directory, model, 6, 3)  # SmolLM2 has three key-value heads
    for name in ("responses/text/bytes", "responses/tokens/values", "pairs/chosen", "pairs/flags"):
        assert whole[name] == sliced[name], name
    values = [numpy.frombuffer(contents["verdicts/probability"], "<f8") for contents in (whole, sliced)]
    assert abs(values[0] - values[1]).max() < 1e-4
    assert whole_answers == sliced_answers


@pytest.fixture
def sliced(program, directory, tiny_model):
    """sliced(OPTION..., ranks) runs a synthesis in slices of three; its messages."""
    config = write_config(directory / "run.yaml", directory / "run", tiny_model, run={"tensor_parallel": 3},
                          synthesis={"max_input_tokens": 8192})
    return lambda *options, **process: program.run("synthesize", "--config", config, *options, **process).stderr


def test_ranks_that_cannot_be_divided_are_refused(sliced):
    assert "groups of 3" in sliced(ranks=2, expect=2)


def test_leaders_and_followers_leave_together_when_the_stage_fails(sliced):
    assert "/nowhere" in sliced("--set", "instructions.path=/nowhere", ranks=3, expect=2)


def test_a_model_that_cannot_be_divided_is_refused(sliced):
    said = sliced("--set", "run.tensor_parallel=2", ranks=2, expect=2)
    assert "cannot be divided among 2 ranks" in said


def test_a_deadline_saves_and_leaves_with_75(sliced):
    sliced("--set", "run.time_limit=1", "--set", "synthesis.max_new_tokens=4000", ranks=3, expect=75)

"""The benches of storage, scheduling and training at a small size: their claims hold, and others read what they write."""
import json

import pytest
from pair_files import write_rows
from run_configs import write_json

PAIRS = 3000
pytestmark = pytest.mark.timeout(300)


def bench(program, *arguments, ranks=1):
    return json.loads(program.run("bench", *arguments, ranks=ranks).stdout)


def test_store(program, directory):
    h5py = pytest.importorskip("h5py")
    result = bench(program, "store", "--directory", directory / "store", "--pairs", PAIRS, "--memory", 1, "--batches", 5,
                   "--keep", ranks=4)
    assert result["problems"] == [] and result["pairs"] == PAIRS, "every checksum is right"
    assert result["bytes_per_second"] > 0 and result["limit"]["raw_write_bytes_per_second"] > 0
    path = directory / "store/pairs.h5"
    with h5py.File(path) as file:  # verifies checksums
        offsets = file["responses/text/offsets"][:]
        assert len(offsets) == 2 * PAIRS + 1 and offsets[-1] == len(file["responses/text/bytes"][:])
        assert file["pairs/chosen"][:].tolist() == list(range(0, 2 * PAIRS, 2)), "rows are in order"
    program.run("export", "--format", "trl", "--input", path, "--output", directory / "rows.jsonl", ranks=2)
    assert (directory / "rows.jsonl").read_text().count("\n") == PAIRS


def test_schedule(program):
    result = bench(program, "schedule", "--ranks", 200, "--generations", 100_000, "--failed-share", 0.1, "--late-share",
                   0.1, "--hand-outs", 20_000, ranks=4)
    made = result["simulated"]["handed_out"]
    assert made["units_not_handed_out_once"] == 0, "each unit is handed out once, whoever is late or lost"
    assert made["units_lost_with_their_ranks"] > 0
    assert result["measured"]["microseconds_per_unit"] > 0 and result["measured"]["ranks"] == 4


def test_allreduce(program):
    result = bench(program, "allreduce", "--largest", 300_000, "--repeats", 3, ranks=4)
    assert [row["bytes"] for row in result["sizes"]] == [1 << 14, 1 << 16, 1 << 18]
    assert all(row["seconds"] > 0 and row["mpi_seconds"] > 0 for row in result["sizes"]), "beside MPI_Allreduce's time"


def test_allreduce_on_one_rank_is_told_to_take_more(program):
    assert "mpirun -n 2" in program.run("bench", "allreduce", expect=2).stderr


@pytest.fixture(scope="module")
def pairs(program, shared_directory):
    """Six pairs a prompt with the same chosen answer."""
    rows = write_rows(shared_directory / "rows.jsonl", [
        {"prompt": f"Question {i // 6}?", "chosen": "The same answer", "rejected": f"No {i}"} for i in range(48)])
    program.run("import", "--format", "trl", "--input", rows, "--output", shared_directory / "pairs.h5")
    return shared_directory / "pairs.h5"


def test_train(program, tiny_model, pairs):
    def train(*options, ranks=1):
        return bench(program, "train", "--model", tiny_model, "--pairs", pairs, "--batching", "by_instruction",
                     "--global-batch-size", 12, *options, ranks=ranks)

    grouped, separate = train(), train("--separate")
    assert grouped["pairs"] == 48 and 0 < grouped["fraction_of_limit"] < 1
    assert grouped["tokens"] == separate["tokens"] and grouped["computed_tokens"] * 3 < separate["computed_tokens"], \
        "pairs of an instruction share their prompt and equal answers"
    assert abs(grouped["last_loss"] - separate["last_loss"]) < 1e-5, "which changes no loss"
    sharded = train("--zero-stage", 2, "--recompute", ranks=2)
    assert abs(grouped["last_loss"] - sharded["last_loss"]) < 1e-5, "nor do ranks that share the state"
    assert 0 < sharded["exposed_communication"] < 1


def test_train_plan(program, tiny_model, pairs):
    config = write_json(pairs.parent / "plan.yaml", {
        "run": {"directory": str(pairs.parent), "device": "cpu"}, "models": {"student": {"path": str(tiny_model)}},
        "train": {"model": "student", "global_batch_size": 12, "exclude_flags": []}})
    plan = json.loads(program.run("train", "--config", config, "--plan", ranks=2).stdout)
    assert plan["pairs"] == 48 and plan["ranks"] == 2 and plan["memory_bytes"]["total"] > 0

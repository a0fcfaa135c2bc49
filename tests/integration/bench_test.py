"""The benches of storage, scheduling and training at a small size: what they claim holds, and others read what they write.
usage: bench_test.py POPALIGN
"""
import json
import pathlib
import subprocess
import sys
import tempfile

from harness import check, command, environment, run
from tiny_model import write_tiny_model

PAIRS = 3000
SKIP = 77


def store(program, work):
    import h5py

    result = json.loads(run(program, "bench", "store", "--directory", work / "store", "--pairs", PAIRS, "--memory", 1,
                            "--batches", 5, "--keep", ranks=4).stdout)
    check(result["problems"] == [] and result["pairs"] == PAIRS, f"{PAIRS} pairs, every checksum is right")
    check(result["bytes_per_second"] > 0 and result["limit"]["raw_write_bytes_per_second"] > 0,
          "speed beside the file system's")
    path = work / "store/pairs.h5"
    with h5py.File(path) as file:
        offsets = file["responses/text/offsets"][:]
        check(len(offsets) == 2 * PAIRS + 1 and offsets[-1] == len(file["responses/text/bytes"][:]),
              "h5py reads all of it, checksums verified")
        check(file["pairs/chosen"][:].tolist() == list(range(0, 2 * PAIRS, 2)), "rows are in order")
    done = subprocess.run(command(program, 2, "export", "--format", "trl", "--input", path, "--output",
                                  work / "rows.jsonl"), env=environment(), text=True, capture_output=True)
    rows = (work / "rows.jsonl").read_text().split("\n")[:-1] if done.returncode == 0 else []
    check(len(rows) == PAIRS, "2 ranks read it" + (f": {done.stderr[-300:]}" if done.returncode else ""))


def schedule(program):
    result = json.loads(run(program, "bench", "schedule", "--ranks", 200, "--generations", 100_000, "--failed-share",
                            0.1, "--late-share", 0.1, "--hand-outs", 20_000, ranks=4).stdout)
    made = result["simulated"]["handed_out"]
    check(made["units_not_handed_out_once"] == 0, "each unit is handed out once, whoever is late or lost")
    check(made["units_lost_with_their_ranks"] > 0, "units are lost with their ranks")
    check(result["measured"]["microseconds_per_unit"] > 0 and result["measured"]["ranks"] == 4,
          "hand-outs are measured on the real ranks")


def allreduce(program):
    result = json.loads(run(program, "bench", "allreduce", "--largest", 300_000, "--repeats", 3, ranks=4).stdout)
    check([row["bytes"] for row in result["sizes"]] == [1 << 14, 1 << 16, 1 << 18], "sums of three sizes")
    check(all(row["seconds"] > 0 and row["mpi_seconds"] > 0 for row in result["sizes"]), "beside MPI_Allreduce's time")
    done = run(program, "bench", "allreduce", expect=2)
    check("mpirun -n 2" in done.stderr, "one rank is told to take more")


def train(program, work):
    write_tiny_model(work / "model")
    rows = [{"prompt": f"Question {i // 6}?", "chosen": "The same answer", "rejected": f"No {i}"} for i in range(48)]
    (work / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run(program, "import", "--format", "trl", "--input", work / "rows.jsonl", "--output", work / "pairs.h5")

    def bench(*options, ranks=1):
        return json.loads(run(program, "bench", "train", "--model", work / "model", "--pairs", work / "pairs.h5",
                              *options, ranks=ranks).stdout)

    grouped = bench("--batching", "by_instruction", "--global-batch-size", 12)
    separate = bench("--batching", "by_instruction", "--global-batch-size", 12, "--separate")
    check(grouped["pairs"] == 48 and 0 < grouped["fraction_of_limit"] < 1, "speed beside what matrix products allow")
    check(grouped["tokens"] == separate["tokens"] and grouped["computed_tokens"] * 3 < separate["computed_tokens"],
          "pairs of an instruction share their prompt and equal answers")
    check(abs(grouped["last_loss"] - separate["last_loss"]) < 1e-5, "which changes no loss")
    sharded = bench("--batching", "by_instruction", "--global-batch-size", 12, "--zero-stage", 2, "--recompute", ranks=2)
    check(abs(grouped["last_loss"] - sharded["last_loss"]) < 1e-5, "nor do ranks that share the state")
    check(0 < sharded["exposed_communication"] < 1, "the wait for other ranks is told")
    config = work / "plan.yaml"
    config.write_text(json.dumps({"run": {"directory": str(work), "device": "cpu"},
                                  "models": {"student": {"path": str(work / "model")}},
                                  "train": {"model": "student", "global_batch_size": 12, "exclude_flags": []}}))
    plan = json.loads(run(program, "train", "--config", config, "--plan", ranks=2).stdout)
    check(plan["pairs"] == 48 and plan["ranks"] == 2 and plan["memory_bytes"]["total"] > 0, "train --plan says what it takes")


def main():
    program = pathlib.Path(sys.argv[1])
    try:
        import h5py  # noqa: F401
    except ImportError as error:
        print(f"skipped: {error}")
        return SKIP
    with tempfile.TemporaryDirectory() as folder:
        schedule(program)
        allreduce(program)
        train(program, pathlib.Path(folder))
        store(program, pathlib.Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())

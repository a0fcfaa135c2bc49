"""The benches of storage and scheduling at a small size: what they claim holds, and others read what they write.
usage: bench_test.py POPALIGN
"""
import json
import pathlib
import subprocess
import sys
import tempfile

from harness import check, command, environment, run

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


def main():
    program = pathlib.Path(sys.argv[1])
    try:
        import h5py  # noqa: F401
    except ImportError as error:
        print(f"skipped: {error}")
        return SKIP
    with tempfile.TemporaryDirectory() as folder:
        schedule(program)
        store(program, pathlib.Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())

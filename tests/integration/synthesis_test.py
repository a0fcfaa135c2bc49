"""Pairs are the same on 1, 2 and 4 ranks, byte for byte, and after a rank was killed."""
import os
import pathlib
import signal
import sys
import tempfile

from harness import (check, children, dataset_contents, require_models, run, start, wait_for,
                     write_config)


def journal_bytes(directory):
    return sum(path.stat().st_size for path in directory.rglob("*.journal"))


def kill_one_rank(program, config, directory):
    """Starts on 2 ranks and kills one (SIGKILL) once some answers are in the journals."""
    process = start(program, "synthesize", "--config", config, ranks=2)
    wait_for(lambda: journal_bytes(directory) > 1500, process, "the job is running when a rank is killed")
    ranks = children(process.pid)
    os.kill(ranks[-1], signal.SIGKILL)
    process.wait(timeout=60)
    check(process.returncode != 0, "the launcher reports the killed rank")
    check(not (directory / "pairs.h5").exists(), "no pair file of a killed run")


def main():
    program, model = sys.argv[1], require_models(sys.argv[2])
    try:
        import h5py  # noqa: F401
    except ImportError as error:
        print(f"skipped: {error}")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        results = {}
        for ranks in (1, 2, 4):
            directory = work / f"ranks-{ranks}"
            config = write_config(work / f"{ranks}.yaml", directory, model,
                                  synthesis={"deterministic": True})
            run(program, "synthesize", "--config", config, ranks=ranks)
            results[ranks] = dataset_contents(directory / "pairs.h5")
        check(results[1] == results[2] == results[4],
              f"{len(results[1])} columns are byte for byte the same on 1, 2 and 4 ranks")
        before = (work / "ranks-2" / "pairs.h5").stat().st_mtime_ns
        run(program, "synthesize", "--config", work / "2.yaml", ranks=1)
        check((work / "ranks-2" / "pairs.h5").stat().st_mtime_ns == before,
              "a finished run is not made again")
        run(program, "synthesize", "--config", work / "2.yaml", "--set", "run.seed=1", expect=2)

        directory = work / "killed"
        config = write_config(work / "killed.yaml", directory, model,
                              synthesis={"deterministic": True})
        kill_one_rank(program, config, directory)
        kept = journal_bytes(directory)
        again = run(program, "synthesize", "--config", config, ranks=2)
        check(" 0 of " not in again.stderr and "answers are made already" in again.stderr,
              f"the restart finds what {kept} bytes of journals hold")
        check(dataset_contents(directory / "pairs.h5") == results[2],
              "after the kill: nothing lost, nothing made twice")
        whole = journal_bytes(work / "ranks-2")
        check(abs(journal_bytes(directory) - whole) < 64, "no answer was journalled twice")

        deadline = write_config(work / "late.yaml", work / "late", model,
                                run={"directory": str(work / "late"), "device": "cpu",
                                     "time_limit": 1})
        run(program, "synthesize", "--config", deadline, ranks=2, expect=75)
        check(not (work / "late" / "pairs.h5").exists(), "the deadline saves and exits with 75")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A sweep of 12 runs as job arrays where MaxArraySize is 8, one of them failing; and `doctor` in a job, with PMIx and
without."""
import csv
import json
import pathlib
import sys
import tempfile

from harness import check
from slurm_testbed import Testbed, require_slurm
from sweep_test import sweep_config
from tiny_model import write_tiny_model


def submit(testbed, program, config, *options):
    """{job's name: [(id, tasks)]}"""
    output = testbed.run(program, "sweep", "--config", config, "--submit", "--", "--nodes=1", "--ntasks-per-node=1",
                         "--cpus-per-task=1", "--time=10", *options)
    jobs = {}
    for line in output.splitlines():
        name, number, count = line.split()
        jobs.setdefault(name, []).append((number, int(count)))
    return jobs


def arrays(testbed, program, work, model):
    directory = work / "sweep"
    config = sweep_config(work / "sweep.yaml", directory, model, mixes=["single", "all"], seeds=[0, 1, 2, 3])
    # One of twelve fails: it has a file where its training folder should be.
    plan = json.loads(testbed.run(program, "sweep", "--config", config, "--plan"))
    check(plan["count"]["runs"] == 12, "twelve runs are planned")
    victim = plan["runs"][4]["name"]
    (directory / victim).mkdir(parents=True)
    (directory / victim / "train").write_text("in the way")

    jobs = submit(testbed, program, config)
    counts = [count for name, parts in jobs.items() if name.startswith("runs-") for _, count in parts]
    check(counts == [8, 4], f"arrays of {counts} tasks")
    collect = jobs["collect"][0][0]
    testbed.until("the sweep ends", lambda: testbed.job(collect)["JobState"] in ("COMPLETED", "FAILED"), limit=900)
    with (directory / "results.csv").open(newline="") as file:
        states = {row["run"]: row["state"] for row in csv.DictReader(file)}
    if sum(state == "done" for state in states.values()) != 11 or states[victim] != "failed":
        log = "\n".join(path.read_text()[-1500:] for path in (directory / "slurm").glob("*.log"))
        sys.exit(f"failed: {states}\n{log}")
    check(True, "eleven runs are done, the failing one marks only its own row")

    (directory / victim / "train").unlink()
    jobs = submit(testbed, program, config)
    check(sum(count for name, parts in jobs.items() if name != "collect" for _, count in parts) == 1,
          "submitted again, only the failed run is left")
    testbed.finish([jobs["collect"][0][0]])
    status = testbed.run(program, "sweep", "--config", config, "--status")
    check("runs                12 done    0 started    0 failed    0 missing" in status, "and now all are done")


def doctor(testbed, program, work, config):
    step = ("srun", "--nodes=2", "--ntasks=2")
    found = {entry["check"]: entry for entry in json.loads(testbed.run(
        *step, "--mpi=pmix", program, "doctor", "--config", config, "--json"))}
    check("2 ranks, PMIx" == found["launcher"]["found"] and found["nodes"]["found"].startswith("2 nodes; n1: 1 ranks"),
          f"doctor under srun: {found['launcher']['found']}; {found['nodes']['found']}")
    done = testbed.run(*step, "--mpi=none", program, "doctor", "--config", config, check=False)
    check(done.returncode != 0 and "no PMIx between the launcher and MPI" in done.stdout,
          "doctor names the missing PMIx under srun --mpi=none")


def main():
    program = sys.argv[1]
    require_slurm()
    with Testbed(program, cpus=2, max_array_size=8) as testbed:
        work = pathlib.Path(tempfile.mkdtemp(dir=testbed.folder))
        model = write_tiny_model(work / "model")
        doctor(testbed, program, work, sweep_config(work / "doctor.yaml", work / "doctor", model))
        arrays(testbed, program, work, model)
    return 0


if __name__ == "__main__":
    sys.exit(main())

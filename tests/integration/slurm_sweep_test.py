"""A sweep of 12 runs as job arrays where MaxArraySize is 8, one of them failing; and `doctor` in a job, with PMIx and
without."""
import json

import pytest
from slurm_testbed import logs
from sweeps import results, write_sweep

pytestmark = [pytest.mark.one_case, pytest.mark.long, pytest.mark.timeout(3600)]


def submit(testbed, program, config):
    """{job's name: [(id, tasks)]}"""
    done = testbed.run(program.path, "sweep", "--config", config, "--submit", "--", "--nodes=1", "--ntasks-per-node=1",
                       "--cpus-per-task=1", "--time=10")
    jobs = {}
    for line in done.stdout.splitlines():
        name, number, count = line.split()
        jobs.setdefault(name, []).append((number, int(count)))
    return jobs


def test_a_failing_run_marks_only_its_own_row_and_is_submitted_again(testbed, program, tiny_model):
    directory = testbed.work / "sweep"
    config = write_sweep(testbed.work / "sweep.yaml", directory, tiny_model, mixes=["single", "all"], seeds=[0, 1, 2, 3])
    # One of twelve fails: it has a file where its training folder should be.
    plan = json.loads(testbed.run(program.path, "sweep", "--config", config, "--plan").stdout)
    assert plan["count"]["runs"] == 12
    victim = plan["runs"][4]["name"]
    (directory / victim).mkdir(parents=True)
    (directory / victim / "train").write_text("in the way")

    jobs = submit(testbed, program, config)
    assert [count for name, parts in jobs.items() if name.startswith("runs-") for _, count in parts] == [8, 4]
    collect = jobs["collect"][0][0]
    testbed.until("the sweep ends", lambda: testbed.job(collect)["JobState"] in ("COMPLETED", "FAILED"), limit=900)
    states = {row["run"]: row["state"] for row in results(directory)}
    done = [name for name, state in states.items() if state == "done"]
    assert len(done) == 11 and states[victim] == "failed", f"{states}\n{logs(directory)}"

    (directory / victim / "train").unlink()
    jobs = submit(testbed, program, config)
    assert sum(count for name, parts in jobs.items() if name != "collect" for _, count in parts) == 1, "only the failed run"
    testbed.finish([jobs["collect"][0][0]])
    status = testbed.run(program.path, "sweep", "--config", config, "--status").stdout
    assert "runs                12 done    0 started    0 failed    0 missing" in status


STEP = ("srun", "--nodes=2", "--ntasks=2")


@pytest.fixture
def doctor(testbed, program, tiny_model):
    config = write_sweep(testbed.work / "doctor.yaml", testbed.work / "doctor", tiny_model)
    return [program.path, "doctor", "--config", config]


def test_doctor_under_srun(testbed, doctor):
    done = testbed.run(*STEP, "--mpi=pmix", *doctor, "--json")
    found = {entry["check"]: entry["found"] for entry in json.loads(done.stdout)}
    assert found["launcher"] == "2 ranks, PMIx" and found["nodes"].startswith("2 nodes; n1: 1 ranks")


def test_doctor_names_the_missing_pmix(testbed, doctor):
    done = testbed.run(*STEP, "--mpi=none", *doctor, expect=None)
    assert done.returncode != 0 and "no PMIx between the launcher and MPI" in done.stdout

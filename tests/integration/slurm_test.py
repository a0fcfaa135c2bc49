"""A run as a chain of jobs on a two-node Slurm: pipeline.sh, srun with PMIx, and mpirun where PMIx is missing."""
import pytest
from pair_files import read_json, read_rows
from run_configs import write_config
from slurm_testbed import NODES, TINY, logs

pytestmark = [pytest.mark.one_case, pytest.mark.timeout(900)]


def finish(testbed, jobs, directory):
    states = [job["JobState"] for job in testbed.finish(jobs)]
    assert set(states) == {"COMPLETED"}, logs(directory)


def test_a_chain_of_four_jobs(testbed, tiny_model):
    run = testbed.work / "run"
    config = write_config(testbed.work / "run.yaml", run, tiny_model, instructions={"limit": 6, "held_out": 2}, **TINY)
    jobs = testbed.submit(config, "--", *NODES)
    assert list(jobs) == ["synthesize", "judge", "train", "evaluate"]
    finish(testbed, jobs.values(), run)
    rows = read_rows(run / "stages.jsonl")
    assert len(rows) == 6
    assert all(row["nodes"] == 2 and row["ranks"] == 2 and row["status"] == 0 for row in rows), rows
    assert read_json(run / "evaluate/preference_after.json")["n"] > 0 and (run / "model/model.safetensors").exists()
    assert len(list((run / "slurm").glob("*.yaml"))) == 4, "each job left its effective config"
    assert testbed.job(jobs["train"])["NodeList"] == "n[1-2]"


def test_without_pmix_mpirun_starts_the_ranks(testbed, tiny_model):
    run = testbed.work / "mpirun"
    config = write_config(testbed.work / "mpirun.yaml", run, tiny_model, instructions={"limit": 1, "held_out": 1}, **TINY)
    jobs = testbed.submit(config, "--stages", "synthesize", "--", *NODES, variables={"POPALIGN_LAUNCHER": "mpirun"})
    finish(testbed, jobs.values(), run)
    assert "started by mpirun" in logs(run) and (run / "pairs.h5").exists()
    assert len(list((run / "synthesis").glob("*/*"))) >= 2, "both ranks have a journal"


def test_a_wrong_key_is_told_before_anything_is_submitted(testbed, tiny_model):
    config = write_config(testbed.work / "wrong.yaml", testbed.work / "wrong", tiny_model, train={"betta": 0.1})
    done = testbed.run("bash", "slurm/pipeline.sh", "--config", config, expect=2)
    assert "betta" in done.stderr and not done.stdout

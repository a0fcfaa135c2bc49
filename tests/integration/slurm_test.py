"""A run as a chain of jobs on a two-node Slurm: pipeline.sh, srun with PMIx, and mpirun where PMIx is missing."""
import json
import pathlib
import sys
import tempfile

from harness import check, write_config
from slurm_testbed import Testbed, logs, require_slurm
from tiny_model import write_tiny_model

# Bytes are tokens: prompts are long and answers short.
TINY = {"synthesis": {"max_new_tokens": 8, "max_input_tokens": 8192}, "evaluate": {"max_new_tokens": 8}}
NODES = ("--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=1", "--time=10")


def submit(testbed, config, *options, variables=None):
    """Submits the chain; {stage: job}."""
    output = testbed.run("bash", "slurm/pipeline.sh", "--config", config, *options, variables=variables or {})
    return dict(line.split() for line in output.splitlines())


def pipeline(testbed, config, directory):
    jobs = submit(testbed, config, "--", *NODES)
    check(list(jobs) == ["synthesize", "judge", "train", "evaluate"], f"four jobs are submitted: {jobs}")
    states = [job["JobState"] for job in testbed.finish(jobs.values())]
    if states != ["COMPLETED"] * 4:
        sys.exit(f"failed: the chain ends in {states}\n{logs(directory)}")
    check(True, "the chain completes with no hand on it")
    rows = [json.loads(line) for line in (directory / "stages.jsonl").read_text().splitlines()]
    check(len(rows) == 6 and all(row["nodes"] == 2 and row["ranks"] == 2 and row["status"] == 0 for row in rows),
          "each of six steps ran on two ranks of two nodes")
    figures = json.loads((directory / "evaluate/preference_after.json").read_text())
    check(figures["n"] > 0 and (directory / "model/model.safetensors").exists(), "it ends in a model and its figures")
    copies = list((directory / "slurm").glob("*.yaml"))
    check(len(copies) == 4, "each job left its effective config")
    spread = testbed.job(jobs["train"])["NodeList"]
    check(spread == "n[1-2]", f"the job's nodes are {spread}")


def without_pmix(testbed, work, model):
    directory = work / "mpirun"
    config = write_config(work / "mpirun.yaml", directory, model, instructions={"limit": 1, "held_out": 1}, **TINY)
    jobs = submit(testbed, config, "--stages", "synthesize", "--", *NODES,
                  variables={"POPALIGN_LAUNCHER": "mpirun"})
    states = [job["JobState"] for job in testbed.finish(jobs.values())]
    text = logs(directory)
    if states != ["COMPLETED"]:
        sys.exit(f"failed: with mpirun the job ends {states}\n{text}")
    check("started by mpirun" in text and (directory / "pairs.h5").exists(),
          "without PMIx mpirun starts the ranks within the job")
    check(len(list((directory / "synthesis").glob("*/*"))) >= 2, "both ranks have a journal")


def wrong_config(testbed, work, model):
    config = write_config(work / "wrong.yaml", work / "wrong", model, train={"betta": 0.1})
    done = testbed.run("bash", "slurm/pipeline.sh", "--config", config, check=False)
    check(done.returncode == 2 and "betta" in done.stderr and not done.stdout,
          "a wrong key is said before anything is submitted")


def main():
    program = sys.argv[1]
    require_slurm()
    with Testbed(program) as testbed:
        work = pathlib.Path(tempfile.mkdtemp(dir=testbed.folder))
        model = write_tiny_model(work / "model")
        directory = work / "run"
        config = write_config(work / "run.yaml", directory, model, instructions={"limit": 6, "held_out": 2},
                              **TINY)
        pipeline(testbed, config, directory)
        without_pmix(testbed, work, model)
        wrong_config(testbed, work, model)
    return 0


if __name__ == "__main__":
    sys.exit(main())

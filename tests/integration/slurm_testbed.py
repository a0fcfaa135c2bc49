"""A two-node Slurm on this machine (slurm/testbed) for tests."""
import os
import pathlib
import re
import shutil
import tempfile
import time

import pytest
from program import execute
from run_configs import ROOT

SCRIPT = ROOT / "slurm/testbed/testbed.sh"
NODES = ("--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=1", "--time=10")
# Bytes are tokens of the tiny model: prompts are long and answers short.
TINY = {"synthesis": {"max_new_tokens": 8, "max_input_tokens": 8192}, "evaluate": {"max_new_tokens": 8}}


def require_slurm():
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    absent = [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if not shutil.which(name, path=path)]
    if absent:
        pytest.skip(f"{', '.join(absent)} absent (Debian: slurm-wlm, munge)")


class Testbed:
    """Started by `with`, stopped at its end whatever happens. Its folder is short, for sockets lie in it."""

    def __init__(self, program, cpus=2, max_array_size=8):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tb-", dir="/tmp"))
        self.work = self.folder / "work"
        self.work.mkdir()
        self.slurm = self.folder / "slurm"
        self.variables = {"POPALIGN": str(program), "TESTBED_CPUS": str(cpus),
                          "TESTBED_MAX_ARRAY_SIZE": str(max_array_size),
                          "SLURM_CONF": str(self.slurm / "slurm.conf")}

    def __enter__(self):
        self.control("start")
        return self

    def __exit__(self, *_):
        self.control("stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def control(self, command, *arguments):
        self.run("bash", SCRIPT, command, self.slurm, *arguments)

    def run(self, *words, variables=None, **options):
        """A command with this Slurm, as `execute`; the finished process."""
        return execute(*words, variables={**self.variables, **(variables or {})}, cwd=ROOT, **options)

    def submit(self, config, *options, variables=None):
        """Submits the chain of stages; {stage: job}."""
        done = self.run("bash", "slurm/pipeline.sh", "--config", config, *options, variables=variables)
        return dict(line.split() for line in done.stdout.splitlines())

    def job(self, number):
        """The controller's record of a job; asked again where a busy controller does not answer."""
        for _ in range(5):
            answer = self.run("scontrol", "show", "job", number, expect=None)
            if answer.returncode == 0:
                return dict(re.findall(r"(\S+?)=(\S*)", answer.stdout))
            time.sleep(1)
        pytest.fail(f"scontrol show job {number}: exit status {answer.returncode}\n{answer.stderr}")

    def until(self, what, condition, limit=300):
        end = time.monotonic() + limit
        while not condition():
            if time.monotonic() > end:
                pytest.fail(f"{what}: not within {limit} s\n{self.run('squeue', '--all').stdout}")
            time.sleep(0.2)

    def finish(self, numbers, limit=300):
        """Waits for jobs; their records."""
        over = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "DEADLINE"}
        self.until(f"jobs {numbers} end", lambda: all(self.job(n)["JobState"] in over for n in numbers), limit)
        return [self.job(n) for n in numbers]


def logs(directory):
    """The last words of a run's jobs, for messages of failed checks."""
    return "\n".join(f"== {path.name}\n{path.read_text()[-3000:]}" for path in
                     sorted((directory / "slurm").glob("*.log")))

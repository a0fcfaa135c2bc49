"""A two-node Slurm on this machine (slurm/testbed) for tests."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from harness import ROOT, SKIP, environment

SCRIPT = ROOT / "slurm/testbed/testbed.sh"


def require_slurm():
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    absent = [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if not shutil.which(name, path=path)]
    if absent:
        print(f"skipped: {', '.join(absent)} absent (Debian: slurm-wlm, munge)")
        sys.exit(SKIP)


class Testbed:
    """Started by `with`, stopped at its end whatever happens. The folder is short, for sockets lie in it."""

    def __init__(self, program, cpus=2, max_array_size=8):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tb-", dir="/tmp"))
        self.slurm = self.folder / "slurm"
        self.variables = {**environment(), "POPALIGN": str(program), "TESTBED_CPUS": str(cpus),
                          "TESTBED_MAX_ARRAY_SIZE": str(max_array_size),
                          "SLURM_CONF": str(self.slurm / "slurm.conf")}

    def __enter__(self):
        self.control("start")
        return self

    def __exit__(self, *_):
        self.control("stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def control(self, command, *arguments):
        done = subprocess.run(["bash", SCRIPT, command, self.slurm, *arguments], env=self.variables, text=True,
                              capture_output=True, timeout=300)
        if done.returncode:
            sys.exit(f"testbed {command}: {done.stdout}{done.stderr}")

    def run(self, *words, check=True, **options):
        """A command with this Slurm; its output."""
        done = subprocess.run(list(map(str, words)), env={**self.variables, **options.pop("variables", {})},
                              text=True, capture_output=True, timeout=600, cwd=ROOT, **options)
        if check and done.returncode:
            sys.exit(f"{words}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout if check else done

    def job(self, number):
        """The controller's record of a job; asked again where a busy controller does not answer."""
        for _ in range(5):
            answer = self.run("scontrol", "show", "job", number, check=False)
            if answer.returncode == 0:
                return dict(re.findall(r"(\S+?)=(\S*)", answer.stdout))
            time.sleep(1)
        sys.exit(f"scontrol show job {number}: exit status {answer.returncode}\n{answer.stderr}")

    def until(self, what, condition, limit=300):
        end = time.monotonic() + limit
        while not condition():
            if time.monotonic() > end:
                sys.exit(f"failed: {what} within {limit} s\n{self.run('squeue', '--all')}")
            time.sleep(0.2)

    def finish(self, numbers, limit=300):
        """Waits for jobs; their records."""
        over = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "DEADLINE"}
        self.until(f"jobs {numbers} end", lambda: all(self.job(n)["JobState"] in over for n in numbers), limit)
        return [self.job(n) for n in numbers]


def logs(directory):
    """What the jobs of a run said, for messages of failed checks."""
    return "\n".join(f"== {path.name}\n{path.read_text()[-3000:]}" for path in
                     sorted((directory / "slurm").glob("*.log")))

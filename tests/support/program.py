"""Starts `popalign`, on ranks, to its end or in the background."""
import os
import signal
import subprocess
import tempfile
import time

import pytest


def environment(**variables):
    return {**os.environ, "OMP_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            **variables}


def on_ranks(ranks, *command):
    launcher = ["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none"]
    return (launcher if ranks > 1 else []) + list(map(str, command))


def execute(*command, expect=0, timeout=600, variables=None, **options):
    """Runs any command to its end; the exit status must be `expect`, unless that is None."""
    done = subprocess.run(list(map(str, command)), env=environment(**(variables or {})), text=True, capture_output=True,
                          timeout=timeout, **options)
    if expect is not None and done.returncode != expect:
        pytest.fail(f"exit status {done.returncode} instead of {expect} of {' '.join(map(str, command))}:\n"
                    f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}", pytrace=False)
    return done


class Program:
    """The program under test. What is still running when the tests end is killed."""

    def __init__(self, path):
        self.path, self.jobs = path, []

    def run(self, *arguments, ranks=1, **options):
        """Runs to the end, as `execute`. Returns the finished process with its stdout and stderr."""
        return execute(*on_ranks(ranks, self.path, *arguments), **options)

    def start(self, *arguments, ranks=1):
        self.jobs.append(Job(on_ranks(ranks, self.path, *arguments)))
        return self.jobs[-1]

    def close(self):
        for job in self.jobs:
            if job.poll() is None:
                job.kill_with_ranks()


class Job(subprocess.Popen):
    """A command in the background. Its messages go to a file."""

    def __init__(self, command):
        self.messages = tempfile.TemporaryFile()
        super().__init__(command, env=environment(), stdout=subprocess.DEVNULL, stderr=self.messages)

    def last_words(self):
        """The end of its messages; it may still be writing."""
        size = os.fstat(self.messages.fileno()).st_size
        return os.pread(self.messages.fileno(), 4000, max(0, size - 4000)).decode(errors="replace")

    def require_running(self, what):
        if self.poll() is not None:
            pytest.fail(f"{what}: it ended with {self.returncode}\n{self.last_words()}", pytrace=False)

    def wait_until(self, condition, what, seconds=60):
        """Returns once `condition()` holds, which must be while the job runs."""
        deadline = time.monotonic() + seconds
        while not condition() and self.poll() is None:
            if time.monotonic() > deadline:
                pytest.fail(f"{what}: not within {seconds} s\n{self.last_words()}", pytrace=False)
            time.sleep(0.002)
        self.require_running(what)

    def children(self):
        listing = subprocess.run(["pgrep", "-P", str(self.pid)], text=True, capture_output=True).stdout
        return [int(child) for child in listing.split()]

    def ranks(self):
        """Process ids by rank, of those that have started."""
        found = {}
        for child in self.children():
            try:
                with open(f"/proc/{child}/environ", "rb") as file:
                    variables = dict(part.split(b"=", 1) for part in file.read().split(b"\0") if b"=" in part)
            except OSError:
                continue
            if b"OMPI_COMM_WORLD_RANK" in variables:
                found[int(variables[b"OMPI_COMM_WORLD_RANK"])] = child
        return found

    def rank_processes(self):
        """The ranks in their order; the job itself where it is one rank, or a launcher that has started none yet.

        Children alone would not do: a rank without a launcher has a helper of MPI as its child.
        """
        return [process for _, process in sorted(self.ranks().items())] or [self.pid]

    def kill_with_ranks(self):
        """Kills the launcher and its ranks, and returns once all are gone."""
        members = [*self.children(), self.pid]
        self._kill(members, members)

    def kill_one_rank(self, draw):
        """Kills a rank that `draw` picks, and returns once the others are gone too."""
        members = self.rank_processes()
        self._kill([draw.choice(members)], members)

    def _kill(self, victims, members):
        for victim in victims:
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.wait(timeout=60)
        while any(map(is_alive, members)):
            time.sleep(0.01)


def is_alive(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False

"""Fixtures of the integration tests; those of tests/conftest.py are there as well."""
import subprocess

import pytest
from fault_server import FaultServer
from slurm_testbed import Testbed, require_slurm
from tiny_model import write_tiny_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """A random model of 90,000 parameters over bytes, as an HF directory: stages on it take seconds."""
    pytest.importorskip("numpy")
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def serve():
    """serve(...) starts a FaultServer of these arguments, which is closed at the end."""
    servers = []

    def start(**options):
        servers.append(FaultServer(**options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


class SmallDisk:
    def __init__(self, path, size):
        self.path = path
        path.mkdir()
        self.mount("tmpfs", "-t", "tmpfs", "-o", f"size={size}")

    def mount(self, *arguments):
        done = subprocess.run(["mount", *arguments, self.path], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no small file system may be mounted here: {done.stderr.strip()}")

    def change(self, options):
        self.mount("-o", f"remount,{options}")


@pytest.fixture
def small_disk(directory):
    """small_disk(size) is a file system of its own that holds so much; skips where none may be mounted."""
    disks = []

    def make(size):
        disks.append(SmallDisk(directory / "disk", size))
        return disks[-1]

    yield make
    for disk in disks:
        subprocess.run(["umount", disk.path], check=True)


@pytest.fixture(scope="module")
def testbed(program):
    """A two-node Slurm on this machine, see slurm_testbed.py."""
    require_slurm()
    with Testbed(program.path) as testbed:
        yield testbed

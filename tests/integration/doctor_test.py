"""`doctor` on a sound machine, and each failure made to happen: no PMIx, a full file system, a folder that cannot be
made, a missing model; with a CUDA build also another NCCL than it was compiled with."""
import json
import shutil

import pytest
from program import Program, execute
from run_configs import write_config


@pytest.fixture
def config(directory, tiny_model):
    return write_config(directory / "run.yaml", directory / "run", tiny_model)


def doctor(program, config, *options, expect, ranks=1, variables=None):
    """Findings by the name of the check."""
    done = program.run("doctor", "--config", config, "--json", *options, ranks=ranks, expect=expect, variables=variables)
    return {entry["check"]: entry for entry in json.loads(done.stdout)}


def test_nothing_is_wrong_here(program, directory, config):
    found = doctor(program, config, ranks=2, expect=0)
    assert not {name: entry for name, entry in found.items() if entry["finding"] == "problem"}
    assert "2 ranks" in found["launcher"]["found"] and "2 ranks wrote and read" in found["parallel HDF5"]["found"]
    assert not list((directory / "run").glob("doctor-*")), "something is left behind"


def test_no_pmix(program, config):
    found = doctor(program, config, expect=1, variables={"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "0"})
    assert "no PMIx" in found["launcher"]["found"] and "--mpi=pmix" in found["launcher"]["advice"]


def test_a_full_file_system(program, config, small_disk):
    found = doctor(program, config, "--set", f"run.directory={small_disk('24k').path}", ranks=2, expect=1)
    assert found["parallel HDF5"]["finding"] == "problem"


def test_a_folder_that_cannot_be_made(program, directory, config):
    (directory / "file").write_text("")
    found = doctor(program, config, "--set", f"run.directory={directory / 'file/run'}", expect=1)
    assert found["directory"]["finding"] == "problem" and "parallel HDF5" not in found


def test_a_missing_model(program, config):
    found = doctor(program, config, "--set", "models.teacher.path=none.gguf", ranks=2, expect=1)
    assert "none.gguf" in found["model teacher"]["found"] and found["model student"]["finding"] == "ok"


def test_the_table_says_what_to_do(program, config):
    table = program.run("doctor", "--config", config, "--set", "models.teacher.path=none.gguf", expect=1).stdout
    assert "PROBLEM  model teacher" in table and "-> fetch it" in table


def test_another_nccl(root, directory, config):
    """A library that answers ncclGetVersion with another version, before NCCL."""
    program = root / "build/cuda/popalign"
    if not program.exists() or not shutil.which("cc"):
        pytest.skip("no CUDA build: the other NCCL is left to campaign.machine_facts")
    (directory / "nccl.c").write_text("int ncclGetVersion(int* version) { *version = 21801; return 0; }\n")
    execute("cc", "-shared", "-fPIC", "-o", directory / "nccl.so", directory / "nccl.c")
    found = doctor(Program(program), config, expect=1, variables={"LD_PRELOAD": str(directory / "nccl.so")})
    assert found["NCCL"]["finding"] == "problem" and "2.18.1" in found["NCCL"]["found"]

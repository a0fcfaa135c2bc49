"""`doctor` on a sound machine, and each failure made to happen: no PMIx, a full file system, a folder that cannot be
made, a missing model; with a CUDA build also another NCCL than it was compiled with."""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from harness import ROOT, check, command, environment, write_config
from tiny_model import write_tiny_model


def doctor(program, config, *options, ranks=1, variables=None):
    done = subprocess.run(command(program, ranks, "doctor", "--config", config, "--json", *options), text=True,
                          env={**environment(), **(variables or {})}, capture_output=True, timeout=120)
    try:
        return done.returncode, {check["check"]: check for check in json.loads(done.stdout)}
    except ValueError:
        sys.exit(f"failed: no JSON from doctor:\n{done.stdout}{done.stderr}")


def full_file_system(program, work, config):
    disk = work / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", disk], capture_output=True).returncode:
        print("not tried: no small file system may be mounted here")
        return
    try:
        status, found = doctor(program, config, "--set", f"run.directory={disk}", ranks=2)
        check(status == 1 and found["parallel HDF5"]["finding"] == "problem",
              f"a full file system: {found['parallel HDF5']['found']}")
    finally:
        subprocess.run(["umount", disk], check=True)


def other_nccl(work, config):
    """A library that answers ncclGetVersion with another version, before NCCL."""
    program = ROOT / "build/cuda/popalign"
    if not program.exists() or not shutil.which("cc"):
        print("no CUDA build: the other NCCL is left to unit.campaign")
        return
    (work / "nccl.c").write_text("int ncclGetVersion(int* version) { *version = 21801; return 0; }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", work / "nccl.so", work / "nccl.c"], check=True)
    status, found = doctor(program, config, variables={"LD_PRELOAD": str(work / "nccl.so")})
    check(status == 1 and found["NCCL"]["finding"] == "problem" and "2.18.1" in found["NCCL"]["found"],
          f"another NCCL: {found['NCCL']['found']}")


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        config = write_config(work / "run.yaml", work / "run", write_tiny_model(work / "model"))
        status, found = doctor(program, config, ranks=2)
        wrong = {name: entry for name, entry in found.items() if entry["finding"] == "problem"}
        check(status == 0 and not wrong, f"nothing is wrong here {wrong}")
        check("2 ranks" in found["launcher"]["found"] and "2 ranks wrote and read" in found["parallel HDF5"]["found"],
              "two ranks wrote and read one HDF5 file")
        check(not list((work / "run").glob("doctor-*")), "nothing is left behind")

        status, found = doctor(program, config, variables={"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "0"})
        check(status == 1 and "no PMIx" in found["launcher"]["found"] and "--mpi=pmix" in found["launcher"]["advice"],
              f"no PMIx: {found['launcher']['found']}")

        full_file_system(program, work, config)

        (work / "file").write_text("")
        status, found = doctor(program, config, "--set", f"run.directory={work / 'file' / 'run'}")
        check(status == 1 and found["directory"]["finding"] == "problem" and "parallel HDF5" not in found,
              f"a folder that cannot be made: {found['directory']['found']}")

        status, found = doctor(program, config, "--set", "models.teacher.path=none.gguf", ranks=2)
        check(status == 1 and "none.gguf" in found["model teacher"]["found"] and found["model student"]["finding"] == "ok",
              f"a missing model: {found['model teacher']['found']}")

        table = subprocess.run([program, "doctor", "--config", config, "--set", "models.teacher.path=none.gguf"], text=True,
                               capture_output=True, env=environment())
        check(table.returncode == 1 and "PROBLEM  model teacher" in table.stdout and "-> fetch it" in table.stdout,
              "the table says what to do")
        other_nccl(work, config)
    return 0


if __name__ == "__main__":
    sys.exit(main())

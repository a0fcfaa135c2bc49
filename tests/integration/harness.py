"""What the integration tests share: starting the program on ranks and small runs."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

SKIP = 77
ROOT = pathlib.Path(__file__).resolve().parents[2]
STUDENT = "SmolLM2-135M-Instruct-Q4_1.gguf"


def environment(threads=1):
    return {**os.environ, "OMP_NUM_THREADS": str(threads), "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


def command(program, ranks, *arguments):
    launcher = ["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none"]
    return (launcher if ranks > 1 else []) + [str(program), *map(str, arguments)]


def run(program, *arguments, ranks=1, expect=0, **options):
    """Runs to the end; the exit status must be `expect`. Returns the finished process."""
    done = subprocess.run(command(program, ranks, *arguments), env=environment(), text=True,
                          capture_output=True, timeout=600, **options)
    if done.returncode != expect:
        sys.exit(f"exit status {done.returncode} instead of {expect} of {arguments} on {ranks} "
                 f"ranks:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done


def start(program, *arguments, ranks=1, **options):
    """Starts it in the background. What it says goes to a file, for `last_words`."""
    said = tempfile.TemporaryFile()
    process = subprocess.Popen(command(program, ranks, *arguments), env=environment(), stdout=subprocess.DEVNULL,
                               stderr=said, **options)
    process.said = said
    return process


def last_words(process):
    """Of a started process; it may still be writing."""
    size = os.fstat(process.said.fileno()).st_size
    return os.pread(process.said.fileno(), 4000, max(0, size - 4000)).decode(errors="replace")


def check_running(process, message):
    if process.poll() is not None:
        sys.exit(f"failed: {message}: exit status {process.returncode}\n{last_words(process)}")
    print(f"ok: {message}")


def wait_for(condition, process, message, seconds=60):
    """The condition must come true while the started process runs."""
    deadline = time.monotonic() + seconds
    while not condition() and process.poll() is None:
        if time.monotonic() > deadline:
            sys.exit(f"failed: {message}: not within {seconds} s\n{last_words(process)}")
        time.sleep(0.002)
    check_running(process, message)


def children(pid):
    listing = subprocess.run(["pgrep", "-P", str(pid)], text=True, capture_output=True).stdout
    return [int(child) for child in listing.split()]


def write_config(path, directory, model, **sections):
    """A run with one model in all roles, as JSON, which is YAML."""
    models = {name: {"path": str(model)} for name in ("teacher", "student", "rival")}
    strategies = [{"name": name, "model": "teacher"}
                  for name in ("prefix", "demonstration", "elicitive", "refine")]
    strategies += [{"name": "nparam", "chosen": "teacher", "rejected": "student"},
                   {"name": "leaderboard", "chosen": "teacher", "rejected": "rival"}]
    config = {
        "run": {"directory": str(directory), "device": "cpu"},
        "models": models,
        "instructions": {"path": str(ROOT / "data/instructions.jsonl"), "limit": 4, "held_out": 2},
        "strategies": strategies,
        "synthesis": {"max_new_tokens": 12, "max_thought_tokens": 4, "batch_size": 8},
        "judge": {"model": "teacher"},
        "train": {"model": "student", "beta": 0.1, "learning_rate": 1e-5, "global_batch_size": 8, "epochs": 2,
                  "exclude_flags": ["identical", "empty"], "checkpoint_steps": 1},
        "evaluate": {"baseline": "student", "judge": "teacher", "max_new_tokens": 12},
    }
    for section, values in sections.items():
        config[section] = {**config[section], **values}
    path.write_text(json.dumps(config))
    return path


def require_models(folder):
    model = pathlib.Path(folder) / STUDENT
    if not model.exists():
        print(f"skipped: {model} is absent (slurm/setup.sh fetches it)")
        sys.exit(SKIP)
    return model


def check(condition, message):
    if not condition:
        sys.exit(f"failed: {message}")
    print(f"ok: {message}")


def dataset_contents(path):
    """Every dataset of an HDF5 file as bytes, by name."""
    import h5py

    contents = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: contents.update({name: item[()].tobytes()})
                        if isinstance(item, h5py.Dataset) else None)
    return contents

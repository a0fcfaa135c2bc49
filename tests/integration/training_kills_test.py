"""Training that is killed again and again ends with the losses of a run that was left alone.

python training_kills_test.py popalign [--kills 3]

Every kill (SIGKILL to the launcher and all ranks) comes at a random moment, many of them while a checkpoint is written.
"""
import argparse
import json
import os
import pathlib
import random
import signal
import sys
import tempfile
import time

from harness import check, check_running, last_words, run, start, wait_for
from tiny_model import write_tiny_model

STEPS_PER_EPOCH = 12


def write_run(work, name, pairs, epochs, zero_stage=0):
    directory = work / name
    directory.mkdir()
    (directory / "pairs.h5").write_bytes(pairs)
    config = work / f"{name}.yaml"
    config.write_text(json.dumps({
        "run": {"directory": str(directory), "device": "cpu"}, "models": {"student": {"path": str(work / "model")}},
        "train": {"model": "student", "beta": 0.1, "learning_rate": 1e-3, "global_batch_size": 4, "epochs": epochs,
                  "checkpoint_steps": 1, "exclude_flags": [], "zero_stage": zero_stage}}))
    return config, directory


def losses(directory, epochs):
    lines = [json.loads(line) for line in (directory / "train/metrics.jsonl").read_text().splitlines()]
    check([line["step"] for line in lines] == list(range(1, STEPS_PER_EPOCH * epochs + 1)), "every step has one line of metrics")
    return [line["loss"] for line in lines]


def start_training(program, config, ranks):
    return start(program, "train", "--config", config, ranks=ranks, start_new_session=True)


def ranks_of(process):
    """Process ids of the ranks, by rank."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and b"train\0" in (entry / "cmdline").read_bytes():
                variables = dict(part.split(b"=", 1) for part in (entry / "environ").read_bytes().split(b"\0") if b"=" in part)
                rank = variables.get(b"OMPI_COMM_WORLD_RANK")
                if rank is not None and os.getsid(int(entry.name)) in (process.pid, int(entry.name)) and \
                        descends(int(entry.name), process.pid):
                    found[int(rank)] = int(entry.name)
        except (OSError, ValueError):
            continue
    return found


def descends(process, ancestor):
    while process > 1:
        if process == ancestor:
            return True
        process = int(pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[1])
    return False


def kill_all(process):
    targets = [*ranks_of(process).values(), process.pid]
    for target in targets:
        try:
            os.kill(target, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait(timeout=30)


def newest(directory):
    names = sorted(path.name for path in (directory / "train/checkpoints").glob("step-??????"))
    return int(names[-1][5:]) if names else 0


def kill_repeatedly(program, config, directory, kills, ranks):
    """Returns how many kills came while a checkpoint was being written."""
    draw, done, writing = random.Random(7), 0, 0
    checkpoints = directory / "train/checkpoints"
    while done < kills:
        process, before = start_training(program, config, ranks[done % len(ranks)]), newest(directory)
        # Half of them within a write, the others a random time after some step of this start.
        inside = done % 2 == 0
        message = f"kill {done + 1} of {kills} comes while the run goes on"
        wait_for(lambda: newest(directory) > before and (not inside or any(checkpoints.glob("*.partial"))), process, message)
        if not inside:
            time.sleep(draw.uniform(0, 0.05))
            check_running(process, message)
        kill_all(process)
        done += 1
        writing += any(checkpoints.glob("*.partial"))
    return writing


def stop_by_signal(program, work, pairs, epochs, expected):
    for name in ("SIGUSR1", "SIGTERM"):
        config, directory = write_run(work, name, pairs, epochs)
        process = start_training(program, config, 2)
        wait_for(lambda: newest(directory) >= 2, process, "the training has begun")
        for pid in ranks_of(process).values():
            os.kill(pid, getattr(signal, name))
        check(process.wait(timeout=60) == 75, f"{name} ends the job with 75")
        check(newest(directory) < STEPS_PER_EPOCH * epochs, f"{name} stopped it early")
        run(program, "train", "--config", config, ranks=2)
        check(losses(directory, epochs) == expected, f"stopped by {name} and continued, the losses are the same")


def lose_a_rank(program, work, pairs):
    config, directory = write_run(work, "lost", pairs, epochs=8)
    process = start_training(program, config, 2)
    wait_for(lambda: newest(directory) >= 1 and 1 in ranks_of(process), process, "the training has begun")
    began = time.monotonic()
    os.kill(ranks_of(process)[1], signal.SIGKILL)
    status = process.wait(timeout=60)
    seconds = time.monotonic() - began
    check(status != 0 and "rank 1" in last_words(process) and seconds < 10,
          f"a dead rank ends the job in {seconds:.1f} s, and is named")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--kills", type=int, default=3)
    arguments = parser.parse_args()
    program, kills = arguments.program, arguments.kills
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        write_tiny_model(work / "model")
        rows = [{"id": str(i), "prompt": f"Question {i % 24}?", "chosen": "Yes, " + "so " * (i % 7), "rejected": f"No {i}"}
                for i in range(48)]
        (work / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        run(program, "import", "--format", "trl", "--input", work / "rows.jsonl", "--output", work / "pairs.h5")
        pairs = (work / "pairs.h5").read_bytes()
        # Each start makes a step at least, and a few more before the kill comes.
        epochs = 2 + kills // 2
        config, directory = write_run(work, "whole", pairs, epochs)
        run(program, "train", "--config", config, ranks=2)
        expected = losses(directory, epochs)

        for zero_stage in (0, 2):
            config, directory = write_run(work, f"killed{zero_stage}", pairs, epochs, zero_stage)
            writing = kill_repeatedly(program, config, directory, kills, [2])
            run(program, "train", "--config", config, ranks=2)
            found = losses(directory, epochs)
            same = found == expected if zero_stage == 0 else max(abs(a - b) for a, b in zip(found, expected)) < 1e-6
            check(writing > 0 and same,
                  f"ZeRO stage {zero_stage}: {kills} kills, {writing} of them within a write, and the same losses")
        config, directory = write_run(work, "other", pairs, epochs)
        kill_repeatedly(program, config, directory, kills, [1, 4, 2])
        run(program, "train", "--config", config, ranks=3)
        worst = max(abs(a - b) / b for a, b in zip(losses(directory, epochs), expected, strict=True))
        check(worst < 1e-4, f"{kills} kills, each start on another number of ranks: losses within {worst:.1e}")
        stop_by_signal(program, work, pairs, epochs, expected)
        lose_a_rank(program, work, pairs)
    return 0


if __name__ == "__main__":
    sys.exit(main())

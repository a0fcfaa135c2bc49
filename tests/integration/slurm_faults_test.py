"""Jobs that are interrupted on a two-node Slurm: by a signal in each stage, by a short time limit, and by the loss of a
node in synthesis and in training. Each is requeued and ends with what an uninterrupted run has."""
import json
import math
import pathlib
import shutil
import sys
import tempfile
import time

from harness import check, dataset_contents, write_config
from slurm_test import NODES, submit
from slurm_testbed import Testbed, logs, require_slurm
from tiny_model import write_tiny_model

SHORT = (8, 4, 64)  # instructions held out, epochs, tokens of an answer in evaluation
STAGES = ("synthesize", "judge", "train", "evaluate")
LONG = 75  # [s] of a stage: the limit is announced in its middle, and Slurm looks at limits every half minute
# Stages with what makes them longer, and how much of it they begin with.
LENGTHS = ((("synthesize", "judge"), "layers", 24), (("train",), "epochs", 4), (("evaluate",), "answer_tokens", 64))
NODE_LIMIT = 60  # [s] until a lost node has ended the step


def make_config(path, directory, model, held_out, epochs, answer_tokens):
    """Long enough to be interrupted, the same result whatever happens."""
    return write_config(
        path, directory, model, instructions={"limit": 64 - held_out, "held_out": held_out},
        synthesis={"max_new_tokens": 96, "max_input_tokens": 8192, "batch_size": 4, "deterministic": True},
        judge={"batch_tokens": 64}, evaluate={"max_new_tokens": answer_tokens},
        train={"epochs": epochs, "global_batch_size": 8, "max_length": 768, "max_prompt_length": 512, "checkpoint_steps": 4})


def results(directory):
    """What must not depend on interruptions, by stage."""
    def read(name):
        return json.loads((directory / name).read_text())
    made = {}
    if (directory / "pairs.h5").exists():
        made["synthesize"] = {name: data for name, data in dataset_contents(directory / "pairs.h5").items()
                              if name.split("/")[0] in ("responses", "pairs", "instructions")}
    if (directory / "contrast_accuracy.json").exists():
        made["judge"] = read("contrast_accuracy.json")["strategies"]
    if (directory / "train/finished.json").exists():
        rows = [json.loads(line) for line in (directory / "train/metrics.jsonl").read_text().splitlines()]
        made["train"] = [round(row["loss"], 5) for row in rows]
    if (directory / "evaluate/win_rate.json").exists():
        made["evaluate"] = [read("evaluate/preference_after.json")["overall"]["reward_accuracy"],
                            read("evaluate/win_rate.json")["n"]]
    return made


def stage_is_at_work(directory, stage):
    """Whether a part of the stage's work is done, as its files show."""
    if stage == "synthesize":
        return sum(path.stat().st_size for path in directory.glob("synthesis/*/*")) > 2000
    if stage == "train":
        return any(directory.glob("train/checkpoints/step-*"))
    return any("on 2 ranks" in path.read_text() for path in (directory / "slurm").glob(f"*{stage}*.log"))


def run_stage(testbed, config, directory, stage, interrupt, options=()):
    """Submits one stage, interrupts it once it is at work, and waits for its end. The number of restarts."""
    job = submit(testbed, config, "--stages", stage, "--", *NODES, *options)[stage]
    if interrupt:
        testbed.until(f"{stage} is at work", lambda: stage_is_at_work(directory, stage) or
                      testbed.job(job)["JobState"] not in ("PENDING", "RUNNING"))
        interrupt(job)
    record = testbed.finish([job], limit=1200)[0]
    if record["JobState"] != "COMPLETED":
        sys.exit(f"failed: {stage} ends in {record['JobState']}\n{logs(directory)}")
    return int(record["Restarts"])


def by_signal(testbed):
    """Sent again until it is heard: between two steps of a job there is nobody to hear it."""
    def interrupt(job):
        for _ in range(60):
            record = testbed.job(job)
            if record["JobState"] != "RUNNING" or int(record["Restarts"]) > 0:
                return
            testbed.run("scancel", "--signal=USR1", job, check=False)
            time.sleep(0.5)
    return interrupt


def by_losing_a_node(testbed, directory, stage):
    def interrupt(job):
        testbed.control("kill", "n2")
        start = time.monotonic()
        testbed.until("the step ends", lambda: testbed.job(job)["JobState"] != "RUNNING" or
                      int(testbed.job(job)["Restarts"]) > 0, limit=NODE_LIMIT)
        took = time.monotonic() - start
        check(took < NODE_LIMIT and "failure on n2" in logs(directory),
              f"{stage}: the lost node ended the step after {took:.0f} s, with its name")
        testbed.control("revive", "n2")
    return interrupt


def same(expected, directory, stage, how):
    found = results(directory).get(stage)
    check(found == expected[stage], f"{stage}: {how}, the result is the same")


def seconds_of(directory, stage):
    rows = [json.loads(line) for line in (directory / "stages.jsonl").read_text().splitlines()]
    return sum(row["seconds"] for row in rows if row["stage"].split()[0] == stage)


def run_long(testbed, configure, directory, stages, name, lengths):
    """Again and longer until each of the stages is long enough, which `lengths` then say. Seconds by stage."""
    for _ in range(5):
        for stage in stages:
            run_stage(testbed, configure(directory), directory, stage, None)
        seconds = {stage: seconds_of(directory, stage) for stage in stages}
        if min(seconds.values()) >= LONG:
            print(f"ok: without a limit: {seconds} s with {lengths}", flush=True)
            return seconds
        (directory / "stages.jsonl").unlink()
        shutil.rmtree(directory if "synthesize" in stages else directory / stages[0])
        lengths[name] = math.ceil(lengths[name] * 1.2 * LONG / min(seconds.values()))
    sys.exit(f"failed: one of {stages} ends within {LONG} s with {lengths}")


def by_the_time_limit(testbed, work):
    """With a deeper model and more to do, so that the limit is announced when half of a stage is done. (A job of a minute
    would stop at once: that much the program keeps for saving.)"""
    whole, limited = work / "deep_whole", work / "limit"
    lengths, seconds = {name: length for _, name, length in LENGTHS}, {}

    def configure(directory):
        model = work / f"model_{lengths['layers']}"
        if not model.exists():
            write_tiny_model(model, layers=lengths["layers"])
        return make_config(work / f"{directory.name}.yaml", directory, model, 40, lengths["epochs"], lengths["answer_tokens"])
    for stages, name, _ in LENGTHS:
        seconds.update(run_long(testbed, configure, whole, stages, name, lengths))
    expected = results(whole)
    for stage in STAGES:
        announced = max(10, 120 - int(seconds[stage] // 2))  # Slurm may send the signal up to a minute before
        restarts = run_stage(testbed, configure(limited), limited, stage, None, ("--time=3", f"--signal=USR1@{announced}"))
        check(restarts >= 1, f"{stage}: the time limit led to {restarts} restart(s)")
        same(expected, limited, stage, "under a short time limit")


def in_vain(testbed, work, program, model):
    """Starts that save nothing, each stopped before its first answer, as a stand-in for `popalign` plays them."""
    idle, directory = work / "idle.sh", work / "idle"
    idle.write_text(f'#!/bin/sh\ncase " $* " in *" --print-config "*) exec {program} "$@" ;; esac\nexit 75\n')
    idle.chmod(0o755)
    config = make_config(work / "idle.yaml", directory, model, *SHORT)
    job = submit(testbed, config, "--stages", "synthesize", "--", *NODES, variables={"POPALIGN": str(idle)})["synthesize"]
    record = testbed.finish([job], limit=600)[0]
    check((record["JobState"], record["Restarts"]) == ("FAILED", "3") and "saved nothing new" in logs(directory),
          "a job whose starts save nothing is not requeued for ever")


def main():
    program = sys.argv[1]
    require_slurm()
    try:
        import h5py  # noqa: F401
    except ImportError as error:
        print(f"skipped: {error}")
        return 77
    with Testbed(program) as testbed:
        work = pathlib.Path(tempfile.mkdtemp(dir=testbed.folder))
        model = write_tiny_model(work / "model")
        whole = work / "whole"
        config = make_config(work / "whole.yaml", whole, model, *SHORT)
        for stage in STAGES:
            run_stage(testbed, config, whole, stage, None)
        expected = results(whole)
        check(set(expected) == set(STAGES), "an uninterrupted run is there to compare with")

        broken = work / "signal"
        config = make_config(work / "signal.yaml", broken, model, *SHORT)
        for stage in STAGES:
            restarts = run_stage(testbed, config, broken, stage, by_signal(testbed))
            check(restarts >= 1, f"{stage}: the signal led to {restarts} restart(s)")
            same(expected, broken, stage, "stopped by a signal and requeued")

        lost = work / "node"
        config = make_config(work / "node.yaml", lost, model, *SHORT)
        for stage in ("synthesize", "train"):
            restarts = run_stage(testbed, config, lost, stage, by_losing_a_node(testbed, lost, stage))
            check(restarts >= 1, f"{stage}: requeued after the node was lost")
            same(expected, lost, stage, "a node lost")

        in_vain(testbed, work, program, model)
        by_the_time_limit(testbed, work)
    return 0


if __name__ == "__main__":
    sys.exit(main())

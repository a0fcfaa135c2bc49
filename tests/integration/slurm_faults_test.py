"""Jobs that are interrupted on a two-node Slurm: by a signal in each stage, by a short time limit, and by the loss of a
node in synthesis and in training. Each is requeued and ends with what an uninterrupted run has."""
import math
import shutil
import time

import pytest
from pair_files import dataset_contents, read_json, read_rows
from run_configs import write_config
from slurm_testbed import NODES, logs
from tiny_model import write_tiny_model

SHORT = (8, 4, 64)  # instructions held out, epochs, tokens of an answer in evaluation
STAGES = ("synthesize", "judge", "train", "evaluate")
LONG = 75  # [s] of a stage: the limit is announced in its middle, and Slurm looks at limits every half minute
# Stages with what makes them longer, and how much of it they begin with.
LENGTHS = ((("synthesize", "judge"), "layers", 24), (("train",), "epochs", 4), (("evaluate",), "answer_tokens", 64))
NODE_LIMIT = 60  # [s] until a lost node has ended the step
pytestmark = [pytest.mark.one_case, pytest.mark.long, pytest.mark.timeout(3600)]


def make_config(path, directory, model, held_out, epochs, answer_tokens):
    """Long enough to be interrupted, the same result whatever happens."""
    return write_config(
        path, directory, model, instructions={"limit": 64 - held_out, "held_out": held_out},
        synthesis={"max_new_tokens": 96, "max_input_tokens": 8192, "batch_size": 4, "deterministic": True},
        judge={"batch_tokens": 64}, evaluate={"max_new_tokens": answer_tokens},
        train={"epochs": epochs, "global_batch_size": 8, "max_length": 768, "max_prompt_length": 512, "checkpoint_steps": 4})


def result_of(directory, stage):
    """What must not depend on interruptions."""
    if stage == "synthesize":
        return {name: data for name, data in dataset_contents(directory / "pairs.h5").items()
                if name.split("/")[0] in ("responses", "pairs", "instructions")}
    if stage == "judge":
        return read_json(directory / "contrast_accuracy.json")["strategies"]
    if stage == "train":
        assert (directory / "train/finished.json").exists()
        return [round(row["loss"], 5) for row in read_rows(directory / "train/metrics.jsonl")]
    return [read_json(directory / "evaluate/preference_after.json")["overall"]["reward_accuracy"],
            read_json(directory / "evaluate/win_rate.json")["n"]]


def stage_is_at_work(directory, stage):
    """Whether a part of the stage's work is done, as its files show."""
    if stage == "synthesize":
        return sum(path.stat().st_size for path in directory.glob("synthesis/*/*")) > 2000
    if stage == "train":
        return any(directory.glob("train/checkpoints/step-*"))
    return any("on 2 ranks" in path.read_text() for path in (directory / "slurm").glob(f"*{stage}*.log"))


def run_stage(testbed, config, directory, stage, interrupt=None, options=()):
    """Submits one stage, interrupts it once it is at work, and waits for its end. The number of restarts."""
    job = testbed.submit(config, "--stages", stage, "--", *NODES, *options)[stage]
    if interrupt:
        testbed.until(f"{stage} is at work", lambda: stage_is_at_work(directory, stage) or
                      testbed.job(job)["JobState"] not in ("PENDING", "RUNNING"))
        interrupt(job)
    record = testbed.finish([job], limit=1200)[0]
    assert record["JobState"] == "COMPLETED", f"{stage}\n{logs(directory)}"
    return int(record["Restarts"])


@pytest.fixture(scope="module")
def configure(testbed, tiny_model):
    """configure(NAME) is the config of a short run, and its directory."""
    def make(name):
        directory = testbed.work / name
        return make_config(testbed.work / f"{name}.yaml", directory, tiny_model, *SHORT), directory
    return make


@pytest.fixture(scope="module")
def whole(testbed, configure):
    """The directory of an uninterrupted run."""
    config, directory = configure("whole")
    for stage in STAGES:
        run_stage(testbed, config, directory, stage)
    return directory


def by_signal(testbed):
    """Sent again until it is heard: between two steps of a job there is nobody to hear it."""
    def interrupt(job):
        for _ in range(60):
            record = testbed.job(job)
            if record["JobState"] != "RUNNING" or int(record["Restarts"]) > 0:
                return
            testbed.run("scancel", "--signal=USR1", job, expect=None)
            time.sleep(0.5)
    return interrupt


def test_stopped_by_a_signal_in_each_stage(testbed, configure, whole):
    config, directory = configure("signal")
    for stage in STAGES:
        assert run_stage(testbed, config, directory, stage, by_signal(testbed)) >= 1, f"{stage} was not restarted"
        assert result_of(directory, stage) == result_of(whole, stage), stage


def by_losing_a_node(testbed, directory):
    def interrupt(job):
        testbed.control("kill", "n2")
        testbed.until("the step ends", lambda: testbed.job(job)["JobState"] != "RUNNING" or
                      int(testbed.job(job)["Restarts"]) > 0, limit=NODE_LIMIT)
        assert "failure on n2" in logs(directory), "the lost node is named"
        testbed.control("revive", "n2")
    return interrupt


def test_a_lost_node_in_synthesis_and_training(testbed, configure, whole):
    config, directory = configure("node")
    for stage in ("synthesize", "train"):
        assert run_stage(testbed, config, directory, stage, by_losing_a_node(testbed, directory)) >= 1
        assert result_of(directory, stage) == result_of(whole, stage), stage


def test_starts_that_save_nothing_are_not_requeued_for_ever(testbed, configure, program):
    """Each is stopped before its first answer, as a stand-in for `popalign` plays them."""
    idle = testbed.work / "idle.sh"
    idle.write_text(f'#!/bin/sh\ncase " $* " in *" --print-config "*|*" config get "*) exec {program.path} "$@" ;; esac\nexit 75\n')
    idle.chmod(0o755)
    config, directory = configure("idle")
    job = testbed.submit(config, "--stages", "synthesize", "--", *NODES, variables={"POPALIGN": str(idle)})["synthesize"]
    record = testbed.finish([job], limit=600)[0]
    assert (record["JobState"], record["Restarts"]) == ("FAILED", "3") and "saved nothing new" in logs(directory)


def seconds_of(directory, stage):
    return sum(row["seconds"] for row in read_rows(directory / "stages.jsonl") if row["stage"].split()[0] == stage)


def run_long(testbed, configure_long, directory, stages, name, lengths):
    """Again and longer until each of the stages is long enough, which `lengths` then say. Seconds by stage."""
    for _ in range(5):
        for stage in stages:
            run_stage(testbed, configure_long(directory), directory, stage)
        seconds = {stage: seconds_of(directory, stage) for stage in stages}
        if min(seconds.values()) >= LONG:
            print(f"without a limit: {seconds} s with {lengths}")
            return seconds
        (directory / "stages.jsonl").unlink()
        shutil.rmtree(directory if "synthesize" in stages else directory / stages[0])
        lengths[name] = math.ceil(lengths[name] * 1.2 * LONG / min(seconds.values()))
    pytest.fail(f"one of {stages} ends within {LONG} s with {lengths}")


def test_a_short_time_limit(testbed):
    """With a deeper model and more to do, so that the limit is announced when half of a stage is done. (A job of a minute
    would stop at once: that much the program keeps for saving.)"""
    deep, limited = testbed.work / "deep_whole", testbed.work / "limit"
    lengths, seconds = {name: length for _, name, length in LENGTHS}, {}

    def configure_long(directory):
        model = testbed.work / f"model_{lengths['layers']}"
        if not model.exists():
            write_tiny_model(model, layers=lengths["layers"])
        return make_config(testbed.work / f"{directory.name}.yaml", directory, model, 40, lengths["epochs"],
                           lengths["answer_tokens"])
    for stages, name, _ in LENGTHS:
        seconds.update(run_long(testbed, configure_long, deep, stages, name, lengths))
    for stage in STAGES:
        announced = max(10, 120 - int(seconds[stage] // 2))  # Slurm may send the signal up to a minute before
        restarts = run_stage(testbed, configure_long(limited), limited, stage,
                             options=("--time=3", f"--signal=USR1@{announced}"))
        assert restarts >= 1, f"{stage} was not restarted"
        assert result_of(limited, stage) == result_of(deep, stage), stage

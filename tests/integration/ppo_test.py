"""PPO as its users run it: a reward model made by `train`, then a policy on the same pair file's instructions; on one and
on two ranks, killed and continued."""
import json

import pytest
from pair_files import read_json, read_rows
from run_configs import write_config, write_json

METRICS = ["objective/kl", "objective/entropy", "objective/scores", "objective/non_score_reward", "objective/rlhf_reward",
           "policy/approxkl_avg", "policy/clipfrac_avg", "policy/entropy_avg", "loss/policy_avg", "loss/value_avg",
           "val/clipfrac_avg", "val/ratio", "val/ratio_var", "val/num_eos_tokens", "lr", "episode"]
TIMINGS = ["timing/generation", "timing/scoring", "timing/learning"]
pytestmark = [pytest.mark.one_case, pytest.mark.timeout(900)]


def metrics(directory):
    return [{name: value for name, value in row.items() if name not in TIMINGS}
            for row in read_rows(directory / "train/metrics.jsonl")]


@pytest.fixture(scope="module")
def config(program, tiny_model, shared_directory):
    """A run whose pairs and reward model are there."""
    run = shared_directory / "run"
    path = write_config(shared_directory / "run.yaml", run, tiny_model,
                        run={"pairs": str(run / "pairs.h5")},
                        models={"reward": {"path": str(run / "model")}},
                        instructions={"limit": 8, "held_out": 4},
                        train={"objective": "reward", "learning_rate": 1e-3, "exclude_flags": [],
                               "global_batch_size": 4, "max_length": 1024, "max_prompt_length": 512,
                               "ppo": {"reward_model": "reward", "rollout_batch_size": 8, "max_new_tokens": 12, "epochs": 2}})
    program.run("synthesize", "--config", path)
    program.run("train", "--config", path)
    return path


@pytest.fixture
def ppo(config, directory):
    """ppo(NAME, OPTION...) is a training command of six rounds in `directory / NAME`."""
    return lambda name, *more: ["train", "--config", config, "--set", "train.objective=ppo", "--set",
                                f"run.directory={directory / name}", "--set", "train.epochs=6", "--set",
                                "train.warmup_ratio=0", *more]


def test_curves_on_one_and_two_ranks(program, directory, ppo):
    program.run(*ppo("one"))
    rows = metrics(directory / "one")
    assert len(rows) == 6 and all(name in row for row in rows for name in METRICS), "a line a round, with TRL's names"
    assert abs(rows[0]["objective/kl"]) < 1e-9, "the policy starts at its reference"
    assert rows[-1]["objective/kl"] != 0 and (directory / "one/model/model.safetensors").exists(), "and leaves it"
    program.run(*ppo("two"), ranks=2)
    worst = max(abs(a["objective/scores"] - b["objective/scores"])
                for a, b in zip(rows, metrics(directory / "two"), strict=True))
    assert worst < 2e-3, "two ranks have the same curve of scores"


def test_killed_and_continued_is_as_never_killed(program, directory, ppo):
    slow = ppo("parts", "--set", "train.epochs=60")
    job = program.start(*slow, ranks=2)
    job.wait_until(lambda: any((directory / "parts/train/checkpoints").glob("step-*")), "a checkpoint is written")
    job.kill_with_ranks()
    program.run(*slow, ranks=2)
    program.run(*ppo("whole", "--set", "train.epochs=60"), ranks=2)
    assert metrics(directory / "parts") == metrics(directory / "whole")


def test_a_model_without_a_head_is_no_reward_model(program, ppo):
    refused = program.run(*ppo("wrong", "--set", "train.ppo.reward_model=student"), expect=2)
    assert "has no head for scores" in refused.stderr


@pytest.mark.parametrize("ranks", (1, 2))
def test_the_plan_counts_and_measures(program, directory, ppo, ranks):
    plan = json.loads(program.run(*ppo("planned", "--plan"), ranks=ranks).stdout)
    assert (plan["ranks"], plan["rounds"], plan["answers"], plan["updates"]) == (ranks, 6, 12, 12)
    parts = [plan["seconds"][part] for part in ("generation", "scoring", "learning")]
    assert min(parts) > 0 and abs(sum(parts) - plan["seconds"]["total"]) < 1e-9
    assert 0 < plan["memory_bytes"]["total"] < plan["memory_available_bytes"]
    assert not (directory / "planned").exists(), "it writes nothing"


def test_another_machine_is_not_guessed_at(program, ppo):
    machine = {"nodes": 2, "teraflops": 1, "memory_gigabytes": 1, "memory_gigabytes_per_second": 1,
               "network_gigabytes_per_second": 1}
    options = [word for name, value in machine.items() for word in ("--set", f"train.machine.{name}={value}")]
    described = program.run(*ppo("planned", "--plan", *options), expect=2)
    assert "measures a round where it runs" in described.stderr

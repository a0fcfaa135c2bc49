"""PPO as its users run it: a reward model made by `train`, then a policy on the same pair file's instructions; on one and on
two ranks, killed and continued."""
import json
import pathlib
import sys
import tempfile

from harness import check, run, start, wait_for, write_config
from tiny_model import write_tiny_model
from training_kills_test import kill_all

METRICS = ["objective/kl", "objective/entropy", "objective/scores", "objective/non_score_reward", "objective/rlhf_reward",
           "policy/approxkl_avg", "policy/clipfrac_avg", "policy/entropy_avg", "loss/policy_avg", "loss/value_avg",
           "val/clipfrac_avg", "val/ratio", "val/ratio_var", "val/num_eos_tokens", "lr", "episode"]
TIMINGS = ["timing/generation", "timing/scoring", "timing/learning"]


def metrics(directory):
    rows = [json.loads(line) for line in (directory / "train/metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name not in TIMINGS} for row in rows]


def main():
    program = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        model, pairs = write_tiny_model(work / "tiny"), work / "run/pairs.h5"
        config = write_config(work / "run.yaml", work / "run", model,
                              instructions={"limit": 8, "held_out": 4},
                              train={"objective": "reward", "learning_rate": 1e-3, "exclude_flags": [],
                                     "global_batch_size": 4, "max_length": 1024, "max_prompt_length": 512})
        content = json.loads(config.read_text())
        content["run"]["pairs"] = str(pairs)
        content["models"]["reward"] = {"path": str(work / "run/model")}
        content["train"]["ppo"] = {"reward_model": "reward", "rollout_batch_size": 8, "max_new_tokens": 12, "epochs": 2}
        config.write_text(json.dumps(content))
        run(program, "synthesize", "--config", config)
        run(program, "train", "--config", config)

        def ppo(name, *more):
            return ["train", "--config", config, "--set", "train.objective=ppo", "--set", f"run.directory={work / name}",
                    "--set", "train.epochs=6", "--set", "train.warmup_ratio=0", *more]

        run(program, *ppo("one"))
        rows = metrics(work / "one")
        check(len(rows) == 6 and all(name in row for row in rows for name in METRICS), "a line a round, with TRL's names")
        check(abs(rows[0]["objective/kl"]) < 1e-9, f"the policy starts at its reference: KL {rows[0]['objective/kl']}")
        check(rows[-1]["objective/kl"] != 0 and (work / "one/model/model.safetensors").exists(), "and leaves it")
        run(program, *ppo("two"), ranks=2)
        worst = max(abs(a["objective/scores"] - b["objective/scores"]) for a, b in zip(rows, metrics(work / "two")))
        check(worst < 2e-3, f"two ranks have the same curve of scores ({worst:.1e} apart)")

        slow = ppo("parts", "--set", "train.epochs=60")
        process = start(program, *slow, ranks=2, start_new_session=True)
        wait_for(lambda: any((work / "parts/train/checkpoints").glob("step-*")), process, "a checkpoint is written")
        kill_all(process)
        run(program, *slow, ranks=2)
        run(program, *ppo("whole", "--set", "train.epochs=60"), ranks=2)
        check(metrics(work / "parts") == metrics(work / "whole"), "killed and continued is as never killed")

        refused = run(program, *ppo("wrong", "--set", "train.ppo.reward_model=student"), expect=2)
        check("has no head for scores" in refused.stderr, "a model without a head is no reward model")
        for ranks in (1, 2):
            plan = json.loads(run(program, *ppo("planned", "--plan"), ranks=ranks).stdout)
            check((plan["ranks"], plan["rounds"], plan["answers"], plan["updates"]) == (ranks, 6, 12, 12),
                  f"`--plan` counts rounds, answers and updates on {ranks} ranks: {plan}")
            parts = [plan["seconds"][part] for part in ("generation", "scoring", "learning")]
            check(min(parts) > 0 and abs(sum(parts) - plan["seconds"]["total"]) < 1e-9, "and says what takes how long")
            check(0 < plan["memory_bytes"]["total"] < plan["memory_available_bytes"], "and what memory")
        check(not (work / "planned").exists(), "and writes nothing")
        described = run(program, *ppo("planned", "--plan", "--set", "train.machine.nodes=2", "--set", "train.machine.teraflops=1",
                                      "--set", "train.machine.memory_gigabytes=1", "--set", "train.machine.memory_gigabytes_per_second=1",
                                      "--set", "train.machine.network_gigabytes_per_second=1"), expect=2)
        check("measures a round where it runs" in described.stderr, "another machine is not guessed at")
    return 0


if __name__ == "__main__":
    sys.exit(main())

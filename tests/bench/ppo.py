"""Does PPO raise a trained reward model's score? 32 short UltraFeedback instructions, the same in every round.

The reward model is what `learn.py --objective reward` left in its DIRECTORY/model. Prints the score, KL, length and time of each sixth of
the rounds. A run that was stopped continues with the same command.
usage: ppo.py POPALIGN MODEL REWARD_MODEL PAIRS.jsonl DIRECTORY [--rounds 36] [--learning-rate 1e-4] [--ranks N] [--device auto|cpu|cuda]
"""
import argparse
import json
import pathlib
import statistics

from learn import run

COUNT = 32
COLUMNS = ["objective/scores", "objective/kl", "objective/answer_tokens", "policy/entropy_avg", "timing/generation", "timing/scoring",
           "timing/learning"]


def parse():
    parser = argparse.ArgumentParser()
    for name in ("program", "model", "reward_model", "pairs", "directory"):
        parser.add_argument(name)
    parser.add_argument("--rounds", type=int, default=36)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    return parser.parse_args()


def short_prompts(path):
    rows = [json.loads(line) for line in pathlib.Path(path).read_text(encoding="utf8").split("\n") if line][:800]
    prompts = [row["prompt"] if isinstance(row["prompt"], str) else row["prompt"][-1]["content"] for row in rows]
    return [row for row, prompt in zip(rows, prompts) if 20 <= len(prompt) <= 160 and prompt.isascii()][:COUNT]


def main():
    options = parse()
    directory = pathlib.Path(options.directory)
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "ppo.yaml"
    config.write_text(json.dumps({
        "run": {"directory": str(directory), "device": options.device, "seed": 1},
        "models": {"student": {"path": options.model}, "reward": {"path": options.reward_model}},
        "train": {"objective": "ppo", "model": "student", "epochs": options.rounds, "learning_rate": options.learning_rate,
                  "warmup_ratio": 0.04, "global_batch_size": 16, "max_length": 512, "max_prompt_length": 256, "checkpoint_steps": 20,
                  "ppo": {"reward_model": "reward", "rollout_batch_size": COUNT, "max_new_tokens": 32, "epochs": 1,
                          "kl_coefficient": 0.02}}}))
    if not (directory / "pairs.h5").exists():
        rows = short_prompts(options.pairs)
        (directory / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")
        run(options, "import", "--format", "ultrafeedback-binarized", "--input", directory / "pairs.jsonl", "--output",
            directory / "pairs.h5")
    run(options, "train", "--config", config)

    rounds = [json.loads(line) for line in (directory / "train" / "metrics.jsonl").read_text().split("\n") if line]
    print("| rounds | score | " + " | ".join(column.split("/")[1] for column in COLUMNS[1:]) + " |")
    print("|---" * (1 + len(COLUMNS)) + "|")
    size = max(1, len(rounds) // 6)
    for begin in range(0, len(rounds), size):
        part = rounds[begin:begin + size]
        scores = [line[COLUMNS[0]] for line in part]
        error = statistics.stdev(scores) / len(scores) ** 0.5 if len(scores) > 1 else float("nan")
        means = [f"{statistics.fmean(line[column] for line in part):.3g}" for column in COLUMNS[1:]]
        print(f"| {part[0]['step']}-{part[-1]['step']} | {statistics.fmean(scores):.3f} ± {error:.3f} | " + " | ".join(means) + " |")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""PopAlign beside the paper's baselines on equal terms: makes every data set and model that is missing, measures all by the same
judge, and writes comparison.md with the paper's tables 1, 3 and 5 and our figures beside the paper's.

Every method starts from the same student and makes the same number of updates of the same size (--epochs passes over the six
strategies' pairs; methods with fewer pairs make more passes; PPO draws as many answers). Without --labels, rows {prompt, chosen,
rejected} as UltraFeedback's, the instructions are the project's own and Label-DPO and the labelled held-out pairs are left out.
Run again, it goes on where it was.
"""
import argparse
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
SIX = ["prefix", "demonstration", "elicitive", "nparam", "leaderboard", "refine"]

# name, the paper's row of table 1 (harmless, helpful, MT-Bench, AlpacaEval 2 LC, Arena-Hard) and of table 3 (accuracy, margin).
METHODS = {
    "student": ("Yi-6B-Chat", (48.4, 36.0, 6.0, 11.8, 4.1), None),
    "label_dpo": ("Label-DPO", (50.9, 50.2, 6.5, 15.8, 5.7), (68.7, 21.4)),
    "rlaif": ("RLAIF", (49.5, 34.5, 6.5, 11.7, 4.5), (53.2, 0.7)),
    "context_dist": ("Context-Dist", (43.4, 31.9, 5.9, 10.3, 5.7), None),
    "rlcd": ("RLCD", (35.9, 47.2, 6.1, 16.9, 3.9), (62.3, 7.4)),
    "six_draws": ("RLCD, six draws", (None, None, None, None, 2.8), None),
    "popalign": ("PopAlign (DPO)", (50.0, 50.0, 6.6, 19.0, 5.5), (70.3, 70.2)),
    "ppo": ("PopAlign (PPO)", (54.1, 40.4, 6.7, 14.1, 4.9), None),
}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build/release/popalign")
    parser.add_argument("--directory", type=pathlib.Path, default=ROOT / "runs/comparison")
    parser.add_argument("--teacher", default=str(ROOT / "build/models/Qwen2.5-Coder-1.5B-Instruct-Q4_K_M.gguf"))
    parser.add_argument("--student", default=str(ROOT / "build/models/SmolLM2-135M-Instruct-Q4_1.gguf"))
    parser.add_argument("--rival", default="", help="the worse model of Leaderboard; default: the student")
    parser.add_argument("--labels", type=pathlib.Path)
    parser.add_argument("--instructions", type=int, default=48)
    parser.add_argument("--held-out", type=int, default=16, help="instructions that the models are compared on")
    parser.add_argument("--held-out-pairs", type=int, default=96, help="labelled pairs for reward accuracy")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=5e-6)
    parser.add_argument("--dtype", default="float32", help="of the teacher")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--words", type=int, default=60, help="longest instruction taken from --labels")
    return parser.parse_args()


class Comparison:
    def __init__(self, arguments):
        self.arguments = arguments
        self.out = arguments.directory.resolve()
        self.out.mkdir(parents=True, exist_ok=True)
        self.labels = self.read_labels()
        self.methods = [name for name in METHODS if name != "label_dpo" or self.labels]

    def read_labels(self):
        arguments = self.arguments
        if arguments.labels is None:
            return []
        rows, seen = [], set()
        for line in arguments.labels.read_text(encoding="utf8").split("\n"):
            row = json.loads(line) if line else {"prompt": ""}
            if row["prompt"] and row["prompt"] not in seen and len(row["prompt"].split()) <= arguments.words:
                seen.add(row["prompt"])
                rows.append(row)
        wanted = arguments.instructions + arguments.held_out + arguments.held_out_pairs
        if len(rows) < wanted:
            sys.exit(f"{arguments.labels}: {len(rows)} prompts of at most {arguments.words} words, {wanted} are wanted")
        self.write_rows("instructions.jsonl", [{"id": f"label-{i}", "instruction": row["prompt"]} for i, row in enumerate(rows)])
        return rows

    def write_rows(self, name, rows):
        path = self.out / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")
        return path

    def run(self, *command, ranks=None):
        ranks = ranks or self.arguments.ranks
        launcher = ["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none"] if ranks > 1 else []
        environment = {**os.environ, "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // ranks))}
        done = subprocess.run([*launcher, str(self.arguments.program), *map(str, command)], env=environment,
                              stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            sys.exit(done.returncode)
        return done.stdout

    def make(self, path, *command, ranks=None):
        """Runs the command unless what it makes is there."""
        if not path.exists():
            begin = time.monotonic()
            self.run(*command, ranks=ranks)
            print(f"{path.relative_to(self.out)}: {time.monotonic() - begin:.0f} s", file=sys.stderr)

    def config(self, name, pairs=None, strategies=(), train=None):
        arguments = self.arguments
        models = {"teacher": {"path": arguments.teacher, "dtype": arguments.dtype}, "student": {"path": arguments.student},
                  "rival": {"path": arguments.rival or arguments.student},
                  "popalign": {"path": str(self.out / "popalign/model")},
                  "reward": {"path": str(self.out / "reward_model/model")}}
        instructions = str(self.out / "instructions.jsonl") if self.labels else str(ROOT / "data/instructions.jsonl")
        content = {
            "run": {"name": name, "directory": str(self.out / name), "pairs": str(pairs or self.out / name / "pairs.h5")},
            "models": models, "strategies": list(strategies),
            "instructions": {"path": instructions, "limit": arguments.instructions, "held_out": arguments.held_out},
            "synthesis": {"max_new_tokens": arguments.tokens, "max_thought_tokens": arguments.tokens, "batch_size": 128},
            "judge": {"model": "teacher"},
            "train": {"model": "student", "beta": 0.1, "learning_rate": arguments.learning_rate, "global_batch_size": 16,
                      "max_length": 768, "max_prompt_length": 512, "exclude_flags": ["identical", "empty"], **(train or {})},
            "evaluate": {"baseline": "popalign", "judge": "teacher", "max_new_tokens": arguments.tokens}}
        (self.out / name).mkdir(exist_ok=True)
        path = self.out / name / "run.json"
        path.write_text(json.dumps(content, indent=1))
        return path

    def data(self):
        model = {"model": "teacher"}
        two = {"nparam": "student", "leaderboard": "rival"}
        six = [{"name": name, **({"chosen": "teacher", "rejected": two[name]} if name in two else model)} for name in SIX]
        self.make(self.out / "pairs/pairs.h5", "synthesize", "--config", self.config("pairs", strategies=six))
        draws = self.config("six_draws", strategies=[{"name": "prefix", "draws": 6, **model}])
        self.make(self.out / "six_draws/pairs.h5", "synthesize", "--config", draws)
        rlaif = self.config("rlaif", strategies=[{"name": "rlaif", **model}])
        self.make(self.out / "rlaif/pairs.h5", "synthesize", "--config", rlaif)
        self.make(self.out / "rlaif/contrast_accuracy.json", "judge", "--config", rlaif, "--set", "judge.template=rlaif",
                  "--set", "judge.split=train")
        if self.labels:
            count, held_out = self.arguments.instructions, self.arguments.held_out
            for name, rows in (("labels", self.labels[:count]), ("held_out", self.labels[count + held_out:][:self.arguments.held_out_pairs])):
                source = self.write_rows(f"{name}.jsonl", rows)
                (self.out / name).mkdir(exist_ok=True)
                self.make(self.out / name / "pairs.h5", "import", "--format", "trl-standard", "--input", source, "--output",
                          self.out / name / "pairs.h5", "--held-out", len(rows) if name == "held_out" else 0, ranks=1)

    def train(self):
        six, epochs = self.out / "pairs/pairs.h5", self.arguments.epochs
        alone = {"strategies": ["prefix"], "epochs": 6 * epochs}
        recipes = {
            "label_dpo": (self.out / "labels/pairs.h5", {"epochs": 6 * epochs}),
            "rlaif": (None, {"epochs": 6 * epochs, "labels": "teacher/rlaif"}),
            "context_dist": (six, {**alone, "objective": "sft"}),
            "rlcd": (six, alone),
            "six_draws": (None, {"epochs": epochs}),
            "popalign": (six, {"epochs": epochs}),
            "reward_model": (six, {"epochs": epochs, "objective": "reward"}),
            "ppo": (six, {"epochs": 6 * epochs, "objective": "ppo",
                          "ppo": {"reward_model": "reward", "rollout_batch_size": 16, "max_new_tokens": self.arguments.tokens,
                                  "epochs": 1}})}
        for name, (pairs, train) in recipes.items():
            if name != "label_dpo" or self.labels:
                self.make(self.out / name / "train/finished.json", "train", "--config", self.config(name, pairs, train=train))
                for checkpoints in (self.out / name / "train").glob("*checkpoints"):  # 1.6 GB each, of what is finished
                    shutil.rmtree(checkpoints)

    def evaluate(self):
        held_out = self.out / ("held_out" if self.labels else "pairs") / "pairs.h5"
        for name in self.methods:
            model = "student" if name == "student" else self.out / name / "model"
            config = self.config(f"scores/{name}".replace("/", "_"), held_out)
            folder = config.parent / "evaluate"
            self.make(folder / "preference.json", "evaluate", "preference", "--config", config, "--model", model)
            for baseline in ("popalign", "student"):
                output = folder / f"win_rate_{baseline}.json"
                if name != baseline:
                    self.make(output, "evaluate", "win-rate", "--config", config, "--model", model, "--output", output, "--set",
                              f"evaluate.baseline={baseline}", "--set", f"run.pairs={self.out}/pairs/pairs.h5")
            self.divergence(name, self.arguments.student if name == "student" else model, folder)

    def divergence(self, name, model, folder):
        """log(policy / student) of the policy's own answers to the held-out instructions."""
        if (folder / "kl.json").exists():
            return
        path = self.out / "instructions.jsonl" if self.labels else ROOT / "data/instructions.jsonl"
        asked = [json.loads(line)["instruction"] for line in path.read_text(encoding="utf8").splitlines()]
        asked = asked[self.arguments.instructions:][:self.arguments.held_out]
        prompts = folder / "prompts.jsonl"
        prompts.write_text("".join(json.dumps({"messages": [{"role": "user", "content": text}]}) + "\n" for text in asked))
        self.run("generate", "--model", model, "--input", prompts, "--output", folder / "answers.jsonl", "--max-new-tokens",
                 self.arguments.tokens)
        answers = [json.loads(line)["text"] for line in (folder / "answers.jsonl").read_text(encoding="utf8").splitlines()]
        rows = folder / "rows.jsonl"
        rows.write_text("".join(json.dumps({"messages": [{"role": "user", "content": text}], "completion": answer}) + "\n"
                                for text, answer in zip(asked, answers) if answer))
        logps = []
        for scorer in (model, self.arguments.student):
            self.run("score", "--model", scorer, "--input", rows, "--output", folder / "scores.jsonl")
            logps.append([json.loads(line)["logprob"] for line in (folder / "scores.jsonl").read_text().splitlines()])
        values = [own - reference for own, reference in zip(*logps)]
        mean = sum(values) / len(values)
        error = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))
        (folder / "kl.json").write_text(json.dumps({"kl": mean, "standard_error": error, "n": len(values)}))


def percent(value, lower, upper):
    return f"{100 * value:.1f} [{100 * lower:.1f}, {100 * upper:.1f}]"


def paper(value):
    return "" if value is None else f"{value}"


def title(name):
    return "the student" if name == "student" else METHODS[name][0]


def order_line(name, theirs, figures, ours, popalign):
    """Told apart are intervals that do not touch."""
    seen = "below" if ours["upper"] < popalign["lower"] else "above" if ours["lower"] > popalign["upper"] else None
    verdict = "" if seen is None else ": the paper's order" if seen == theirs else ": the other order"
    return (f"- {title(name)}: the paper has it {theirs} PopAlign ({figures}); here it is "
            f"{seen or 'not told apart from'} PopAlign{verdict}.")


class Tables:
    def __init__(self, comparison):
        self.out, self.methods, self.arguments = comparison.out, comparison.methods, comparison.arguments
        self.labelled = bool(comparison.labels)

    def read(self, name, file):
        path = self.out / f"scores_{name}" / "evaluate" / file
        return json.loads(path.read_text()) if path.exists() else None

    def win_rate(self, name, baseline):
        if name == baseline:
            return "50 by definition"
        found = self.read(name, f"win_rate_{baseline}.json")
        return percent(found["win_rate"], found["lower"], found["upper"]) if found else ""

    def kl(self, name):
        found = self.read(name, "kl.json")
        return f"{found['kl']:.2f} ± {1.96 * found['standard_error']:.2f}" if found else ""

    def spent(self, name):
        path = self.out / name / "cost.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        rows = [row for row in rows if row["stage"] == "train"]
        return f"{sum(row.get('tokens', 0) for row in rows) / 1e3:.0f} k", f"{sum(row['core_seconds'] for row in rows):.0f}"

    def preference(self, name, key):
        found = self.read(name, "preference.json")
        value = found["overall"].get(key) if found else None
        return percent(value["value"], value["lower"], value["upper"]) if isinstance(value, dict) else ""

    def margin(self, name):
        found = self.read(name, "preference.json")
        return f"{found['overall'].get('reward_margin', float('nan')):.4f}" if found else ""

    def table_1(self, names):
        lines = ["| method | win rate against PopAlign [%] | against the student [%] | KL [nat] | tokens trained on | core seconds | "
                 "paper: harmless, helpful | MT-Bench | AlpacaEval 2 LC | Arena-Hard |", "|" + "---|" * 10]
        for name in names:
            row = METHODS[name][1]
            tokens, seconds = ("", "") if name == "student" else self.spent(name)
            lines.append(f"| {title(name)} | {self.win_rate(name, 'popalign')} | "
                         f"{self.win_rate(name, 'student')} | {self.kl(name)} | {tokens} | {seconds} | "
                         f"{', '.join(paper(value) for value in row[:2] if value is not None)} | " + " | ".join(map(paper, row[2:])) + " |")
        return lines

    def table_3(self):
        lines = ["| method | reward accuracy [%] | margin | likelihood accuracy [%] | paper: accuracy | margin |", "|" + "---|" * 6]
        for name in self.methods:
            row = METHODS[name][2]
            # The student is its own reference: all its rewards are 0.
            rewards = ("", "") if name == "student" else (self.preference(name, "reward_accuracy"), self.margin(name))
            lines.append(f"| {title(name)} | {' | '.join(rewards)} | "
                         f"{self.preference(name, 'logps_accuracy')} | " + " | ".join(map(paper, row or (None, None))) + " |")
        return lines

    def order_of_rewards(self):
        """Whether our intervals show the paper's order of reward accuracies."""
        found = {name: (self.read(name, "preference.json") or {}).get("overall", {}).get("reward_accuracy") for name in self.methods}
        lines, popalign = [], found["popalign"]
        for name, ours in found.items():
            row = METHODS[name][2]
            if name == "popalign" or not row or not ours or not popalign:
                continue
            theirs = METHODS["popalign"][2][0]
            lines.append(order_line(name, "below" if row[0] < theirs else "above", f"{row[0]} and {theirs} %", ours, popalign))
        return lines

    def order_of_win_rates(self):
        """Whether our intervals show the paper's order of win rates against PopAlign."""
        lines = []
        for name in self.methods:
            found = self.read(name, "win_rate_popalign.json")
            harmless, helpful = METHODS[name][1][:2]
            if not found or harmless is None:
                continue
            said = (harmless + helpful) / 2
            lines.append(order_line(name, "below" if said < 50 else "above", f"{said:.1f} on average", found,
                                    {"lower": 0.5, "upper": 0.5}))
        return lines

    def text(self):
        arguments = self.arguments
        kind = "labelled pairs of the same source" if self.labelled else "held-out contrast pairs of the six strategies"
        return "\n".join([
            "# PopAlign and its baselines on equal terms", "",
            f"{arguments.instructions} instructions, {arguments.held_out} others to compare on, answers up to {arguments.tokens} tokens, "
            f"about {-(-6 * arguments.instructions // 16) * arguments.epochs} updates of 16 for every method, learning rate "
            f"{arguments.learning_rate:g}; teacher {pathlib.Path(arguments.teacher).stem}, student {pathlib.Path(arguments.student).stem}.", "",
            "What differs from the paper: its teacher is Yi-34B-Chat, its student Yi-6B-Chat, its judge GPT-4, its instructions UltraFeedback's "
            "60,000; here the teacher is the judge as well, both orders, and the win rates are on held-out instructions of the training kind "
            "instead of HH-RLHF, AlpacaEval 2, MT-Bench and Arena-Hard. KL is of answers to the same instructions, without their end token.", "",
            "## Table 1", "", *self.table_1([name for name in self.methods if name != "ppo"]), "",
            "## Table 3", "", f"On {kind}.", "", *self.table_3(), "",
            "## Table 5: DPO against PPO", "", *self.table_1(["student", "popalign", "ppo"]), "",
            "## The paper's order", "", "Of win rates:", "", *self.order_of_win_rates(), "", "Of reward accuracies:", "", *self.order_of_rewards(), ""])


def main():
    arguments = parse()
    comparison = Comparison(arguments)
    begin = time.monotonic()
    comparison.data()
    comparison.train()
    comparison.evaluate()
    text = Tables(comparison).text()
    (comparison.out / "comparison.md").write_text(text, encoding="utf8")
    print(text)
    print(f"done in {time.monotonic() - begin:.0f} s: {comparison.out / 'comparison.md'}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

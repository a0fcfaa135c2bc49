"""Judges and benchmarks as a user runs them: stored answers and a real small model, on one and on two ranks."""
import json
import pathlib
import sys
import tempfile

import harness

DATA = harness.ROOT / "../shared/data"


def answers(path, model):
    """Stored AlpacaEval answers as a `responses:` file."""
    rows = json.loads((DATA / f"alpaca_eval/outputs/{model}.json").read_text())
    path.write_text("".join(json.dumps({"instruction": row["instruction"], "output": row["output"]}) + "\n"
                            for row in rows))
    return rows


def write_config(folder, model, **changes):
    config = {"run": {"directory": str(folder / "run"), "device": "cpu"},
              "models": {"small": {"path": str(model)}, "yi": {"responses": str(folder / "yi.jsonl")},
                         "vicuna": {"responses": str(folder / "vicuna.jsonl")}},
              "instructions": {"path": str(folder / "instructions.jsonl")},
              "strategies": [{"name": "leaderboard", "chosen": "yi", "rejected": "vicuna", "variant": "leaderboard"}],
              "judge": {"model": "longest"},
              "evaluate": {"judge": "longest", "baseline": "small", "max_new_tokens": 8, "batch_size": 16}}
    for section, values in changes.items():
        config[section] = {**config[section], **values}
    path = folder / "run.yaml"
    path.write_text(json.dumps(config))
    return path


def stored_answers(program, folder, model):
    rows = answers(folder / "yi.jsonl", "Yi-34B-Chat")
    config = write_config(folder, model)
    data = DATA / "alpaca_eval"
    harness.run(program, "evaluate", "alpaca-eval", "--config", config, "--model", "yi", "--data", data)
    result = json.loads((folder / "run/evaluate/alpaca-eval.json").read_text())
    reference = json.loads((data / "outputs/gpt4_1106_preview.json").read_text())
    longer = [0.5 if len(a["output"]) == len(b["output"]) else float(len(a["output"]) > len(b["output"]))
              for a, b in zip(rows, reference)]
    harness.check(abs(result["win_rate"] - 100 * sum(longer) / 805) < 1e-9, "the longest answer wins AlpacaEval")
    harness.check(result["n_valid"] == 805 and result["length_controlled_winrate"] is not None, "all items count")
    items = [json.loads(line) for line in (folder / "run/evaluate/alpaca-eval.jsonl").read_text().split("\n") if line]
    again = [(row["probability_answer_first"] + row["probability_baseline_first"]) / 2 for row in items]
    harness.check(abs(100 * sum(again) / 805 - result["win_rate"]) < 1e-9, "the rows give the figure again")
    return result


def pairs(program, folder, model):
    """Contrast accuracy by two judges, from stored answers of the paper's own models."""
    yi, vicuna = (answers(folder / f"{name}.jsonl", source)
                  for name, source in (("yi", "Yi-34B-Chat"), ("vicuna", "vicuna-33b-v1.3")))
    (folder / "instructions.jsonl").write_text(
        "".join(json.dumps({"id": f"a{i}", "instruction": row["instruction"]}) + "\n" for i, row in enumerate(yi)))
    config = write_config(folder, model)
    harness.run(program, "synthesize", "--config", config)
    harness.run(program, "judge", "--config", config, ranks=2)
    done = harness.run(program, "judge", "--config", config, "--set", "judge.model=random")
    table = json.loads((folder / "run/contrast_accuracy.json").read_text())
    other = {row["instruction"]: row["output"] for row in vicuna}
    longer = [0.5 if len(row["output"]) == len(other[row["instruction"]])
              else float(len(row["output"]) > len(other[row["instruction"]])) for row in yi]
    by_judge = {judge["judge"]: judge["all"] for judge in table["judges"]}
    harness.check(abs(by_judge["longest"]["accuracy"] - sum(longer) / 805) < 1e-12, "longest: the share of longer answers")
    harness.check(abs(by_judge["random"]["accuracy"] - 0.5) < 0.05, "random: chance")
    harness.check(abs(table["agreement"][0]["kappa"]) < 0.1, "chance agrees with nothing")
    harness.check("1610 judgements asked for" in done.stderr, "the cost is said before")
    done = harness.run(program, "judge", "--config", config, "--set", "judge.model=random")
    harness.check("judgements asked for" not in done.stderr, "nothing is judged twice")


def small_model(program, folder, model):
    config = write_config(folder, model, evaluate={"judge": "small", "limit": 1})
    results = []
    for ranks in (1, 2):
        output = folder / f"ranks{ranks}/mt-bench.json"
        harness.run(program, "evaluate", "mt-bench", "--config", config, "--model", "small", "--data",
                    DATA / "mt_bench", "--output", output, "--set", f"run.directory={folder}/ranks{ranks}", ranks=ranks)
        results.append(json.loads(output.read_text()))
    harness.check(results[0]["n"] == 8 and len(results[0]["categories"]) == 8, "MT-Bench has eight categories")
    harness.check(results[0]["n_valid"] + sum(results[0]["dropped"].values()) == 16, "every rating is there or counted")
    harness.check(all(results[0][key] == results[1][key] for key in ("n", "n_valid", "dropped", "categories")),
                  "two ranks find what one finds")
    harness.run(program, "evaluate", "judge", "--config", config, "--set", "judge.model=small", "--set", "judge.limit=6",
                "--pairs", DATA / "judge_validation/llmbar/Natural/dataset.json", "--format", "llmbar")
    worth = json.loads((folder / "run/evaluate/judge.json").read_text())
    harness.check(worth["n"] == 6 and 0 <= worth["accuracy"] <= 1, "a model is worth something on LLMBar")
    stored = harness.run(program, "evaluate", "judge", "--format", "llmbar", "--verdicts",
                         folder / "run/evaluate/judge.jsonl", "--pairs", llmbar_head(folder, 6))
    harness.check(json.loads(stored.stdout)["accuracy"] == worth["accuracy"], "its rows give the figure again")
    refused = harness.run(program, "evaluate", "mt-bench", "--config", config, "--model", "small", "--data",
                          DATA / "mt_bench", "--set", "evaluate.judge=longest", expect=2)
    harness.check("does not rate single answers" in refused.stderr, "longest cannot rate")


def llmbar_head(folder, count):
    rows = json.loads((DATA / "judge_validation/llmbar/Natural/dataset.json").read_text())[:count]
    path = folder / "llmbar.json"
    path.write_text(json.dumps(rows))
    return path


def main(program, models, *options):
    model = harness.require_models(models)
    if not DATA.exists():
        print(f"skipped: {DATA} is absent")
        return harness.SKIP
    # A small model that judges in words writes on and on: minutes.
    for part in (small_model,) if "--small-model" in options else (stored_answers, pairs):
        with tempfile.TemporaryDirectory() as folder:
            part(program, pathlib.Path(folder), model)
    return 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), *sys.argv[2:]))

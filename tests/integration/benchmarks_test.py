"""Judges and benchmarks as a user runs them: stored answers and a real small model, on one and on two ranks."""
import json

import pytest
from pair_files import read_json, read_rows, write_rows
from run_configs import write_json


def store_answers(path, published, model):
    """Stored AlpacaEval answers as a `responses:` file."""
    rows = read_json(published(f"alpaca_eval/outputs/{model}.json"))
    write_rows(path, [{"instruction": row["instruction"], "output": row["output"]} for row in rows])
    return rows


def preferred(answer, other):
    """The share of a judge that prefers the longer answer."""
    return 0.5 if len(answer) == len(other) else float(len(answer) > len(other))


def write_config(directory, model, **changes):
    config = {"run": {"directory": str(directory / "run"), "device": "cpu"},
              "models": {"small": {"path": str(model)}, "yi": {"responses": str(directory / "yi.jsonl")},
                         "vicuna": {"responses": str(directory / "vicuna.jsonl")}},
              "instructions": {"path": str(directory / "instructions.jsonl")},
              "strategies": [{"name": "leaderboard", "chosen": "yi", "rejected": "vicuna", "variant": "leaderboard"}],
              "judge": {"model": "longest"},
              "evaluate": {"judge": "longest", "baseline": "small", "max_new_tokens": 8, "batch_size": 16}}
    for section, values in changes.items():
        config[section] = {**config[section], **values}
    return write_json(directory / "run.yaml", config)


def test_the_longest_answer_wins_alpaca_eval(program, directory, tiny_model, published):
    rows = store_answers(directory / "yi.jsonl", published, "Yi-34B-Chat")
    config = write_config(directory, tiny_model)
    data = published("alpaca_eval")
    program.run("evaluate", "alpaca-eval", "--config", config, "--model", "yi", "--data", data)
    result = read_json(directory / "run/evaluate/alpaca-eval.json")
    reference = read_json(data / "outputs/gpt4_1106_preview.json")
    wins = [preferred(ours["output"], theirs["output"]) for ours, theirs in zip(rows, reference, strict=True)]
    assert abs(result["win_rate"] - 100 * sum(wins) / 805) < 1e-9
    assert result["n_valid"] == 805 and result["length_controlled_winrate"] is not None
    items = read_rows(directory / "run/evaluate/alpaca-eval.jsonl")
    again = [(row["probability_answer_first"] + row["probability_baseline_first"]) / 2 for row in items]
    assert abs(100 * sum(again) / 805 - result["win_rate"]) < 1e-9, "the rows give the figure again"


def test_contrast_accuracy_of_stored_answers(program, directory, tiny_model, published):
    """By two judges, from stored answers of the paper's own models."""
    yi = store_answers(directory / "yi.jsonl", published, "Yi-34B-Chat")
    vicuna = {row["instruction"]: row["output"]
              for row in store_answers(directory / "vicuna.jsonl", published, "vicuna-33b-v1.3")}
    write_rows(directory / "instructions.jsonl",
               [{"id": f"a{i}", "instruction": row["instruction"]} for i, row in enumerate(yi)])
    config = write_config(directory, tiny_model)
    program.run("synthesize", "--config", config)
    program.run("judge", "--config", config, ranks=2)
    done = program.run("judge", "--config", config, "--set", "judge.model=random")
    assert "1610 judgements asked for" in done.stderr, "the cost is told before"
    table = read_json(directory / "run/contrast_accuracy.json")
    longer = [preferred(row["output"], vicuna[row["instruction"]]) for row in yi]
    by_judge = {judge["judge"]: judge["all"] for judge in table["judges"]}
    assert abs(by_judge["longest"]["accuracy"] - sum(longer) / 805) < 1e-12, "the share of longer answers"
    assert abs(by_judge["random"]["accuracy"] - 0.5) < 0.05
    assert abs(table["agreement"][0]["kappa"]) < 0.1, "chance agrees with nothing"
    done = program.run("judge", "--config", config, "--set", "judge.model=random")
    assert "judgements asked for" not in done.stderr, "nothing is judged twice"


def small_model_config(directory, model):
    return write_config(directory, model, evaluate={"judge": "small", "limit": 1})


# A small model that judges in words writes on and on: minutes.
@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_small_model_rates_mt_bench_on_one_and_two_ranks(program, directory, model, published):
    config = small_model_config(directory, model)
    results = []
    for ranks in (1, 2):
        output = directory / f"ranks{ranks}/mt-bench.json"
        program.run("evaluate", "mt-bench", "--config", config, "--model", "small", "--data", published("mt_bench"),
                    "--output", output, "--set", f"run.directory={output.parent}", ranks=ranks)
        results.append(read_json(output))
    assert results[0]["n"] == 8 and len(results[0]["categories"]) == 8
    assert results[0]["n_valid"] + sum(results[0]["dropped"].values()) == 16, "every rating is there or counted"
    for key in ("n", "n_valid", "dropped", "categories"):
        assert results[0][key] == results[1][key], "two ranks find what one finds"


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_small_model_as_judge_of_llmbar(program, directory, model, published):
    config = small_model_config(directory, model)
    pairs = published("judge_validation/llmbar/Natural/dataset.json")
    program.run("evaluate", "judge", "--config", config, "--set", "judge.model=small", "--set", "judge.limit=6", "--pairs",
                pairs, "--format", "llmbar")
    found = read_json(directory / "run/evaluate/judge.json")
    assert found["n"] == 6 and 0 <= found["accuracy"] <= 1
    first = write_json(directory / "llmbar.json", read_json(pairs)[:6])
    stored = program.run("evaluate", "judge", "--format", "llmbar", "--verdicts", directory / "run/evaluate/judge.jsonl",
                         "--pairs", first)
    assert json.loads(stored.stdout)["accuracy"] == found["accuracy"], "its rows give the figure again"


def test_the_longest_answer_is_no_rating(program, directory, tiny_model, published):
    refused = program.run("evaluate", "mt-bench", "--config", small_model_config(directory, tiny_model), "--model", "small",
                          "--data", published("mt_bench"), "--set", "evaluate.judge=longest", expect=2)
    assert "does not rate single answers" in refused.stderr

"""Scores of what was judged elsewhere, as the program prints them, beside the published figures."""
import csv
import json


def scores(program, *arguments, ranks=1):
    return json.loads(program.run("evaluate", *arguments, ranks=ranks).stdout)


def test_alpaca_eval(program, published):
    data = published("alpaca_eval")
    board = data / "leaderboards/data_AlpacaEval_2/weighted_alpaca_eval_gpt4_turbo_leaderboard.csv"
    expected = {row[""]: row for row in csv.DictReader(board.open())}["claude-2.1"]
    found = scores(program, "alpaca-eval", "--annotations", data / "annotations/claude-2.1.json", "--data", data)["claude-2.1"]
    for name in ("win_rate", "standard_error"):
        assert abs(found[name] - float(expected[name])) < 1e-6, name
    assert abs(found["length_controlled_winrate"] - float(expected["length_controlled_winrate"])) < 0.1
    assert found["n"] == 805


def test_arena_hard(program, published):
    arguments = ("arena-hard", "--battles", published("arena_hard/battles_2136.jsonl"), "--baseline")
    one = scores(program, *arguments, "claude-3-haiku-20240307")
    assert one == scores(program, *arguments, "claude-3-haiku-20240307", ranks=2), "two ranks print what one prints"
    assert one["claude-3-haiku-20240307"]["score"] == 50
    refused = program.run("evaluate", *arguments, "nobody", expect=2)
    assert "fought no battle" in refused.stderr, "an unknown baseline is wrong use"


def test_gpt_4_on_llmbar_natural(program, published):
    data = published("judge_validation/llmbar/Natural")
    found = scores(program, "judge", "--format", "llmbar", "--pairs", data / "dataset.json", "--verdicts", data / "result.json")
    assert (found["accuracy"], found["agreement"], found["n_valid"]) == (0.955, 0.95, 100)


def test_pandalms_annotators_have_majorities(program, published):
    people = scores(program, "judge", "--format", "pandalm", "--pairs", published("judge_validation/pandalm/testset-v1.json"))
    assert people["annotators"]["with_majority"] == 999

"""Scores of what was judged elsewhere, as the program prints them, beside the published figures."""
import csv
import json
import pathlib
import sys

import harness

DATA = harness.ROOT / "../shared/data"


def scores(program, *arguments, ranks=1):
    return json.loads(harness.run(program, "evaluate", *arguments, ranks=ranks).stdout)


def alpaca_eval(program):
    folder = DATA / "alpaca_eval"
    board = folder / "leaderboards/data_AlpacaEval_2/weighted_alpaca_eval_gpt4_turbo_leaderboard.csv"
    published = {row[""]: row for row in csv.DictReader(board.open())}
    annotations = folder / "annotations/claude-2.1.json"
    ours = scores(program, "alpaca-eval", "--annotations", annotations, "--data", folder)["claude-2.1"]
    for name in ("win_rate", "standard_error"):
        harness.check(abs(ours[name] - float(published["claude-2.1"][name])) < 1e-6, f"{name} is the published one")
    difference = abs(ours["length_controlled_winrate"] - float(published["claude-2.1"]["length_controlled_winrate"]))
    harness.check(difference < 0.1, f"the length-controlled rate differs by {difference:.3f}")
    harness.check(ours["n"] == 805, "all items count")


def arena_hard(program):
    battles = DATA / "arena_hard/battles_2136.jsonl"
    arguments = ("arena-hard", "--battles", battles, "--baseline", "claude-3-haiku-20240307")
    one, two = scores(program, *arguments), scores(program, *arguments, ranks=2)
    harness.check(one == two, "two ranks print what one prints")
    harness.check(one["claude-3-haiku-20240307"]["score"] == 50, "the baseline has 50")
    refused = harness.run(program, "evaluate", *arguments[:-1], "nobody", expect=2)
    harness.check("fought no battle" in refused.stderr, "an unknown baseline is wrong use")


def judges(program):
    folder = DATA / "judge_validation"
    worth = scores(program, "judge", "--format", "llmbar", "--pairs", folder / "llmbar/Natural/dataset.json",
                   "--verdicts", folder / "llmbar/Natural/result.json")
    harness.check((worth["accuracy"], worth["agreement"], worth["n_valid"]) == (0.955, 0.95, 100),
                  "GPT-4 on LLMBar Natural")
    people = scores(program, "judge", "--format", "pandalm", "--pairs", folder / "pandalm/testset-v1.json")
    harness.check(people["annotators"]["with_majority"] == 999, "PandaLM's annotators have majorities")


def main(program):
    if not DATA.exists():
        print(f"skipped: {DATA} is absent")
        return harness.SKIP
    alpaca_eval(program), arena_hard(program), judges(program)
    return 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))

"""Strategies as their users write them, asked of a server whose answers the test chooses: draws, quotas, retries,
dialogues, templates of one's own, the plan and the budget; the same on any number of ranks."""
import hashlib
import json

import pytest
from pair_files import strings, write_rows
from run_configs import INSTRUCTIONS, ROOT, write_json

EXAMPLES = ROOT / "configs/strategies/examples"
UNPARSED = 8  # PairFlag


def write_config(directory, name, server, strategies, synthesis=None, instructions=None, **endpoint):
    model = {"url": server.url, "model": "any", "prefill": "last_message", **endpoint}
    return write_json(directory / f"{name}.json", {
        "run": {"directory": str(directory / name), "device": "cpu"},
        "models": {"teacher": model, "rival": {**model, "model": "other"}},
        "instructions": {"path": str(INSTRUCTIONS), "limit": 10, "held_out": 4, **(instructions or {})},
        "strategies": strategies, "synthesis": {"max_new_tokens": 12, "max_thought_tokens": 4, **(synthesis or {})}})


class Pairs:
    """A pair file's texts and numbers."""

    def __init__(self, directory):
        h5py, numpy = pytest.importorskip("h5py"), pytest.importorskip("numpy")
        with h5py.File(directory / "pairs.h5") as file:
            # A server's log-probabilities are not known: NaN, which equals nothing.
            self.columns = {f"{table}/{name}": numpy.nan_to_num(file[table][name][()]).tolist()
                            for table in ("pairs", "responses") for name in file[table]
                            if isinstance(file[table][name], h5py.Dataset)}
            self.texts, self.strategies = strings(file["responses/text"]), strings(file["strategies/name"])

    def __eq__(self, other):
        return self.columns == other.columns and self.texts == other.texts

    def instructions_of(self, strategy):
        row = self.strategies.index(strategy)
        return [self.columns["pairs/instruction"][i] for i, s in enumerate(self.columns["pairs/strategy"]) if s == row]


def text_of(body):
    """An answer that depends on all that is asked, long enough to have no flags."""
    return "answer " + hashlib.sha256(json.dumps([body["messages"], body["seed"], body["model"]]).encode()).hexdigest()


@pytest.fixture
def server(serve):
    return serve(faults=("none",), answer=text_of)


def synthesize(program, config, *more, ranks=1, expect=0):
    return program.run("synthesize", "--config", config, *more, ranks=ranks, expect=expect)


def test_draws_and_quotas(program, directory, serve):
    strategies = [{"name": "prefix", "model": "teacher", "draws": 3, "quota": 5},
                  {"name": "leaderboard", "chosen": "teacher", "rejected": "rival", "share": 0.3},
                  {"name": "refine", "model": "teacher", "variant": "leaderboard"}]
    made = {}
    for ranks in (1, 2, 3):
        server = serve(faults=("none",), answer=text_of)
        synthesize(program, write_config(directory, f"quota-{ranks}", server, strategies, {"parse_retries": 0}), ranks=ranks)
        made[ranks] = Pairs(directory / f"quota-{ranks}")
        assert sum(server.answered.values()) == len(made[ranks].texts), "each answer is asked for once"
    pairs = made[1]
    assert pairs == made[2] and pairs == made[3], "the same pairs on 1, 2 and 3 ranks"
    prefix, board, refine = (pairs.instructions_of(name) for name in ("prefix", "leaderboard", "refine"))
    assert (len(prefix), len(board), len(refine)) == (3 * (5 + 2), 3 + 2, 10 + 4)
    assert set(board) - set(range(10, 14)) < set(prefix) < set(refine), "a smaller quota's instructions are a larger one's"
    rows = [i for i, s in enumerate(pairs.columns["pairs/strategy"]) if pairs.strategies[s] == "prefix"]
    texts = [pairs.texts[pairs.columns["pairs/chosen"][i]] for i in rows]
    assert len(set(texts)) == len(texts), "every draw has an answer of its own"


def test_retries(program, directory, serve):
    def answer(body):
        draw = hashlib.sha256(json.dumps([body["messages"], body["seed"]]).encode()).digest()[0]
        return text_of(body) if draw % 3 else f"Thought:\nthink\nResponse:\n{text_of(body)}"

    made = {}
    for ranks in (1, 2):
        server = serve(faults=("none",), answer=answer)
        done = synthesize(program, write_config(directory, f"retry-{ranks}", server,
                                                [{"name": "elicitive", "model": "teacher"}], {"parse_retries": 3}), ranks=ranks)
        made[ranks] = Pairs(directory / f"retry-{ranks}")
        attempts = made[ranks].columns["responses/attempts"]
        assert sum(server.answered.values()) == sum(attempts) and set(server.answered.values()) == {1}, \
            "each attempt has draws of its own"
        assert f"elicitive: {sum(attempts) - len(attempts)} further draws" in done.stderr
    assert made[1] == made[2], "the same on 1 and 2 ranks"
    columns = made[1].columns
    for attempts, parsed, tokens in zip(*(columns[f"responses/{name}"] for name in ("attempts", "parsed", "answer_tokens"))):
        assert parsed or attempts == 4, "an answer is given up after 3 retries, and not before"
        assert tokens == 3 * attempts, "its tokens are of all attempts"
    unparsed = sum(1 for flags in columns["pairs/flags"] if flags & UNPARSED)
    assert 0 < unparsed < len(columns["pairs/flags"]), "they stay in the file, flagged"


def test_dialogues(program, directory, server):
    rows = [{"chosen": f"\n\nHuman: Hi {i}\n\nAssistant: Hello.\n\nHuman: And then?\n\nAssistant: Good.",
             "rejected": f"\n\nHuman: Hi {i}\n\nAssistant: Hello.\n\nHuman: And then?\n\nAssistant: Bad."} for i in range(30)]
    source = write_rows(directory / "hh.jsonl", rows)
    synthesize(program, write_config(directory, "dialogues", server,
                                     [{"name": "prefix", "model": "teacher", "variant": "rlcd_harmless"}],
                                     instructions={"path": str(source), "limit": 30, "held_out": 0}))
    sides = {}
    for body in server.bodies:
        first, earlier, question, opening = (message["content"] for message in body["messages"])
        assert earlier.endswith(")\nHello.") and question == "And then?", "a dialogue is asked up to its last answer"
        sides.setdefault(first, set()).add((opening.strip(), earlier.split("\n")[0]))
    for pair in sides.values():
        assert len(pair) == 2 and {(b, a) for a, b in pair} == pair, "earlier answers open with the other side's words"
    assert len({frozenset(pair) for pair in sides.values()}) > 8, "the sixteen pairs of words are drawn by instruction"


def test_own_templates(program, directory, server):
    strategies = [{"name": "persona", "file": str(EXAMPLES / "persona.yaml"), "model": "teacher"},
                  {"name": "shots_and_size", "file": str(EXAMPLES / "shots_and_size.yaml"), "chosen": "teacher", "rejected": "rival"},
                  {"name": "critique", "file": str(EXAMPLES / "critique.yaml"), "model": "teacher"}]
    config = write_config(directory, "own", server, strategies, instructions={"limit": 3, "held_out": 0})
    plan = json.loads(synthesize(program, config, "--plan", "--set", "synthesis.plan_sample=0").stdout)
    assert [entry["level"] for entry in plan["strategies"]] == ["prompt", "model", "pipeline"]
    synthesize(program, config, ranks=2)
    pairs = Pairs(directory / "own")
    assert [len(pairs.instructions_of(name)) for name in ("persona", "shots_and_size", "critique")] == [3, 3, 3]
    shots = [body["messages"][0]["content"].count("Answer:") - 1 for body in server.bodies if "expansion" in str(body) or
             body["model"] == "other"]
    assert set(shots) == {1, 3}, "three demonstrations against one"
    turns = [len(body["messages"]) for body in server.bodies]
    assert turns.count(3) == 3 and turns.count(5) == 3, "answer, critique and revision"


@pytest.fixture
def planned(directory, serve):
    """A server, and the config of a run of three strategies with prices."""
    server = serve(faults=("none",), answer=lambda body: "Thought: a\nResponse: " + text_of(body))
    strategies = [{"name": name, "model": "teacher"} for name in ("prefix", "demonstration", "refine")]
    return server, write_config(directory, "plan", server, strategies, prompt_price=2.0, completion_price=10.0)


@pytest.mark.parametrize("ranks", (1, 2))
def test_the_plan_asks_for_a_sample(program, directory, planned, ranks):
    server, config = planned
    plan = json.loads(synthesize(program, config, "--plan", "--set", "synthesis.plan_sample=3", ranks=ranks).stdout)
    assert len(server.bodies) == 3 * 6, "3 instructions are really asked for 6 generations"
    assert plan["pairs"] == 42 and plan["answers"] == 84 and len(plan["generations"]) == 6
    assert plan["sum"]["answer_tokens"] == 3 * 84, "answer tokens as the sample had them"
    asked = sum(entry["prompt_tokens"] for entry in plan["generations"])
    assert abs(plan["sum"]["cost"] - (2 * asked + 10 * 252) / 1e6) < 1e-5 and plan["sum"]["seconds"] > 0
    names = {entry["name"] for entry in plan["generations"]}
    for entry in plan["strategies"]:
        assert {*entry["chosen"], *entry["rejected"]} <= names
    assert all(entry["first_prompt"] for entry in plan["generations"])
    assert plan["budget"]["enough"], "a budget without limits is enough"
    assert not (directory / "plan").exists(), "the plan leaves nothing behind"


def test_the_plan_tells_of_a_budget_that_is_too_small(program, planned):
    plan = json.loads(synthesize(program, planned[1], "--plan", "--set", "synthesis.max_budget.cost=0.001").stdout)
    assert not plan["budget"]["enough"]


def test_the_budget(program, directory, server):
    strategies = [{"name": "leaderboard", "chosen": "teacher", "rejected": "rival"}]
    config = write_config(directory, "budget", server, strategies, prompt_price=1e6, completion_price=1e6)  # 10 an answer
    for _ in range(20):
        done = synthesize(program, config, "--set", "synthesis.max_budget.cost=300", ranks=2, expect=None)
        assert done.returncode in (75, 2), done.stderr
        if done.returncode == 2:
            break
    spent = 10 * sum(server.answered.values())
    assert done.returncode == 2 and "max_budget" in done.stderr and 0 < spent <= 300
    assert not (directory / "budget/pairs.h5").exists()
    synthesize(program, config, "--set", "synthesis.max_budget.hours=1e-9", ranks=2, expect=2)
    synthesize(program, config, ranks=2)
    assert set(server.answered.values()) == {1} and len(server.answered) == 28, "with more budget it goes on; none is asked twice"

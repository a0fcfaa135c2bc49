"""Strategies as their users write them, asked of a server whose answers the test chooses: draws, quotas, retries,
dialogues, templates of one's own, the plan and the budget; the same on any number of ranks."""
import hashlib
import json
import pathlib
import sys
import tempfile

from fault_server import FaultServer
from harness import ROOT, check, run

EXAMPLES = ROOT / "configs/strategies/examples"


def write(work, name, server, strategies, synthesis=None, instructions=None, **endpoint):
    model = {"url": server.url, "model": "any", "prefill": "last_message", **endpoint}
    config = {"run": {"directory": str(work / name), "device": "cpu"},
              "models": {"teacher": model, "rival": {**model, "model": "other"}},
              "instructions": {"path": str(ROOT / "data/instructions.jsonl"), "limit": 10, "held_out": 4, **(instructions or {})},
              "strategies": strategies, "synthesis": {"max_new_tokens": 12, "max_thought_tokens": 4, **(synthesis or {})}}
    path = work / f"{name}.json"
    path.write_text(json.dumps(config))
    return path


class Pairs:
    """A pair file's texts and numbers."""

    def __init__(self, directory):
        import h5py
        import numpy as np

        with h5py.File(directory / "pairs.h5") as file:
            # A server's log-probabilities are not known: NaN, which equals nothing.
            self.columns = {f"{table}/{name}": np.nan_to_num(file[table][name][()]).tolist() for table in ("pairs", "responses")
                            for name in file[table] if isinstance(file[table][name], h5py.Dataset)}
            self.texts, self.generations, self.strategies, self.ids = (
                self.strings(file[name]) for name in ("responses/text", "generations/name", "strategies/name", "instructions/id"))

    @staticmethod
    def strings(group):
        data, at = group["bytes"][()].tobytes(), group["offsets"][()]
        return [data[begin:end].decode() for begin, end in zip(at[:-1], at[1:])]

    def instructions_of(self, strategy):
        row = self.strategies.index(strategy)
        return [self.columns["pairs/instruction"][i] for i, s in enumerate(self.columns["pairs/strategy"]) if s == row]


def text_of(body):
    """An answer that depends on all that is asked, long enough to have no flags."""
    return "answer " + hashlib.sha256(json.dumps([body["messages"], body["seed"], body["model"]]).encode()).hexdigest()


def synthesize(program, config, ranks=1, expect=0, *more):
    return run(program, "synthesize", "--config", config, *more, ranks=ranks, expect=expect)


def draws_and_quotas(program, work):
    strategies = [{"name": "prefix", "model": "teacher", "draws": 3, "quota": 5},
                  {"name": "leaderboard", "chosen": "teacher", "rejected": "rival", "share": 0.3},
                  {"name": "refine", "model": "teacher", "variant": "leaderboard"}]
    made = {}
    for ranks in (1, 2, 3):
        server = FaultServer(faults=("none",), answer=text_of)
        synthesize(program, write(work, f"quota-{ranks}", server, strategies, {"parse_retries": 0}), ranks)
        made[ranks] = Pairs(work / f"quota-{ranks}")
        check(sum(server.answered.values()) == len(made[ranks].texts), f"{len(made[ranks].texts)} answers, each asked for once")
        server.close()
    check(made[1].columns == made[2].columns == made[3].columns and made[1].texts == made[2].texts == made[3].texts,
          "the same pairs on 1, 2 and 3 ranks")
    pairs = made[1]
    prefix, board, refine = (pairs.instructions_of(name) for name in ("prefix", "leaderboard", "refine"))
    check((len(prefix), len(board), len(refine)) == (3 * (5 + 2), 3 + 2, 10 + 4), "as many pairs as quotas and draws ask for")
    check(set(board) - set(range(10, 14)) < set(prefix) < set(refine), "a smaller quota's instructions are among a larger one's")
    rows = [i for i, s in enumerate(pairs.columns["pairs/strategy"]) if pairs.strategies[s] == "prefix"]
    texts = [pairs.texts[pairs.columns["pairs/chosen"][i]] for i in rows]
    check(len(set(texts)) == len(texts), "every draw has an answer of its own")


def retries(program, work):
    def answer(body):
        draw = hashlib.sha256(json.dumps([body["messages"], body["seed"]]).encode()).digest()[0]
        return text_of(body) if draw % 3 else f"Thought:\nthink\nResponse:\n{text_of(body)}"

    made = {}
    for ranks in (1, 2):
        server = FaultServer(faults=("none",), answer=answer)
        done = synthesize(program, write(work, f"retry-{ranks}", server, [{"name": "elicitive", "model": "teacher"}],
                                         {"parse_retries": 3}), ranks)
        made[ranks] = Pairs(work / f"retry-{ranks}")
        attempts = made[ranks].columns["responses/attempts"]
        check(sum(server.answered.values()) == sum(attempts) and set(server.answered.values()) == {1},
              f"{sum(attempts)} attempts for {len(attempts)} answers, each with draws of its own")
        check(f"elicitive: {sum(attempts) - len(attempts)} further draws" in done.stderr, "they are counted by strategy")
        server.close()
    check(made[1].columns == made[2].columns and made[1].texts == made[2].texts, "the same on 1 and 2 ranks")
    columns = made[1].columns
    for attempts, parsed, tokens in zip(*(columns[f"responses/{name}"] for name in ("attempts", "parsed", "answer_tokens"))):
        if not (parsed or attempts == 4) or tokens != 3 * attempts:
            sys.exit("failed: an answer is given up after 3 retries, and not before; its tokens are of all attempts")
    unparsed = sum(1 for flags in columns["pairs/flags"] if flags & 8)
    check(0 < unparsed < len(columns["pairs/flags"]), f"{unparsed} pairs stay unparsed, in the file and flagged")


def dialogues(program, work):
    rows = [{"chosen": f"\n\nHuman: Hi {i}\n\nAssistant: Hello.\n\nHuman: And then?\n\nAssistant: Good.",
             "rejected": f"\n\nHuman: Hi {i}\n\nAssistant: Hello.\n\nHuman: And then?\n\nAssistant: Bad."} for i in range(30)]
    source = work / "hh.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    server = FaultServer(faults=("none",), answer=text_of)
    synthesize(program, write(work, "dialogues", server, [{"name": "prefix", "model": "teacher", "variant": "rlcd_harmless"}],
                              instructions={"path": str(source), "limit": 30, "held_out": 0}))
    sides = {}
    for body in server.bodies:
        first, earlier, question, opening = (message["content"] for message in body["messages"])
        check_quietly(earlier.endswith(")\nHello.") and question == "And then?", "a dialogue is asked up to its last answer")
        sides.setdefault(first, set()).add((opening.strip(), earlier.split("\n")[0]))
    for pair in sides.values():
        check_quietly(len(pair) == 2 and {(b, a) for a, b in pair} == pair, "earlier answers open with the other side's words")
    check(len({frozenset(pair) for pair in sides.values()}) > 8, "the sixteen pairs of words are drawn by instruction")
    server.close()


def check_quietly(condition, message):
    if not condition:
        sys.exit(f"failed: {message}")


def own_templates(program, work):
    strategies = [{"name": "persona", "file": str(EXAMPLES / "persona.yaml"), "model": "teacher"},
                  {"name": "shots_and_size", "file": str(EXAMPLES / "shots_and_size.yaml"), "chosen": "teacher", "rejected": "rival"},
                  {"name": "critique", "file": str(EXAMPLES / "critique.yaml"), "model": "teacher"}]
    server = FaultServer(faults=("none",), answer=text_of)
    config = write(work, "own", server, strategies, instructions={"limit": 3, "held_out": 0})
    plan = json.loads(synthesize(program, config, 1, 0, "--plan", "--set", "synthesis.plan_sample=0").stdout)
    check([entry["level"] for entry in plan["strategies"]] == ["prompt", "model", "pipeline"], "a strategy of each level from a file")
    synthesize(program, config, 2)
    pairs = Pairs(work / "own")
    check([len(pairs.instructions_of(name)) for name in ("persona", "shots_and_size", "critique")] == [3, 3, 3], "pairs of each")
    shots = [body["messages"][0]["content"].count("Answer:") - 1 for body in server.bodies if "expansion" in str(body) or
             body["model"] == "other"]
    check(set(shots) == {1, 3}, "three demonstrations against one")
    turns = [len(body["messages"]) for body in server.bodies]
    check(turns.count(3) == 3 and turns.count(5) == 3, "answer, critique and revision")
    server.close()


def the_plan(program, work):
    server = FaultServer(faults=("none",), answer=lambda body: "Thought: a\nResponse: " + text_of(body))
    strategies = [{"name": name, "model": "teacher"} for name in ("prefix", "demonstration", "refine")]
    config = write(work, "plan", server, strategies, prompt_price=2.0, completion_price=10.0)
    for ranks in (1, 2):
        before = len(server.bodies)
        plan = json.loads(synthesize(program, config, ranks, 0, "--plan", "--set", "synthesis.plan_sample=3").stdout)
        check(len(server.bodies) - before == 3 * 6, f"3 instructions are really asked for 6 generations on {ranks} ranks")
        check(plan["pairs"] == 42 and plan["answers"] == 84 and len(plan["generations"]) == 6, "what will be made")
        check(plan["sum"]["answer_tokens"] == 3 * 84, "answer tokens as the sample had them")
        asked = sum(entry["prompt_tokens"] for entry in plan["generations"])
        check(abs(plan["sum"]["cost"] - (2 * asked + 10 * 252) / 1e6) < 1e-5 and plan["sum"]["seconds"] > 0, "cost and time")
        names = {entry["name"] for entry in plan["generations"]}
        check(all(name in names for entry in plan["strategies"] for side in ("chosen", "rejected") for name in entry[side]),
              "each strategy's sides are among the generations")
        check(all(entry["first_prompt"] for entry in plan["generations"]), "with their first prompts")
        check(plan["budget"]["enough"], "a budget without limits is enough")
    check(not (work / "plan").exists(), "the plan leaves nothing behind")
    plan = json.loads(synthesize(program, config, 1, 0, "--plan", "--set", "synthesis.max_budget.cost=0.001").stdout)
    check(not plan["budget"]["enough"], "a budget that is too small is said to be")
    server.close()


def the_budget(program, work):
    server = FaultServer(faults=("none",), answer=text_of)
    strategies = [{"name": "leaderboard", "chosen": "teacher", "rejected": "rival"}]
    config = write(work, "budget", server, strategies, prompt_price=1e6, completion_price=1e6)  # 10 an answer
    for starts in range(1, 20):
        done = run_any(program, "synthesize", "--config", config, "--set", "synthesis.max_budget.cost=300", ranks=2)
        check_quietly(done.returncode in (75, 2), f"exit status {done.returncode}: {done.stderr}")
        if done.returncode == 2:
            break
    spent = 10 * sum(server.answered.values())
    check(done.returncode == 2 and "max_budget" in done.stderr and 0 < spent <= 300,
          f"{spent} of 300 spent in {starts} starts, then nothing more: as it says")
    check(not (work / "budget/pairs.h5").exists(), "no pair file yet")
    synthesize(program, config, 2, 2, "--set", "synthesis.max_budget.hours=1e-9")
    synthesize(program, config, 2)
    check(set(server.answered.values()) == {1} and len(server.answered) == 28, "with more budget it goes on; nothing is asked twice")
    server.close()


def run_any(program, *arguments, ranks):
    import subprocess

    from harness import command, environment

    return subprocess.run(command(program, ranks, *arguments), env=environment(), text=True, capture_output=True, timeout=300)


def main():
    program = sys.argv[1]
    try:
        import h5py  # noqa: F401
    except ImportError as error:
        print(f"skipped: {error}")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        for test in (draws_and_quotas, retries, dialogues, own_templates, the_plan, the_budget):
            test(program, work)
    return 0


if __name__ == "__main__":
    sys.exit(main())

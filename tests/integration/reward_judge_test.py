"""A reward model trained by `train` judges: what it says of pairs is what `evaluate preference` finds, on any number of
ranks, in both orders."""
import json

import pytest
from journals import count_records
from pair_files import read_json, read_rows, strings, write_rows
from run_configs import strategies, write_config, write_json

pytestmark = [pytest.mark.one_case, pytest.mark.timeout(900)]


def instruction(number):
    """Every third one is the end of a dialogue."""
    if number % 3:
        return {"id": f"i{number}", "instruction": f"Tell me {number} things about the number {number}."}
    return {"id": f"i{number}", "messages": [{"role": "user", "content": f"I like {number}."},
                                             {"role": "assistant", "content": "Why?"},
                                             {"role": "user", "content": f"Guess, {number} times."}]}


def read_verdicts(path):
    """{pair: [(order, label, probability, scores), ...]}"""
    h5py = pytest.importorskip("h5py")
    by_pair = {}
    with h5py.File(path) as file:
        verdicts = file["verdicts"]
        columns = [verdicts[name][()] for name in ("pair", "order", "label", "probability")]
        for pair, order, label, probability, raw in zip(*columns, strings(verdicts["raw"]), strict=True):
            by_pair.setdefault(int(pair), []).append((int(order), int(label), float(probability), json.loads(raw)["score"]))
    return by_pair


class Judged:
    """The trained judge at work on copies of one pair file."""

    def __init__(self, program, model, directory):
        self.program, self.directory, self.run = program, directory, directory / "run"
        rows = write_rows(directory / "instructions.jsonl", map(instruction, range(18)))
        self.config = write_config(
            directory / "run.yaml", self.run, model, strategies=strategies("prefix", "refine"),
            models={"reward": {"path": str(self.run / "model")}},
            instructions={"path": str(rows), "limit": 9, "held_out": 9},
            synthesis={"max_new_tokens": 24, "max_input_tokens": 8000}, judge={"split": "held_out"},
            train={"objective": "reward", "learning_rate": 1e-3, "exclude_flags": [], "max_length": 8192,
                   "max_prompt_length": 8000})
        for stage in (["synthesize"], ["train"], ["evaluate", "preference"]):
            program.run(*stage, "--config", self.config)
        self.pairs = (self.run / "pairs.h5").read_bytes()

    def judge(self, ranks, name):
        """Judges a fresh copy of the pair file. The command's messages and the verdicts."""
        copy = self.directory / name
        copy.mkdir(exist_ok=True)
        (copy / "pairs.h5").write_bytes(self.pairs)
        done = self.program.run("judge", "--config", self.config, "--set", f"run.directory={copy}", "--set",
                                "judge.model=reward", ranks=ranks)
        return done.stderr, read_verdicts(copy / "pairs.h5")


@pytest.fixture(scope="module")
def judged(program, tiny_model, shared_directory):
    return Judged(program, tiny_model, shared_directory)


@pytest.fixture(scope="module")
def verdicts(judged):
    """Those of one rank."""
    return judged.judge(1, "one")[1]


@pytest.fixture(scope="module")
def table(judged, verdicts):
    return read_json(judged.directory / "one/contrast_accuracy.json")


def test_both_orders_agree_with_the_scores(verdicts):
    assert len(verdicts) == 18, "every held-out pair is judged"
    for (_, label, probability, scores), (_, turned_label, turned_probability, turned_scores) in verdicts.values():
        assert scores == turned_scores[::-1] and label == turned_label
        assert abs(probability - turned_probability) <= 1e-12
        assert label == (2 if scores[0] == scores[1] else int(scores[0] > scores[1]))


def test_a_reward_model_reads_no_template(table):
    assert table["all"]["n_valid"] == 18
    assert table["template"] == "" and "template_sha256" in table


def test_its_accuracy_is_that_of_evaluate_preference(judged, verdicts, table):
    """A tie counts half here and as wrong there."""
    figures = read_json(judged.run / "evaluate/preference.json")
    ties = sum(first[1] == 2 for first, _ in verdicts.values())
    assert abs(table["all"]["accuracy"] - ties / 2 / 18 - figures["overall"]["accuracy"]["value"]) < 1e-12
    margin = sum(first[3][0] - first[3][1] for first, _ in verdicts.values()) / 18
    assert abs(margin - figures["overall"]["margin"]) < 1e-5
    assert set(figures["strategies"]) == {"prefix", "refine"}
    for name, strategy in figures["strategies"].items():
        mine = table["strategies"][name]
        assert abs(mine["accuracy"] - strategy["accuracy"]["value"] - mine["ties"] / 2 / 9) < 1e-12, name


def test_three_ranks_give_the_same_scores_and_judge_nothing_again(judged, verdicts):
    _, others = judged.judge(3, "three")
    worst = max(abs(a - b) for pair in verdicts for mine, theirs in zip(verdicts[pair], others[pair], strict=True)
                for a, b in zip(mine[3], theirs[3], strict=True))
    assert worst < 1e-5
    before = count_records(judged.directory / "three")
    said, again = judged.judge(2, "three")
    assert "36 known; 0 to make" in said and count_records(judged.directory / "three") == before
    assert again == others, "what the journals hold comes back as it was"


def test_evaluate_judge_finds_it_consistent(program, judged, directory):
    rows = [{"input": f"Name {i} words.", "output_1": "one " * (i + 1), "output_2": "No.", "label": 1 + i % 2}
            for i in range(6)]
    rows[5]["output_1"] = rows[5]["output_2"]
    program.run("evaluate", "judge", "--config", judged.config, "--set", "judge.model=reward", "--pairs",
                write_json(directory / "labelled.json", rows), "--format", "llmbar", ranks=2)
    found = read_json(judged.run / "evaluate/judge.json")
    assert found["n_valid"] == 6 and found["agreement"] == 1 and found["template"] == ""
    winners = [row["winner"] for row in read_rows(judged.run / "evaluate/judge.jsonl")]
    assert winners[10:] == [0, 0] and 0 not in winners[:10], "equal answers are a tie, others are not"


def test_a_model_against_itself_wins_half(program, judged):
    """Here beside a model in three slices; the reward model is whole."""
    program.run("evaluate", "win-rate", "--config", judged.config, "--model", "teacher", "--set", "evaluate.judge=reward",
                "--set", "run.tensor_parallel=3", ranks=3)
    result = read_json(judged.run / "evaluate/win_rate.json")
    assert result["n_valid"] == 9 and result["win_rate"] == 0.5 and result["ties"] == 9 and result["template"] == ""


def test_it_gives_no_answers(program, judged, directory):
    prompts = write_rows(directory / "in.jsonl", [{"prompt": "Hello"}])
    refused = program.run("generate", "--model", judged.run / "model", "--input", prompts, "--output",
                          directory / "out.jsonl", expect=2)
    assert "as a judge" in refused.stderr

"""The report of a made-up run directory: all its parts are shown, user text is escaped, and what is absent is said."""
import json
import math
import sys

import pytest
from program import execute

h5py, np = pytest.importorskip("h5py"), pytest.importorskip("numpy")
pytest.importorskip("matplotlib")
pytestmark = pytest.mark.one_case

STRATEGIES = [("prefix", "prompt"), ("demonstration", "prompt"), ("elicitive", "prompt"),
              ("nparam", "model"), ("leaderboard", "model"), ("refine", "pipeline")]
INSTRUCTIONS = 16


def write_strings(group, name, texts):
    data = [text.encode() for text in texts]
    column = group.create_group(name)
    column["bytes"] = np.frombuffer(b"".join(data), dtype=np.uint8)
    column["offsets"] = np.cumsum([0, *map(len, data)]).astype(np.uint64)


def write_pairs(path):
    generator = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file.attrs["format"], file.attrs["format_version"] = "popalign.pairs", 1
        file.attrs["config"] = "run:\n  name: test\n"
        file.attrs["provenance"] = json.dumps({"version": "0.1.0", "commit": "abc1234", "ranks": 2})
        write_strings(file.create_group("models"), "name", ["teacher", "student", "rival"])
        write_strings(file["models"], "path", ["t.gguf", "s.gguf", "s.gguf"])
        write_strings(file["models"], "sha256", ["a" * 64, "b" * 64, "b" * 64])
        file["models/parameters"] = np.array([1543714304, 134515008, 134515008], dtype=np.uint64)
        write_strings(file.create_group("instructions"), "text",
                      [f"<script>alert({i})</script> Why is question {i} hard & long?" for i in range(INSTRUCTIONS)])
        strategies = file.create_group("strategies")
        write_strings(strategies, "name", [name for name, _ in STRATEGIES])
        write_strings(strategies, "level", [level for _, level in STRATEGIES])
        write_strings(strategies, "variant", ["alignment"] * len(STRATEGIES))
        count = 2 * len(STRATEGIES) * INSTRUCTIONS
        responses = file.create_group("responses")
        write_strings(responses, "text", [f"Answer {i}: " + "some <b>words</b> here. " * (2 + i % 17)
                                          for i in range(count)])
        write_strings(responses, "thought", ["A thought." if i % 5 == 0 else "" for i in range(count)])
        lengths = generator.integers(5, 65, count)
        responses["tokens/values"] = np.zeros(lengths.sum(), dtype=np.int32)
        responses["tokens/offsets"] = np.cumsum([0, *lengths]).astype(np.uint64)
        rows = np.arange(count // 2)
        file["pairs/instruction"] = (rows // len(STRATEGIES)).astype(np.uint64)
        file["pairs/strategy"] = (rows % len(STRATEGIES)).astype(np.uint32)
        file["pairs/chosen"], file["pairs/rejected"] = (2 * rows).astype(np.uint64), (2 * rows + 1).astype(np.uint64)
        file["pairs/flags"] = np.where(rows % 7 == 0, 4 | (8 * (rows % 2)), 0).astype(np.uint32)


def share(value, half_width):
    return {"accuracy": value, "lower": max(0.0, value - half_width), "upper": min(1.0, value + half_width)}


def preference(count, value, half_width):
    def proportion(middle):
        return {"value": middle, "lower": max(0.0, middle - half_width), "upper": min(1.0, middle + half_width)}
    return {"n": count, "reward_accuracy": proportion(value), "reward_margin": value / 10,
            "logps_accuracy": proportion(0.55)}


def write_run(directory):
    write_pairs(directory / "pairs.h5")
    accuracies = dict(zip((name for name, _ in STRATEGIES), (0.62, 0.71, 0.78, 0.9, 0.84, 0.47)))
    extra = {"n": 32, "n_valid": 32, "ties": 1, "position_consistency": 0.7}
    (directory / "contrast_accuracy.json").write_text(json.dumps({
        "judge": "teacher", "template": "contrast", "all": share(0.72, 0.05) | extra,
        "strategies": {name: share(value, 0.13) | extra for name, value in accuracies.items()},
        "judges": [{"judge": judge, "template": "contrast", "all": share(0.72 - shift, 0.05) | extra | {
            "equal_length_accuracy": 0.7, "dropped_verdicts": {"abstained": 1, "unparsed": 2}},
            "strategies": {name: share(max(0, value - shift), 0.13) | extra for name, value in accuracies.items()}}
            for judge, shift in (("teacher", 0), ("longest", 0.2), ("random", 0.3))],
        "agreement": [{"judges": [a, b], "share": 0.6, "kappa": kappa, "n": 96}
                      for a, b, kappa in ((0, 1, 0.31), (0, 2, 0.02), (1, 2, -0.04))]}))
    (directory / "train").mkdir()
    with (directory / "train/metrics.jsonl").open("w") as file:
        for step in range(1, 19):
            margin = 0.02 * (step - 1)
            file.write(json.dumps({
                "step": step, "loss": -math.log(1 / (1 + math.exp(-margin))), "rewards/chosen": margin / 3,
                "rewards/rejected": -2 * margin / 3, "rewards/margins": margin,
                "rewards/accuracies": min(1, 0.04 * step), "grad_norm": 9 + math.sin(step),
                "learning_rate": 5e-6 * min(1, step / 2) * (1 - step / 20), "perf/tokens_per_second": 180.0}) + "\n")
        file.write('{"step": 19, "lo')  # a writer that was killed
    (directory / "evaluate").mkdir()
    for name, shift in (("before", 0.0), ("after", 0.6)):
        (directory / f"evaluate/preference_{name}.json").write_text(json.dumps(
            {"overall": preference(48, shift, 0.1), "n": 48, "dropped": 0, "strategies": {
                strategy: preference(8, min(1, shift * (0.8 + 0.1 * i)), 0.2)
                for i, (strategy, _) in enumerate(STRATEGIES)}}))
    (directory / "evaluate/win_rate.json").write_text(json.dumps({
        "win_rate": 0.5312, "lower": 0.31, "upper": 0.74, "n": 16, "ties": 0, "position_consistency": 0.75,
        "model": "runs/quickstart/model", "baseline": "student", "judge": "teacher"}))
    write_benchmarks(directory / "evaluate")
    (directory / "stages.jsonl").write_text('{"stage": "Synthesis", "seconds": 311, "ranks": 2, "threads": 1}\n')


def write_benchmarks(directory):
    def rating(value):
        return {"score": value, "lower": value - 0.8, "upper": value + 0.7, "n_valid": 20}

    def rate(value):
        return {"win_rate": value, "lower": value - 0.04, "upper": value + 0.04, "n_valid": 200}
    common = {"judge": "teacher", "n": 160, "dropped": {"abstained": 0, "unparsed": 3}}
    results = {
        "alpaca-eval": {"win_rate": 15.7, "lower": 13.5, "upper": 17.9, "length_controlled_winrate": 25.2,
                        "lc_lower": 21.8, "lc_upper": 28.4, "n_valid": 805, "baseline": "gpt4_1106_preview"},
        "arena-hard": {"score": 22.8, "lower": 20.6, "upper": 25.4, "style_controlled_score": 27.0,
                       "style_controlled_lower": 23.0, "style_controlled_upper": 31.0, "n_valid": 500},
        "mt-bench": rating(6.6) | {"categories": {
            name: rating(5 + 0.4 * i) for i, name in enumerate((
                "writing", "roleplay", "reasoning", "math", "coding", "extraction", "stem", "humanities"))}},
        "hh-rlhf": rate(0.55) | {"categories": {"harmless-base": rate(0.52), "helpful-base": rate(0.61)}},
        "trivia": rate(0.58)}  # the report needs to know no benchmark by name
    for name, result in results.items():
        (directory / f"{name}.json").write_text(json.dumps(common | {"benchmark": name} | result))


def report(root, directory):
    """The page and what is printed."""
    printed = execute(sys.executable, root / "analysis/report.py", "--run", directory).stdout
    return (directory / "report.html").read_text(encoding="utf-8"), printed


@pytest.fixture(scope="module")
def reported(root, shared_directory):
    write_run(shared_directory)
    return report(root, shared_directory)


@pytest.fixture(scope="module")
def page(reported):
    return reported[0]


def test_a_whole_run_has_all_parts_and_its_figures(page):
    assert "class=missing" not in page
    assert page.count("data:image/svg+xml") == 7
    for text in ("62.0 [49.0, 75.0]", "75.5", "53.1 [31.0, 74.0]", "0.6931", "teacher", "abc1234", "Synthesis",
                 "Benchmarks", "gpt4_1106_preview", "trivia", "verdicts lost"):
        assert text in page


def test_no_reward_accuracy_is_claimed_before_training(reported):
    """The policy is its own reference then."""
    page, printed = reported
    assert "held-out pairs [%]: 60.0 [50.0, 70.0]" in printed and "0.0 [0.0, 10.0]" not in printed + page


def test_text_of_models_and_users_is_escaped(page):
    assert "<script" not in page and "<b>words" not in page and "&lt;script&gt;alert(0)" in page


def test_mean_lengths_are_those_of_the_pair_file(page, shared_directory):
    """Computed here by another way: every pair of `prefix` is row 6 i."""
    with h5py.File(shared_directory / "pairs.h5") as file:
        tokens = np.diff(file["responses/tokens/offsets"][:].astype(int))
    prefix = np.arange(0, len(STRATEGIES) * INSTRUCTIONS, len(STRATEGIES))
    assert f"{tokens[2 * prefix].mean():.0f} / {tokens[2 * prefix + 1].mean():.0f}" in page


def test_what_is_absent_is_said(root, directory):
    page, _ = report(root, directory)
    assert page.count("class=missing") >= 6
    (directory / "pairs.h5").write_bytes(b"not HDF5")
    page, _ = report(root, directory)
    assert "pairs.h5 could not be read" in page

"""A reward model trained by `train` judges: what it says of pairs is what `evaluate preference` finds, on any number of
ranks, in both orders."""
import json
import pathlib
import sys
import tempfile

from harness import SKIP, check, run, write_config
from journals import count_records
from tiny_model import write_tiny_model


def write_instructions(path):
    """Every third one is the end of a dialogue."""
    rows = []
    for i in range(18):
        row = {"id": f"i{i}", "instruction": f"Tell me {i} things about the number {i}."}
        if i % 3 == 0:
            row = {"id": f"i{i}", "messages": [{"role": "user", "content": f"I like {i}."},
                                               {"role": "assistant", "content": "Why?"},
                                               {"role": "user", "content": f"Guess, {i} times."}]}
        rows.append(row)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def read_verdicts(path):
    """{pair: [(order, label, probability, raw), ...]}"""
    import h5py

    with h5py.File(path) as file:
        verdicts = file["verdicts"]
        data, offsets = verdicts["raw/bytes"][()].tobytes(), verdicts["raw/offsets"][()]
        by_pair = {}
        for i, pair in enumerate(verdicts["pair"][()]):
            by_pair.setdefault(int(pair), []).append(
                (int(verdicts["order"][i]), int(verdicts["label"][i]), float(verdicts["probability"][i]),
                 json.loads(data[offsets[i]:offsets[i + 1]])["score"]))
        return by_pair


def judge(program, config, pairs, directory, ranks):
    directory.mkdir()
    (directory / "pairs.h5").write_bytes(pairs)
    done = run(program, "judge", "--config", config, "--set", f"run.directory={directory}", "--set",
               "judge.model=reward", ranks=ranks)
    return done, read_verdicts(directory / "pairs.h5"), json.loads((directory / "contrast_accuracy.json").read_text())


def check_verdicts(verdicts):
    ties = 0
    for first, second in verdicts.values():
        (_, label, probability, scores), (_, turned_label, turned_probability, turned_scores) = first, second
        if scores != turned_scores[::-1] or label != turned_label or abs(probability - turned_probability) > 1e-12:
            sys.exit(f"failed: {first} and, in the other order, {second}")
        ties += label == 2
        wanted = 2 if scores[0] == scores[1] else int(scores[0] > scores[1])
        if label != wanted:
            sys.exit(f"failed: the label {label} of the scores {scores}")
    check(True, f"both orders of {len(verdicts)} pairs agree, {ties} of them are ties")
    return ties


def validation(program, config, directory, work):
    """The same judge on labelled pairs."""
    pairs = work / "labelled.json"
    rows = [{"input": f"Name {i} words.", "output_1": "one " * (i + 1), "output_2": "No.", "label": 1 + i % 2}
            for i in range(6)]
    rows[5]["output_1"] = rows[5]["output_2"]
    pairs.write_text(json.dumps(rows))
    run(program, "evaluate", "judge", "--config", config, "--set", "judge.model=reward", "--pairs", pairs, "--format",
        "llmbar", ranks=2)
    worth = json.loads((directory / "evaluate/judge.json").read_text())
    check(worth["n_valid"] == 6 and worth["agreement"] == 1 and worth["template"] == "",
          "`evaluate judge` finds it consistent, and it reads no template")
    winners = [json.loads(line)["winner"] for line in (directory / "evaluate/judge.jsonl").read_text().splitlines()]
    check(winners[10:] == [0, 0] and 0 not in winners[:10], "equal answers are a tie, others are not")


def win_rate(program, config, directory):
    """Beside it, a model in three slices; the reward model is whole."""
    run(program, "evaluate", "win-rate", "--config", config, "--model", "teacher", "--set", "evaluate.judge=reward",
        "--set", "run.tensor_parallel=3", ranks=3)
    result = json.loads((directory / "evaluate/win_rate.json").read_text())
    check(result["n_valid"] == 9 and result["win_rate"] == 0.5 and result["ties"] == 9 and result["template"] == "",
          "a model against itself wins half, by ties")


def main():
    program = pathlib.Path(sys.argv[1])
    try:
        import h5py  # noqa: F401
        import numpy  # noqa: F401
    except ImportError as error:
        print(f"skipped: {error}")
        return SKIP
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        write_instructions(work / "instructions.jsonl")
        model, directory = write_tiny_model(work / "tiny"), work / "run"
        config = write_config(work / "run.yaml", directory, model,
                              instructions={"path": str(work / "instructions.jsonl"), "limit": 9, "held_out": 9},
                              synthesis={"max_new_tokens": 24, "max_input_tokens": 8000},
                              judge={"split": "held_out"},
                              train={"objective": "reward", "learning_rate": 1e-3, "exclude_flags": [], "max_length": 8192,
                                     "max_prompt_length": 8000})
        content = json.loads(config.read_text())
        content["strategies"] = [{"name": name, "model": "teacher"} for name in ("prefix", "refine")]
        content["models"]["reward"] = {"path": str(directory / "model")}
        config.write_text(json.dumps(content))
        run(program, "synthesize", "--config", config)
        run(program, "train", "--config", config)
        run(program, "evaluate", "preference", "--config", config)
        figures = json.loads((directory / "evaluate/preference.json").read_text())
        pairs = (directory / "pairs.h5").read_bytes()

        done, verdicts, table = judge(program, config, pairs, work / "one", 1)
        ties = check_verdicts(verdicts)
        check(len(verdicts) == 18 and table["all"]["n_valid"] == 18, "every held-out pair is judged in both orders")
        check(table["template"] == "" and "template_sha256" in table, "a reward model reads no template")
        preference = figures["overall"]["accuracy"]["value"]
        check(abs(table["all"]["accuracy"] - ties / 2 / 18 - preference) < 1e-12,
              f"accuracy {table['all']['accuracy']:.3f} with {ties} ties is `preference`'s {preference:.3f}, where a tie is "
              "wrong")
        margin = sum(first[3][0] - first[3][1] for first, _ in verdicts.values()) / 18
        check(abs(margin - figures["overall"]["margin"]) < 1e-5, f"so is the margin, {margin:.6f}")
        for name, strategy in figures["strategies"].items():
            check(abs(table["strategies"][name]["accuracy"] - strategy["accuracy"]["value"]
                      - table["strategies"][name]["ties"] / 2 / 9) < 1e-12, f"and the accuracy of {name}")

        _, others, _ = judge(program, config, pairs, work / "three", 3)
        worst = max(abs(a - b) for pair in verdicts for mine, theirs in zip(verdicts[pair], others[pair])
                    for a, b in zip(mine[3], theirs[3]))
        check(worst < 1e-5, f"three ranks give the same scores ({worst:.1e} apart)")
        (work / "three/pairs.h5").write_bytes(pairs)
        before = count_records(work / "three")
        done = run(program, "judge", "--config", config, "--set", f"run.directory={work}/three", "--set",
                   "judge.model=reward", ranks=2)
        check("36 known; 0 to make" in done.stderr and count_records(work / "three") == before,
              "what the journals hold is not judged again")
        check(read_verdicts(work / "three/pairs.h5") == others, "and comes back as it was")
        validation(program, config, directory, work)
        win_rate(program, config, directory)
        (work / "in.jsonl").write_text(json.dumps({"prompt": "Hello"}) + "\n")
        refused = run(program, "generate", "--model", directory / "model", "--input", work / "in.jsonl",
                      "--output", work / "out.jsonl", expect=2)
        check("as a judge" in refused.stderr, "it gives no answers")
    return 0


if __name__ == "__main__":
    sys.exit(main())

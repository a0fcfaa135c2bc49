"""What a model is worth as a judge: LLMBar-Natural in both orders beside GPT-4's stored verdicts, and the paper's Leaderboard
contrast (Yi-34B-Chat against vicuna-33b-v1.3, from their stored AlpacaEval answers) by that model and by `longest`.

python tests/bench/judges.py build/dev/popalign MODEL OUT [--pairs 60] [--dtype float32] [--ranks 2] [--template contrast]

The instructions of the contrast are spread evenly over AlpacaEval's 805; those whose two answers have more than
--characters together are left out. OUT keeps everything and a table in Markdown; run again, it goes on where it was.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

DATA = pathlib.Path(os.environ.get("POPALIGN_TEST_DATA") or "POPALIGN_TEST_DATA")
PAPER = {"GPT-4": 84.0, "PairRM": 65.5}  # table 2, Leaderboard


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("program", "model", "out"):
        parser.add_argument(name, type=pathlib.Path)
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--characters", type=int, default=6000)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--template", default="contrast")
    return parser.parse_args()


def run(arguments, *command):
    launcher = ["mpirun", "-n", str(arguments.ranks), "--oversubscribe", "--bind-to", "none"] if arguments.ranks > 1 else []
    environment = {**os.environ, "OMP_NUM_THREADS": str(max(1, os.cpu_count() // arguments.ranks)),
                   "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    begin = time.monotonic()
    done = subprocess.run([*launcher, str(arguments.program), *map(str, command)], env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{command[0]}: exit status {done.returncode}")
    return done.stdout, time.monotonic() - begin


def stored(model):
    rows = json.loads((DATA / f"alpaca_eval/outputs/{model}.json").read_text(encoding="utf8"))
    return {row["instruction"]: row["output"] for row in rows}


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")


def write_config(arguments):
    out, answers = arguments.out, {name: stored(name) for name in ("Yi-34B-Chat", "vicuna-33b-v1.3")}
    for name, given in answers.items():
        write_jsonl(out / f"{name}.jsonl", [{"instruction": key, "text": text} for key, text in given.items()])
    short = [text for text in answers["Yi-34B-Chat"] if text in answers["vicuna-33b-v1.3"]
             and sum(len(given[text]) for given in answers.values()) <= arguments.characters]
    chosen = [short[i * len(short) // arguments.pairs] for i in range(min(arguments.pairs, len(short)))]
    write_jsonl(out / "instructions.jsonl", [{"id": f"alpaca-{i}", "instruction": text} for i, text in enumerate(chosen)])
    config = {"run": {"name": "judges", "directory": str(out / "run"), "device": "cpu"},
              "models": {"judge": {"path": str(arguments.model.resolve()), "dtype": arguments.dtype},
                         "yi": {"responses": str(out / "Yi-34B-Chat.jsonl")},
                         "vicuna": {"responses": str(out / "vicuna-33b-v1.3.jsonl")}},
              "instructions": {"path": str(out / "instructions.jsonl")},
              "strategies": [{"name": "leaderboard", "chosen": "yi", "rejected": "vicuna", "variant": "leaderboard"}],
              "judge": {"model": "judge", "template": arguments.template}}
    path = out / "judges.json"
    path.write_text(json.dumps(config, indent=1))
    return path, len(chosen), len(short)


def percent(value):
    return f"{100 * value:.1f}"


def llmbar(arguments, config):
    folder = DATA / "judge_validation/llmbar/Natural"
    _, seconds = run(arguments, "evaluate", "judge", "--config", config, "--pairs", folder / "dataset.json", "--format", "llmbar")
    ours = json.loads((arguments.out / "run/evaluate/judge.json").read_text())
    lines = [f"LLMBar-Natural, {ours['n']} pairs in both orders, {seconds:.0f} s:", "",
             "| judge | accuracy over both orders [%] | the same label in both orders [%] | kappa with the annotators |",
             "|---|---|---|---|"]
    verdicts = sorted(folder.rglob("result.json"))
    rows = [(arguments.model.stem, ours)]
    for path in verdicts[:1]:
        said, _ = run(argparse.Namespace(**{**vars(arguments), "ranks": 1}), "evaluate", "judge", "--format", "llmbar", "--verdicts",
                      path, "--pairs", folder / "dataset.json")
        rows.append(("GPT-4, stored verdicts", json.loads(said)))
    for name, worth in rows:
        lines.append(f"| {name} | {percent(worth['accuracy'])} | {percent(worth['agreement'])} | {worth.get('kappa', float('nan')):.3f} |")
    return lines


def contrast(arguments, config, count, short):
    run(arguments, "synthesize", "--config", config)
    run(arguments, "judge", "--config", config, "--set", "judge.model=longest")
    _, seconds = run(arguments, "judge", "--config", config)
    table = json.loads((arguments.out / "run/contrast_accuracy.json").read_text())
    lines = ["", f"Yi-34B-Chat against vicuna-33b-v1.3, {count} of the {short} AlpacaEval instructions whose answers are short enough, "
             f"both orders, {seconds:.0f} s:", "", "| judge | contrast accuracy [%] (95 %) | valid | ties | same label in both orders [%] |", "|---|---|---|---|---|"]
    for judge in table["judges"]:
        all_pairs = judge["all"]
        lines.append(f"| {judge['judge']} | {percent(all_pairs['accuracy'])} ({percent(all_pairs['lower'])}-{percent(all_pairs['upper'])}) | "
                     f"{all_pairs['n_valid']} | {all_pairs['ties']} | {percent(all_pairs['position_consistency'])} |")
    return lines + [f"| the paper's {name} (200 pairs of its own instructions) | {value} | | | |" for name, value in PAPER.items()]


def main():
    arguments = parse()
    if not DATA.exists():
        print(f"skipped: {DATA} is absent")
        return 77
    arguments.out.mkdir(parents=True, exist_ok=True)
    config, count, short = write_config(arguments)
    text = "\n".join(llmbar(arguments, config) + contrast(arguments, config, count, short)) + "\n"
    (arguments.out / "table.md").write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

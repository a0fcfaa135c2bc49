"""Six strategies on UltraFeedback's instructions with the quick start's models: plan, synthesis, judgement, one table.

python tests/bench/synthesis.py build/dev/popalign MODELS OUT [--instructions 200] [--tokens 256] [--variant alignment]

MODELS has the quick start's two GGUF files. The instructions are the first ones of
ultrafeedback/pairs_1000.jsonl in POPALIGN_TEST_DATA of at most --words words. OUT keeps the pair file and a table in
Markdown; run again, it goes on where it stopped. It takes hours on two cores at full size: say with the figures
how many instructions and tokens there were.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

DATA = pathlib.Path(os.environ.get("POPALIGN_TEST_DATA") or "POPALIGN_TEST_DATA") / "ultrafeedback/pairs_1000.jsonl"
TEACHER, STUDENT = "Qwen2.5-Coder-1.5B-Instruct-Q4_K_M.gguf", "SmolLM2-135M-Instruct-Q4_1.gguf"


def write_instructions(path, count, words):
    chosen, seen = [], set()
    for number, line in enumerate(DATA.read_text(encoding="utf8").split("\n"), 1):
        prompt = json.loads(line)["prompt"] if line else ""
        if prompt and len(prompt.split()) <= words and prompt not in seen:
            seen.add(prompt)
            chosen.append({"id": f"ultrafeedback-{number}", "instruction": prompt})
    if len(chosen) < count:
        sys.exit(f"{DATA}: only {len(chosen)} instructions of at most {words} words; raise --words")
    path.write_text("".join(json.dumps(row) + "\n" for row in chosen[:count]))


def write_config(arguments):
    models = {name: {"path": str(arguments.models / file), "dtype": arguments.dtype}
              for name, file in (("teacher", TEACHER), ("student", STUDENT), ("rival", STUDENT))}
    strategies = [{"name": name, "model": "teacher"} for name in ("prefix", "demonstration", "elicitive", "refine")]
    strategies += [{"name": "nparam", "chosen": "teacher", "rejected": "student"},
                   {"name": "leaderboard", "chosen": "teacher", "rejected": "rival"}]
    config = {"run": {"name": "ultrafeedback", "directory": str(arguments.out / "run"), "device": "cpu"},
              "models": models,
              "instructions": {"path": str(arguments.out / "instructions.jsonl")},
              "strategies": [{**entry, "variant": arguments.variant} for entry in strategies],
              "synthesis": {"max_new_tokens": arguments.tokens, "max_thought_tokens": arguments.tokens // 2,
                            "batch_size": 64, "plan_sample": 2},
              "judge": {"model": "teacher"}}
    path = arguments.out / "run.json"
    path.write_text(json.dumps(config, indent=1))
    return path


def start(arguments, *command):
    launcher = ["mpirun", "-n", str(arguments.ranks), "--oversubscribe", "--bind-to", "none"] if arguments.ranks > 1 else []
    environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads), "OMPI_ALLOW_RUN_AS_ROOT": "1",
                   "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    begin = time.monotonic()
    done = subprocess.run([*launcher, str(arguments.program), *map(str, command)], env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    sys.stderr.write(done.stderr)
    if done.returncode != 0:
        sys.exit(f"{command[0]}: exit status {done.returncode}")
    return done, time.monotonic() - begin


def table(pair_file, accuracy):
    import h5py
    import numpy as np

    def strings(group):
        data, at = group["bytes"][()].tobytes(), group["offsets"][()]
        return [data[begin:end].decode() for begin, end in zip(at[:-1], at[1:])]

    with h5py.File(pair_file) as file:
        pairs = {name: file["pairs"][name][()].astype(int) for name in ("strategy", "chosen", "rejected", "flags")}
        tokens, attempts = file["responses/answer_tokens"][()], file["responses/attempts"][()]
        meaning = json.loads(file["pairs/flags"].attrs["meaning"])
        names = strings(file["strategies/name"])
    lines = ["| strategy | contrast accuracy [%] (95 %) | valid | ties | pairs | unflagged | flags | tokens, chosen / rejected | drawn anew |",
             "|---|---|---|---|---|---|---|---|---|"]
    for row, name in enumerate(names):
        rows = np.flatnonzero(pairs["strategy"] == row)
        flags = pairs["flags"][rows]
        said = ", ".join(f"{int(np.sum(flags & int(bit) != 0))} {flag}" for bit, flag in meaning.items() if np.any(flags & int(bit)))
        chosen, rejected = pairs["chosen"][rows], pairs["rejected"][rows]
        judged = accuracy["strategies"][name]
        lines.append(f"| {name} | {100 * judged['accuracy']:.1f} ({100 * judged['lower']:.1f}-{100 * judged['upper']:.1f}) | {judged['n_valid']} | "
                     f"{judged['ties']} | {len(rows)} | {int(np.sum(flags == 0))} | {said or 'none'} | {tokens[chosen].mean():.0f} / "
                     f"{tokens[rejected].mean():.0f} | {int(np.sum(attempts[chosen] - 1) + np.sum(attempts[rejected] - 1))} |")
    return "\n".join(lines)


def check(arguments, accuracy):
    """Nothing may be missing: a pair of each strategy and instruction, verdicts in both orders, sums that hold."""
    start(argparse.Namespace(**{**vars(arguments), "ranks": 1}), "inspect", arguments.out / "run/pairs.h5", "--verify")
    for name, judged in accuracy["strategies"].items():
        if judged["n"] != arguments.instructions or judged["n_valid"] == 0:
            sys.exit(f"{name}: {judged['n']} pairs judged, {judged['n_valid']} of them in both orders; {arguments.instructions} wanted")
    if len(accuracy["strategies"]) != 6:
        sys.exit(f"{len(accuracy['strategies'])} strategies instead of six")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("models", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--instructions", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--words", type=int, default=60)
    parser.add_argument("--variant", default="alignment")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--without-plan", action="store_true", help="do not compare with what --plan said")
    arguments = parser.parse_args()
    for needed in (DATA, arguments.models / TEACHER, arguments.models / STUDENT):
        if not needed.exists():
            print(f"skipped: {needed} is absent")
            return 77
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_instructions(arguments.out / "instructions.jsonl", arguments.instructions, arguments.words)
    config = write_config(arguments)
    plan = None
    if not arguments.without_plan:
        plan = json.loads(start(arguments, "synthesize", "--config", config, "--plan")[0].stdout)
        (arguments.out / "plan.json").write_text(json.dumps(plan, indent=1))
    done, seconds = start(arguments, "synthesize", "--config", config)
    said = [line for line in done.stderr.splitlines() if "answer tokens/s" in line or "% saved" in line]
    _, judging = start(arguments, "judge", "--config", config)
    accuracy = json.loads((arguments.out / "run/contrast_accuracy.json").read_text())
    check(arguments, accuracy)
    text = [f"{arguments.instructions} instructions, variant {arguments.variant}, answers up to {arguments.tokens} tokens, {arguments.dtype}, "
            f"{arguments.ranks} ranks of {arguments.threads} threads: synthesis {seconds:.0f} s, judgement {judging:.0f} s", "",
            table(arguments.out / "run/pairs.h5", accuracy), "", *said]
    if plan and plan["sum"]["seconds"] is not None:
        text.append(f"--plan said {plan['sum']['seconds']:.0f} s and {plan['sum']['answer_tokens']:.0f} answer tokens")
    (arguments.out / "table.md").write_text("\n".join(text) + "\n")
    print("\n".join(text))
    return 0


if __name__ == "__main__":
    sys.exit(main())

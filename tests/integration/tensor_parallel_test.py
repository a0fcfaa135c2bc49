"""Stages whose models lie in slices over a group of ranks: the same results, and failures that all ranks leave with."""
import json
import pathlib
import sys
import tempfile

from harness import check, dataset_contents, require_models, run, write_config


def results(program, work, model, ranks, tensor_parallel):
    directory = work / f"{ranks}-{tensor_parallel}"
    config = write_config(work / f"{directory.name}.yaml", directory, model,
                          run={"directory": str(directory), "device": "cpu", "tensor_parallel": tensor_parallel},
                          synthesis={"temperature": 0}, evaluate={"temperature": 0})
    for command in (("synthesize",), ("judge",), ("evaluate", "win-rate", "--model", "student")):
        run(program, *command, "--config", config, ranks=ranks)
    win_rate = next(directory.rglob("win_rate.jsonl")).read_text().splitlines()
    return dataset_contents(directory / "pairs.h5"), [json.loads(line) for line in win_rate]


def main():
    program, model = sys.argv[1], require_models(sys.argv[2])
    try:
        import h5py  # noqa: F401
        import numpy
    except ImportError as error:
        print(f"skipped: {error}")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        whole, whole_answers = results(program, work, model, 1, 1)
        # SmolLM2 has three key-value heads: two groups of three ranks.
        sliced, sliced_answers = results(program, work, model, 6, 3)
        for name in ("responses/text/bytes", "responses/tokens/values", "pairs/chosen", "pairs/flags"):
            check(whole[name] == sliced[name], f"{name} of two groups of three ranks equals one rank's")
        values = lambda contents: numpy.frombuffer(contents["verdicts/probability"], "<f8")
        difference = abs(values(whole) - values(sliced)).max()
        check(difference < 1e-4, f"verdicts differ by at most {difference:.1e}")
        check([row["answer"] for row in whole_answers] == [row["answer"] for row in sliced_answers],
              "the answers behind the win rate are the same")

        config = work / "6-3.yaml"
        message = run(program, "synthesize", "--config", config, ranks=2, expect=2).stderr
        check("groups of 3" in message, "a node's ranks that cannot be divided are refused")
        message = run(program, "synthesize", "--config", config, "--set", "instructions.path=/nowhere", ranks=3,
                      expect=2).stderr
        check("/nowhere" in message, "leader's and followers leave together when the stage fails")
        message = run(program, "synthesize", "--config", config, "--set", f"run.directory={work}/two",
                      "--set", "run.tensor_parallel=2", ranks=2, expect=2).stderr
        check("cannot be divided among 2 ranks" in message, "a model that cannot be divided is refused")
        run(program, "synthesize", "--config", config, "--set", f"run.directory={work}/late",
            "--set", "run.time_limit=1", ranks=3, expect=75)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The ranks of a node share one copy of the weights, which is little more than the weights themselves."""
import json
import pathlib
import statistics
import sys
import tempfile
import time

from harness import check, children, last_words, require_models, run, start


def memory(pid):
    """This process's parts of memory [byte]; what several map is divided among them."""
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name.rstrip(":"): int(value) * 1024 for name, value, *_ in map(str.split, lines)}


def memory_of_run(program, arguments, ranks):
    """What the ranks share together, typically (they are not looked at in one instant), and the most that one of
    them holds alone."""
    process = start(program, *arguments, ranks=ranks)
    shared, private = [], 0
    while process.poll() is None:
        try:
            now = [memory(pid) for pid in children(process.pid)]
            shared.append(sum(rank["Pss_Shmem"] for rank in now))
            private = max([private] + [rank["Pss_Anon"] for rank in now])
        except (OSError, KeyError, ValueError):
            pass
        time.sleep(0.05)
    check(process.returncode == 0, f"{arguments[0]} on {ranks} ranks {last_words(process) if process.returncode else ''}")
    return statistics.median(shared[len(shared) // 2:]), private


def main():
    program, model = sys.argv[1], require_models(sys.argv[2])
    described = json.loads(run(program, "inspect", model).stdout)
    weights = 4 * described["parameters"]
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        prompts = work / "prompts.jsonl"
        prompts.write_text("".join(json.dumps({"prompt": f"Count from {i} on:"}) + "\n" for i in range(8)))
        answers = {}
        for ranks in (1, 2, 4):
            output = work / f"{ranks}.jsonl"
            arguments = ("generate", "--model", model, "--input", prompts, "--output", output, "--max-new-tokens", 96,
                         "--temperature", 0, "--device", "cpu")
            shared, private = memory_of_run(program, arguments, ranks)
            answers[ranks] = [json.loads(line)["tokens"] for line in output.read_text().splitlines()]
            if ranks > 1:
                check(0.9 * weights < shared < 1.1 * weights,
                      f"{shared / 1e6:.0f} MB of shared memory for {weights / 1e6:.0f} MB of weights on {ranks} ranks")
                check(private < 0.9 * weights, f"no rank has a copy of its own (at most {private / 1e6:.0f} MB)")
        check(answers[1] == answers[2] == answers[4], "greedy answers are the same on 1, 2 and 4 ranks")
    return 0


if __name__ == "__main__":
    sys.exit(main())

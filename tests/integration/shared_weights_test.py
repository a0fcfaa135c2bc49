"""The ranks of a node share one copy of the weights, which is little more than the weights themselves."""
import json
import pathlib
import statistics
import time

import pytest
from pair_files import read_rows, write_rows


def memory(process):
    """This process's parts of memory [byte]; what several map is divided among them."""
    lines = pathlib.Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    return {name.rstrip(":"): int(value) * 1024 for name, value, *_ in map(str.split, lines)}


def memory_of_run(job):
    """What the ranks share together, typically (they are not looked at in one instant), and the most that one of
    them holds alone."""
    shared, private = [], [0]
    while job.poll() is None:
        try:
            now = [memory(process) for process in job.children()]
            shared.append(sum(rank["Pss_Shmem"] for rank in now))
            private += [rank["Pss_Anon"] for rank in now]
        except (OSError, KeyError, ValueError):
            pass
        time.sleep(0.05)
    assert job.returncode == 0, job.last_words()
    return statistics.median(shared[len(shared) // 2:]), max(private)


@pytest.mark.timeout(300)
def test_ranks_share_one_copy_and_answer_the_same(program, model, directory):
    weights = 4 * json.loads(program.run("inspect", model).stdout)["parameters"]
    prompts = write_rows(directory / "prompts.jsonl", [{"prompt": f"Count from {i} on:"} for i in range(8)])
    answers = {}
    for ranks in (1, 2, 4):
        output = directory / f"{ranks}.jsonl"
        shared, private = memory_of_run(program.start(
            "generate", "--model", model, "--input", prompts, "--output", output, "--max-new-tokens", 96,
            "--temperature", 0, "--device", "cpu", ranks=ranks))
        answers[ranks] = [row["tokens"] for row in read_rows(output)]
        if ranks > 1:
            print(f"{ranks} ranks: {shared / 1e6:.0f} MB shared, at most {private / 1e6:.0f} MB of a rank's own")
            assert 0.9 * weights < shared < 1.1 * weights
            assert private < 0.9 * weights, "a rank has a copy of its own"
    assert answers[1] == answers[2] == answers[4], "greedy answers are the same"

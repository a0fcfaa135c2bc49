"""A server as teacher, rival and judge: through every fault no answer is lost, doubled or late, and the
key shows nowhere. Files of ready answers in its place."""
import json
import os
import pathlib
import sys
import tempfile
import time

from fault_server import FAULTS, FaultServer
from harness import ROOT, check, run

KEY = "sk-test-7d1f00c4be"


def base_config(directory, server, **endpoint):
    model = {"url": server.url, "model": "any", "api_key_env": "POPALIGN_TEST_KEY", "timeout": 2,
             "backoff": 0.05, "prefill": "last_message", **endpoint}
    return {
        "run": {"directory": str(directory), "device": "cpu"},
        "models": {"teacher": model, "rival": model},
        "instructions": {"path": str(ROOT / "data/instructions.jsonl"), "limit": 6, "held_out": 2},
        "strategies": [{"name": "prefix", "model": "teacher"},
                       {"name": "refine", "model": "teacher"},
                       {"name": "leaderboard", "chosen": "teacher", "rejected": "rival"}],
        "synthesis": {"max_new_tokens": 12, "parse_retries": 0},
    }


def synthesize(program, config, ranks=1, expect=0):
    directory = pathlib.Path(config["run"]["directory"])
    directory.mkdir(parents=True, exist_ok=True)
    path = directory.with_suffix(".json")
    path.write_text(json.dumps(config))
    start = time.monotonic()
    done = run(program, "synthesize", "--config", path, ranks=ranks, expect=expect)
    return done.stderr, time.monotonic() - start


def responses(directory):
    import h5py

    with h5py.File(directory / "pairs.h5") as file:
        text, at = file["responses/text/bytes"][()].tobytes(), file["responses/text/offsets"][()]
        return [text[begin:end].decode() for begin, end in zip(at[:-1], at[1:])]


def faults_lose_nothing(program, work):
    calm = FaultServer(faults=("none",), key=KEY)
    synthesize(program, base_config(work / "calm", calm), ranks=2)
    expected = responses(work / "calm")
    check(all(expected) and sum(calm.answered.values()) == len(expected), f"{len(expected)} answers, each asked for once")
    check(set(calm.answered.values()) == {1}, "no request was sent twice without need")

    rough = FaultServer(key=KEY)
    said, seconds = synthesize(program, base_config(work / "rough", rough), ranks=2)
    met = {fault: rough.met[fault] for fault in FAULTS if fault != "none"}
    check(all(met.values()), f"every fault was met: {met}")
    check(responses(work / "rough") == expected, "the pairs are those of a server without faults")
    check(set(rough.answered.values()) == {1}, "no request was answered twice")
    check(seconds < 60, f"silence of 30 s held nobody up ({seconds:.0f} s)")
    check("retries" in said and "cost" in said, "retries, tokens and cost are reported")
    everything = said + "".join(path.read_bytes().decode("latin-1")
                                for path in work.rglob("*") if path.is_file())
    check(KEY not in everything, "the key is in no log, journal or pair file")
    return expected


def limits_hold(program, work):
    server = FaultServer(faults=("none",), key=KEY)
    synthesize(program, base_config(work / "narrow", server, requests_in_flight=2), ranks=2)
    check(server.most_in_flight <= 2, f"{server.most_in_flight} in flight where 2 may be")
    server = FaultServer(faults=("429",) + 1000 * ("none",), key=KEY)
    synthesize(program, base_config(work / "paused", server, requests_in_flight=1))
    check(server.times[1] - server.times[0] >= 1, "Retry-After of 1 s is kept by all requests")
    server = FaultServer(faults=("none",), key=KEY)
    config = base_config(work / "slow", server, requests_per_minute=10)
    config["run"]["time_limit"] = 5
    synthesize(program, config, expect=75)
    check(len(server.times) == 10, "10 requests in the first minute, then the deadline: exit 75")
    config["run"]["time_limit"] = 0
    config["models"] = base_config(work / "slow", server)["models"]
    synthesize(program, config)
    check(set(server.answered.values()) == {1}, "the next start asks only for what is missing")


def failures_are_clear(program, work):
    server = FaultServer(key="another")
    said, _ = synthesize(program, base_config(work / "wrong", server), ranks=2, expect=1)
    check("401" in said and "api_key_env" in said and KEY not in said, "a wrong key is said, not shown")
    server = FaultServer(faults=("400",), key=KEY)
    said, _ = synthesize(program, base_config(work / "none", server), expect=1)
    check("none of the first requests" in said, "a server that takes nothing ends the run")
    server = FaultServer(faults=("none", "none", "400"), key=KEY)
    said, _ = synthesize(program, base_config(work / "some", server))
    check(server.met["400"] == responses(work / "some").count("") > 0,
          "a request that is refused becomes an empty answer, flagged")
    server = FaultServer(faults=("none",), key=KEY)
    config = base_config(work / "prefix", server, prefill="none")
    said, _ = synthesize(program, config, expect=2)
    check("prefill" in said and not server.times, "what a server cannot do is said before any request")
    server.close()
    config = base_config(work / "gone", server, retries=2)
    said, _ = synthesize(program, config, expect=1)
    check("after 3 attempts" in said, "a server that is gone ends the run after its attempts")
    os.environ.pop("POPALIGN_TEST_KEY")
    said, _ = synthesize(program, config, expect=2)
    check("POPALIGN_TEST_KEY" in said, "a missing key is named")
    os.environ["POPALIGN_TEST_KEY"] = KEY


def judge_says(body):
    """The longer answer, as a judge that gives log-probabilities; other questions get an answer."""
    text = body["messages"][-1]["content"]
    if "Assistant A:" not in text:
        return "To " + text[:60]
    first, second = text.split("Assistant A:")[1].split("Assistant B:")
    return "A" if len(first) > len(second.split("Which assistant")[0]) else "B"


def files_and_judges(program, work):
    server = FaultServer(faults=FAULTS, key=KEY, answer=judge_says)
    config = base_config(work / "files", server, prefill="none")
    rows = [json.loads(line) for line in (ROOT / "data/instructions.jsonl").read_text().splitlines()]
    answers = work / "answers.jsonl"
    answers.write_text("".join(json.dumps({"instruction": row["instruction"], "text": f"answer {i}"}) + "\n"
                               for i, row in enumerate(rows[:8])))
    config["models"]["rival"] = {"responses": str(answers)}
    config["strategies"] = config["strategies"][2:]
    config |= {"judge": {"model": "teacher"}, "evaluate": {"judge": "teacher", "baseline": "rival"}}
    synthesize(program, config, ranks=2)
    made = responses(work / "files")
    check(made[1::2] == [f"answer {i}" for i in range(8)], "ready answers are taken by their instruction")
    path = (work / "files").with_suffix(".json")
    run(program, "judge", "--config", path, ranks=2)
    accuracy = json.loads((work / "files/contrast_accuracy.json").read_text())["all"]
    check(accuracy["n_valid"] == accuracy["n"] and accuracy["accuracy"] == 1,
          "a server judges: the longer answer wins in both orders")
    run(program, "evaluate", "win-rate", "--config", path, "--model", "teacher", ranks=2)
    rates = [json.loads(file.read_text()) for file in (work / "files").rglob("*.json")
             if "win_rate" in file.read_text()]
    check(len(rates) == 1 and rates[0]["win_rate"] == 1 and rates[0]["n_valid"] == rates[0]["n"],
          "and evaluates a server's model against ready answers")
    answers.write_text("".join(answers.read_text().splitlines(keepends=True)[:-1]))
    config["run"]["directory"] = str(work / "short")
    said, _ = synthesize(program, config, ranks=2, expect=2)
    check("no answer of generation" in said, "a missing answer is named before any work")


def main():
    try:
        import h5py  # noqa: F401
    except ImportError as error:
        print(f"skipped: {error}")
        return 77
    program = sys.argv[1]
    os.environ["POPALIGN_TEST_KEY"] = KEY
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        for part in (faults_lose_nothing, limits_hold, failures_are_clear, files_and_judges):
            (work / part.__name__).mkdir()
            part(program, work / part.__name__)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A server as teacher, rival and judge: through every fault no answer is lost, doubled or late, and the key shows nowhere.
Files of ready answers in its place."""
import time

import pytest
from fault_server import FAULTS
from pair_files import read_json, read_rows, response_texts, write_rows
from run_configs import INSTRUCTIONS, write_json

KEY = "sk-test-7d1f00c4be"


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("POPALIGN_TEST_KEY", KEY)


@pytest.fixture
def calm(serve):
    """A server without faults."""
    return serve(faults=("none",), key=KEY)


def base_config(directory, server, **endpoint):
    model = {"url": server.url, "model": "any", "api_key_env": "POPALIGN_TEST_KEY", "timeout": 2,
             "backoff": 0.05, "prefill": "last_message", **endpoint}
    return {
        "run": {"directory": str(directory / "run"), "device": "cpu"},
        "models": {"teacher": model, "rival": model},
        "instructions": {"path": str(INSTRUCTIONS), "limit": 6, "held_out": 2},
        "strategies": [{"name": "prefix", "model": "teacher"},
                       {"name": "refine", "model": "teacher"},
                       {"name": "leaderboard", "chosen": "teacher", "rejected": "rival"}],
        "synthesis": {"max_new_tokens": 12, "parse_retries": 0},
    }


def synthesize(program, directory, config, **options):
    """The messages of a run in `directory`."""
    directory.mkdir(exist_ok=True)
    return program.run("synthesize", "--config", write_json(directory / "run.json", config), **options).stderr


def test_faults_lose_nothing(program, directory, serve, calm):
    synthesize(program, directory / "calm", base_config(directory / "calm", calm), ranks=2)
    expected = response_texts(directory / "calm/run")
    assert all(expected) and sum(calm.answered.values()) == len(expected)
    assert set(calm.answered.values()) == {1}, "a request was sent twice without need"

    rough = serve(key=KEY)
    start = time.monotonic()
    said = synthesize(program, directory / "rough", base_config(directory / "rough", rough), ranks=2)
    assert time.monotonic() - start < 60, "silence of 30 s held it up"
    assert all(rough.met[fault] for fault in FAULTS if fault != "none"), rough.met
    assert response_texts(directory / "rough/run") == expected, "the pairs are those of a server without faults"
    assert set(rough.answered.values()) == {1}, "a request was answered twice"
    assert "retries" in said and "cost" in said
    everything = said.encode() + b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())
    assert KEY.encode() not in everything, "the key is in a log, a journal or a pair file"


def test_requests_in_flight_stay_within_their_limit(program, directory, calm):
    synthesize(program, directory, base_config(directory, calm, requests_in_flight=2), ranks=2)
    assert calm.most_in_flight <= 2


def test_retry_after_holds_for_all_requests(program, directory, serve):
    server = serve(faults=("429",) + 1000 * ("none",), key=KEY)
    synthesize(program, directory, base_config(directory, server, requests_in_flight=1))
    assert server.times[1] - server.times[0] >= 1


def test_requests_per_minute_and_a_deadline(program, directory, calm):
    config = base_config(directory, calm, requests_per_minute=10)
    config["run"]["time_limit"] = 5
    synthesize(program, directory, config, expect=75)
    assert len(calm.times) == 10, "requests in the first minute"
    synthesize(program, directory, base_config(directory, calm))
    assert set(calm.answered.values()) == {1}, "the next start asks only for what is missing"


def test_a_wrong_key_is_told_and_not_shown(program, directory, serve):
    said = synthesize(program, directory, base_config(directory, serve(key="another")), ranks=2, expect=1)
    assert "401" in said and "api_key_env" in said and KEY not in said


def test_a_server_that_takes_nothing_ends_the_run(program, directory, serve):
    said = synthesize(program, directory, base_config(directory, serve(faults=("400",), key=KEY)), expect=1)
    assert "none of the first requests" in said


def test_a_refused_request_becomes_an_empty_answer(program, directory, serve):
    server = serve(faults=("none", "none", "400"), key=KEY)
    synthesize(program, directory, base_config(directory, server))
    assert server.met["400"] == response_texts(directory / "run").count("") > 0


def test_what_a_server_cannot_do_is_told_before_any_request(program, directory, calm):
    said = synthesize(program, directory, base_config(directory, calm, prefill="none"), expect=2)
    assert "prefill" in said and not calm.times


def test_a_server_that_is_gone_ends_the_run_after_its_attempts(program, directory, calm):
    calm.close()
    assert "after 3 attempts" in synthesize(program, directory, base_config(directory, calm, retries=2), expect=1)


def test_a_missing_key_is_named(program, directory, calm, monkeypatch):
    monkeypatch.delenv("POPALIGN_TEST_KEY")
    assert "POPALIGN_TEST_KEY" in synthesize(program, directory, base_config(directory, calm), expect=2)


def judge_says(body):
    """The longer answer, as a judge that gives log-probabilities; other questions get an answer."""
    text = body["messages"][-1]["content"]
    if "Assistant A:" not in text:
        return "To " + text[:60]
    first, second = text.split("Assistant A:")[1].split("Assistant B:")
    return "A" if len(first) > len(second.split("Which assistant")[0]) else "B"


def ready_answers(directory, server, count):
    """A config with the first `count` answers of the rival from a file."""
    config = base_config(directory, server, prefill="none")
    answers = write_rows(directory / "answers.jsonl", [{"instruction": row["instruction"], "text": f"answer {i}"}
                                                       for i, row in enumerate(read_rows(INSTRUCTIONS)[:count])])
    config["models"]["rival"] = {"responses": str(answers)}
    config["strategies"] = config["strategies"][2:]
    return config | {"judge": {"model": "teacher"}, "evaluate": {"judge": "teacher", "baseline": "rival"}}


def test_ready_answers_and_a_server_as_judge(program, directory, serve):
    server = serve(faults=FAULTS, key=KEY, answer=judge_says)
    synthesize(program, directory, ready_answers(directory, server, 8), ranks=2)
    assert response_texts(directory / "run")[1::2] == [f"answer {i}" for i in range(8)], "they are taken by instruction"
    config = directory / "run.json"
    program.run("judge", "--config", config, ranks=2)
    accuracy = read_json(directory / "run/contrast_accuracy.json")["all"]
    assert accuracy["n_valid"] == accuracy["n"] and accuracy["accuracy"] == 1, "the longer answer wins in both orders"
    program.run("evaluate", "win-rate", "--config", config, "--model", "teacher", ranks=2)
    rates = [read_json(path) for path in (directory / "run").rglob("*.json") if "win_rate" in path.read_text()]
    assert len(rates) == 1 and rates[0]["win_rate"] == 1 and rates[0]["n_valid"] == rates[0]["n"]


def test_a_missing_ready_answer_is_named_before_any_work(program, directory, calm):
    said = synthesize(program, directory, ready_answers(directory, calm, 7), ranks=2, expect=2)
    assert "no answer of generation" in said and not calm.times

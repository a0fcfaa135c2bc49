"""Synthesis and judging through llama.cpp's server, a real OpenAI-compatible endpoint."""
import socket
import subprocess
import time
import urllib.request

import pytest
from pair_files import read_json, response_texts
from run_configs import INSTRUCTIONS, write_json

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture
def server(root, model):
    """The address of a server of the small model."""
    python = root / "build/peers/bin/python"
    if not python.exists():
        pytest.skip("no llama.cpp server (bash tests/bench/peers.sh makes it)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([python, "-m", "llama_cpp.server", "--model", model, "--n_ctx", "2048", "--port", str(port),
                                "--logits_all", "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}/v1"
        wait_for_server(url)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_for_server(url):
    for _ in range(120):
        time.sleep(0.5)
        try:
            urllib.request.urlopen(url + "/models", timeout=5).read()
            return
        except OSError:
            continue
    pytest.fail("the server did not start")


def test_it_answers_and_judges(program, directory, model, server):
    served = {"url": server, "model": "smollm2", "requests_in_flight": 4, "top_logprobs": 10}
    config = write_json(directory / "run.json", {
        "run": {"directory": str(directory / "run"), "device": "cpu"},
        "models": {"teacher": served, "student": {"path": str(model)}},
        "instructions": {"path": str(INSTRUCTIONS), "limit": 4, "held_out": 1},
        "strategies": [{"name": "refine", "model": "teacher"},
                       {"name": "leaderboard", "chosen": "teacher", "rejected": "student"}],
        "synthesis": {"max_new_tokens": 24, "max_thought_tokens": 8},
        "judge": {"model": "teacher"}})
    said = program.run("synthesize", "--config", config, ranks=2).stderr
    assert all(response_texts(directory / "run"))
    assert " 0 prompt" not in said and "cost" in said, "the server's usage is counted"
    program.run("judge", "--config", config, ranks=2)
    accuracy = read_json(directory / "run/contrast_accuracy.json")["all"]
    assert accuracy["n"] > 0
    print(f"{accuracy['n_valid']} of {accuracy['n']} verdicts are readable")

"""Against the llama.cpp server: synthesis and judging through a real OpenAI-compatible endpoint."""
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from endpoint_test import responses
from harness import ROOT, check, require_models, run


def start_server(python, model):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([python, "-m", "llama_cpp.server", "--model", model, "--n_ctx", "2048", "--port",
                                str(port), "--logits_all", "true"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/v1"
    for _ in range(120):
        time.sleep(0.5)
        try:
            urllib.request.urlopen(url + "/models", timeout=5).read()
            return process, url
        except OSError:
            continue
    process.kill()
    sys.exit("the server did not start")


def main():
    program, model = sys.argv[1], require_models(sys.argv[2])
    python = ROOT / "build/peers/bin/python"
    if not python.exists():
        print("skipped: no llama.cpp server (bash tests/bench/peers.sh makes it)")
        return 77
    process, url = start_server(python, model)
    try:
        with tempfile.TemporaryDirectory() as folder:
            work = pathlib.Path(folder)
            served = {"url": url, "model": "smollm2", "requests_in_flight": 4, "top_logprobs": 10}
            config = {
                "run": {"directory": str(work / "run"), "device": "cpu"},
                "models": {"teacher": served, "student": {"path": str(model)}},
                "instructions": {"path": str(ROOT / "data/instructions.jsonl"), "limit": 4, "held_out": 1},
                "strategies": [{"name": "refine", "model": "teacher"},
                               {"name": "leaderboard", "chosen": "teacher", "rejected": "student"}],
                "synthesis": {"max_new_tokens": 24, "max_thought_tokens": 8},
                "judge": {"model": "teacher"},
            }
            path = work / "run.json"
            path.write_text(json.dumps(config))
            said = run(program, "synthesize", "--config", path, ranks=2).stderr
            texts = responses(work / "run")
            check(all(texts), f"{len(texts)} answers of a server and a local model")
            check(" 0 prompt" not in said and "cost" in said, "the server's usage is counted")
            run(program, "judge", "--config", path, ranks=2)
            accuracy = json.loads((work / "run/contrast_accuracy.json").read_text())["all"]
            check(accuracy["n"] > 0, f"it judges: {accuracy['n_valid']} of {accuracy['n']} verdicts are readable")
    finally:
        process.terminate()
        process.wait(timeout=30)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The whole path with a real model on 2 ranks, and what other programs make of its files."""
import json
import math

import pytest
from pair_files import read_json, read_rows, strings, write_rows
from run_configs import write_config

pytestmark = [pytest.mark.one_case, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def run(program, model, shared_directory):
    """The directory of a run through all stages."""
    directory = shared_directory / "run"
    config = write_config(shared_directory / "run.yaml", directory, model)
    for stage in (["synthesize"], ["judge"], ["train"], ["evaluate", "preference"], ["evaluate", "win-rate"]):
        program.run(*stage, "--config", config, ranks=2)
    return directory


@pytest.fixture(scope="module")
def metrics(run):
    return read_rows(run / "train/metrics.jsonl")


def test_h5py_reads_the_pair_file(run):
    """Its columns are the contract test's (tests/unit/store); these are the relations of a real run."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(run / "pairs.h5") as file:
        json.loads(file.attrs["provenance"])
        pairs, instruction = file["pairs"], file["responses/instruction"][()]
        assert (instruction[pairs["chosen"][()]] == pairs["instruction"][()]).all()
        answers = strings(file["responses/text"])
        assert len(answers) == 6 * 10 and any(answers)
        assert len(file["verdicts"]["pair"]) == 2 * len(pairs["chosen"]), "both orders are judged"
        keys = list(file["reference"])
        assert len(keys) == 1 and len(file["reference"][keys[0]]["chosen_logprob"]) == 36


def test_every_checksum_and_reference_verifies(program, run):
    assert json.loads(program.run("inspect", run / "pairs.h5", "--verify").stdout)["problems"] == []


def test_contrast_accuracy_of_six_strategies(run):
    accuracy = read_json(run / "contrast_accuracy.json")
    assert accuracy["all"]["n_valid"] == 36 and len(accuracy["strategies"]) == 6


def test_training_starts_at_ln_2_with_trls_names(metrics):
    assert abs(metrics[0]["loss"] - math.log(2)) < 1e-4
    assert {"loss", "rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies", "logps/chosen",
            "logps/rejected", "grad_norm", "learning_rate", "num_tokens", "epoch", "step"} <= set(metrics[0])


def test_one_rank_takes_the_same_steps(program, model, run, metrics, directory):
    alone = directory / "alone"
    alone.mkdir()
    (alone / "pairs.h5").write_bytes((run / "pairs.h5").read_bytes())
    program.run("train", "--config", write_config(directory / "alone.yaml", alone, model))
    other = read_rows(alone / "train/metrics.jsonl")
    worst = max(abs(a[name] - b[name]) / max(abs(a[name]), 1e-3)
                for a, b in zip(metrics, other, strict=True) for name in ("loss", "grad_norm"))
    assert worst < 1e-3
    print(f"largest relative difference {worst:.1e}")


def test_transformers_writes_the_same_greedy_text(program, run, directory):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    model = transformers.AutoModelForCausalLM.from_pretrained(run / "model", dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(run / "model")
    rows = [{"messages": [{"role": "user", "content": text}]}
            for text in ("Tell me about the sea.", "Write a function that adds two numbers.")]
    program.run("generate", "--model", run / "model", "--input", write_rows(directory / "in.jsonl", rows),
                "--output", directory / "out.jsonl", "--temperature", "0", "--max-new-tokens", "24", ranks=2)
    for row, answer in zip(rows, read_rows(directory / "out.jsonl"), strict=True):
        ids = tokenizer.apply_chat_template(row["messages"], add_generation_prompt=True,
                                            return_tensors="pt", return_dict=True)
        with torch.no_grad():
            output = model.generate(**ids, max_new_tokens=24, do_sample=False)
        assert tokenizer.decode(output[0, ids["input_ids"].shape[1]:], skip_special_tokens=True) == answer["text"]

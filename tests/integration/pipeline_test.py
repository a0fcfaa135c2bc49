"""The whole path on 2 ranks, and what other programs make of its files."""
import json
import math
import pathlib
import shutil
import sys
import tempfile

from harness import check, require_models, run, start, wait_for, write_config

CONTRACT = {
    "models": ["name", "path", "sha256", "parameters", "tokenizer_sha256", "template_sha256"],
    "instructions": ["id", "source", "text"],
    "generations": ["name", "model", "template"],
    "responses": ["instruction", "generation", "text", "thought", "tokens", "logprob",
                  "finish_reason", "seed"],
    "strategies": ["name", "level", "variant"],
    "pairs": ["instruction", "strategy", "chosen", "rejected", "flags"],
    "verdicts": ["pair", "judge", "order", "label", "probability", "raw", "parsed"],
}


def texts(group):
    data, offsets = group["bytes"][()].tobytes(), group["offsets"][()]
    return [data[a:b].decode() for a, b in zip(offsets[:-1], offsets[1:])]


def read_with_h5py(path):
    import h5py

    with h5py.File(path) as file:
        check(file.attrs["format"] in ("popalign.pairs", b"popalign.pairs") and
              file.attrs["format_version"] == 1, "h5py reads format and version")
        json.loads(file.attrs["provenance"])
        for group, columns in CONTRACT.items():
            missing = [name for name in columns if name not in file[group]]
            check(not missing, f"/{group} has the contract's columns {missing}")
        pairs, responses = file["pairs"], file["responses"]
        instruction = responses["instruction"][()]
        check((instruction[pairs["chosen"][()]] == pairs["instruction"][()]).all(),
              "chosen answers belong to their instructions")
        answers = texts(responses["text"])
        check(len(answers) == 6 * 10 and any(answers), "60 answers to 6 instructions")
        check(len(file["verdicts"]["pair"]) == 2 * len(pairs["chosen"]), "both orders are judged")
        keys = list(file["reference"])
        check(len(keys) == 1 and len(file["reference"][keys[0]]["chosen_logprob"]) == 36,
              "reference log-probabilities are stored")
        check(file["responses/logprob"].fletcher32, "columns are checksummed")


def read_metrics(directory):
    lines = (directory / "train" / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def same_greedy_text(program, directory, work):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(directory / "model", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(directory / "model")
    prompts = ["Tell me about the sea.", "Write a function that adds two numbers."]
    rows = [{"messages": [{"role": "user", "content": text}]} for text in prompts]
    (work / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run(program, "generate", "--model", directory / "model", "--input", work / "in.jsonl",
        "--output", work / "out.jsonl", "--temperature", "0", "--max-new-tokens", "24", ranks=2)
    answers = [json.loads(line) for line in (work / "out.jsonl").read_text().splitlines()]
    for row, answer in zip(rows, answers):
        ids = tokenizer.apply_chat_template(row["messages"], add_generation_prompt=True,
                                            return_tensors="pt", return_dict=True)
        with torch.no_grad():
            output = model.generate(**ids, max_new_tokens=24, do_sample=False)
        text = tokenizer.decode(output[0, ids["input_ids"].shape[1]:], skip_special_tokens=True)
        check(text == answer["text"], f"transformers writes the same greedy text: {text[:40]!r}")


def kill_and_resume(program, work, pairs, expected):
    """Kills the training (SIGKILL) behind its second checkpoint; the same command ends it."""
    directory = work / "killed"
    directory.mkdir()
    (directory / "pairs.h5").write_bytes(pairs)
    config = write_config(work / "killed.yaml", directory, expected["model"])
    process = start(program, "train", "--config", config)
    wait_for(lambda: any((directory / "train").glob("checkpoints/step-000002*")), process,
             "the training is running when it is killed", 300)
    process.kill()
    process.wait()
    run(program, "train", "--config", config)
    losses = [row["loss"] for row in read_metrics(directory)]
    check(losses == expected["losses"], f"killed and resumed, the losses are the same: {losses}")


def main():
    program, model = sys.argv[1], require_models(sys.argv[2])
    try:
        import h5py  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        print(f"skipped: {error}")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        directory = work / "run"
        config = write_config(work / "run.yaml", directory, model)
        for stage in (["synthesize"], ["judge"], ["train"], ["evaluate", "preference"],
                      ["evaluate", "win-rate"]):
            run(program, *stage, "--config", config, ranks=2)
        read_with_h5py(directory / "pairs.h5")
        check(run(program, "inspect", directory / "pairs.h5", "--verify").stdout.find("[]") > 0,
              "every checksum and reference verifies")

        metrics = read_metrics(directory)
        check(abs(metrics[0]["loss"] - math.log(2)) < 1e-4, "the loss at step 1 is ln 2")
        wanted = {"loss", "rewards/chosen", "rewards/rejected", "rewards/margins",
                  "rewards/accuracies", "logps/chosen", "logps/rejected", "grad_norm",
                  "learning_rate", "num_tokens", "epoch", "step"}
        check(wanted <= set(metrics[0]), f"metrics have TRL's names {wanted - set(metrics[0])}")

        alone = work / "alone"
        alone.mkdir()
        (alone / "pairs.h5").write_bytes((directory / "pairs.h5").read_bytes())
        single = write_config(work / "alone.yaml", alone, model)
        run(program, "train", "--config", single, ranks=1)
        other = read_metrics(alone)
        worst = max(abs(a[name] - b[name]) / max(abs(a[name]), 1e-3)
                    for a, b in zip(metrics, other) for name in ("loss", "grad_norm"))
        check(len(metrics) == len(other) and worst < 1e-3,
              f"1 rank and 2 ranks take the same steps (largest relative difference {worst:.1e})")

        for finished in (directory, alone):  # 1.6 GB each
            shutil.rmtree(finished / "train/checkpoints")
        kill_and_resume(program, work, (alone / "pairs.h5").read_bytes(),
                        {"model": model, "losses": [row["loss"] for row in other]})

        accuracy = json.loads((directory / "contrast_accuracy.json").read_text())
        check(accuracy["all"]["n_valid"] == 36 and len(accuracy["strategies"]) == 6,
              "contrast accuracy of six strategies")
        same_greedy_text(program, directory, work)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Tokens a second of popalign, transformers and llama.cpp on the same prompts, one after another.

python tests/bench/generate.py build/dev/popalign MODEL [--batches 32,64,128] [--threads 2]
       [--device cuda --dtype bfloat16 --batch-size 512]

MODEL is a GGUF file or, for transformers alone, an HF directory. Prints one JSON object with all figures, the limits
that `popalign bench` measured, and the ratios. llama.cpp is measured on the CPU where `bash tests/bench/peers.sh` was
run, and named as missing otherwise.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def prompts(count):
    rows = [json.loads(line) for line in open(ROOT / "data" / "instructions.jsonl", encoding="utf-8")]
    return [rows[i % len(rows)]["instruction"] for i in range(count)]


def bench_popalign(arguments, texts, *options):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        for i, text in enumerate(texts):
            file.write(json.dumps({"id": str(i), "messages": [{"role": "user", "content": text}]}) + "\n")
        file.flush()
        command = [arguments.program, "bench", "generate", "--model", arguments.model, "--input", file.name,
                   "--max-new-tokens", str(arguments.tokens), "--device", arguments.device,
                   "--dtype", arguments.dtype, "--batch-size", str(arguments.batch_size), *options]
        environment = dict(os.environ, OMP_NUM_THREADS=str(arguments.threads))
        return json.loads(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout)


def bench_transformers(arguments, texts):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, logging

    logging.disable_progress_bar()
    torch.set_num_threads(arguments.threads)
    path, source = pathlib.Path(arguments.model), {}
    if path.is_file():
        path, source = path.parent, {"gguf_file": path.name}
    tokenizer = AutoTokenizer.from_pretrained(path, padding_side="left", **source)
    dtype = getattr(torch, arguments.dtype)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype, **source).eval().to(arguments.device)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token_id = tokenizer.eos_token_id
    stop = {tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|im_end|>")}
    rendered = [tokenizer.apply_chat_template([{"role": "user", "content": text}], tokenize=False,
                                              add_generation_prompt=True) for text in texts]
    rendered.sort(key=len)  # equal lengths together: its best case, little padding
    rates = {}
    for batch in arguments.batches:
        useful, start = 0, time.perf_counter()
        for begin in range(0, len(rendered), batch):
            inputs = tokenizer(rendered[begin:begin + batch], return_tensors="pt", padding=True,
                               add_special_tokens=False).to(arguments.device)
            with torch.inference_mode():
                output = model.generate(**inputs, max_new_tokens=arguments.tokens, do_sample=True, temperature=1.0,
                                        top_k=0, top_p=1.0, eos_token_id=list(stop),
                                        pad_token_id=tokenizer.pad_token_id)
            for row in output[:, inputs["input_ids"].shape[1]:].tolist():
                useful += next((i for i, token in enumerate(row) if token in stop), len(row))
        rates[batch] = useful / (time.perf_counter() - start)
        print(f"transformers, batch {batch}: {rates[batch]:.0f} tokens/s", file=sys.stderr)
    return rates


def bench_sharing(arguments):
    """Six strategies on 32 instructions: tokens computed, and those without shared prefixes and generations."""
    model = {"path": arguments.model}
    pairs = [{"name": name, "model": "model"} for name in ("prefix", "demonstration", "elicitive", "refine")]
    pairs += [{"name": name, "chosen": "model", "rejected": "other"} for name in ("nparam", "leaderboard")]
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "run.json"
        config.write_text(json.dumps({
            "run": {"directory": folder}, "models": {"model": model, "other": model}, "strategies": pairs,
            "instructions": {"path": str(ROOT / "data/instructions.jsonl"), "limit": 32},
            "synthesis": {"max_new_tokens": 64, "max_thought_tokens": 32}}))
        environment = dict(os.environ, OMP_NUM_THREADS=str(arguments.threads))
        said = subprocess.run([arguments.program, "synthesize", "--config", config], env=environment, check=True,
                              text=True, stderr=subprocess.PIPE).stderr
    computed, whole = map(int, re.search(r"(\d+) tokens computed, (\d+) without", said).groups())
    return {"tokens_computed": computed, "without_sharing": whole, "saved": 1 - computed / whole}


LLAMA_CPP = """
import json, sys, time
from llama_cpp import Llama
model, threads, tokens = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
llama = Llama(model, n_ctx=2048, n_threads=threads, n_threads_batch=threads, verbose=False)
useful, start = 0, time.perf_counter()
for text in json.load(sys.stdin):
    answer = llama.create_chat_completion([{"role": "user", "content": text}], max_tokens=tokens, temperature=1.0,
                                          top_k=0, top_p=1.0, min_p=0.0)
    useful += answer["usage"]["completion_tokens"]
print(useful / (time.perf_counter() - start))
"""


def bench_llama_cpp(arguments, texts):
    """One prompt after another, in the environment that peers.sh makes."""
    python = ROOT / "build/peers/bin/python"
    if not python.exists() or arguments.device != "cpu" or not arguments.model.endswith(".gguf"):
        return None
    command = [python, "-c", LLAMA_CPP, arguments.model, str(arguments.threads), str(arguments.tokens)]
    done = subprocess.run(command, input=json.dumps(texts), text=True, check=True, stdout=subprocess.PIPE)
    return float(done.stdout.split()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("--batches", type=lambda text: [int(part) for part in text.split(",")], default=[32, 64, 128])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--batch-size", type=int, default=128, help="of popalign")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--prompts", type=int, default=128)
    parser.add_argument("--tokens", type=int, default=128)
    arguments = parser.parse_args()
    texts = prompts(arguments.prompts)
    ours = bench_popalign(arguments, texts)
    exact = bench_popalign(arguments, texts, "--ignore-eos")
    deterministic = bench_popalign(arguments, texts, "--deterministic")
    print(f"popalign: {ours['tokens_per_second']:.0f} tokens/s", file=sys.stderr)
    sharing = bench_sharing(arguments)
    print(f"sharing saves {100 * sharing['saved']:.0f} % of the tokens", file=sys.stderr)
    llama_cpp = bench_llama_cpp(arguments, texts)
    print(f"llama.cpp: {llama_cpp or 0:.0f} tokens/s", file=sys.stderr)
    transformers = bench_transformers(arguments, texts)
    print(json.dumps({
        "popalign": ours,
        "popalign_exact_length": exact,
        "six_strategies_on_32_instructions": sharing,
        "transformers_tokens_per_second": transformers,
        "llama_cpp_tokens_per_second": llama_cpp or "not here: bash tests/bench/peers.sh makes it",
        "ratio_to_transformers": ours["tokens_per_second"] / max(transformers.values()),
        "ratio_to_llama_cpp": llama_cpp and ours["tokens_per_second"] / llama_cpp,
        "cost_of_deterministic": ours["tokens_per_second"] / deterministic["tokens_per_second"],
        "exact_length_fraction_of_limit": exact["fraction_of_limit"],
    }, indent=2))


if __name__ == "__main__":
    main()

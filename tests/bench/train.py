"""Pair tokens a second of DPO by popalign and by TRL on the same pairs, one after the other.

python tests/bench/train.py build/dev/popalign MODEL.gguf PAIRS.jsonl [--pairs 64] [--threads 2] [--batches 1,2,4,8]
       [--device cuda --dtype bfloat16]

Pairs are rows {prompt, chosen, rejected} of texts or of messages. Each side does one epoch with the same global batch,
log-probabilities of the reference included; tokens are those that TRL counts (both sequences of a pair, with their
prompt). On a GPU, one rank; bfloat16 is computed with float32 master weights on both sides. Prints one JSON object
with all figures, the limits that `popalign bench` measured, and the ratios.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

TRL = """
import json, resource, sys, time
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, logging
from trl import DPOConfig, DPOTrainer
model_path, device, dtype, threads, per_device, global_batch, max_length, rows = json.load(sys.stdin)
logging.set_verbosity_error()
torch.set_num_threads(threads)
tokenizer = AutoTokenizer.from_pretrained(model_path)
load = lambda: AutoModelForCausalLM.from_pretrained(model_path, dtype=torch.float32)
config = DPOConfig(output_dir=sys.argv[1], per_device_train_batch_size=per_device,
                   gradient_accumulation_steps=global_batch // per_device, num_train_epochs=1, learning_rate=5e-7,
                   beta=0.01, max_length=max_length, logging_steps=1, report_to=[], save_strategy="no",
                   use_cpu=device == "cpu", bf16=dtype == "bfloat16", gradient_checkpointing=False,
                   dataloader_pin_memory=False, disable_tqdm=True)
trainer = DPOTrainer(model=load(), ref_model=load(), args=config, train_dataset=Dataset.from_list(rows),
                     processing_class=tokenizer)
start = time.perf_counter()
trainer.train()
seconds = time.perf_counter() - start
if device == "cuda":
    memory = torch.cuda.max_memory_reserved()
else:
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
logs = [row for row in trainer.state.log_history if "num_tokens" in row]
print(json.dumps({"seconds": seconds, "tokens": logs[-1]["num_tokens"], "loss": [row["loss"] for row in logs],
                  "peak_memory_bytes": memory}))
"""


def message(text, role):
    return text if isinstance(text, list) else [{"role": role, "content": text}]


def read_rows(path, count):
    rows = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            rows.append({"prompt": message(row["prompt"], "user"),
                         "chosen": message(row["chosen"], "assistant")[-1:],
                         "rejected": message(row["rejected"], "assistant")[-1:]})
            if len(rows) == count:
                break
    return rows


def run(command, **options):
    """What it prints; ends this program with the command's last words if it fails."""
    done = subprocess.run([str(part) for part in command], text=True, capture_output=True, **options)
    if done.returncode:
        sys.exit(f"{command[:4]} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def bench_trl(arguments, model, rows, batch, folder):
    setup = [str(model), arguments.device, arguments.dtype, arguments.threads, batch, arguments.global_batch,
             arguments.max_length, rows]
    result = json.loads(run([sys.executable, "-c", TRL, folder], input=json.dumps(setup)).strip().split("\n")[-1])
    result["tokens_per_second"] = result["tokens"] / result["seconds"]
    print(f"TRL, batch {batch}: {result['tokens_per_second']:.0f} tokens/s", file=sys.stderr)
    return result


def bench_popalign(arguments, model, pairs, ranks, threads):
    launcher = ["mpirun", "-n", ranks, "--oversubscribe", "--bind-to", "none"] if ranks > 1 else []
    result = json.loads(run([*launcher, arguments.program, "bench", "train", "--model", model, "--pairs", pairs,
                             "--device", arguments.device, "--dtype", arguments.dtype,
                             "--global-batch-size", arguments.global_batch, "--max-length", arguments.max_length,
                             "--max-prompt-length", arguments.max_length // 2, *arguments.option],
                            env={**os.environ, "OMP_NUM_THREADS": str(threads), "OMPI_ALLOW_RUN_AS_ROOT": "1",
                                 "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}))
    print(f"popalign, {ranks} ranks of {threads} threads: {result['tokens_per_second']:.0f} tokens/s", file=sys.stderr)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("pairs_file")
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--global-batch", type=int, default=16)
    parser.add_argument("--max-length", type=int, default=1024)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batches", type=lambda text: [int(part) for part in text.split(",")], default=[1, 2, 4])
    parser.add_argument("--option", action="append", default=[],
                        help="for `popalign bench train`, as --option=--batching --option=by_instruction")
    arguments = parser.parse_args()
    rows = read_rows(arguments.pairs_file, arguments.pairs)
    with tempfile.TemporaryDirectory() as folder:
        source, pairs, model = (pathlib.Path(folder) / name for name in ("pairs.jsonl", "pairs.h5", "model"))
        source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        run([arguments.program, "import", "--format", "trl", "--input", source, "--output", pairs])
        run([arguments.program, "import", "--format", "gguf", "--input", arguments.model, "--output", model])
        ours = bench_popalign(arguments, model, pairs, 1, arguments.threads)
        one_thread_ranks = (bench_popalign(arguments, model, pairs, arguments.threads, 1)
                            if arguments.device == "cpu" else None)
        trl = {batch: bench_trl(arguments, model, rows, batch, folder) for batch in arguments.batches}
    best = max(trl.values(), key=lambda result: result["tokens_per_second"])
    print(json.dumps({
        "popalign": ours, "popalign_ranks_of_one_thread": one_thread_ranks, "trl": trl,
        "ratio_to_trl": ours["tokens_per_second"] / best["tokens_per_second"],
        "memory_ratio_to_trl": ours["peak_memory_bytes"] / min(r["peak_memory_bytes"] for r in trl.values()),
        "ranks_to_threads": one_thread_ranks and one_thread_ranks["tokens_per_second"] / ours["tokens_per_second"],
    }, indent=2))


if __name__ == "__main__":
    main()

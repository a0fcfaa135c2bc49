"""`score` and `generate` against `transformers` in float32, on a real model.

20 prompts: log-probabilities of every token of the answers, and logits' order: each of 64 greedy
tokens must be the largest logit of `transformers` behind the tokens before it, which makes it, token by
token, the greedy answer of `transformers` too.
usage: model_parity.py POPALIGN MODEL.gguf
"""
import json
import pathlib
import subprocess
import sys
import tempfile

SKIP = 77
PROMPTS = [
    "The capital of France is", "Once upon a time, in a village by the sea,", "def fibonacci(n):\n",
    "2 + 2 * 3 =", "Water boils at", "The quick brown fox", "Dear Sir or Madam,\n\nI am writing",
    "#include <stdio.h>\nint main() {", "SELECT name, COUNT(*) FROM users", "Das Wetter ist heute",
    "import numpy as np\n\ndef softmax(x):", "The three laws of motion state that", "Roses are red,",
    "Q: Why is the sky blue?\nA:", "List of prime numbers: 2, 3, 5, 7,", "<html>\n<head>\n<title>",
    "In 1969, humans first", "Translate to Spanish: good morning ->", "A haiku about autumn:\n",
    "To be, or not to be, that is",
]


def popalign(program, *arguments):
    subprocess.run([program, *arguments], check=True, stderr=subprocess.DEVNULL)


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def read_rows(path):
    return [json.loads(line) for line in path.read_text().split("\n") if line]


def compare(program, model_file, work):
    import torch
    from transformers import AutoModelForCausalLM

    reference = AutoModelForCausalLM.from_pretrained(
        model_file.parent, gguf_file=model_file.name, dtype=torch.float32)
    reference.eval()
    prompts, answers, scored = work / "prompts.jsonl", work / "answers.jsonl", work / "scored.jsonl"
    write_rows(prompts, [{"id": str(i), "prompt": text} for i, text in enumerate(PROMPTS)])
    popalign(program, "generate", "--model", model_file, "--input", prompts, "--output", answers,
             "--temperature", "0", "--max-new-tokens", "64", "--batch-size", "20")
    answered = read_rows(answers)
    tokenized = subprocess.run(
        [program, "tokenize", "--model", model_file], check=True, text=True, capture_output=True,
        input="".join(json.dumps(text) + "\n" for text in PROMPTS)).stdout
    ids = [json.loads(line) for line in tokenized.splitlines()]
    write_rows(work / "rows.jsonl",
               [{"prompt": row["prompt"], "completion": row["text"]} for row in answered])
    popalign(program, "score", "--model", model_file, "--input", work / "rows.jsonl", "--output",
             scored)
    completions = subprocess.run(
        [program, "tokenize", "--model", model_file], check=True, text=True, capture_output=True,
        input="".join(json.dumps(row["text"]) + "\n" for row in answered)).stdout.splitlines()

    def logits(sequence):
        with torch.no_grad():
            return reference(torch.tensor([sequence])).logits.float()[0]

    worst, different = 0.0, []
    for i, (row, result) in enumerate(zip(answered, read_rows(scored))):
        ends = [[]] if row["finish_reason"] == "length" else [[stop] for stop in stop_tokens(reference)]
        largest = logits(ids[i] + row["tokens"])[len(ids[i]) - 1:].argmax(-1).tolist()
        if largest[:len(row["tokens"])] != row["tokens"] or (
                row["finish_reason"] == "stop" and [largest[-1]] not in ends):
            different.append(i)
        completion = json.loads(completions[i])
        expected = logits(ids[i] + completion).log_softmax(-1)
        expected = [expected[len(ids[i]) + k - 1, token].item() for k, token in enumerate(completion)]
        if result["num_tokens"] != len(expected):
            different.append(i)
        worst = max([worst] + [abs(a - b) for a, b in zip(result["token_logprobs"], expected)])
    print(f"{model_file.name}: largest difference {worst:.2e} nat a token, "
          f"{len(PROMPTS) - len(set(different))} of {len(PROMPTS)} greedy answers the same", flush=True)
    return worst <= 1e-3 and not different


def stop_tokens(model):
    value = model.generation_config.eos_token_id
    return value if isinstance(value, list) else [value]


def main():
    program, model = sys.argv[1], pathlib.Path(sys.argv[2])
    try:
        import torch
        import transformers  # noqa: F401
    except ImportError as error:
        print(f"skipped: {error}")
        return SKIP
    if not model.exists():
        print(f"skipped: {model} is absent")
        return SKIP
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as work:
        return 0 if compare(program, model, pathlib.Path(work)) else 1


if __name__ == "__main__":
    sys.exit(main())

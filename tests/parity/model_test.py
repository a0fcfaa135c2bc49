"""`score` and `generate` against `transformers` in float32, on a real model.

20 prompts: log-probabilities of every token of the answers, and logits' order: each of 64 greedy
tokens must be the largest logit of `transformers` behind the tokens before it, which makes it, token by
token, the greedy answer of `transformers` too.
"""
import pytest
from pair_files import read_rows, write_rows

PROMPTS = [
    "The capital of France is", "Once upon a time, in a village by the sea,", "def fibonacci(n):\n",
    "2 + 2 * 3 =", "Water boils at", "The quick brown fox", "Dear Sir or Madam,\n\nI am writing",
    "#include <stdio.h>\nint main() {", "SELECT name, COUNT(*) FROM users", "Das Wetter ist heute",
    "import numpy as np\n\ndef softmax(x):", "The three laws of motion state that", "Roses are red,",
    "Q: Why is the sky blue?\nA:", "List of prime numbers: 2, 3, 5, 7,", "<html>\n<head>\n<title>",
    "In 1969, humans first", "Translate to Spanish: good morning ->", "A haiku about autumn:\n",
    "To be, or not to be, that is",
]


@pytest.fixture
def compare(program, tokenize, directory):
    """compare(MODEL) returns the largest difference of a log-probability and the prompts with another answer."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.set_num_threads(2)

    def check(model):
        reference = transformers.AutoModelForCausalLM.from_pretrained(
            model.parent, gguf_file=model.name, dtype=torch.float32).eval()

        def logits(sequence):
            with torch.no_grad():
                return reference(torch.tensor([sequence])).logits.float()[0]

        answered = generate(program, model, directory)
        scored = score(program, model, directory, answered)
        prompts = tokenize(model, PROMPTS)
        completions = tokenize(model, [row["text"] for row in answered])
        worst, different = 0.0, []
        for prompt, row, completion, result in zip(prompts, answered, completions, scored, strict=True):
            if not is_greedy(logits(prompt + row["tokens"])[len(prompt) - 1:].argmax(-1).tolist(), row,
                             stop_tokens(reference)):
                different.append(row["prompt"])
            expected = logits(prompt + completion).log_softmax(-1)
            expected = [expected[len(prompt) + k - 1, token].item() for k, token in enumerate(completion)]
            worst = max([worst] + [abs(a - b) for a, b in zip(result["token_logprobs"], expected, strict=True)])
        print(f"largest difference {worst:.2e} nat a token")
        return worst, different
    return check


def generate(program, model, directory):
    write_rows(directory / "prompts.jsonl", [{"id": str(i), "prompt": text} for i, text in enumerate(PROMPTS)])
    program.run("generate", "--model", model, "--input", directory / "prompts.jsonl", "--output",
                directory / "answers.jsonl", "--temperature", "0", "--max-new-tokens", "64", "--batch-size", "20")
    return read_rows(directory / "answers.jsonl")


def score(program, model, directory, answered):
    write_rows(directory / "rows.jsonl", [{"prompt": row["prompt"], "completion": row["text"]} for row in answered])
    program.run("score", "--model", model, "--input", directory / "rows.jsonl", "--output", directory / "scored.jsonl")
    return read_rows(directory / "scored.jsonl")


def is_greedy(largest, row, stops):
    """Whether an answer has the largest logits, and stops where one is a stop token."""
    drawn = row["tokens"]
    return largest[:len(drawn)] == drawn and (row["finish_reason"] != "stop" or largest[-1] in stops)


def stop_tokens(model):
    value = model.generation_config.eos_token_id
    return value if isinstance(value, list) else [value]


@pytest.mark.timeout(900)
def test_smollm2(compare, model):
    worst, different = compare(model)
    assert worst <= 1e-3 and not different


# 6 GB twice, and many minutes.
@pytest.mark.long
@pytest.mark.timeout(1800)
def test_qwen2(compare, models):
    worst, different = compare(models("Qwen2.5-Coder-1.5B-Instruct-Q4_K_M.gguf"))
    assert worst <= 1e-3 and not different

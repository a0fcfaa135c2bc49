"""Tiny random models of every architecture, made by `transformers`, from HF directories and GGUF.

Log-probabilities of long and short rows (past the sliding windows, where the rotary scaling acts) and greedy answers,
generated together and one at a time, against `transformers` in float32 without padding. A GGUF file of the same model
must give the same figures, and so must two ranks that hold the model together.
usage: architectures_parity.py POPALIGN
"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile

SKIP = 77
WINDOW = 12
SIZES = dict(vocab_size=260, hidden_size=48, intermediate_size=64, num_hidden_layers=3, num_attention_heads=6,
             num_key_value_heads=2, head_dim=16, max_position_embeddings=512, bos_token_id=None, eos_token_id=256,
             pad_token_id=None, tie_word_embeddings=False)
LLAMA3 = dict(rope_type="llama3", rope_theta=5000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=32)
CASES = {
    "llama": ("LlamaConfig", dict(rope_parameters=dict(rope_type="default", rope_theta=1e4))),
    "llama-linear": ("LlamaConfig", dict(rope_parameters=dict(rope_type="linear", rope_theta=1e4, factor=3.0))),
    "llama-3.1": ("LlamaConfig", dict(rope_parameters=LLAMA3, tie_word_embeddings=True)),
    "llama-3.1-published": ("LlamaConfig", dict(rope_parameters={
        **LLAMA3, "rope_theta": 5e5, "original_max_position_embeddings": 8192})),
    "mistral": ("MistralConfig", dict(sliding_window=WINDOW)),
    "mistral-whole": ("MistralConfig", dict(sliding_window=None)),
    "qwen2": ("Qwen2Config", dict(head_dim=None, hidden_size=96)),
    "qwen2-window": ("Qwen2Config", dict(head_dim=None, hidden_size=96, use_sliding_window=True,
                                         sliding_window=WINDOW, max_window_layers=1)),
    "qwen3": ("Qwen3Config", {}),
    "gemma3": ("Gemma3TextConfig", dict(sliding_window=WINDOW, query_pre_attn_scalar=16, tie_word_embeddings=True,
                                        num_hidden_layers=7)),
    "gemma3-linear": ("Gemma3TextConfig", dict(
        sliding_window=WINDOW, tie_word_embeddings=True, query_pre_attn_scalar=9,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        rope_parameters=dict(full_attention=dict(rope_type="linear", rope_theta=1e5, factor=8.0),
                             sliding_attention=dict(rope_type="default", rope_theta=300.0)))),
}
GGUF = {"llama": "llama", "llama-3.1-published": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma3": "gemma3"}


def make_model(name, directory):
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    class_name, options = CASES[name]
    options = {key: value for key, value in {**SIZES, **options}.items()
               if not (key == "head_dim" and value is None)}
    config = getattr(transformers, class_name)(**options)
    torch.manual_seed(len(name))
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for key, tensor in model.named_parameters():
            norm = key.endswith("norm.weight")
            tensor.copy_(torch.randn(tensor.shape) * 0.2 + (1.0 if norm and "gemma3" not in name else 0.0))
    model.save_pretrained(directory)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({symbol: i for i, symbol in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|end|>"])
    tokenizer.save(str(directory / "tokenizer.json"))
    return model, tokenizer


def write_gguf(path, architecture, model, tokenizer):
    import gguf
    import numpy

    config = model.config
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = config.rope_parameters
    writer.add_rope_freq_base(rope.get("full_attention", rope)["rope_theta"])
    if architecture == "gemma3":
        writer.add_sliding_window(config.sliding_window)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    tokens = [token for token, _ in vocabulary] + [f"<unused{i}>" for i in range(config.vocab_size - len(vocabulary))]
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token == "<|end|>" else 5 if token.startswith("<unused") else 1 for token in tokens])
    writer.add_token_merges([])
    writer.add_eos_token_id(256)
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, architecture.upper()), config.num_hidden_layers)
    for key, tensor in model.state_dict().items():
        if key == "lm_head.weight" and config.tie_word_embeddings:
            continue
        array = tensor.numpy()
        if architecture == "llama" and ("q_proj" in key or "k_proj" in key):
            heads = config.num_attention_heads if "q_proj" in key else config.num_key_value_heads
            array = array.reshape(heads, 2, -1, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
        if architecture == "gemma3" and key.endswith("norm.weight"):
            array = array + 1
        writer.add_tensor(names.get_name(key, try_suffixes=(".weight", ".bias")), numpy.ascontiguousarray(array))
    if rope.get("rope_type") == "llama3":
        plain = rope["rope_theta"] ** (numpy.arange(0, head_dim, 2) / -head_dim)
        scaled = model.model.rotary_emb.inv_freq.double().numpy()
        writer.add_tensor("rope_freqs.weight", (plain / scaled).astype(numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def popalign(program, command, model, rows, *options, ranks=1):
    launcher = ["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none"] if ranks > 1 else []
    with tempfile.TemporaryDirectory() as work:
        source, target = pathlib.Path(work) / "in.jsonl", pathlib.Path(work) / "out.jsonl"
        source.write_text("".join(json.dumps(row) + "\n" for row in rows))
        done = subprocess.run([*launcher, program, command, "--model", model, "--input", source, "--output", target,
                               *options], stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        return [json.loads(line) for line in target.read_text().splitlines()]


def texts():
    draw = random.Random(5)
    return ["".join(draw.choice("abcdefghij klmnop ABC 0123.,") for _ in range(length)).strip() + "x"
            for length in (1, 3, WINDOW - 1, WINDOW, WINDOW + 1, 40, 90, 150)]


def compare(program, name, work):
    """Returns the largest difference of a log-probability, the number of greedy answers that differ, and the largest
    differences of ours and of transformers' bfloat16 from transformers' float32."""
    import torch

    model, tokenizer = make_model(name, work / name)
    rows = [{"prompt": text, "completion": text[::-1]} for text in texts()]

    def logits(ids):
        with torch.inference_mode():
            return model(torch.tensor([ids])).logits[0]

    def token_logprobs(row):
        prompt, completion = (tokenizer.encode(row[key]).ids for key in ("prompt", "completion"))
        expected = logits(prompt + completion).float().log_softmax(-1)[len(prompt) - 1:-1]
        return expected.gather(1, torch.tensor(completion)[:, None])[:, 0].tolist()

    expected = [token_logprobs(row) for row in rows]

    def largest_difference(others):
        return max(abs(a - b) for ours, theirs in zip(others, expected, strict=True)
                   for a, b in zip(ours, theirs, strict=True))

    def worst_of(path, *options, **run):
        scored = popalign(program, "score", path, rows, *options, **run)
        return largest_difference([result["token_logprobs"] for result in scored])

    options = ["--temperature", "0", "--max-new-tokens", "40"]
    together = popalign(program, "generate", work / name, rows, *options, "--batch-size", "8")
    alone = popalign(program, "generate", work / name, rows, *options, "--batch-size", "2", "--deterministic")
    different = 0
    for row, answer, single in zip(rows, together, alone):
        ids, drawn = tokenizer.encode(row["prompt"]).ids, answer["tokens"]
        greedy = logits(ids + drawn)[len(ids) - 1:].argmax(-1).tolist()
        end = [256] if answer["finish_reason"] == "stop" else []
        different += greedy[:len(drawn)] + (greedy[len(drawn):] if end else []) != drawn + end
        different += single["tokens"] != drawn
    parallel = popalign(program, "generate", work / name, rows, *options, "--tensor-parallel", "2", ranks=2)
    different += [answer["tokens"] for answer in parallel] != [answer["tokens"] for answer in together]
    worst = max(worst_of(work / name), worst_of(work / name, "--tensor-parallel", "2", ranks=2))
    if name in GGUF:
        write_gguf(work / f"{name}.gguf", GGUF[name], model, tokenizer)
        worst = max(worst, worst_of(work / f"{name}.gguf"),
                    worst_of(work / f"{name}.gguf", "--tensor-parallel", "2", ranks=2))
    rounded = worst_of(work / name, "--dtype", "bfloat16")
    model.to(torch.bfloat16)
    return worst, different, rounded, largest_difference([token_logprobs(row) for row in rows])


def main():
    try:
        import gguf  # noqa: F401
        import torch
        import transformers
    except ImportError as error:
        print(f"skipped: {error}")
        return SKIP
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    failed = 0
    with tempfile.TemporaryDirectory() as work:
        for name in CASES:
            worst, different, ours, theirs = compare(sys.argv[1], name, pathlib.Path(work))
            print(f"{name}: largest difference {worst:.1e} nat a token, {different} greedy answers differ; "
                  f"bfloat16 is off by {ours:.1e} (transformers: {theirs:.1e})", flush=True)
            failed += worst > 1e-4 or different > 0 or ours > 2 * theirs
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

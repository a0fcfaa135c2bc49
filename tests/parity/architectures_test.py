"""Tiny random models of every architecture, made by `transformers`, from HF directories and GGUF.

Log-probabilities of long and short rows (past the sliding windows, where the rotary scaling acts) and greedy answers,
generated together and one at a time, against `transformers` in float32 without padding. A GGUF file of the same model
must give the same figures, and so must two ranks that hold the model together.
"""
import copy
import random

import pytest
from pair_files import read_rows, write_rows

pytestmark = [pytest.mark.one_case, pytest.mark.timeout(600)]
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
    "gemma": ("GemmaConfig", dict(tie_word_embeddings=True)),
    "gemma3": ("Gemma3TextConfig", dict(sliding_window=WINDOW, query_pre_attn_scalar=16, tie_word_embeddings=True,
                                        num_hidden_layers=7)),
    "gemma3-linear": ("Gemma3TextConfig", dict(
        sliding_window=WINDOW, tie_word_embeddings=True, query_pre_attn_scalar=9,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        rope_parameters=dict(full_attention=dict(rope_type="linear", rope_theta=1e5, factor=8.0),
                             sliding_attention=dict(rope_type="default", rope_theta=300.0)))),
}
GGUF = {"llama": "llama", "llama-3.1-published": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma": "gemma",
        "gemma3": "gemma3"}


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
            tensor.copy_(torch.randn(tensor.shape) * 0.2 + (1.0 if norm and "gemma" not in name else 0.0))
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
        if architecture.startswith("gemma") and key.endswith("norm.weight"):
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


def texts():
    draw = random.Random(5)
    return ["".join(draw.choice("abcdefghij klmnop ABC 0123.,") for _ in range(length)).strip() + "x"
            for length in (1, 3, WINDOW - 1, WINDOW, WINDOW + 1, 40, 90, 150)]


ROWS = [{"prompt": text, "completion": text[::-1]} for text in texts()]
GREEDY = ("--temperature", "0", "--max-new-tokens", "40")
TWO_RANKS = ("--tensor-parallel", "2")


@pytest.fixture(scope="session", autouse=True)
def quiet():
    """Skips without `transformers`."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)


class Reference:
    """A model of `transformers`, saved in a directory."""

    def __init__(self, name, directory):
        self.name, self.directory = name, directory
        self.model, self.tokenizer = make_model(name, directory)

    def encode(self, text):
        return self.tokenizer.encode(text).ids

    def logits(self, ids):
        import torch

        with torch.inference_mode():
            return self.model(torch.tensor([ids])).logits[0]

    def token_logprobs(self):
        """Of the completions of all rows."""
        import torch

        result = []
        for row in ROWS:
            prompt, completion = self.encode(row["prompt"]), self.encode(row["completion"])
            expected = self.logits(prompt + completion).float().log_softmax(-1)[len(prompt) - 1:-1]
            result.append(expected.gather(1, torch.tensor(completion)[:, None])[:, 0].tolist())
        return result


@pytest.fixture(scope="session")
def reference(tmp_path_factory):
    """reference(NAME) is made once."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = Reference(name, tmp_path_factory.mktemp("models") / name)
        return made[name]
    return get


@pytest.fixture
def popalign(program, directory):
    """popalign(COMMAND, MODEL, OPTION..., ranks=1) answers or scores ROWS."""
    source = write_rows(directory / "in.jsonl", ROWS)

    def call(command, model, *options, ranks=1):
        program.run(command, "--model", model, "--input", source, "--output", directory / "out.jsonl", *options, ranks=ranks)
        return read_rows(directory / "out.jsonl")
    return call


@pytest.fixture
def difference(popalign):
    """difference(EXPECTED, MODEL, ...) is the largest of ours [nat]."""
    def measure(expected, model, *options, **ranks):
        return largest_difference([row["token_logprobs"] for row in popalign("score", model, *options, **ranks)], expected)
    return measure


def largest_difference(found, expected):
    return max(abs(a - b) for ours, theirs in zip(found, expected, strict=True)
               for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_log_probabilities(reference, difference, name):
    it = reference(name)
    expected = it.token_logprobs()
    assert difference(expected, it.directory) <= 1e-4
    assert difference(expected, it.directory, *TWO_RANKS, ranks=2) <= 1e-4


@pytest.mark.parametrize("name", GGUF)
def test_log_probabilities_of_gguf_files(reference, difference, directory, name):
    pytest.importorskip("gguf")
    it, path = reference(name), directory / "model.gguf"
    write_gguf(path, GGUF[name], it.model, it.tokenizer)
    expected = it.token_logprobs()
    assert difference(expected, path) <= 1e-4
    assert difference(expected, path, *TWO_RANKS, ranks=2) <= 1e-4


@pytest.mark.parametrize("name", CASES)
def test_greedy_answers(reference, popalign, name):
    it = reference(name)
    together = popalign("generate", it.directory, *GREEDY, "--batch-size", "8")
    for row, answer in zip(ROWS, together, strict=True):
        ids, drawn = it.encode(row["prompt"]), answer["tokens"]
        greedy = it.logits(ids + drawn)[len(ids) - 1:].argmax(-1).tolist()
        assert greedy[:len(drawn)] == drawn, row["prompt"]
        assert answer["finish_reason"] != "stop" or greedy[len(drawn):] == [256], row["prompt"]
    tokens = [answer["tokens"] for answer in together]
    alone = popalign("generate", it.directory, *GREEDY, "--batch-size", "2", "--deterministic")
    assert [answer["tokens"] for answer in alone] == tokens
    parallel = popalign("generate", it.directory, *GREEDY, *TWO_RANKS, ranks=2)
    assert [answer["tokens"] for answer in parallel] == tokens


@pytest.mark.parametrize("name", CASES)
def test_bfloat16_is_hardly_further_off_than_that_of_transformers(reference, difference, name):
    import torch

    it = reference(name)
    expected = it.token_logprobs()
    ours = difference(expected, it.directory, "--dtype", "bfloat16")
    rounded = copy.copy(it)
    rounded.model = copy.deepcopy(it.model).to(torch.bfloat16)
    assert ours <= 2 * largest_difference(rounded.token_logprobs(), expected)

"""A random model of 90,000 parameters over bytes, as an HF directory: stages on it take seconds."""
import json
import struct

HIDDEN, LAYERS, HEADS, INNER = 48, 2, 3, 96
MERGED = ["ĠA", "ĠB"]  # the verdict letters are tokens
SPECIAL = ["<|im_start|>", "<|im_end|>"]
FIRST_SPECIAL = 256 + len(MERGED)
TEMPLATE = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + "
            "'<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
            "{% endif %}")


def byte_symbols():
    """GPT-2's printable stand-ins for bytes, in the order of the bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte if byte in plain else next(others)) for byte in range(256)]


def byte_tokenizer(special, merged=()):
    """A tokenizer.json whose ids are the bytes, then pairs of bytes in `merged`, then special tokens."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    first_special = 256 + len(merged)
    return {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None,
        "added_tokens": [{"id": first_special + i, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True} for i, text in enumerate(special)],
        "pre_tokenizer": byte_level, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                  "vocab": {symbol: i for i, symbol in enumerate([*byte_symbols(), *merged])},
                  "merges": [f"{text[0]} {text[1]}" for text in merged]}}


def tensors(seed, layers):
    """Column 0 of the hidden state is constant, which makes the head's column 0 a bias: letters and spaces are
    likely, and so are ends of turns now and then; other bytes are not."""
    import numpy

    generator = numpy.random.default_rng(seed)
    vocabulary = FIRST_SPECIAL + len(SPECIAL)

    def weight(*shape, silent_row=False):
        values = (generator.standard_normal(shape) / shape[-1] ** 0.5).astype(numpy.float32)
        if silent_row:
            values[0] = 0
        return values

    embedding, head = weight(vocabulary, HIDDEN) * 7, weight(vocabulary, HIDDEN)
    embedding[:, 0] = 2
    head[:, 0] = [4 if chr(i).isalpha() and i < 128 or i == 32 else -4 for i in range(256)] + [4, 4, -4, 2]
    yield "model.embed_tokens.weight", embedding
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        for name in ("q", "k", "v", "o"):
            yield f"{prefix}self_attn.{name}_proj.weight", weight(HIDDEN, HIDDEN, silent_row=name == "o")
        for name in ("gate", "up"):
            yield f"{prefix}mlp.{name}_proj.weight", weight(INNER, HIDDEN)
        yield f"{prefix}mlp.down_proj.weight", weight(HIDDEN, INNER, silent_row=True)
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"{prefix}{name}.weight", numpy.ones(HIDDEN, numpy.float32)
    yield "model.norm.weight", numpy.ones(HIDDEN, numpy.float32)
    yield "lm_head.weight", head


def write_safetensors(path, named):
    header, data = {}, b""
    for name, array in named:
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def write_tiny_model(directory, seed=0, layers=LAYERS):
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
        "num_hidden_layers": layers, "num_attention_heads": HEADS, "num_key_value_heads": HEADS,
        "intermediate_size": INNER, "vocab_size": FIRST_SPECIAL + len(SPECIAL), "max_position_embeddings": 16384,
        "rms_norm_eps": 1e-5, "rope_theta": 1e4, "tie_word_embeddings": False, "hidden_act": "silu",
        "bos_token_id": FIRST_SPECIAL, "eos_token_id": FIRST_SPECIAL + 1, "torch_dtype": "float32"}))
    write_safetensors(directory / "model.safetensors", tensors(seed, layers))
    (directory / "tokenizer.json").write_text(json.dumps(byte_tokenizer(SPECIAL, MERGED)))
    (directory / "tokenizer_config.json").write_text(json.dumps({
        "eos_token": SPECIAL[1], "chat_template": TEMPLATE, "tokenizer_class": "PreTrainedTokenizerFast"}))
    return directory

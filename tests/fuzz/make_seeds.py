"""Small valid files for the fuzzers to start from: make_seeds.py FOLDER"""
import json
import pathlib
import shutil
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def tokenizer(**parts):
    vocabulary = {chr(0x100 + i) if i < 33 else chr(i): i for i in range(128)} | {"ab": 128, "abc": 129, "\u2581": 130}
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"version": "1.0", "truncation": None, "padding": None, "normalizer": None,
            "added_tokens": [{"id": 131, "content": "<s>", **special}, {"id": 132, "content": "<t>", **special}],
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
            "decoder": {"type": "ByteLevel"}, "post_processor": None,
            "model": {"type": "BPE", "vocab": vocabulary, "merges": [["a", "b"], ["ab", "c"]]}, **parts}


def tokenizers():
    split = {"type": "Split", "pattern": {"Regex": r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|\s+(?!\S)|\s+"},
             "behavior": "Isolated", "invert": False}
    bytes_only = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
    yield tokenizer()
    yield tokenizer(normalizer={"type": "NFC"}, pre_tokenizer={"type": "Sequence", "pretokenizers": [split, bytes_only]})
    yield tokenizer(pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True},
                                                                         bytes_only]})
    sentence = tokenizer(
        normalizer={"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "\u2581"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]}, pre_tokenizer=None,
        decoder={"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"},
            {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})
    sentence["model"] |= {"byte_fallback": True, "fuse_unk": True, "unk_token": "<s>"}
    yield sentence
    yield sentence | {"normalizer": None,
                      "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first",
                                        "split": False}}


def write_gguf(path, model):
    import gguf
    import numpy

    writer = gguf.GGUFWriter(path, "llama")
    texts = [chr(33 + i) for i in range(94)] + ["ab", "<s>"]
    if model == "llama":
        texts = ["<unk>", "<s>"] + [f"<0x{i:02X}>" for i in range(256)] + ["\u2581", "a", "b", "ab"]
        writer.add_token_scores([float(-i) for i in range(len(texts))])
    else:
        writer.add_tokenizer_pre("llama-bpe")
        writer.add_token_merges(["a b"])
    writer.add_tokenizer_model(model)
    writer.add_token_list(texts)
    writer.add_token_types([3 if text == "<s>" else 6 if text.startswith("<0x") else 1 for text in texts])
    writer.add_bos_token_id(1)
    writer.add_tensor("token_embd.weight", numpy.zeros((4, 32), numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    seeds = pathlib.Path(sys.argv[1])
    for name in ("gguf", "safetensors", "tokenizer_json", "chat_template"):
        (seeds / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "tests/unit/store/quantised.gguf", seeds / "gguf")
    for model in ("gpt2", "llama"):
        write_gguf(seeds / "gguf" / f"{model}.gguf", model)
    header = json.dumps({"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
                         "b": {"dtype": "BF16", "shape": [4], "data_offsets": [16, 24]},
                         "__metadata__": {"format": "pt"}}).encode()
    (seeds / "safetensors/two").write_bytes(struct.pack("<Q", len(header)) + header + bytes(range(24)))
    for i, value in enumerate(tokenizers()):
        (seeds / "tokenizer_json" / str(i)).write_text(json.dumps(value))
    fixture = json.loads((ROOT / "tests/data/chat_templates.json").read_text())
    for i, template in enumerate(fixture["templates"]):
        (seeds / "chat_template" / str(i)).write_text(template["jinja"])


if __name__ == "__main__":
    main()

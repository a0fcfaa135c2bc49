"""Reference tokenizers built with HF `tokenizers`.

The reference of a GGUF file has its vocabulary and merges with the normalizer and pre-tokenizer that the model's authors
published, and encodes special tokens as text. `tokenizer.model`, the file of ranks that Llama 3 came with, becomes the
tokenizer.json that it stands for, SentencePiece's pieces the two that they stand for (they mark spaces differently).
"""

import base64
import pathlib

import gguf
from tiny_model import byte_symbols
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

CONTROL, USER_DEFINED, UNUSED = 3, 4, 5
CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
WORDS = r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def split_and_bytes(pattern):
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def pre_tokenizer(name):
    if name == "smollm":
        return pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )
    if name == "qwen2":
        return split_and_bytes(CONTRACTIONS + WORDS % "")
    if name == "llama-bpe":
        return split_and_bytes(CONTRACTIONS + WORDS % "{1,3}")
    if name in ("gpt-2", "default"):
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    raise ValueError(f"no reference for the pre-tokenizer {name}")


def reference_tokenizer(path):
    fields = gguf.GGUFReader(path).fields
    read = lambda key: fields[f"tokenizer.ggml.{key}"].contents()
    tokens, types, merges = read("tokens"), read("token_type"), read("merges")
    name = read("pre")
    vocabulary = {token: i for i, token in enumerate(tokens) if types[i] != UNUSED}
    reference = Tokenizer(
        models.BPE(
            vocabulary,
            [tuple(merge.split(" ")) for merge in merges],
            ignore_merges=name == "llama-bpe",
        )
    )
    if name == "qwen2":
        reference.normalizer = normalizers.NFC()
    reference.pre_tokenizer = pre_tokenizer(name)
    reference.decoder = decoders.ByteLevel()
    for i, token in enumerate(tokens):
        if types[i] == CONTROL:
            reference.add_special_tokens([AddedToken(token, special=True, normalized=False)])
        elif types[i] == USER_DEFINED:
            reference.add_tokens([AddedToken(token, special=False, normalized=False)])
    reference.encode_special_tokens = True
    return reference, [tokens[i] for i in range(len(tokens)) if types[i] in (CONTROL, USER_DEFINED)]


def llama3_tokenizer(path):
    """From lines of base64 and rank; every split of a token into two others is a merge of its rank."""
    lines = pathlib.Path(path).read_bytes().split(b"\n")
    ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, filter(None, lines))}
    printable = byte_symbols()
    text = lambda token: "".join(printable[byte] for byte in token)
    merges = []
    for token in sorted(ranks, key=ranks.get):
        splits = [(token[:i], token[i:]) for i in range(1, len(token))]
        known = [pair for pair in splits if pair[0] in ranks and pair[1] in ranks]
        merges += sorted(known, key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
    reference = Tokenizer(
        models.BPE(
            {text(token): rank for token, rank in ranks.items()},
            [(text(left), text(right)) for left, right in merges],
            ignore_merges=True,
        )
    )
    reference.pre_tokenizer = pre_tokenizer("llama-bpe")
    reference.decoder = decoders.ByteLevel()
    special = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    reference.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    reference.encode_special_tokens = True
    return reference, special


def sentence_piece_tokenizers(path):
    """As Llama-2's and Yi's tokenizer.json are, and with Metaspace, as newer conversions have it."""
    fields = gguf.GGUFReader(path).fields
    read = lambda key: fields[f"tokenizer.ggml.{key}"].contents()
    pieces, scores = read("tokens"), read("scores")
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    merges = []
    for i, piece in enumerate(pieces):
        splits = [(piece[:k], piece[k:]) for k in range(1, len(piece))]
        known = [(vocabulary[left], vocabulary[right], left, right) for left, right in splits
                 if left in vocabulary and right in vocabulary]
        merges += [(scores[i], len(left), len(right), left, right) for _, _, left, right in sorted(known)]
    merges = sorted(merges, key=lambda merge: merge[:3], reverse=True)
    special = ["<unk>", "<s>", "</s>"]
    for metaspace in (False, True):
        reference = Tokenizer(models.BPE(vocabulary, [merge[3:] for merge in merges], unk_token="<unk>", fuse_unk=True,
                                         byte_fallback=True))
        if metaspace:
            reference.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        else:
            reference.normalizer = normalizers.Sequence(
                [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
        reference.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(),
                                               decoders.Strip(" ", 1, 0)])
        reference.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
        reference.encode_special_tokens = True
        yield reference, special

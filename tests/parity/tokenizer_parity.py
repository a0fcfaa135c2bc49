#!/usr/bin/env python3
"""Compares `popalign tokenize` with HF `tokenizers` on seeded strings of every kind: 0 differences allowed.

    tokenizer_parity.py --program build/dev/src/app/popalign --model M.gguf [--strings 10000] [--seed 0]

The reference is built from the vocabulary and merges of the GGUF file with the normalizer and pre-tokenizer
that the model's authors published, and encodes special tokens as text. `--model tokenizer.model`, the file of
ranks that Llama 3 came with, is compared as the tokenizer.json it stands for. A GGUF file with SentencePiece's pieces
is compared as it is, and as the two tokenizer.json that it stands for (they mark spaces differently). Exit status 77: nothing to
compare.
"""

import argparse
import base64
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

try:
    import gguf
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

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
    raise SystemExit(f"no reference for the pre-tokenizer {name}")


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


def printable_bytes():
    """GPT-2's printable character for each byte."""
    kept = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in kept]
    return {byte: chr(byte) for byte in kept} | {byte: chr(0x100 + i) for i, byte in enumerate(others)}


def llama3_tokenizer(path):
    """From lines of base64 and rank; every split of a token into two others is a merge of its rank."""
    lines = pathlib.Path(path).read_bytes().split(b"\n")
    ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, filter(None, lines))}
    printable = printable_bytes()
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


WHITE_SPACE = (
    [chr(c) for c in range(0x09, 0x0E)]
    + list(" \x1c\x1d\x1e\x1f\x85\xa0\u1680\u180e\u2028\u2029\u202f\u205f\u3000\u200b\u2060\ufeff")
    + [chr(c) for c in range(0x2000, 0x200B)]
)
EMOJI = ["👩‍👩‍👧‍👦", "👍🏽", "🏳️‍🌈", "🇫🇷", "❤️", "1️⃣", "🧑🏿‍🚀", "😀"]
WORD_PIECES = (
    "the quick Brown foxes don't they'LL we've I'm he'd it's o'clock 'S 'ſ ſ K ﬁ naïve café ŉ straße İstanbul "
    "你好 世界 こんにちは カタカナ 안녕하세요 Здравствуйте привет שלום مرحبا नमस्ते สวัสดี ไทย Ελληνικά Հայերեն ქართული "
    "def return self.x += 0x1F; // /* */ { } [ ] => :: -> <= != && || \\n \\t #include <vector> std::move(x) "
    "3.14159 1e-10 1234567 ١٢٣ ½ Ⅷ ² ① 一二三 $100 50% user@example.com https://a.b/c?d=e&f=g #tag @name ... !!! ??? --- ___"
).split()
LETTERS_AND_MARKS = "aeiouAEIOUnNcCyY가각ᄀ나ᅢᆨᆩཱིུྲྀৱো்কேோ"


def random_code_point(draw):
    while True:
        limit = draw.choice([0x80, 0x250, 0x3000, 0x10000, 0x20000, 0x33480, 0xE0200, 0x110000])
        code_point = draw.randrange(limit)
        if not 0xD800 <= code_point < 0xE000:
            return chr(code_point)


def random_piece(draw, special):
    kind = draw.randrange(12)
    if kind == 0:
        return "".join(random_code_point(draw) for _ in range(draw.randrange(1, 8)))
    if kind == 1:
        return "".join(draw.choice(WHITE_SPACE) for _ in range(draw.randrange(1, 6)))
    if kind == 2:
        return draw.choice(LETTERS_AND_MARKS) + "".join(
            chr(draw.choice([draw.randrange(0x300, 0x370), draw.randrange(0x1AB0, 0x1ACF), 0x0328, 0x0323, 0x302]))
            for _ in range(draw.randrange(0, 5))
        )
    if kind == 3:
        return draw.choice(EMOJI)
    if kind == 4:
        text = draw.choice(special)
        return text[: draw.randrange(1, len(text) + 1)] if draw.random() < 0.3 else text
    if kind == 5:
        return str(draw.randrange(10 ** draw.randrange(1, 20)))
    if kind == 6:
        return draw.choice([" ", "  ", "\n", "\n\n", "\r\n", " \n ", "\t", "    "])
    if kind == 7:
        return draw.choice("abcxyz '\"-_=+.,") * draw.randrange(1, 40)
    if kind == 8:
        # Blocks of the newest Unicode versions, where tables differ.
        begin = draw.choice([0x10D40, 0x11DE0, 0x1CCF0, 0x16D40, 0x1E5D0, 0x11F00, 0x31350, 0xA7C0, 0x0870, 0x11930, 0x105C0])
        return "".join(chr(begin + draw.randrange(64)) for _ in range(draw.randrange(1, 5)))
    return draw.choice(["", " "]) + draw.choice(WORD_PIECES)


def random_text(draw, special):
    return "".join(random_piece(draw, special) for _ in range(draw.randrange(1, 12)))


def all_code_points():
    """Each code point between letters, digits and spaces, so that no class and no composition is missed."""
    for begin in range(0, 0x110000, 64):
        points = [chr(c) for c in range(begin, begin + 64) if not 0xD800 <= c < 0xE000]
        if points:
            yield "".join(f"a{c}b {c} {c}1'{c}{c}\n" for c in points)
            yield "".join(f"e{c}\u0301 \u0316{c}" for c in points)


def run(program, model, rows, *options):
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    command = [*program, "tokenize", "--model", model, *options]
    done = subprocess.run(command, input=lines, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{command}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.split("\n")[:-1]]


def report(what, rows, ours, theirs):
    """The number of differences, of which it prints the first few."""
    if len(ours) != len(rows):
        raise SystemExit(f"{what}: {len(rows)} lines in, {len(ours)} out")
    differences = [i for i in range(len(rows)) if ours[i] != theirs[i]]
    print(f"{what}: {len(rows)} compared, {len(differences)} differ")
    for i in differences[:5]:
        print(f"  {rows[i]!a}\n    ours   {ours[i]!a}\n    theirs {theirs[i]!a}")
    return len(differences)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, nargs="+")
    parser.add_argument("--model", required=True)
    parser.add_argument("--strings", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for path in (options.program[0], options.model):
        if not pathlib.Path(path).exists():
            print(f"skipped: there is no {path}")
            sys.exit(77)

    differences = 0
    references = []
    if not options.model.endswith(".gguf"):
        references = [llama3_tokenizer(options.model)]
    elif gguf.GGUFReader(options.model).fields["tokenizer.ggml.model"].contents() == "llama":
        references = list(sentence_piece_tokenizers(options.model))
        differences += compare(options, options.model, *references[0])
    else:
        differences += compare(options, options.model, *reference_tokenizer(options.model))
    for reference, special in references:
        with tempfile.TemporaryDirectory() as directory:
            if options.model.endswith(".model"):
                shutil.copyfile(options.model, f"{directory}/tokenizer.model")
                differences += compare(options, directory, reference, special)
                pathlib.Path(f"{directory}/tokenizer.model").unlink()
            reference.save(f"{directory}/tokenizer.json")
            differences += compare(options, directory, reference, special)
    sys.exit(differences != 0)


def compare(options, model, reference, special):
    draw = random.Random(options.seed)
    texts = [random_text(draw, special) for _ in range(options.strings)] + list(all_code_points())
    ours = run(options.program, model, texts)
    theirs = [encoding.ids for encoding in reference.encode_batch(texts, add_special_tokens=False)]
    differences = report("encode", texts, ours, theirs)

    size = reference.get_vocab_size()
    ids = theirs[: options.strings] + [
        [draw.randrange(size + 5) for _ in range(draw.randrange(1, 20))] for _ in range(options.strings)
    ]
    differences += report(
        "decode", ids, run(options.program, model, ids, "--decode"), reference.decode_batch(ids)
    )
    return differences


if __name__ == "__main__":
    main()

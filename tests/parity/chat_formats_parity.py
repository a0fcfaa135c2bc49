#!/usr/bin/env python3
"""Compares `tokenize --chat` with `transformers`' rendering on seeded dialogues for every published template.

    chat_formats_parity.py POPALIGN [--dialogues 200]

Each template gets a model folder with a tokenizer of bytes and of the template's special tokens, so that ids tell both
the text and which tokens are special. Contents hold no special tokens: chat_template_test.cpp is about those.
"""

import argparse
import json
import pathlib
import random
import re
import sys
import tempfile

import chat_template_parity as templates
import tokenizer_parity

def byte_tokenizer(special):
    names = tokenizer_parity.printable_bytes()
    added = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None,
        "added_tokens": [{"id": 256 + i, "content": text, **added} for i, text in enumerate(special)],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {names[byte]: byte for byte in range(256)}, "merges": []},
    }


def ids_of(text, special):
    """Bytes, and 256 and more for special tokens."""
    ids = []
    for part in re.split("(" + "|".join(map(re.escape, special)) + ")", text):
        ids += [256 + special.index(part)] if part in special else part.encode()
    return ids


def without(special, text):
    while any(token in text for token in special):
        for token in special:
            text = text.replace(token, "")
    return text


def dialogues_for(jinja, bos, eos, special, count):
    """Seeded dialogues that the template renders, with what it renders."""
    draw = random.Random(jinja)
    found = []
    while len(found) < count:
        first = draw.choice(["user", "system"])
        texts = [without(special, tokenizer_parity.random_text(draw, ["<s>", "<|x|>", "[INST]", "<<SYS>>"]))
                 for _ in range(draw.randrange(1 if first == "user" else 2, 6))]
        messages = templates.turns(*texts, first=first)
        rendered = templates.render(jinja, messages, bos, eos, True)
        if rendered is not None:
            found.append((messages, rendered))
    return found


def compare(program, name, jinja, count):
    special, bos, eos = templates.special_tokens(jinja)
    pairs = dialogues_for(jinja, bos, eos, special, count)
    with tempfile.TemporaryDirectory() as folder:
        model = pathlib.Path(folder)
        (model / "tokenizer.json").write_text(json.dumps(byte_tokenizer(special)))
        (model / "chat_template.jinja").write_text(jinja)
        (model / "tokenizer_config.json").write_text(json.dumps({"bos_token": bos, "eos_token": eos}))
        ours = tokenizer_parity.run([program], str(model), [messages for messages, _ in pairs], "--chat")
    theirs = [ids_of(rendered, special) for _, rendered in pairs]
    return tokenizer_parity.report(name, [messages for messages, _ in pairs], ours, theirs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--dialogues", type=int, default=200)
    options = parser.parse_args()
    different = sum(compare(options.program, name, jinja, options.dialogues)
                    for name, taken, jinja in templates.TEMPLATES if taken)
    sys.exit(different != 0)


if __name__ == "__main__":
    main()

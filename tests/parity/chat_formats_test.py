"""`tokenize --chat` against `transformers`' rendering of seeded dialogues, for every published template.

Each template gets a model folder with a tokenizer of bytes and of the template's special tokens, so that ids tell both
the text and which tokens are special. Contents hold no special tokens: chat_template_test.cpp is about those.
"""
import json
import random
import re

import pytest
from chat_templates import TEMPLATES, render, special_tokens, turns
from random_texts import random_text
from tiny_model import byte_tokenizer

COUNT = 200
pytestmark = pytest.mark.timeout(300)


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


def rendered_dialogues(jinja, bos, eos, special):
    """Seeded dialogues that the template renders, each with the text."""
    draw = random.Random(jinja)
    found = []
    while len(found) < COUNT:
        first = draw.choice(["user", "system"])
        texts = [without(special, random_text(draw, ["<s>", "<|x|>", "[INST]", "<<SYS>>"]))
                 for _ in range(draw.randrange(1 if first == "user" else 2, 6))]
        messages = turns(*texts, first=first)
        rendered = render(jinja, messages, bos, eos, True)
        if rendered is not None:
            found.append((messages, rendered))
    return found


@pytest.mark.parametrize("jinja", [pytest.param(jinja, id=name) for name, taken, jinja in TEMPLATES if taken])
def test_published_template(tokenize, require_equal, directory, jinja):
    pytest.importorskip("transformers")
    special, bos, eos = special_tokens(jinja)
    dialogues, rendered = zip(*rendered_dialogues(jinja, bos, eos, special))
    (directory / "tokenizer.json").write_text(json.dumps(byte_tokenizer(special)))
    (directory / "chat_template.jinja").write_text(jinja)
    (directory / "tokenizer_config.json").write_text(json.dumps({"bos_token": bos, "eos_token": eos}))
    require_equal(dialogues, tokenize(directory, dialogues, "--chat"), [ids_of(text, special) for text in rendered])

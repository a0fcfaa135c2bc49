"""`tokenize --chat` against the model's own template in `transformers`, with contents encoded as text."""
import random
import re

import pytest
from chat_templates import DIALOGUES, render, turns
from random_texts import random_text

pytestmark = pytest.mark.timeout(300)


def reference_ids(template, tokenizer, special, messages):
    """Ids of the rendered dialogue, whose special tokens are the template's own and not the contents'."""
    marked = [dict(message, content=f"\ue000{i}\ue001") for i, message in enumerate(messages)]
    rendered = render(template, marked, "", "", True)
    ids = []
    for part in re.split("(" + "|".join(map(re.escape, special)) + ")", rendered):
        if part in special:
            ids.append(tokenizer.token_to_id(part))
        else:
            text = re.sub("\ue000(\\d+)\ue001", lambda match: messages[int(match[1])]["content"], part)
            ids += tokenizer.encode(text, add_special_tokens=False).ids
    return ids


@pytest.mark.parametrize("name", ("SmolLM2-135M-Instruct-Q4_1.gguf", "Qwen2.5-Coder-1.5B-Instruct-Q4_K_M.gguf"))
def test_dialogues(tokenize, require_equal, references, models, name):
    gguf = pytest.importorskip("gguf")
    pytest.importorskip("transformers")
    model = models(name)
    template = gguf.GGUFReader(model).fields["tokenizer.chat_template"].contents()
    tokenizer, special = references.reference_tokenizer(model)
    draw = random.Random(0)
    dialogues = list(DIALOGUES)
    for _ in range(2000):
        texts = [random_text(draw, special) for _ in range(draw.randrange(1, 6))]
        dialogues.append(turns(*texts, first=draw.choice(["user", "system"])))
    theirs = [reference_ids(template, tokenizer, special, messages) for messages in dialogues]
    require_equal(dialogues, tokenize(model, dialogues, "--chat"), theirs)

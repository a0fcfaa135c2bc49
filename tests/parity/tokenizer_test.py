"""`popalign tokenize` against HF `tokenizers` on seeded strings of every kind: no difference is allowed."""
import random
import shutil

import pytest
from random_texts import all_code_points, random_text

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def compare(tokenize, require_equal):
    """compare(MODEL, REFERENCE, SPECIAL, COUNT): encoding and decoding of COUNT strings and of all code points."""
    def check(model, reference, special, count):
        draw = random.Random(0)
        texts = [random_text(draw, special) for _ in range(count)] + list(all_code_points())
        theirs = [encoding.ids for encoding in reference.encode_batch(texts, add_special_tokens=False)]
        require_equal(texts, tokenize(model, texts), theirs)
        size = reference.get_vocab_size()
        ids = theirs[:count] + [[draw.randrange(size + 5) for _ in range(draw.randrange(1, 20))] for _ in range(count)]
        require_equal(ids, tokenize(model, ids, "--decode"), reference.decode_batch(ids))
    return check


def compare_saved(compare, directory, reference, special, count):
    """As the reference's tokenizer.json."""
    reference.save(str(directory / "tokenizer.json"))
    compare(directory, reference, special, count)


def test_smollm2(compare, references, model):
    compare(model, *references.reference_tokenizer(model), 10000)


def test_qwen2(compare, references, models):
    model = models("Qwen2.5-Coder-1.5B-Instruct-Q4_K_M.gguf")
    compare(model, *references.reference_tokenizer(model), 10000)


def test_llama_2_sentence_pieces(compare, references, published, directory):
    model = published("tokenizers/llamacpp/ggml-vocab-llama-spm.gguf")
    found = list(references.sentence_piece_tokenizers(model))
    assert len(found) == 2
    compare(model, *found[0], 2000)
    for reference, special in found:
        compare_saved(compare, directory, reference, special, 2000)


def test_llama_3_ranks(compare, references, published, directory):
    model = published("tokenizers/llama3/tokenizer.model")
    reference, special = references.llama3_tokenizer(model)
    shutil.copyfile(model, directory / "tokenizer.model")
    compare(directory, reference, special, 2000)
    (directory / "tokenizer.model").unlink()
    compare_saved(compare, directory, reference, special, 2000)

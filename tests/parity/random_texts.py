"""Seeded strings of every kind, and every code point."""

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

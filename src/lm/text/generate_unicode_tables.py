#!/usr/bin/env python3
"""Writes unicode_tables.hpp: where the Unicode tables behind HF `tokenizers` differ from the libraries we use.

`tokenizers` splits with Oniguruma, tests digits with Rust's char::is_numeric and composes with a crate of
its own, each with its own Unicode version. They are asked about every code point; PCRE2 and utf8proc are
asked the same, and the differences become tables. Run again (it takes minutes) when one is updated:

    python src/lm/text/generate_unicode_tables.py | clang-format > src/lm/text/unicode_tables.hpp
"""

import ctypes
import ctypes.util
import sys
import unicodedata

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

CODE_POINTS = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]
CATEGORIES = (
    "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cn"
).split()


def oniguruma_members(pattern):
    """Code points that `pattern` matches, by deleting them from strings of all code points."""
    delete = normalizers.Replace(Regex(pattern), "")
    members = set()
    for begin in range(0, len(CODE_POINTS), 4096):
        chunk = CODE_POINTS[begin : begin + 4096]
        members |= set(chunk) - set(map(ord, delete.normalize_str("".join(map(chr, chunk)))))
    return members


def pcre2_members(pattern):
    """The same for PCRE2's 32-bit library with the options that pre_tokenizer.cpp uses."""
    pcre2 = ctypes.CDLL(ctypes.util.find_library("pcre2-32"))
    utf, ucp = 0x00080000, 0x00020000
    pcre2.pcre2_compile_32.restype = ctypes.c_void_p
    pcre2.pcre2_match_data_create_32.restype = ctypes.c_void_p
    pcre2.pcre2_get_ovector_pointer_32.restype = ctypes.POINTER(ctypes.c_size_t)
    source = (ctypes.c_uint32 * len(pattern))(*map(ord, pattern))
    code, offset = ctypes.c_int(), ctypes.c_size_t()
    compiled = ctypes.c_void_p(
        pcre2.pcre2_compile_32(
            source, ctypes.c_size_t(len(pattern)), utf | ucp, ctypes.byref(code), ctypes.byref(offset), None
        )
    )
    data = ctypes.c_void_p(pcre2.pcre2_match_data_create_32(1, None))
    found = pcre2.pcre2_get_ovector_pointer_32(data)
    subject = (ctypes.c_uint32 * len(CODE_POINTS))(*CODE_POINTS)
    members, at = set(), 0
    while (
        pcre2.pcre2_match_32(compiled, subject, ctypes.c_size_t(len(CODE_POINTS)), ctypes.c_size_t(at), 0, data, None)
        > 0
    ):
        members.add(CODE_POINTS[found[0]])
        at = found[1]
    return members


def utf8_length(code_point):
    return len(chr(code_point).encode())


def stand_ins():
    """(first, last, stand-in): what PCRE2 must see instead, of the same category and UTF-8 length."""
    wanted, given = {}, {}
    for category in CATEGORIES:
        wanted |= dict.fromkeys(oniguruma_members(r"\p{%s}" % category), category)
        given |= dict.fromkeys(pcre2_members(r"\p{%s}" % category), category)
    wanted_space, given_space = oniguruma_members(r"\s"), pcre2_members(r"\s")
    differing = {c for c in CODE_POINTS if wanted[c] != given[c]} | (wanted_space ^ given_space)
    folded_to_ascii = {0x17F, 0x212A}
    example = {}
    for c in CODE_POINTS:
        if c >= 0x80 and c not in differing and c not in folded_to_ascii:
            example.setdefault((wanted[c], utf8_length(c), c in wanted_space), c)
    return ranges({c: example[wanted[c], utf8_length(c), c in wanted_space] for c in differing})


def numeric():
    digits = pre_tokenizers.Digits(individual_digits=True)
    alone = (c for c in CODE_POINTS if len(digits.pre_tokenize_str("a" + chr(c) + "a")) == 3)
    return ranges(dict.fromkeys(alone, 0))


def composition_barriers():
    """Code points that `tokenizers` neither reorders nor composes, while utf8proc does."""
    utf8proc = ctypes.CDLL(ctypes.util.find_library("utf8proc"))
    utf8proc.utf8proc_NFC.restype = ctypes.c_void_p
    libc = ctypes.CDLL(None)
    theirs = normalizers.NFC()

    def differs(text):
        pointer = utf8proc.utf8proc_NFC(text.encode())
        ours = ctypes.string_at(pointer).decode()
        libc.free(ctypes.c_void_p(pointer))
        return theirs.normalize_str(text) != ours

    # One mark of every combining class that has not changed since Unicode 9.
    marks = {}
    for c in CODE_POINTS:
        mark_class = unicodedata.ucd_3_2_0.combining(chr(c))
        if mark_class and unicodedata.combining(chr(c)) == mark_class:
            marks.setdefault(mark_class, chr(c))
    barriers = set()
    for c in CODE_POINTS:
        probes = [order for mark in marks.values() for order in ("x" + chr(c) + mark, "x" + mark + chr(c))]
        if differs("".join(probes)) and any(map(differs, probes)):
            barriers.add(c)
        decomposition = unicodedata.decomposition(chr(c))
        if decomposition and not decomposition.startswith("<"):
            parts = [chr(int(part, 16)) for part in decomposition.split()]
            if differs("".join(parts)):
                barriers.add(ord(parts[-1]))
    return ranges(dict.fromkeys(barriers, 0))


def ranges(values):
    """{code point: value} as (first, last, value)."""
    result = []
    for c, value in sorted(values.items()):
        if result and result[-1][1] == c - 1 and result[-1][2] == value:
            result[-1] = (result[-1][0], c, value)
        else:
            result.append((c, c, value))
    return result


def table(name, comment, rows, with_value):
    lines = [f"/// {line}" for line in comment]
    lines.append(f"inline constexpr CodePointRange {name}[] = {{")
    for first, last, value in rows:
        lines.append(f"    {{0x{first:X}, 0x{last:X}, 0x{value:X}}}," if with_value else f"    {{0x{first:X}, 0x{last:X}}},")
    return "\n".join(lines + ["};", ""])


def main():
    print(f"""\
// Generated by generate_unicode_tables.py from tokenizers {tokenizers.__version__}; do not edit.
#pragma once

namespace popalign {{

struct CodePointRange {{
    char32_t first, last, stand_in = 0;
}};
""")
    print(table("numeric_ranges", ["Code points that Rust's char::is_numeric accepts."], numeric(), False))
    print(
        table(
            "stand_ins",
            ["Code points that PCRE2 puts into another general category than Oniguruma, and one of the", "right category and the same length in UTF-8."],
            stand_ins(),
            True,
        )
    )
    print(
        table(
            "composition_barriers",
            ["Code points newer than the NFC of `tokenizers`: it leaves them alone, utf8proc would not."],
            composition_barriers(),
            False,
        )
    )
    print("}  // namespace popalign")


if __name__ == "__main__":
    sys.exit(main())

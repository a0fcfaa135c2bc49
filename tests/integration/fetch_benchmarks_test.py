"""data/fetch_benchmarks.py against a server on this machine: what is whole arrives, what is not leaves nothing behind.
With the published files their checksums are compared, and the program reads what was fetched."""
import hashlib
import http.server
import importlib.util
import shutil
import sys
import threading

import pytest

UNKNOWN_HERE = {"instruction_difficulty.csv", "df_gamed.csv"}
WHOLE = b"one\ntwo\n" * 300000


class FileServer(http.server.ThreadingHTTPServer):
    """`files` are content and promised length by path; `requests` are the paths that were asked for."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.requests = {}, []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        if self.path not in self.server.files:
            self.send_error(404)
            return
        content, promised = self.server.files[self.path]
        self.send_response(200)
        self.send_header("Content-Length", str(promised))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def script(root):
    spec = importlib.util.spec_from_file_location("fetch_benchmarks", root / "data/fetch_benchmarks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def fetch(script, monkeypatch, capsys):
    """fetch(ARGUMENT...) gives the script's exit status, stdout and stderr."""
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["fetch_benchmarks.py", *map(str, arguments)])
        try:
            status = script.main()
        except SystemExit as leaving:
            status = leaving.code
        return status, *capsys.readouterr()
    return call


@pytest.fixture
def server(script):
    """One file of four is as it should be."""
    server = FileServer()
    server.files = {"/a/whole": (WHOLE, len(WHOLE)), "/a/changed": (b"other", 5), "/b/short": (b"half", 8)}
    address = f"http://127.0.0.1:{server.server_port}"
    script.FILES = [("a", "whole", f"{address}/a/whole", sha256(WHOLE), "MIT"),
                    ("a", "changed", f"{address}/a/changed", sha256(WHOLE), "MIT"),
                    ("b", "short", f"{address}/b/short", sha256(b"halfhalf"), "MIT"),
                    ("b", "missing", f"{address}/b/missing", sha256(WHOLE), "MIT")]
    yield server
    server.shutdown()


def left_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_what_is_not_whole_leaves_nothing(fetch, server, directory):
    status, out, errors = fetch("--directory", directory)
    assert status == 1 and out.count("fetched (MIT)") == 1 and len(errors.splitlines()) == 3
    assert "it changed at its source" in errors and "404" in errors
    assert left_in(directory) == ["a/whole"] and (directory / "a/whole").read_bytes() == WHOLE


def test_only_what_is_missing_and_asked_for_is_fetched(fetch, server, directory):
    fetch("--directory", directory)
    server.requests.clear()
    status, out, _ = fetch("a", "--directory", directory)
    assert status == 1 and "whole: there" in out and server.requests == ["/a/changed"]


def test_a_damaged_file_is_fetched_again(fetch, server, directory):
    fetch("a", "--directory", directory)
    (directory / "a/whole").write_bytes(WHOLE[:-1])
    server.files["/a/changed"] = server.files["/a/whole"]  # the source is repaired
    assert fetch("a", "--directory", directory)[0] == 0
    assert (directory / "a/whole").read_bytes() == WHOLE


def test_an_unknown_benchmark_is_refused(fetch, server, directory):
    status, _, errors = fetch("c", "--directory", directory)
    assert status == 2 and "no such benchmark: c" in errors


def test_without_a_connection_it_says_what_to_do(fetch, server, directory):
    status, _, errors = fetch("b", "--directory", directory, "--mirror", "http://127.0.0.1:1")
    assert status == 1 and errors.count("name a copy by --mirror") == 2


def test_checksums_are_those_of_the_published_files(program, script, fetch, directory, published):
    data = published("")
    known = {sha256(path.read_bytes()): path for path in data.rglob("*") if path.is_file()}
    assert {name for _, name, _, digest, _ in script.FILES if digest not in known} == UNKNOWN_HERE
    mirror, benchmarks = directory / "mirror", directory / "benchmarks"
    for folder, name, _, digest, _ in script.FILES:
        if digest in known:
            (mirror / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(known[digest], mirror / folder / name)
    status, out, errors = fetch("--directory", benchmarks, "--mirror", mirror.as_uri())
    assert status == 1 and out.count(": fetched") == 13 and len(errors.splitlines()) == 2
    for name in ("Natural", "Manual"):
        judged = program.run("evaluate", "judge", "--pairs", benchmarks / f"llmbar/{name}.json", "--format", "llmbar",
                             "--verdicts", data / f"judge_validation/llmbar/{name}/result.json")
        assert '"accuracy"' in judged.stdout, f"the program reads LLMBar's {name}"
    people = program.run("evaluate", "judge", "--pairs", benchmarks / "pandalm/testset-v1.json", "--format", "pandalm")
    assert '"annotators"' in people.stdout

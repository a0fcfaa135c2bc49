"""data/fetch_benchmarks.py against a server on this machine: what is whole arrives, what is not leaves nothing behind.
With the real files beside the repository their checksums are compared, and the program reads what was fetched.
usage: fetch_benchmarks_test.py POPALIGN
"""
import contextlib
import hashlib
import http.server
import importlib.util
import io
import pathlib
import shutil
import sys
import tempfile
import threading

from harness import ROOT, check, run

DATA = ROOT / "../shared/data"
UNKNOWN_HERE = {"instruction_difficulty.csv", "df_gamed.csv"}


class Handler(http.server.BaseHTTPRequestHandler):
    files, requests = {}, []

    def do_GET(self):
        Handler.requests.append(self.path)
        if self.path not in Handler.files:
            self.send_error(404)
            return
        content, promised = Handler.files[self.path]
        self.send_response(200)
        self.send_header("Content-Length", str(promised))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def load_script():
    spec = importlib.util.spec_from_file_location("fetch_benchmarks", ROOT / "data/fetch_benchmarks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call(script, *arguments):
    """Exit status, stdout and stderr."""
    out, errors, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["fetch_benchmarks.py", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            try:
                status = script.main()
            except SystemExit as leaving:
                status = leaving.code
    finally:
        sys.argv = before
    return status, out.getvalue(), errors.getvalue()


def left_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def small_files(script, address, work):
    whole = b"one\ntwo\n" * 300000
    Handler.files = {"/a/whole": (whole, len(whole)), "/a/changed": (b"other", 5), "/b/short": (b"half", 8)}
    digest = hashlib.sha256(whole).hexdigest()
    script.FILES = [("a", "whole", f"{address}/a/whole", digest, "MIT"),
                    ("a", "changed", f"{address}/a/changed", digest, "MIT"),
                    ("b", "short", f"{address}/b/short", hashlib.sha256(b"halfhalf").hexdigest(), "MIT"),
                    ("b", "missing", f"{address}/b/missing", digest, "MIT")]
    status, out, errors = call(script, "--directory", work / "small")
    check(status == 1 and out.count("fetched (MIT)") == 1 and len(errors.splitlines()) == 3, "three of four fail, each in a line")
    check("it changed at its source" in errors and "404" in errors, "the reasons are told")
    check(left_in(work / "small") == ["a/whole"] and (work / "small/a/whole").read_bytes() == whole,
          "what is whole is there, of the others nothing")
    Handler.requests.clear()
    status, out, _ = call(script, "a", "--directory", work / "small")
    check(status == 1 and "whole: there" in out and Handler.requests == ["/a/changed"],
          "what is there is not fetched again, nor what was not asked for")
    (work / "small/a/whole").write_bytes(whole[:-1])
    Handler.files["/a/changed"] = Handler.files["/a/whole"]
    check(call(script, "a", "--directory", work / "small")[0] == 0, "a damaged file is fetched again, a repaired source serves")
    check((work / "small/a/whole").read_bytes() == whole, "and is whole")
    status, _, errors = call(script, "c", "--directory", work / "small")
    check(status == 2 and "no such benchmark: c" in errors, "an unknown benchmark is refused")
    status, _, errors = call(script, "b", "--directory", work / "small", "--mirror", "http://127.0.0.1:1")
    check(status == 1 and errors.count("name a copy by --mirror") == 2, "without a connection it says what to do")


def real_files(program, work):
    script = load_script()
    known = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in DATA.rglob("*") if path.is_file()}
    absent = {name for _, name, _, digest, _ in script.FILES if digest not in known}
    check(absent == UNKNOWN_HERE, f"{len(script.FILES) - len(absent)} of {len(script.FILES)} checksums are of real files")
    for folder, name, _, digest, _ in script.FILES:
        if digest in known:
            (work / "mirror" / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(known[digest], work / "mirror" / folder / name)
    benchmarks = work / "benchmarks"
    status, out, errors = call(script, "--directory", benchmarks, "--mirror", (work / "mirror").resolve().as_uri())
    check(status == 1 and out.count(": fetched") == 13 and len(errors.splitlines()) == 2, "a mirror in a folder serves them")
    for name in ("Natural", "Manual"):
        worth = run(program, "evaluate", "judge", "--pairs", benchmarks / f"llmbar/{name}.json", "--format", "llmbar",
                    "--verdicts", DATA / f"judge_validation/llmbar/{name}/result.json")
        check('"accuracy"' in worth.stdout, f"the program reads LLMBar's {name}")
    people = run(program, "evaluate", "judge", "--pairs", benchmarks / "pandalm/testset-v1.json", "--format", "pandalm")
    check('"annotators"' in people.stdout, "and PandaLM")


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        small_files(load_script(), f"http://127.0.0.1:{server.server_port}", work)
        if DATA.exists():
            real_files(program, work)
        else:
            print(f"not compared: {DATA} is absent")
    server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What all tests in Python share: fixtures, and exit status 77 where all tests were skipped."""
import os
import pathlib

import pytest

pytest.register_assert_rewrite("pair_files", "tiny_model")

from program import Program  # noqa: E402  (pytest rewrites the asserts of what is imported from here on)

ROOT = pathlib.Path(__file__).resolve().parents[1]
SMALL_MODEL = "SmolLM2-135M-Instruct-Q4_1.gguf"


def require(path):
    """Skips the test, with the reason, where `path` is absent."""
    if not path.exists():
        pytest.skip(f"{path} is absent (tests/README.md says where it comes from)")
    return path


@pytest.fixture(scope="session")
def root():
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def build():
    """The build tree of the preset under test."""
    return pathlib.Path(os.environ.get("POPALIGN_BINARY_DIR", ROOT / "build/dev"))


@pytest.fixture(scope="session")
def program(build):
    """`popalign`, see support/program.py."""
    program = Program(build / "popalign")
    yield program
    program.close()


@pytest.fixture(scope="session")
def models():
    """models(name) is the path of a fetched model."""
    return lambda name: require(ROOT / "build/models" / name)


@pytest.fixture(scope="session")
def model(models):
    """A small real model, SmolLM2-135M-Instruct as GGUF."""
    return models(SMALL_MODEL)


@pytest.fixture(scope="session")
def published():
    """published(name) is the path of a file or folder of POPALIGN_TEST_DATA."""
    return lambda name: require(pathlib.Path(os.environ.get("POPALIGN_TEST_DATA") or "POPALIGN_TEST_DATA") / name)


@pytest.fixture
def directory(tmp_path):
    """An empty directory of the test's own."""
    return tmp_path


@pytest.fixture(scope="module")
def shared_directory(tmp_path_factory):
    """An empty directory of the file's tests together."""
    return tmp_path_factory.mktemp("shared")


def pytest_sessionfinish(session, exitstatus):
    """Nothing but skips is exit status 77; so is a file that a missing package skips whole (4 or 5 of pytest's)."""
    stats = session.config.pluginmanager.get_plugin("terminalreporter").stats
    if exitstatus in (0, 4, 5) and stats.get("skipped") and not any(map(stats.get, ("passed", "failed", "error"))):
        session.exitstatus = 77

"""The comparison with the baselines from its data to its tables, in small."""
import re
import sys
import time

import pytest
from program import execute

METHODS = ("the student", "Label-DPO", "RLAIF", "Context-Dist", "RLCD", "RLCD, six draws", "PopAlign (DPO)", "PopAlign (PPO)")
INTERVAL = re.compile(r"\d+\.\d \[\d+\.\d, \d+\.\d\]")
pytestmark = [pytest.mark.one_case, pytest.mark.long, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def compare(program, root, model, published, shared_directory):
    """compare() makes what is missing of the comparison and returns its tables."""
    labels = published("ultrafeedback/pairs_1000.jsonl")
    return lambda: execute(
        sys.executable, root / "analysis/comparison.py", "--program", program.path, "--teacher", model, "--student", model,
        "--labels", labels, "--directory", shared_directory / "comparison", "--instructions", 4, "--held-out", 4,
        "--held-out-pairs", 4, "--tokens", 8, timeout=3600).stdout


@pytest.fixture(scope="module")
def tables(compare):
    return compare()


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_its_figures_with_intervals(tables, method):
    rows = [line for line in tables.splitlines() if line.startswith(f"| {method} |")]
    assert len(rows) >= 2 and all(INTERVAL.search(row) for row in rows), rows


def test_the_papers_order_is_told(tables):
    assert "Table 5: DPO against PPO" in tables and "the paper has it" in tables


def test_run_again_it_says_the_same_and_makes_nothing_anew(compare, tables, shared_directory):
    with open(shared_directory / "comparison/popalign/cost.jsonl", "a", encoding="utf8") as costs:
        costs.write('{"stage": "train", "core_seconds": 0}\n')  # as a start leaves that was stopped
    start = time.monotonic()
    assert compare() == tables
    assert time.monotonic() - start < 30

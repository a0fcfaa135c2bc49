"""A sweep done here, on ranks: what is shared is made once, a changed sweep does only what is new, a failing run marks
only its own row."""
import json
import sys

import pytest
from program import execute
from sweeps import results, write_sweep

pytestmark = [pytest.mark.one_case, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def config(tiny_model, shared_directory):
    return write_sweep(shared_directory / "sweep.yaml", shared_directory / "sweep", tiny_model, mixes=["single", "all"])


@pytest.fixture(scope="module")
def swept(program, config, shared_directory):
    """The directory of the finished sweep."""
    program.run("sweep", "--config", config, "--local", ranks=2)
    return shared_directory / "sweep"


def test_the_plan_has_three_runs_on_one_pair_file(program, config):
    plan = json.loads(program.run("sweep", "--config", config, "--plan").stdout)
    assert plan["count"] == {"data": 1, "base": 1, "runs": 3} and plan["core_hours_at_most"] > 0


def test_three_runs_are_evaluated_on_the_same_pairs(swept):
    rows = results(swept)
    assert [(row["mix"], row["state"]) for row in rows] == [("prefix", "done"), ("refine", "done"), ("all", "done")]
    assert len({row["n"] for row in rows}) == 1 and int(rows[0]["n"]) > int(rows[0]["n/prefix"]) > 0, "of both strategies"
    assert int(rows[2]["tokens"]) == int(rows[0]["tokens"]) + int(rows[1]["tokens"]), "the mix is trained on both's pairs"


def test_what_is_shared_is_made_once(program, swept):
    assert len(list(swept.glob("data/*/pairs.h5"))) == 1 and not list(swept.glob("run/*/pairs.h5"))
    assert not list(swept.glob("run/*/model")), "models are gone, as asked for"
    costs = [json.loads(line)["stage"] for path in swept.rglob("cost.jsonl") for line in path.open()]
    assert sorted(costs) == ["evaluate preference"] * 4 + ["reference", "synthesize"] + ["train"] * 3
    total = json.loads(program.run("inspect", swept, "--cost").stdout)
    assert total["total"]["records"] == 9 and total["stages"]["train"]["core_seconds"] > 0
    assert set(total["strategy_tokens"]) == {"prefix", "refine"}


def test_the_table_as_parquet_and_as_a_report(root, swept):
    pytest.importorskip("pyarrow")
    execute(sys.executable, root / "analysis/campaign_table.py", swept)
    assert (swept / "results.parquet").stat().st_size > 0
    execute(sys.executable, root / "analysis/campaign_report.py", "--sweep", swept)
    assert "run/" not in (swept / "report.html").read_text()[:200]


# From here on the tests change the sweep.
def test_a_changed_sweep_does_only_what_is_new(program, config, tiny_model, swept):
    before = {path: path.stat().st_mtime_ns for path in swept.glob("*/*/status.json")}
    write_sweep(config, swept, tiny_model, mixes=["single", "all"], seeds=[0, 1])
    program.run("sweep", "--config", config, "--local", "--set", "sweep.mixes=[all]")
    assert before and all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert len(list(swept.glob("run/*"))) == 4


def test_failing_runs_mark_only_their_own_rows(program, config, tiny_model, swept):
    write_sweep(config, swept, tiny_model, mixes=["single"], factors=[
        {"key": "train.objective", "values": ["dpo", "nonsense"]}])
    done = program.run("sweep", "--config", config, "--local", ranks=2, expect=1)
    assert "nonsense" in done.stderr
    rows = results(swept)
    assert {(row["mix"], row["train.objective"]): row["state"] for row in rows} == {
        ("prefix", "dpo"): "done", ("refine", "dpo"): "done", ("prefix", "nonsense"): "failed",
        ("refine", "nonsense"): "failed"}
    assert "nonsense" in next(row["error"] for row in rows if row["state"] == "failed")
    status = program.run("sweep", "--config", config, "--status").stdout
    assert "runs                 2 done    0 started    2 failed    0 missing" in status


def test_a_factor_that_is_no_key_is_wrong_use(program, config):
    program.run("sweep", "--config", config, "--plan", "--set", "sweep.factors=[{key: train.betta, values: [1]}]", expect=2)

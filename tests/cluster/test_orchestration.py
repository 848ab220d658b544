"""The examples for schedulers and the data contracts, run by others' programs in environments of their own, on demand.

A stand-in for `customs-lake` ends with the codes a test gives it and notes its arguments, which the real parsers then take.
The environments are made once, in ``.cache/orchestration``, of the versions below.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from jobs.commands.contracts import write_contracts
from schemas.catalog import TABLES
from schemas.contracts import Terms, table_contract

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2400)]
ROOT = Path(__file__).resolve().parents[2]
EXPORTS = TABLES["gold.city_exports"]
EXAMPLES = ROOT / "docs" / "examples"
HERE = Path(__file__).parent
ENVIRONMENTS = ROOT / ".cache" / "orchestration"
PINNED = {
    "airflow": "apache-airflow==3.3.2", "dagster": "dagster==1.13.29", "databricks": "databricks-sdk==0.162.0",
    "contracts": "datacontract-cli[duckdb]==1.2.8",
}
STAND_IN = """#!/bin/sh
echo "$@" >> '{calls}'
code=$(head -n 1 '{codes}'); sed -i 1d '{codes}'; exit "$code"
"""
# what `customs-lake run` and `report` end with, one after the other
RUNS = {"done": "0,0", "nothing new": "3", "beyond bounds": "6,0", "locked twice": "75,75,0,0", "refused": "4"}


def environment(name: str) -> Path:
    """The Python of an environment that has the package; made when it is not there."""
    folder = ENVIRONMENTS / PINNED[name]
    python = folder / "bin" / "python"
    if not (folder / ".ready").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", PINNED[name]]
        ended = subprocess.run(install, capture_output=True, text=True, check=False)
        if ended.returncode:
            pytest.skip(f"{PINNED[name]} cannot be installed here: {ended.stderr[-500:]}")
        (folder / ".ready").touch()
    return python


@pytest.fixture
def scheduler(tmp_path):
    """A function that runs a script of the scheduler's environment and returns what it printed of each run."""
    codes, calls = tmp_path / "codes", tmp_path / "calls"
    stand_in = tmp_path / "bin" / "customs-lake"
    stand_in.parent.mkdir()
    stand_in.write_text(STAND_IN.format(codes=codes, calls=calls))
    stand_in.chmod(0o755)
    given = os.environ | {
        "PATH": f"{stand_in.parent}:{os.environ['PATH']}", "CUSTOMS_RAW": "/data/raw", "CUSTOMS_LAKE": "/data/lake",
        "CUSTOMS_TABLES": "/data/tables", "CUSTOMS_WAIT_SECONDS": "0", "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "DAGSTER_HOME": str(tmp_path),
    }

    def run(*command: str) -> tuple[list[dict], list[list[str]]]:
        ended = subprocess.run(
            [item.replace("CODES", str(codes)) for item in command], env=given, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False, cwd=tmp_path,
        )
        assert ended.returncode == 0, ended.stdout[-4000:]
        lines = ended.stdout.splitlines()
        printed = [json.loads(line.partition("ENDED ")[2]) for line in lines if line.startswith("ENDED ")]
        return printed, [line.split() for line in calls.read_text().splitlines()] if calls.exists() else []

    return run


def assert_parsed(calls: list[list[str]]) -> None:
    """Hold each call against the command line itself: refused for what is not there, not for its arguments."""
    seen = {tuple(call) for call in calls}
    assert {call[0] for call in seen} == {"run", "report"}
    for call in seen:
        ended = subprocess.run(
            [sys.executable, "-c", "from jobs.commands.start import main; main()", *call], cwd=ROOT, capture_output=True,
            text=True, check=False,
        )
        assert ended.returncode == 4, ended.stderr[-2000:]
        assert "unrecognized" not in ended.stderr and "/data/" in ended.stderr


def test_airflow_skips_warns_and_retries(scheduler, tmp_path):
    python = environment("airflow")
    (tmp_path / "airflow" / "dags").mkdir(parents=True)
    shutil.copy(EXAMPLES / "airflow_dag.py", tmp_path / "airflow" / "dags")
    scheduler(str(python.with_name("airflow")), "db", "migrate")
    ended, calls = scheduler(str(python), str(HERE / "run_airflow.py"), "CODES", *RUNS.values())
    done, skipped, warned, locked, refused = ended
    assert done == {
        "run": "success", "tasks": {"run": ["success", 1], "report": ["success", 1], "alarm": ["skipped", 1]},
    }
    assert {state for state, _ in skipped["tasks"].values()} == {"skipped"} and len(skipped["tasks"]) == 3
    assert warned["run"] == "success" and warned["tasks"]["alarm"] == ["success", 1] == warned["tasks"]["report"]
    assert locked["run"] == "success" and locked["tasks"]["run"] == ["success", 3]
    assert refused["run"] == "failed" and refused["tasks"]["run"] == ["failed", 1], "what is refused is not tried again"
    assert refused["tasks"]["report"][0] == "upstream_failed"
    assert_parsed(calls)


def test_dagster_skips_warns_and_retries(scheduler):
    python = environment("dagster")
    ended, calls = scheduler(
        str(python), str(HERE / "run_dagster.py"), "CODES", str(EXAMPLES / "dagster_jobs.py"), *RUNS.values()
    )
    done, skipped, warned, locked, refused = ended
    assert done == {"success": True, "made": ["lake", "tables"], "checks": [[True, "WARN"]], "restarts": 0}
    assert (skipped["success"], skipped["made"]) == (True, [])
    assert (warned["made"], warned["checks"]) == (["lake", "tables"], [[False, "WARN"]])
    assert (locked["success"], locked["restarts"]) == (True, 2)
    assert refused == {"success": False, "made": [], "checks": [], "restarts": 0}
    assert_parsed(calls)


def test_databricks_jobs_are_read_back_by_its_own_types(scheduler, tmp_path):
    python = environment("databricks")
    bundle = yaml.safe_load((EXAMPLES / "databricks.yml").read_text("utf-8"))
    (tmp_path / "jobs.json").write_text(json.dumps(bundle["resources"]["jobs"]))
    program = tmp_path / "read.py"
    # a key that the interface does not know is dropped by its types: what comes back is then less than what was given
    program.write_text(
        "import json, sys\nfrom databricks.sdk.service.jobs import JobSettings\n"
        "for job in json.load(open(sys.argv[1])).values():\n"
        "    sys.stdout.write('ENDED ' + json.dumps(JobSettings.from_dict(job).as_dict()) + '\\n')\n"
    )
    ended, _ = scheduler(str(python), str(program), str(tmp_path / "jobs.json"))
    assert ended == list(bundle["resources"]["jobs"].values())


def _table(**changes):
    """Two rows of gold.city_exports that keep all its rules."""
    columns = {
        "year": [2003, 2004], "city_id": ["320400"] * 2, "value_usd": [Decimal("5.00")] * 2,
        "n_products": [3, 3], "n_products_converted": [3, 3], "n_products_family": [3, 3], "n_pairs": [3, 3],
        "n_firms": [3, 3], "n_records": [3, 3], "n_destinations": [1, 1], "n_partner_codes": [2, 2],
    }
    empty = {name: pa.nulls(2, pa.string()) for name in EXPORTS.columns if name not in columns}
    return pa.table(empty | columns | changes)


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({}, set()),
        ({"value_usd": [Decimal("5.00"), Decimal("0.00")]}, {"quality_sql_1"}),
        ({"year": [2003, 2003], "n_pairs": [3, 1]}, {"primary_key_unique", "model_duplicate_values", "quality_sql_2"}),
    ],
    ids=["sound", "no value", "twice"],
)
def test_data_contract_tool_takes_the_contract_and_holds_a_table_against_it(tmp_path, changes, broken):
    command = str(environment("contracts").with_name("datacontract"))
    whole, one = tmp_path / "lake.odcs.yaml", tmp_path / "one.odcs.yaml"
    write_contracts(whole, Terms("1.0.0", 5))
    assert subprocess.run([command, "lint", str(whole)], capture_output=True, check=False).returncode == 0
    pq.write_table(_table(**changes), tmp_path / "rows.parquet")
    contract = table_contract(EXPORTS, Terms("1.0.0", 5, lake=str(tmp_path)))
    # its reader of Delta tables is fetched when it runs: the same rows as a file
    contract["servers"][0] |= {"path": str(tmp_path / "rows.parquet"), "format": "parquet"}
    one.write_text(yaml.safe_dump(contract))
    out = tmp_path / "result.json"
    test = [command, "test", str(one), "--output", str(out), "--output-format", "json"]
    subprocess.run(test, capture_output=True, check=False)
    checks = json.loads(out.read_text("utf-8"))["checks"]
    assert len(checks) > 40 and {item["result"] for item in checks} <= {"passed", "failed", "warning"}
    failed = {item["key"].partition("__")[2] for item in checks if item["result"] == "failed"}
    assert failed == broken

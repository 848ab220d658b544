"""The examples for schedulers as far as they can be held without them: their codes, their calls, the bundle's form."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from jobs.core import errors

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
ROOT = EXAMPLES.parents[1]
CODES = {
    "DONE": errors.EXIT_DONE, "NOTHING_NEW": errors.EXIT_NOTHING_TO_DO, "BEYOND_BOUNDS": errors.EXIT_QUALITY,
    "LOCKED": errors.EXIT_LOCKED,
}


@pytest.mark.parametrize("name", ["airflow_dag.py", "dagster_jobs.py"])
def test_examples_know_the_exit_codes_and_ask_for_the_one_of_nothing_new(name):
    tree = ast.parse((EXAMPLES / name).read_text("utf-8"))
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
            pairs = zip(node.targets[0].elts, node.value.elts, strict=True)
            found |= {target.id: getattr(value, "value", None) for target, value in pairs}
    assert {key: found.get(key) for key in CODES} == CODES
    calls = [
        [argument.value for argument in node.args if isinstance(argument, ast.Constant)] for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "customs_lake"
    ]
    assert ["run", "--raw", "--lake", "--exit-code"] in calls and ["report", "--lake", "--out"] in calls


def test_the_pages_table_has_every_code_an_example_tells_apart():
    page = (ROOT / "docs" / "operations" / "image_and_schedulers.md").read_text("utf-8")
    lines = page.partition("| exit code |")[2].partition("\n\n")[0].splitlines()[2:]
    codes = [line.split("|")[1].split()[0].rstrip(",") for line in lines]
    assert [int(code) for code in codes] == [*CODES.values(), errors.EXIT_REFUSED]


@pytest.fixture(scope="module")
def bundle():
    return yaml.safe_load((EXAMPLES / "databricks.yml").read_text("utf-8"))


def test_bundle_has_what_a_bundle_has(bundle):
    assert set(bundle) == {"bundle", "variables", "artifacts", "sync", "resources", "targets"}
    assert bundle["bundle"]["name"] == "customs-lake"
    assert [name for name, target in bundle["targets"].items() if target.get("default")] == ["dev"]
    assert {target["mode"] for target in bundle["targets"].values()} == {"development", "production"}
    assert all((ROOT / path).is_file() for path in bundle["sync"]["paths"])


def test_bundles_job_is_whole(bundle):
    (job,) = bundle["resources"]["jobs"].values()
    clusters = {item["job_cluster_key"]: item["new_cluster"] for item in job["job_clusters"]}
    (task,) = job["tasks"]
    assert task["job_cluster_key"] in clusters
    # marker and log are read through the JVM, which shared access does not give
    assert clusters[task["job_cluster_key"]]["data_security_mode"] == "DATA_SECURITY_MODE_DEDICATED"
    main = task["spark_python_task"]
    assert main["python_file"] == "${workspace.file_path}/" + bundle["sync"]["paths"][0].removeprefix("./")
    assert job["max_concurrent_runs"] == 1 and len(job["schedule"]["quartz_cron_expression"].split()) == 6
    # each variable that is used is declared, each that is declared is used
    used = set(re.findall(r"\$\{var\.(\w+)\}", (EXAMPLES / "databricks.yml").read_text("utf-8")))
    assert used == set(bundle["variables"])
    assert task["libraries"] == [{"whl": "./dist/*.whl"}]
    assert "--wheel-dir dist" in bundle["artifacts"]["customs_lake"]["build"]

"""What holds the tree together: imports go one way, transforms stay pure, the data dictionary is fresh."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("jobs", "estimation", "schemas", "conf")
ALLOWED = {
    "schemas": {"schemas"},
    "estimation": {"estimation"},
    "conf": {"conf", "schemas"},
    "jobs": {"jobs", "conf", "schemas", "estimation"},
}
STORAGE_CALLS = {"collect", "count", "toPandas", "write", "save", "persist", "cache", "show"}


def _modules(package):
    return sorted((ROOT / package).rglob("*.py"))


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_one_way(package):
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in _modules(package)
        for name in _imports(path)
        if name.split(".")[0] in PACKAGES and name.split(".")[0] not in ALLOWED[package]
    ]
    assert wrong == []


def test_estimation_never_imports_spark():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in _modules("estimation")
        for name in _imports(path)
        if name.split(".")[0] in ("pyspark", "delta", "py4j")
    ]
    assert wrong == []


def test_transforms_never_touch_storage():
    wrong = []
    for path in sorted((ROOT / "jobs" / "transforms").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            # F.count and GroupedData.count() are aggregates; frame.count() would be an action without arguments
            if isinstance(node, ast.Attribute) and node.attr in STORAGE_CALLS - {"count"}:
                wrong.append(f"{path.name}:{node.lineno} uses .{node.attr}")
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("udf", "pandas_udf"):
                wrong.append(f"{path.name}:{node.lineno} makes a Python UDF")
    assert wrong == []


def test_no_job_module_hides_another_module():
    """spark-submit puts jobs/ first on the path: a job called like a module would be imported in its stead."""
    dependencies = {"pandas", "numpy", "scipy", "pyspark", "delta", "typer", "rich", "openpyxl", "matplotlib", "jinja2"}
    names = {path.stem for path in (ROOT / "jobs").glob("*.py")} | {
        path.name for path in (ROOT / "jobs").iterdir() if path.is_dir()
    }
    assert not names & (set(sys.stdlib_module_names) | dependencies)


def test_every_job_can_be_submitted_bare():
    """Each job module has a main guard and finds its packages when only its own folder is on the path."""
    for path in (ROOT / "jobs").glob("*.py"):
        text = path.read_text("utf-8")
        if "job_main(" in text and path.name not in ("context.py", "cli.py"):
            assert 'if __package__ in (None, ""):' in text, path.name
            assert '__name__ == "__main__"' in text, path.name


def test_data_dictionary_is_fresh():
    from schemas.dictionary import render

    page = (ROOT / "docs" / "data_dictionary.md").read_text("utf-8")
    assert page == render(), "docs/data_dictionary.md is stale: run `make dictionary`"

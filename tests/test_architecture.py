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
# the rooms of jobs/, and whom each may import besides itself; a job is a file of jobs/ itself
LOW = {"core", "runtime"}
UNDER_JOBS = LOW | {
    "transforms", "reference", "cleaning", "readers", "kernels", "study", "world", "counting", "cluster",
}
ROOMS = {
    "core": set(),
    "runtime": {"core"},
    "kernels": {"core"},
    "transforms": {"kernels"},
    "reference": LOW | {"transforms", "kernels"},
    "cleaning": LOW | {"transforms", "reference", "kernels"},
    "readers": LOW | {"transforms", "reference", "kernels"},
    "study": LOW | {"transforms", "reference", "cleaning", "readers"},
    "world": {"core", "reference"},
    "counting": LOW | {"transforms", "reference", "cleaning", "kernels"},
    "cluster": LOW | {"kernels"},
    "job": UNDER_JOBS,
    "commands": UNDER_JOBS | {"job"},
}
# the rooms of estimation/; a file of estimation/ itself hands names on, and may import all
ESTIMATION_ROOMS = {
    "dynamic_panel": {"errors"},
    "production": set(),
    "stata": {"errors", "dynamic_panel"},
    "tables": {"errors", "data_files", "dynamic_panel", "stata"},
    "report": {"dynamic_panel", "tables"},
    "replication": {"errors", "dynamic_panel", "stata", "tables", "report"},
}
# readable from outside a layer: the truth of a generated world, for the comparison in study
WORLD_READERS = {"jobs.world.equation"}
SUBMITTED = {
    "land", "ingest", "references", "clean", "count", "yearbook", "productivity", "panel", "estimate", "report", "pipeline",
    "reconcile", "verify", "compare", "describe", "explain", "resolve", "plan", "withdraw", "maintain", "fsck", "restore",
    "repair", "erase", "migrate", "generate", "montecarlo", "sniff", "plausible", "register",
}
ACTIONS = {
    "collect", "toPandas", "toArrow", "toLocalIterator", "first", "head", "take", "write", "writeTo", "save", "saveAsTable",
    "persist", "cache", "checkpoint", "localCheckpoint", "show", "foreach", "foreachPartition",
}
DELTA_WORDS = ("delta.tables", "DeltaTable", 'format("delta")', "delta.`", "VACUUM", "ALTER TABLE", "DeltaLog")


def _modules(package):
    return sorted((ROOT / package).rglob("*.py"))


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _room(parts):
    """Room of a module of jobs/: its folder, or ``job`` for a file of jobs/ itself."""
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else "job"


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_one_way(package):
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in _modules(package)
        for name in _imports(path)
        if name.split(".")[0] in PACKAGES and name.split(".")[0] not in ALLOWED[package]
    ]
    assert wrong == []


def test_rooms_of_jobs_import_one_way():
    wrong = []
    for path in _modules("jobs"):
        relative = path.relative_to(ROOT).with_suffix("").parts
        mine = _room(relative) if len(relative) > 2 or relative[-1] != "__init__" else None
        for name in {name for name in _imports(path) if name.startswith("jobs.")}:
            parts = name.split(".")
            theirs = _room(parts)
            is_job = theirs == "job" and (ROOT / "jobs" / f"{parts[1]}.py").is_file()
            if (mine, parts[1]) == ("job", "land"):  # the sorting of a delivery moves to readers/delivery
                continue
            if name in WORLD_READERS or name.rpartition(".")[0] in WORLD_READERS:
                continue
            if (theirs != mine and theirs not in ROOMS.get(mine, set())) or (mine == "job" and is_job):
                wrong.append(f"{'/'.join(relative)} ({mine}) imports {name} ({theirs})")
    assert sorted(wrong) == []


def test_rooms_of_estimation_import_one_way():
    assert {path.parent.name for path in (ROOT / "estimation").rglob("*.py")} - {"estimation"} == set(ESTIMATION_ROOMS)
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for room, allowed in ESTIMATION_ROOMS.items()
        for path in (ROOT / "estimation" / room).rglob("*.py")
        for name in _real_imports(path)
        if name.startswith("estimation") and (name.split(".")[1:2] or [""])[0] not in allowed | {room}
    ]
    assert wrong == []


def test_files_of_jobs_are_what_is_submitted():
    assert {path.stem for path in (ROOT / "jobs").glob("*.py")} - {"__init__"} <= SUBMITTED


def test_every_room_says_in_one_sentence_what_lives_there():
    for folder in [path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")]:
        init = folder / "__init__.py"
        assert init.is_file() and ast.get_docstring(ast.parse(init.read_text("utf-8"))), folder


def test_no_import_circle():
    names = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for package in PACKAGES for path in _modules(package)
    }
    edges = {name: {target for target in _real_imports(path) if target in names} for name, path in names.items()}
    state: dict[str, int] = {}
    circles = []

    def visit(name, trail):
        state[name] = 1
        for target in sorted(edges[name]):
            if target in trail:
                circles.append(" -> ".join([*trail[trail.index(target):], target]))
            elif target not in state:
                visit(target, [*trail, target])

    for name in sorted(names):
        if name not in state:
            visit(name, [name])
    assert circles == []


def _real_imports(path):
    """Imports that happen when the program runs, in functions too; not those for the type checker only."""
    tree = ast.parse(path.read_text("utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                is_module = (ROOT / (inner.replace(".", "/") + ".py")).is_file() or (ROOT / inner.replace(".", "/")).is_dir()
                yield inner if is_module else node.module


def test_only_core_touches_delta():
    wrong = [
        f"{path.relative_to(ROOT)}: {word}"
        for package in PACKAGES for path in _modules(package)
        for word in DELTA_WORDS
        if word in path.read_text("utf-8") and path.parent != ROOT / "jobs" / "core"
    ]
    assert wrong == []


def test_only_the_local_session_and_its_store_reach_into_java():
    """Sessions without a JVM (Spark Connect) have none of these: what needs them is one file, and the session's own start."""
    words = {"_jvm", "_jsc", "_jsparkSession", "_gateway", "sparkContext", "rdd"}
    found = {
        path.relative_to(ROOT).as_posix()
        for path in _modules("jobs")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in words
    }
    # the third shows progress, and goes without where there is nothing to ask
    assert found == {"jobs/core/storage.py", "jobs/runtime/session.py", "jobs/runtime/watching.py"}


def test_kernels_never_import_spark():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in _modules("jobs/kernels")
        for name in _imports(path)
        if name.split(".")[0] in ("pyspark", "delta", "py4j")
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
            method = node.func if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
            of_functions = method is not None and isinstance(method.value, ast.Name) and method.value.id == "F"
            if isinstance(node, ast.Attribute) and node.attr in ACTIONS - {"first"}:
                wrong.append(f"{path.name}:{node.lineno} uses .{node.attr}")
            # F.first and F.count are aggregates, and so is grouped.count(); frame.first() would be an action
            if method is not None and method.attr == "first" and not of_functions:
                wrong.append(f"{path.name}:{node.lineno} uses .first()")
            if method is not None and method.attr == "count" and not of_functions and not _is_grouped(method.value):
                wrong.append(f"{path.name}:{node.lineno} uses .count()")
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("udf", "pandas_udf"):
                wrong.append(f"{path.name}:{node.lineno} makes a Python UDF")
    assert wrong == []


def _is_grouped(node):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("groupBy", "groupby")


def test_no_job_module_hides_another_module():
    """spark-submit puts jobs/ first on the path: a job called like a module would be imported in its stead."""
    dependencies = {"pandas", "numpy", "scipy", "pyspark", "delta", "typer", "rich", "openpyxl", "matplotlib", "jinja2"}
    names = {path.stem for path in (ROOT / "jobs").glob("*.py")} | {
        path.name for path in (ROOT / "jobs").iterdir() if path.is_dir()
    }
    dependencies |= {"polars", "numpy", "platform", "site", "resource"}
    assert not names & (set(sys.stdlib_module_names) | dependencies)


def test_every_job_can_be_submitted_bare():
    """Each job module has a main guard and finds its packages when only its own folder is on the path."""
    for path in (ROOT / "jobs").glob("*.py"):
        text = path.read_text("utf-8")
        if path.name != "__init__.py":
            assert 'if __package__ in (None, ""):' in text, path.name
            assert '__name__ == "__main__"' in text, path.name


def test_data_dictionary_is_fresh():
    from schemas.dictionary import render

    page = (ROOT / "docs" / "data_dictionary.md").read_text("utf-8")
    assert page == render(), "docs/data_dictionary.md is stale: run `make dictionary`"

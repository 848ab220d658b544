"""Records from raw files to silver on a machine without Java; killed and interrupted on the way."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs.core.delta_log import read_log
from jobs.core.reading import open_lake
from jobs.core.stored_files import StoredFiles
from jobs.generate import generate
from schemas import bronze, silver

ROOT = Path(__file__).resolve().parents[2]
STEPS = ("land", "references", "ingest", "clean")
OF_THE_RUN = ["loaded_at", "run_id", "built_at"]
WRITTEN = (bronze.DECLARATION, *silver.TABLES)


# files are written, and their commit waits for a minute: time enough to end the step
HELD = """
import time
from jobs.core.lake import Lake
commit = Lake.commit
def held(lake, table, *rest, **options):
    if table.name.startswith(("bronze.", "silver.")):
        time.sleep(60)
    return commit(lake, table, *rest, **options)
Lake.commit = held
"""


def start(lake, raw, step, before=""):
    """A step as a process of its own, where no Java can be found."""
    environment = {name: value for name, value in os.environ.items() if name not in ("JAVA_HOME", "SPARK_HOME")}
    environment |= {"JAVA_HOME": "/nowhere", "PYTHONPATH": str(ROOT)}
    given = ["--raw", str(raw)] if step in ("land", "ingest") else []
    code = f"{before}\nimport sys\nfrom jobs.commands.main import main\nsys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", code, step, "--lake", str(lake), "--set", "spark.master=local[2]", *given],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )


def run(lake, raw, step):
    process = start(lake, raw, step)
    output, _ = process.communicate(timeout=300)
    return process.returncode, output


def rows(lake, table):
    found = open_lake(str(lake))[table.name].to_arrow()
    found = found.select([name for name in found.column_names if name not in OF_THE_RUN])
    return sorted(repr(tuple(row.values())) for row in found.to_pylist(maps_as_pydicts="strict"))


def uncommitted(lake, table):
    """Data files that no commit names."""
    files = StoredFiles(str(lake))
    stored = {path for path in files.sizes(table.relative_path) if path.endswith(".parquet") and not path.startswith("_")}
    return stored - set(read_log(files, table.relative_path).files)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    out = tmp_path_factory.mktemp("world")
    generate(out, seed=3, preset="small", n_cities=8, years=(2005, 2006), records=6_000)
    return out / "raw"


@pytest.fixture(scope="module")
def states(raw, tmp_path_factory):
    """The lake before each step, and after the last one under an empty name: nobody disturbed it."""
    folder, states = tmp_path_factory.mktemp("states"), {}
    for step, following in itertools.pairwise([*STEPS, ""]):
        code, output = run(folder / "lake", raw, step)
        assert code == 0, output
        states[following] = shutil.copytree(folder / "lake", folder / f"before {following}")
    return states


def test_all_records_reach_silver_or_quarantine(states, raw):
    lake = states[""]
    opened = open_lake(str(lake))
    n = {table.name: len(rows(lake, table)) for table in WRITTEN}
    assert n["bronze.declaration"] == n["silver.declaration"] + n["silver.quarantine"] > 5_000
    assert all(row["is_balanced"] for row in opened["ops.reconciliation"].to_arrow().to_pylist())
    manifest = sorted(opened["ops.run"].to_arrow().to_pylist(), key=lambda row: row["started_at"])
    assert [row["job"] for row in manifest] == list(STEPS) and {row["run_status"] for row in manifest} == {"done"}
    assert dict(manifest[-1]["versions_read"])["bronze.declaration"] == 1
    assert dict(manifest[-1]["rows_written"])["silver.declaration"] == n["silver.declaration"]
    assert not any(uncommitted(lake, table) for table in WRITTEN)
    assert {path.stat().st_mode & 0o077 for path in Path(lake).rglob("*")} == {0}, "only the owner reads it"


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize(("step", "following"), [("ingest", "clean"), ("clean", "")])
def test_a_step_that_is_ended_on_its_way_is_done_by_the_next_run(states, raw, tmp_path, step, following, sent):
    lake = shutil.copytree(states[step], tmp_path / "lake")
    tables = (bronze.DECLARATION,) if step == "ingest" else silver.TABLES
    process = start(lake, raw, step, HELD)
    deadline = time.monotonic() + 120
    # a file is open: the step is at work
    while not list((lake / tables[0].relative_path).glob("*/*.parquet")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    # Ctrl-C of a terminal reaches the command and all it started
    (os.killpg if sent == signal.SIGINT else os.kill)(process.pid, sent)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == (130 if sent == signal.SIGINT else -signal.SIGKILL), output
    if sent == signal.SIGINT:
        assert "Traceback" not in output, output
        assert not any(uncommitted(lake, item) for item in tables), "an interrupted step leaves no file behind"
    code, output = run(lake, raw, step)
    assert code == 0, output
    for item in tables:
        assert rows(lake, item) == rows(states[following], item), item.name
    code, output = run(lake, raw, step)
    assert code == 0 and len(read_log(StoredFiles(str(lake)), tables[0].relative_path).commits) == 2, output

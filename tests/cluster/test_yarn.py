"""YARN and HDFS on loopback: raw files and lake on ``hdfs://``, submitted by the documented line, an executor killed.

The world is a generated one with all it delivers (customs, yearbook, firm survey), so that every step that reads delivered
files reads them from HDFS. Needs hdfs-native and Hadoop's daemons (tests/fixtures/hadoop.py); skipped where they are not.
"""

from __future__ import annotations

import os
import signal

import numpy as np
import pandas as pd
import pytest

from jobs.core.lake import Lake
from jobs.generate import generate
from jobs.pipeline import run_through
from jobs.runtime.context import JobContext
from schemas.catalog import TABLES

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600)]
THROUGH = "panel"
# what a run stamps on its rows, and tables of how a run went
STAMPS = {
    "run_id", "load_id", "loaded_at", "received_at", "looked_at", "built_at", "estimate_seconds", "table_version",
}
OF_THE_RUN = {"ops.run"}
# a mean of a thousand doubles in another order of its terms is off by some 1e-14; the difference of two by more of itself
RELATIVE, ABSOLUTE = 1e-9, 1e-11


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A small generated world with a firm survey."""
    out = tmp_path_factory.mktemp("world")
    generate(out, seed=11, preset="small", n_cities=16, years=(2003, 2005, 2006, 2007), records=10_000, firms="survey")
    return out / "raw"


@pytest.fixture(scope="module")
def on_a_disk(spark, settings, world, tmp_path_factory):
    """The same world's lake on a local disk."""
    root = str(tmp_path_factory.mktemp("local") / "lake")
    context = JobContext(spark, Lake.open(spark, root, create=True), settings, "local", raw=world)
    run_through(context, THROUGH)
    return root


def test_raw_files_and_lake_on_hdfs_an_executor_killed_every_row_as_on_a_disk(
    hadoop, launcher, tools, spark, world, on_a_disk, tmp_path
):
    hadoop.put(world, "/raw")
    # a generated world is held against its own totals, wherever it lies
    hadoop.put(world.parent / "truth", "/truth")
    away, lake = tmp_path / "away", f"{hadoop.address}/lakes/customs"
    given = tools.submission_folder(away) | {
        "HADOOP_CONF_DIR": str(hadoop.conf), "RAW": f"{hadoop.address}/raw", "LAKE": lake, "STEPS": f"--through {THROUGH}",
    }
    tools.write_defaults(away, {"spark.yarn.am.memory": "512m", "spark.executor.memoryOverhead": "512m"})
    process = launcher.spawn(["bash", "-c", tools.documented_line("YARN")], cwd=away, env=given)
    stored = Lake.peek(spark, lake)
    tools.wait_until(lambda: stored.store.exists("bronze/declaration/_delta_log") and hadoop.executors(), process)
    assert process.poll() is None, process.log.read_text("utf-8", errors="replace")[-6000:]
    killed = hadoop.executors()[0]
    os.kill(killed, signal.SIGKILL)
    printed = launcher.finish(process, timeout=1800)
    assert "ExecutorLostFailure" in printed or "Lost executor" in printed or "exit code: 137" in printed, printed[-3000:]
    here, there = _tables(spark, on_a_disk), _tables(spark, lake)
    assert there.keys() == here.keys() and len(here) > 20
    assert _differing(here, there) == {}
    assert hadoop.open_to_others("/lakes/customs") == []


def _tables(spark, root) -> dict[str, pd.DataFrame]:
    """Rows of every table, in an order of their own."""
    lake = Lake.open(spark, root)
    found = {
        name: lake.read(table).drop(*STAMPS).toPandas()
        for name, table in TABLES.items() if lake.exists(table) and name not in OF_THE_RUN
    }
    # a build's inputs name versions of this lake's own tables, which are as many as its commits
    found["ops.build"] = found["ops.build"].drop(columns=["fingerprint", "inputs"])
    return {name: _ordered(rows) for name, rows in found.items()}


def _ordered(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows by what is exact in them, then by what is not; exact values as texts."""
    doubles = [name for name in rows if rows[name].dtype == float]
    shown = rows.assign(**{name: rows[name].map(str) for name in rows if name not in doubles})
    return shown.sort_values([*(name for name in rows if name not in doubles), *doubles], ignore_index=True)


def _differing(here: dict[str, pd.DataFrame], there: dict[str, pd.DataFrame]) -> dict[str, list[str]]:
    """Columns of each table whose values differ."""
    found = {}
    for name, rows in here.items():
        other = there[name]
        columns = list(rows) if list(rows) != list(other) or len(rows) != len(other) else [
            column for column in rows
            if not (np.allclose(rows[column], other[column], rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)
                    if rows[column].dtype == float else rows[column].equals(other[column]))
        ]
        if columns:
            found[name] = columns
    return found

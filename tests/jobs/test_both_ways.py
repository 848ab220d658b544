"""A lake whose files executors write themselves, and one whose rows Spark carries: the same rows, to the last value."""

from __future__ import annotations

import pytest

from jobs import clean, ingest, land, references
from jobs.cleaning.balance import reconcile_years
from jobs.core import file_tables
from jobs.core.lake import Lake
from jobs.core.ledger import recorded_builds
from jobs.generate import generate
from jobs.runtime.context import JobContext
from schemas import bronze, ops, silver

pytestmark = pytest.mark.lake
OF_THE_RUN = {"loaded_at", "run_id", "built_at"}
TABLES = (bronze.DECLARATION, *silver.TABLES, ops.RECONCILIATION, ops.QUALITY, ops.FILE_QUALITY)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Monthly files with postcodes and a yearly one without: a firm's postcode of the one places records of the other."""
    out = tmp_path_factory.mktemp("world")
    generate(out, seed=5, preset="small", n_cities=8, years=(2006, 2008), records=3_000)
    return out / "raw"


def _context(spark, settings, raw, root):
    context = JobContext(spark, Lake.open(spark, str(root), create=True), settings, "first", raw=raw)
    for step in (land, ingest, references, clean):
        step.run(context)
    return context


def _rows(context, table):
    """All rows as text, in order; a map or list by its content."""
    rows = context.lake.arrow(table)
    rows = rows.select([name for name in rows.column_names if name not in OF_THE_RUN])
    return sorted(repr(tuple(row.values())) for row in rows.to_pylist(maps_as_pydicts="strict"))


def test_files_of_executors_hold_the_rows_that_spark_would_write(spark, settings, raw, tmp_path, monkeypatch):
    ours = _context(spark, settings, raw, tmp_path / "ours")
    names = [path.name for path in (tmp_path / "ours").rglob("*.parquet") if "bronze" in str(path) or "silver" in str(path)]
    assert names and all(name.endswith(".zstd.parquet") for name in names), "no row of these tables passed through Spark"
    delivered = ours.lake.rows(ops.RECONCILIATION)
    years = sorted(recorded_builds(ours.lake, silver.DECLARATION).fingerprints)
    again = reconcile_years(ours, years)
    assert sorted(row["value_in_usd"] for row in again) == sorted(row["value_in_usd"] for row in delivered)
    assert land.run(ours).changed is False and ingest.run(ours).changed is False and clean.run(ours).changed is False
    with monkeypatch.context() as patched:
        # what a store that executors cannot reach as a folder looks like
        patched.setattr(file_tables, "reaches", lambda root: False)
        theirs = _context(spark, settings, raw, tmp_path / "theirs")
    names = [path.name for path in (tmp_path / "theirs" / "silver").rglob("*.parquet")]
    assert names and not any(name.endswith(".zstd.parquet") for name in names)
    for table in TABLES:
        assert _rows(ours, table) == _rows(theirs, table), table.name
    # Spark reads what executors wrote, and skips files by their statistics as it does its own
    few = "value_usd > 100000 AND source_row < 50"
    found, expected = (
        context.lake.read(silver.DECLARATION).where(few).select("file_sha256", "source_row", "value_usd").collect()
        for context in (ours, theirs)
    )
    assert sorted(found) == sorted(expected) and found

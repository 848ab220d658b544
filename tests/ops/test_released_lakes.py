"""A small lake of every release is opened, read and migrated by this version, and goes on to the rows of a new lake.

Each archive beside this file was written by its release (release_lake.py): lake, delivered files, and what the tables held.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from jobs import clean, count, ingest, land, migrate
from jobs.core.errors import LakeError
from jobs.core.lake import Lake
from jobs.core.upkeep import add_declared_columns
from jobs.runtime.context import JobContext, run_job
from schemas import bronze, gold, ops, silver
from schemas.catalog import TABLES
from schemas.fields import PERSONAL_COLUMNS, RAW_COLUMNS
from schemas.migrations import LAKE_FORMAT
from tests.ops.release_lake import MAX_BYTES, content_of, tables_of

pytestmark = pytest.mark.lake
ARCHIVES = sorted(Path(__file__).with_name("data").glob("release_*.tar.xz"))
CONTRACTS = Path(__file__).resolve().parents[2] / "docs" / "contracts"
JOBS = {"land": land, "ingest": ingest, "clean": clean, "count": count}
# what a run stamps on its rows
STAMPS = {"run_id", "load_id", "loaded_at", "received_at", "built_at"}
COMPARED = (silver.DECLARATION, silver.QUARANTINE, gold.CITY_PRODUCT_DESTINATION, gold.CITY_EXPORTS, ops.RECONCILIATION)


def test_the_last_release_left_a_lake():
    released = [path.name.removesuffix(".odcs.yaml") for path in CONTRACTS.glob("*.odcs.yaml")]
    kept = {path.name.removeprefix("release_").removesuffix(".tar.xz") for path in ARCHIVES}
    assert set(released) <= kept, "CONTRIBUTING, Releases"
    assert all(path.stat().st_size <= MAX_BYTES for path in ARCHIVES)


def _unpacked(archive: Path, folder: Path) -> dict[str, dict]:
    with tarfile.open(archive) as packed:
        # Python 3.11 has no filters before 3.11.4, 3.12 and later warn without one
        packed.extraction_filter = getattr(tarfile, "data_filter", None) or (lambda member, path: member)
        packed.extractall(folder)
    return json.loads((folder / "content.json").read_text("utf-8"))


def _run_through(context: JobContext) -> None:
    for name, module in JOBS.items():
        run_job(name, module.run, context)


def _rows(root: Path) -> dict[str, dict]:
    tables = tables_of(root)
    found = {
        table.name: content_of(tables[table.name], [name for name in table.columns if name not in STAMPS])
        for table in COMPARED
    }
    # how a line was read is noted of new files only
    delivered = [*RAW_COLUMNS, "source_file", "source_row", "source_year", "malformed_row", "extra"]
    return found | {bronze.DECLARATION.name: content_of(tables[bronze.DECLARATION.name], delivered)}


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name)
def test_lake_of_a_release_keeps_its_rows_and_goes_on_as_a_new_one(spark, settings, archive, tmp_path):
    content = _unpacked(archive, tmp_path)
    old = tmp_path / "lake"
    written = Lake(spark, str(old)).format()
    if written < LAKE_FORMAT:
        with pytest.raises(LakeError, match=rf"is of lake format {written}, this product writes {LAKE_FORMAT}"):
            Lake.open(spark, str(old))
    lake = Lake(spark, str(old))
    steps = migrate.plan_migration(lake)
    assert [step.format for step in steps] == list(range(written + 1, LAKE_FORMAT + 1))
    assert migrate.migrate(lake, steps).changed is bool(steps)
    lake = Lake.open(spark, str(old))
    add_declared_columns(lake)
    tables = tables_of(old)
    # every table to the last value, those that are used no more included; persons come later
    assert {name: content_of(tables[name], printed["columns"]) for name, printed in content.items()} == content
    for name in set(content) & set(TABLES):
        assert set(TABLES[name].columns) <= set(tables[name].column_names), name
    migrate.protect(lake, settings)
    assert all(tables_of(old)["bronze.declaration"].column(name).null_count == content["bronze.declaration"]["rows"]
               for name in PERSONAL_COLUMNS)
    new = Lake.open(spark, str(tmp_path / "new"), create=True)
    for one in (lake, new):
        _run_through(JobContext(spark, one, settings, "after", tmp_path / "raw"))
    expected = _rows(tmp_path / "new")
    assert expected["silver.declaration"]["rows"] > 500 and expected["gold.city_exports"]["rows"] > 4
    assert _rows(old) == expected

"""Damaged parts are built again from what is whole, and every table ends equal to that of an undamaged lake."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from jobs import clean, count, ingest, land, repair
from jobs.core.damage import MARKER, UNFINISHED_REPAIR, examine
from jobs.core.delta_log import read_log
from jobs.core.errors import InputRefusedError, NotBalancedError
from jobs.core.lake import Lake
from jobs.core.ledger import new_run_id
from jobs.core.mending import ASIDE, finish, make_readable, scopes_of
from jobs.core.stored_files import StoredFiles
from jobs.runtime.context import JobContext, run_job
from schemas.catalog import TABLES

pytestmark = [pytest.mark.lake, pytest.mark.timeout(3600)]
YEARS = (2003, 2004)
STEPS = (("land", land), ("ingest", ingest), ("clean", clean), ("count", count))
#: Columns that say when and by which run a row was written.
STAMPS = {"run_id", "load_id", "loaded_at", "received_at", "built_at"}
#: Records of what happened, which go on.
HISTORY = {"ops.run", "ops.build", "ops.quality"}


def entry(lake, name):
    return max((lake / name.replace(".", "/") / "_delta_log").glob("[0-9]*.json"))


def live_file(lake, name):
    log = read_log(StoredFiles(str(lake)), name.replace(".", "/"))
    return lake / name.replace(".", "/") / min(log.files)


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)


def gone(lake, *names):
    for name in names:
        shutil.rmtree(lake / name.replace(".", "/"))


def as_link(lake, name):
    """Move a table elsewhere and leave a link."""
    folder = lake / name.replace(".", "/")
    folder.rename(lake.parent / name)
    folder.symlink_to(lake.parent / name)


# several at once: each brings its own way of mending, and a run of the jobs is what costs
DAMAGES = {
    "a year of bronze cut, an entry of gold half written, the marker and a record of silver lost": lambda lake: [
        min((lake / "_checksums" / "silver.declaration").iterdir()).unlink(),
        cut(live_file(lake, "bronze.declaration")), cut(entry(lake, "gold.city_exports")), (lake / MARKER).unlink(),
    ],
    "receipts and manifest gone, a bit of silver flipped": lambda lake: [
        gone(lake, "ops.file_receipt", "ops.build"), flip(live_file(lake, "silver.declaration")),
    ],
    "bronze, balance and quality gone, the ledger's last entries half written, the policy cut": lambda lake: [
        (lake / "_privacy.json").write_text("{"), as_link(lake, "gold.city_product_destination"),
        gone(lake, "bronze.declaration", "ops.reconciliation", "ops.file_quality"), cut(entry(lake, "ops.build")),
        cut(entry(lake, "ops.run")),
    ],
}
if os.environ.get("CUSTOMS_LAKE_ALL_DAMAGES"):
    for _name in ("bronze.declaration", "silver.declaration", "silver.quarantine", "gold.city_exports", "ops.build",
                  "ops.file_receipt", "ops.reconciliation", "ops.file_quality", "gold.city_product_destination"):
        DAMAGES |= {
            f"last entry half written {_name}": lambda lake, name=_name: cut(entry(lake, name)),
            f"data file cut {_name}": lambda lake, name=_name: cut(live_file(lake, name)),
            f"data file gone {_name}": lambda lake, name=_name: live_file(lake, name).unlink(),
            f"a bit flipped {_name}": lambda lake, name=_name: flip(live_file(lake, name)),
            f"table gone {_name}": lambda lake, name=_name: gone(lake, name),
        }


@pytest.fixture(scope="module")
def whole(spark, settings, tmp_path_factory, write_delivery):
    """A lake of two years through the counts, and its raw folder."""
    folder = tmp_path_factory.mktemp("whole")
    raw = write_delivery(folder / "raw", YEARS)
    context = JobContext(spark, Lake.open(spark, str(folder / "lake"), create=True), settings, new_run_id(), raw)
    for name, module in STEPS:
        run_job(name, module.run, context)
    return folder / "lake", raw


def contents(spark, root):
    lake = Lake.open(spark, str(root))
    found = {}
    for table in TABLES.values():
        if lake.exists(table) and table.name not in HISTORY:
            frame = lake.read(table)
            frame = frame.select(*(column for column in frame.columns if column not in STAMPS))
            found[table.name] = sorted(map(str, frame.collect()))
    return found


def mended(spark, settings, root, raw):
    found = examine(str(root), "deep")
    scopes = scopes_of(found)
    repair.planned_lines(found, scopes)
    make_readable(found, scopes)
    context = JobContext(spark, Lake.open(spark, str(root)), settings, new_run_id(), raw)
    assert repair.repair(context, scopes) == []
    assert [damage.kind for damage in examine(str(root), "deep").damages] == (["unfinished"] if scopes else [])
    finish(StoredFiles(str(root)))
    return scopes


@pytest.mark.parametrize("harm", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_lake_ends_equal_to_an_undamaged_one(spark, settings, whole, tmp_path, harm):
    before = contents(spark, whole[0])
    root = Path(shutil.copytree(whole[0], tmp_path / "lake"))
    harm(root)
    mended(spark, settings, root, whole[1])
    after = contents(spark, root)
    assert {name for name in before if before[name] != after.get(name)} == set()
    assert not (root / ASIDE).exists() and not (root / UNFINISHED_REPAIR).exists()
    # what was built again is known as built: nothing is left to do
    again = JobContext(spark, Lake.open(spark, str(root)), settings, new_run_id(), whole[1])
    assert [name for name, module in STEPS if run_job(name, module.run, again).changed] == []


def test_a_file_whose_values_changed_after_landing_is_not_loaded(spark, settings, tmp_path, write_delivery):
    raw = write_delivery(tmp_path / "raw", [2003], months=(1,), n_lines=20)
    path = raw / "customs" / "data200301.csv"
    context = JobContext(spark, Lake.open(spark, str(tmp_path / "lake"), create=True), settings, new_run_id(), raw)
    land.run(context)
    content, before = path.read_text("utf-8"), path.stat()
    path.write_text(content.replace("84713010", "84713019"), "utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(InputRefusedError, match="data200301.csv: it changed since it was looked at; nothing of this load"):
        ingest.run(context)
    assert context.lake.read(TABLES["bronze.declaration"]).count() == 0
    path.write_text(content, "utf-8")
    assert "20 rows" in ingest.run(context).message


def test_counts_that_differ_from_the_balance_are_refused(spark, settings, whole, tmp_path):
    root = Path(shutil.copytree(whole[0], tmp_path / "lake"))
    lake = Lake.open(spark, str(root))
    lake.replaces_foreign = True
    spark.sql(f"DELETE FROM delta.`{root}/silver/declaration` WHERE year = 2003 AND source_row = 1")
    context = JobContext(spark, lake, settings, new_run_id(), rebuild=True, years=frozenset({2003}))
    with pytest.raises(NotBalancedError, match=r"2003: \d+ records and .* dollars kept, \d+ and .* counted"):
        count.run(context)

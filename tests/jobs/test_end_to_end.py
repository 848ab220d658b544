"""The spine on a small generated world: raw files to the counts and Table 1, twice, against the known truth."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import deltalake
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from jobs import ingest, land, reconcile, verify
from jobs.cleaning.judging import judge_declarations
from jobs.core.errors import InputRefusedError
from jobs.core.lake import Lake
from jobs.core.ledger import files_in_force
from jobs.generate import generate
from jobs.pipeline import run_through
from jobs.runtime.context import JobContext
from jobs.study.sensitivity import ambiguous_cities, count_treatments
from schemas import bronze, gold, ops, silver
from schemas.catalog import TABLES
from schemas.fields import PERSONAL_COLUMNS

pytestmark = pytest.mark.lake
BUILT = (silver.DECLARATION, silver.QUARANTINE, gold.CITY_PRODUCT_DESTINATION, gold.CITY_EXPORTS)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A small generated world: raw/ and truth/."""
    out = tmp_path_factory.mktemp("world")
    # all four layouts, the named cities of the preset, few rows: the session of the suite runs without generated code
    generate(out, seed=11, preset="small", n_cities=16, years=(2003, 2005, 2006, 2007), records=10_000)
    return out


@pytest.fixture(scope="module")
def context(spark, settings, world, tmp_path_factory) -> JobContext:
    """The world loaded once, through the counts."""
    lake = Lake.open(spark, str(tmp_path_factory.mktemp("lake") / "lake"), create=True)
    context = JobContext(spark, lake, settings, "first", raw=world / "raw")
    run_through(context, "count")
    return context


def _content(context: JobContext) -> dict[str, pd.DataFrame]:
    tables = {}
    for table in BUILT:
        frame = context.lake.read(table).drop("load_id")
        tables[table.name] = frame.orderBy(*table.key).toPandas().astype(str)
    return tables


def test_every_city_year_and_every_reason_equal_the_truth(context):
    outcome = verify.run(context)
    truth = pd.read_csv(context.raw.parent / "truth" / "city_year_truth.csv")
    assert outcome.message.startswith(f"{len(truth):,} city-years and ")


def test_rows_and_dollars_balance_for_every_file(context):
    rows = context.lake.read(ops.RECONCILIATION).collect()
    assert len(rows) == context.lake.read(ops.FILE_RECEIPT).count()
    assert all(row["is_balanced"] for row in rows)
    assert sum(row["n_lines"] for row in rows) == context.lake.read(bronze.DECLARATION).count()
    assert "lost" in reconcile.run(context).detail


def test_steps_read_and_write_the_tables_that_the_schemas_declare(context):
    """The run manifest against ``made_by`` and ``made_from``; a step also reads what it has just written."""
    for row in context.lake.read(ops.RUN).where("versions_written IS NOT NULL").collect():
        wrote, read = (
            {name for name in row[column] or {} if not name.startswith("ops.")}
            for column in ("versions_written", "versions_read")
        )
        declared = {name for name, table in TABLES.items() if row["job"] in table.made_by}
        assert wrote <= declared, row["job"]
        assert read - wrote <= {source for name in declared for source in TABLES[name].made_from}, row["job"]


def test_second_run_finds_nothing_to_do_and_a_second_lake_is_identical(context, spark, settings, tmp_path):
    assert not any(outcome.changed for outcome in run_through(context, "count"))
    other = JobContext(
        spark, Lake.open(spark, str(tmp_path / "lake"), create=True), settings, "second", raw=context.raw
    )
    run_through(other, "count")
    first, second = _content(context), _content(other)
    for name in first:
        pd.testing.assert_frame_equal(first[name], second[name], obj=name)


def test_exporter_registered_in_shanghai_with_goods_made_in_changzhou_counts_for_changzhou(context):
    rows = (
        context.lake.read(bronze.DECLARATION)
        .where(F.col("firm_id").startswith("31") & F.col("production_place").contains("常州"))
        .select("file_sha256", "source_row", "firm_address")
    )
    placed = rows.join(context.lake.read(silver.DECLARATION), on=["file_sha256", "source_row"]).collect()
    assert placed
    assert any("上海" in row["firm_address"] for row in placed)
    assert {row["city_id"] for row in placed} == {"320400"}


def test_ambiguous_cities_in_out_and_whole_are_counted_from_one_pass(context):
    years = [2003, 2005, 2006, 2007]
    found = count_treatments(context, years)
    kept = context.lake.read(gold.CITY_EXPORTS).toPandas()
    key, columns = ["city_id", "year"], sorted(kept.columns)

    def ordered(frame):
        return frame.sort_values(key, ignore_index=True)[columns].astype(str)

    # as the lake was built with "in", the same rows; without the ambiguous city-years, exactly those are missing
    pd.testing.assert_frame_equal(ordered(found["in"]), ordered(kept))
    shared = set(ambiguous_cities(context, years)["city_id"])
    assert "330600" in shared & set(kept["city_id"])
    pd.testing.assert_frame_equal(ordered(found["out"]), ordered(kept[~kept["city_id"].isin(shared)]))
    # all of Shaoxing: the records made in its counties come back, and no other city changes
    whole = found["whole_city"].set_index(key)["n_records"]
    gained = whole - found["in"].set_index(key)["n_records"]
    of_shaoxing = gained[[city == "330600" for city, _ in gained.index]]
    # a year of a small world may have none made in its counties
    assert (of_shaoxing >= 0).all() and (of_shaoxing > 0).sum() >= 2
    assert (gained[[city not in shared for city, _ in gained.index]] == 0).all()
    # the pass of the resolver under the option itself
    receipts = files_in_force(context.lake)
    other = replace(context, settings=context.settings.replaced("places", ambiguous="whole_city"))
    judged = judge_declarations(other, context.lake.read(bronze.DECLARATION), receipts, ["reasons"])
    assert judged.where(F.size("reasons") == 0).count() == whole.sum()


def test_another_writer_of_delta_tables_can_write_to_silver_and_is_held_to_its_checks(context, tmp_path):
    """delta-rs knows no regular expressions and no arrays in checks: a table with them is closed to it."""
    for table, column, wrong in ((silver.DECLARATION, "hs6_code", "0101"), (silver.QUARANTINE, "primary_reason", "")):
        copy = tmp_path / table.name
        shutil.copytree(context.lake.path(table).removeprefix("file:"), copy)
        row = deltalake.DeltaTable(copy).to_pyarrow_table().slice(0, 1)
        deltalake.write_deltalake(copy, row, mode="append")
        place = row.column_names.index(column)
        with pytest.raises(deltalake.exceptions.DeltaError, match="failed validation"):
            deltalake.write_deltalake(copy, row.set_column(place, column, pa.array([wrong])), mode="append")


def test_personal_data_are_in_no_table(context):
    rows = context.lake.read(bronze.DECLARATION)
    assert rows.where(" OR ".join(f"{name} IS NOT NULL" for name in PERSONAL_COLUMNS)).count() == 0
    assert rows.where("malformed_row IS NOT NULL AND malformed_row NOT LIKE '(left out%'").count() == 0
    for table in BUILT:
        columns = context.lake.read(table).columns
        assert not {*PERSONAL_COLUMNS, "malformed_row", "extra"} & set(columns)


def test_every_refused_record_has_all_its_reasons_and_repairs_are_recorded(context):
    refused = context.lake.read(silver.QUARANTINE)
    assert refused.where("primary_reason != reasons[0]").count() == 0
    assert refused.where(F.size("reasons") > 1).count() > 0
    repaired = context.lake.read(silver.DECLARATION).select(F.explode("repairs").alias("name")).groupBy("name").count()
    names = {row["name"] for row in repaired.collect()}
    assert {"hs_leading_zero", "hs_dotted", "hs_float", "hs_full_width", "postcode_leading_zero"} <= names


def test_bad_delivery_is_refused_and_nothing_is_written(context, spark, settings, tmp_path):
    good = next((context.raw / "customs").glob("data200301*"))
    raw = tmp_path / "raw" / "customs"
    raw.mkdir(parents=True)
    (raw / good.name).write_bytes(good.read_bytes())
    (raw / "200501.csv").write_bytes(b"a,b\n1,2\n")
    (raw / "data201901.csv").write_bytes(good.read_bytes() + b"\n")
    lake = Lake.open(spark, str(tmp_path / "lake"), create=True)
    bad = JobContext(spark, lake, settings, "bad", raw=tmp_path / "raw", all_or_nothing=True)
    with pytest.raises(InputRefusedError) as refused:
        land.run(bad)
    assert "1 of 3 files cannot be taken; nothing was loaded" in str(refused.value)
    assert "match none of the" in str(refused.value)
    assert "of 2019, outside the study's years 2003-2011" in str(refused.value)
    assert not lake.exists(ops.FILE_RECEIPT)
    (raw / "200501.csv").unlink()
    chosen = replace(bad, years=frozenset([2003]))
    assert land.run(chosen).message.startswith("1 files of 2003")
    ingest.run(chosen)
    assert [row[0] for row in lake.read(bronze.DECLARATION).select("source_year").distinct().collect()] == [2003]

"""Indicators from a lake's files: shared out by cities or by groups of cells, the same as from all records at once."""

from __future__ import annotations

import decimal
import json

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from jobs.core.data_files import FileTarget
from jobs.core.file_slices import FileSlice
from jobs.kernels.indicators.batches import IndicatorPlan, aligned, indicator_parts, table_rows
from jobs.kernels.indicators.cells import RECORD_INPUTS
from jobs.kernels.indicators.files import (
    cell_tasks,
    grouped_cells,
    indicators_of_groups,
    indicators_of_share,
    share_tasks,
    unpacked_parts,
)
from schemas.indicators import CITY_FIRM
from tests.fixtures.trade_records import PLAN, POSSIBLE, REGIONS, YEARS, batches_of, trade_records


@pytest.fixture(scope="module")
def records() -> list[dict]:
    return trade_records()


@pytest.fixture(scope="module")
def parts(records) -> dict[str, pl.DataFrame]:
    return indicator_parts(batches_of(records), PLAN)


def _slices(folder, records, others):
    """Records as two files of declarations a year, firms of other years as files of the firm cube."""
    folder.mkdir()
    rows = pl.DataFrame(records, schema=RECORD_INPUTS).with_columns(
        pl.Series("value_usd", [decimal.Decimal(row["cents"]) / 100 for row in records], pl.Decimal(20, 2)),
        # of China itself and of unknown partners a code is known at most
        pl.col("partner").fill_null("CHN").alias("country_iso3"), pl.col("partner").is_not_null().alias("is_destination"),
    ).drop("cents", "partner")
    found = []
    for kind, frame in (("d", rows[::2]), ("e", rows[1::2]), ("f", others)):
        slices = []
        for (year,), of_year in frame.partition_by("year", as_dict=True, include_key=False).items():
            path = folder / f"{kind}{year}.parquet"
            of_year.write_parquet(path)
            slices.append(FileSlice(str(path), 0, len(of_year), {"year": year}))
        found.append(slices)
    return found[0] + found[1], found[2]


def _in_two_steps(given, elsewhen, plan, target):
    """Records to cells, cells to their cities: as Spark hands them over."""
    tasks = cell_tasks(given, elsewhen)
    groups = [batch for task in tasks for batch in grouped_cells(task, 7)]
    assert len(tasks) == 1 + (len(elsewhen) > 0) and all(batch.schema == groups[0].schema for batch in groups)
    # a partition holds some groups whole, in any order
    by_partition = [[batch for batch in groups if batch["city_group"][0].as_py() % 2 == odd] for odd in (0, 1)]
    return [batch for part in by_partition for batch in indicators_of_groups(reversed(part), plan, target)]


def _by_shares(given, elsewhen, plan, target):
    """Every task reads all and keeps its cities."""
    return [batch for task in share_tasks(given, elsewhen, 3) for batch in indicators_of_share(task, plan, target)]


@pytest.mark.parametrize("way", [_in_two_steps, _by_shares])
@pytest.mark.parametrize("wanted", [YEARS, (2004, 2005)])
def test_files_give_the_same_parts_and_each_city_whole(records, parts, wanted, way, tmp_path):
    read = {year + step for year in wanted for step in (-1, 0, 1)}
    others = parts["firms"].filter(~pl.col("year").is_in(list(read))).select("city_id", "year", "firm_id")
    given = _slices(tmp_path / "in", [row for row in records if row["year"] in read], others)
    plan = IndicatorPlan(wanted, YEARS, REGIONS, POSSIBLE)
    found = way(*given, plan, FileTarget(str(tmp_path), CITY_FIRM, "w"))
    rows = [row for batch in found for row in batch.to_pylist()]
    small = pl.concat([aligned(frame) for frame in unpacked_parts(row["parts"] for row in rows)])
    for name in ("mix", "margins", "diversity"):
        expected = aligned(parts[name].with_columns(pl.lit(name).alias("part"))).filter(pl.col("year").is_in(list(wanted)))
        keys = [column for column in expected.columns if expected[column].dtype in (pl.String, pl.Int32)]
        assert_frame_equal(expected.sort(keys), small.filter(pl.col("part") == name).sort(keys), check_exact=True)
    firms = [
        pl.read_parquet(tmp_path / file["path"], hive_partitioning=False).with_columns(
            pl.lit(int(file["partition"]["year"]), pl.Int32).alias("year")
        )
        for row in rows for file in json.loads(row["files"])
    ]
    expected = table_rows(parts["firms"].filter(pl.col("year").is_in(list(wanted))), CITY_FIRM)
    key = list(CITY_FIRM.key)
    assert pl.concat(firms).select(CITY_FIRM.columns).sort(key).equals(pl.DataFrame(expected).sort(key))

"""Sums and statistics of exporters against a computation by hand on records of every awkward kind."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from statistics import mean, median

import polars as pl
import pytest

from jobs.kernels.trade_sums import added_up, sums_of
from jobs.transforms.trade_sums import exporter_statistics, trade_records, trade_sums

COLUMNS = (
    "year int, flow_kind string, value_usd decimal(18,2), month int, file_sha256 string, country_iso3 string,"
    " hs8_code string, firm_type string, trade_regime string, firm_id string"
)
ROWS = [
    (2003, "export", "10.50", 1, "a", "USA", "01011000", "国有企业", "一般贸易", "3204110001"),
    (2003, "export", "20.00", 2, "a", "HKG", "84713000", "外商独资企业", "进料加工贸易", "3204140002"),
    (2003, "export", "5.00", None, "b", "USA", "84713000", None, "加工贸易", "3204160003"),
    (2003, "export", None, 3, "a", "USA", "84713000", "集体企业", "10", "3204150004"),
    (2003, "export", "-7.00", 3, "a", "USA", "84713000", "集体企业", "10", "3204150004"),
    (2003, "import", "99.00", 3, "a", "JPN", "27090000", "私营企业", "14", "3204160003"),
    (2003, None, "3.00", 3, "a", None, None, "个体工商户", "加工贸易进口设备", None),
    (2004, "export", "8.00", 1, "c", "USA", "01011000", "1", "39", "3204110001"),
    (2004, "export", "9.00", 1, "c", "DEU", "61091000", "其他", None, "1101910009"),
    (2004, "export", "9.00", 1, "c", "USA", "61091000", "其他", None, "1101910009"),
    (2006, "export", "1.00", 1, "d", "DEU", "61091000", "其他", None, "1101910009"),
]


@pytest.fixture(scope="module")
def records(spark):
    rows = [(*row[:2], None if row[2] is None else Decimal(row[2]), *row[3:]) for row in ROWS]
    return trade_records(spark.createDataFrame(rows, COLUMNS))


def test_every_dimension_sums_to_the_year_and_members_are_canonical(records):
    found = {
        (row["year"], row["flow"], row["dimension"], row["member"]): (row["value_usd"], row["n_records"], row["n_unreadable"])
        for row in trade_sums(records).collect()
    }
    per_dimension = defaultdict(Decimal)
    for (year, flow, dimension, _), (value, _, _) in found.items():
        per_dimension[year, flow, dimension] += value or 0
    for year, flow, total in ((2003, "export", "35.50"), (2003, "import", "99.00"), (2003, "unknown", "3.00")):
        of_year = {value for (y, f, _), value in per_dimension.items() if (y, f) == (year, flow)}
        assert of_year == {Decimal(total)}
    # the record that cannot be read and the one below zero are counted apart
    assert found[2003, "export", "all", ""] == (Decimal("35.50"), 3, 2)
    assert found[2003, "export", "month", ""][0] == Decimal("5.00")
    assert found[2003, "export", "regime", "processing"][0] == Decimal("25.00")
    assert found[2003, "unknown", "regime", "other"][0] == Decimal("3.00")
    # without a text, the sixth digit of the firm's code speaks
    assert found[2003, "export", "ownership", "private"][0] == Decimal("5.00")
    assert found[2003, "export", "regime_ownership", "processing/foreign"][0] == Decimal("20.00")
    assert found[2004, "export", "ownership", "state"][0] == Decimal("8.00")
    assert found[2003, "export", "province", "32"][0] == Decimal("35.50")
    assert found[2003, "export", "chapter", "84"][0] == Decimal("25.00")


def test_executors_that_read_files_themselves_come_to_the_same_sums(records):
    names = [column.split()[0] for column in COLUMNS.split(", ")]
    types = dict.fromkeys(names, pl.String) | {"year": pl.Int32, "month": pl.Int32}
    frame = pl.DataFrame(ROWS, schema=types, orient="row").with_columns(pl.col("value_usd").cast(pl.Decimal(18, 2)))
    found = added_up([sums_of(frame)])
    assert sorted(found.rows()) == sorted(tuple(row[name] for name in found.columns) for row in trade_sums(records).collect())


def test_exporters_by_hand(records):
    found = {(row["year"], row["member"], row["measure"]): row["value"] for row in exporter_statistics(records).collect()}
    firms = {2003: {"1", "2", "3"}, 2004: {"1", "9"}, 2006: {"9"}}
    for year, names in firms.items():
        assert found[year, "", "exporters"] == len(names)
    assert found[2003, "", "value_per_exporter_mean"] == pytest.approx(35.5 / 3)
    assert found[2004, "", "destinations_per_exporter_mean"] == mean([1, 2])
    assert found[2004, "", "hs8_per_exporter_median"] == median([1, 1])
    assert (found[2004, "", "entrants"], found[2003, "", "exiters"], found[2003, "", "continuing"]) == (1, 2, 1)
    # the year before 2003 and those beside 2006 are not in the lake
    assert found[2003, "", "entrants"] is None and found[2004, "", "exiters"] is None
    assert found[2006, "", "entrants"] is None and found[2004, "", "surviving_entrants"] is None
    assert (found[2003, "USA", "exporters"], found[2003, "USA", "hs8"]) == (2, 2)
    assert (found[2004, "USA", "exporters"], found[2004, "DEU", "exporters"]) == (2, 1)

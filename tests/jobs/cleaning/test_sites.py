"""Sites: places resolved once for each distinct site equal those of every record, whatever its place follows from."""

from __future__ import annotations

import itertools
import logging

import pytest
from pyspark.sql import functions as F

from jobs.cleaning import sites
from jobs.transforms.declarations import parse_declarations
from jobs.transforms.places import PLACE_COLUMNS
from schemas.bronze import DECLARATION

pytestmark = pytest.mark.spark
WITHOUT_POSTCODE = 2008
# in the other years one of two files carries postcodes
FILE_WITHOUT = "1"
# a text as a postcode and as a place, alone and together; spaces that parsing takes away
GIVEN = {
    "source_year": (2003, WITHOUT_POSTCODE),
    "source_month": (1, 7, None),
    "postcode": ("213000", None, " 213000"),
    "production_place": ("213000", "江苏省常州", None),
    "production_place_code": ("32049", None),
    "firm_id": ("3204940001", "3204 940001", None),
    "firm_address": ("江苏省常州市武进区", None),
    "file_sha256": ("0", FILE_WITHOUT),
}
READ = ("year", "month", "postcode", "production_place", "district_code", "firm_id", "firm_address")


@pytest.fixture(scope="module")
def rows(spark):
    """One bronze row for every combination, twice."""
    combinations = [*itertools.product(*GIVEN.values())] * 2
    return _bronze(spark, [dict(zip(GIVEN, values, strict=True)) for values in combinations])


def _bronze(spark, given):
    lines = []
    for number, values in enumerate(given):
        values = {"file_sha256": "0"} | values | {"layout": "x", "source_file": "x", "source_row": number, "load_id": "0"}
        lines.append(tuple(values.get(field.name) for field in DECLARATION.fields))
    return spark.createDataFrame(lines, DECLARATION.ddl(), verifySchema=False)


def _parse(rows):
    return parse_declarations(
        rows, years_without_postcode=[WITHOUT_POSTCODE], files_without_postcode=[FILE_WITHOUT]
    )


def _resolver(*, reads_month):
    """Places that spell out all they may follow from, so that no difference can hide."""
    has_postcodes = F.col("has_postcode_column")

    def resolve(records):
        usual = [F.col(name) for name in READ[2:5]]
        borrowed = [F.when(~has_postcodes, F.col(name)) for name in READ[5:]]
        month = F.col("month") if reads_month else F.lit(None)
        evidence = [F.col("year"), month, *usual, *borrowed]
        spelt = F.concat_ws("|", *(F.coalesce(column.cast("string"), F.lit("-")) for column in evidence))
        return records.withColumns({name: F.concat(F.lit(name), spelt) for name in PLACE_COLUMNS})

    return resolve


def _placed(rows, convention):
    return sites.place_by_site(
        _parse(rows), rows, _resolver(reads_month=convention == "approval"), _parse,
        convention=convention, years_without_postcode=[WITHOUT_POSTCODE], files_without_postcode=[FILE_WITHOUT],
    )


def _by_row(frame):
    return {row["source_row"]: tuple(row)[1:] for row in frame.select("source_row", *PLACE_COLUMNS).collect()}


@pytest.mark.parametrize("convention", ["year_end", "approval"])
def test_records_find_the_place_that_resolving_them_gives(rows, convention):
    resolve = _resolver(reads_month=convention == "approval")
    placed = _placed(rows, convention)
    assert placed.columns == [*_parse(rows).columns, *PLACE_COLUMNS]
    # the look-up is there: this is not the way record by record
    assert "BroadcastHashJoin" in placed._jdf.queryExecution().executedPlan().toString()
    assert _by_row(placed) == _by_row(resolve(_parse(rows)))


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [("MAX_SITES", 3, "more than 3 distinct"), ("_hash", lambda columns: F.lit(1).cast("bigint"), "one hash")],
)
def test_too_many_sites_or_a_shared_hash_are_resolved_record_by_record(rows, monkeypatch, caplog, name, value, told):
    few = rows.where("source_row % 9 = 0")
    expected = _by_row(_resolver(reads_month=False)(_parse(few)))
    monkeypatch.setattr(sites, name, value)
    with caplog.at_level(logging.INFO, logger="customs_lake"):
        placed = _placed(few, "year_end")
    assert told in caplog.text
    assert "Join" not in placed._jdf.queryExecution().executedPlan().toString()
    assert _by_row(placed) == expected


def test_firm_has_the_postcode_of_most_of_its_readable_records_however_spelt(spark):
    seen = [
        ("3204940001", "213000", None), (" 3204940001", "213000.0", None), ("3204 940001", " 213000", None),
        ("3204940001", "200120", None), ("3204940001", "200120", None), ("3204940001", "21", None),
        ("3204940001", None, None), *[("3204940001", "200120", "broken")] * 4, ("3204940002", "312000", None),
        (None, "310000", None),
    ]
    given = [
        {"source_year": 2005, "firm_id": firm, "postcode": postcode, "malformed_row": broken}
        for firm, postcode, broken in seen
    ]
    found = sites.firm_postcodes(_bronze(spark, given), _parse)
    assert {tuple(row) for row in found.collect()} == {("3204940001", "213000"), ("3204940002", "312000")}


def test_build_without_a_row_is_placed_too(rows):
    assert _by_row(_placed(rows.where("source_year = 1999"), "year_end")) == {}

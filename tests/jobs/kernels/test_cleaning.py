"""Cleaning batches: every rule has its record, a place is the one its record gets alone, and nothing is lost on the way."""

from __future__ import annotations

import itertools
from dataclasses import replace
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pytest

from conf.rules import load_rules
from jobs.kernels.cleaning import (
    CLEANING_INPUTS,
    Cleaning,
    clean_records,
    sorted_batches,
    spelt_postcodes,
    unpacked_batches,
    value_totals,
)
from jobs.kernels.parsing import CodeTables, WithoutPostcodes
from jobs.kernels.placing import PLACE_COLUMNS, PlacePolicy, place_records
from jobs.reference.codebooks import partner_table, product_table
from jobs.reference.place_book import load_place_book
from jobs.reference.place_lookups import place_tables
from schemas import silver

TYPES = {"source_year": pl.Int32, "source_month": pl.Int32, "source_row": pl.Int64, "reading_marks": pl.List(pl.String)}
SOUND = {
    "source_year": 2005, "flow": "出口", "hs_code": "84713010", "value": "1500", "postcode": "213000",
    "production_place": "江苏省常州", "partner": "美国", "file_sha256": "f", "source_row": 1, "load_id": "l",
}
# what makes the sound record fail: only the rules named, in their order
FAILING = {
    ("erased",): dict.fromkeys(("flow", "hs_code", "value", "postcode", "production_place", "partner"))
    | {"malformed_row": "erased"},
    ("row_malformed",): {"malformed_row": "a,b", "hs_code": None},
    ("undecodable", "destination_unknown"): {"partner": "美\ufffd"},
    ("flow_missing",): {"flow": "?"},
    ("import",): {"flow": "1", "value": None},
    ("year_unknown",): {"reading_marks": ["damaged_text", "year_unknown"]},
    ("hs_missing",): {"hs_code": "NULL"},
    ("hs_malformed",): {"hs_code": "8471"},
    ("hs_unknown",): {"hs_code": "99999999"},
    ("place_missing",): {"production_place": "\u3000"},
    ("destination_missing",): {"partner": None},
    ("destination_unknown",): {"partner": "亚特兰蒂斯"},
    ("value_missing",): {"value": ""},
    ("value_malformed",): {"value": "12,34"},
    ("value_nonpositive",): {"value": "0.004"},
    ("postcode_missing",): {"postcode": None},
    ("postcode_malformed",): {"postcode": "2130"},
    ("postcode_unknown",): {"postcode": "999999", "production_place": "江苏"},
    ("place_unknown",): {"postcode": "999999", "production_place": "某地"},
    ("county",): {"postcode": "312500", "production_place": "浙江绍兴"},
    ("county_city",): {"postcode": "213300"},
    ("outside_cities",): {"postcode": "844000", "production_place": "新疆喀什"},
    ("flow_missing", "hs_missing", "value_missing", "postcode_missing"): {
        "flow": None, "hs_code": None, "value": None, "postcode": None,
    },
}
WITHOUT_POSTCODE, FILE_WITHOUT = 2008, "1"
# a text as a postcode and as a place, alone and together; spaces that parsing takes away; files and years without postcodes
SITES = {
    "source_year": (2003, WITHOUT_POSTCODE),
    "source_month": (1, 7, None),
    "postcode": ("213164", None, " 312500"),
    "production_place": ("213000", "江苏省常州", "绍兴", None),
    "production_place_code": ("32049", None),
    "firm_id": ("3204940001", "3204 940001", None),
    "firm_address": ("浙江省绍兴市新昌县人民路8号", None),
    "file_sha256": ("0", FILE_WITHOUT),
}


def bronze_rows(given):
    rows = [SOUND | row for row in given]
    return pl.DataFrame(
        {name: pl.Series([row.get(name) for row in rows], dtype=TYPES.get(name, pl.String)) for name in CLEANING_INPUTS}
    )


def batches(frame, n_rows=7):
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest()).to_batches(max_chunksize=n_rows)


@pytest.fixture(scope="module")
def cleaning():
    return Cleaning(
        CodeTables(product_table(), partner_table()), place_tables(load_place_book()), PlacePolicy(), load_rules(),
        WithoutPostcodes(),
    )


def test_every_rule_refuses_its_record_and_no_other_rule_does(cleaning):
    judged = clean_records(bronze_rows([{}, *FAILING.values()]), cleaning).get_column("reasons").to_list()
    assert dict(zip([(), *FAILING], map(tuple, judged), strict=True)) == {names: names for names in ((), *FAILING)}


def test_cities_that_share_postcodes_are_refused_when_the_setting_says_so(cleaning):
    shared = bronze_rows([{"postcode": "312000", "production_place": "浙江绍兴"}])
    refusing = replace(cleaning, policy=PlacePolicy(ambiguous="out"))
    assert clean_records(shared, cleaning).get_column("reasons").to_list() == [[]]
    assert clean_records(shared, refusing).get_column("reasons").to_list() == [["ambiguous_city"]]
    tried = {name for names in FAILING for name in names} | {"ambiguous_city"}
    assert tried == {rule.name for rule in load_rules()}


@pytest.mark.parametrize("convention", ["year_end", "approval"])
def test_place_is_that_of_the_record_alone_whatever_it_follows_from(cleaning, convention):
    rows = bronze_rows([dict(zip(SITES, values, strict=True)) for values in itertools.product(*SITES.values())] * 2)
    cleaning = replace(
        cleaning, places=place_tables(load_place_book(), convention=convention),
        without_postcodes=WithoutPostcodes((WITHOUT_POSTCODE,), (FILE_WITHOUT,)),
        firm_postcodes=pl.DataFrame({"firm_id": ["3204940001"], "history_postcode": ["213164"]}),
    )
    found = clean_records(rows, cleaning)
    # record by record: what a file with postcodes does not need is of no effect there, which the kernel of places tests
    history = pl.when(pl.col("firm_id") == "3204940001").then(pl.lit("213164")).alias("history_postcode")
    expected = place_records(found.with_columns(history), cleaning.places, cleaning.policy)
    assert found.select(PLACE_COLUMNS).equals(expected)
    assert {"firm_history", "address", "postcode4", "place_text"} <= set(expected["place_method"])


def test_records_reach_their_table_once_and_refused_ones_with_what_was_delivered(cleaning):
    given = [{"source_row": row, **failing} for row, failing in enumerate([{}, *FAILING.values(), {"postcode": " 213000"}])]
    rows = bronze_rows(given)
    packed = list(sorted_batches(iter(batches(rows)), cleaning, silver.DECLARATION.columns, silver.QUARANTINE.columns))
    assert all(batch.num_rows == 1 for batch in packed)
    kept, refused = (
        pl.concat([pl.DataFrame(pl.from_arrow(batch)) for batch in unpacked_batches(one.select([side]) for one in packed)])
        for side in ("kept", "refused")
    )
    assert kept.columns == list(silver.DECLARATION.columns)
    assert refused.columns == list(silver.QUARANTINE.columns)
    assert kept.get_column("source_row").to_list() == [0, len(given) - 1]
    assert sorted([*kept.get_column("source_row"), *refused.get_column("source_row")]) == list(range(len(given)))
    assert kept.get_column("postcode").to_list() == ["213000", "213000"]
    delivered = rows.filter(pl.col("source_row").is_in(refused.get_column("source_row").implode()))
    # of a line that cannot be split nothing is kept
    is_split = delivered.get_column("malformed_row").is_null()
    columns = ["postcode", "production_place"]
    assert refused.filter(is_split).select(columns).equals(delivered.filter(is_split).select(columns))
    assert refused.filter(~is_split).get_column("postcode").to_list() == [None, None]
    assert (refused.get_column("primary_reason") == refused.get_column("reasons").list.first()).all()


def test_rows_and_dollars_of_each_file_and_year_are_summed(cleaning):
    rows = bronze_rows(
        [
            {"value": "1.005"}, {"value": "x"}, {"value": "5", "malformed_row": "5,"}, {"source_year": 2006},
            {"file_sha256": "g"},
        ]
    )
    found = pl.concat([pl.DataFrame(pl.from_arrow(batch)) for batch in value_totals(batches(rows, 2))])
    summed = found.group_by("file_sha256", "year").agg(pl.col("n_rows", "usd").sum()).sort("file_sha256", "year").rows()
    assert summed == [("f", 2005, 3, Decimal("1.01")), ("f", 2006, 1, Decimal(1500)), ("g", 2005, 1, Decimal(1500))]


def test_spellings_of_firms_and_postcodes_are_counted_under_what_they_mean():
    rows = bronze_rows(
        [
            {"firm_id": firm, "postcode": postcode, "source_year": year}
            for firm, postcode, year in [
                ("3204940001", "213000", 2005), (" 3204940001", "213000.0", 2005), ("3204 940001", "'213000", 2006),
                ("3204940001", "21", 2005), (None, "213000", 2005), ("3204940001", None, 2005),
            ]
        ]
    ).select("source_year", "firm_id", "postcode")
    found = pl.concat([pl.DataFrame(pl.from_arrow(batch)) for batch in spelt_postcodes(batches(rows, 100))])
    assert sorted(found.rows()) == [(2005, "3204940001", "213000", 2), (2006, "3204940001", "213000", 1)]


def test_no_batch_gives_none(cleaning):
    empty = bronze_rows([]).to_arrow(compat_level=pl.CompatLevel.oldest())
    none = pa.RecordBatch.from_pylist([], schema=empty.schema)
    assert list(sorted_batches([none], cleaning, silver.DECLARATION.columns, silver.QUARANTINE.columns)) == []
    assert list(sorted_batches([], cleaning, silver.DECLARATION.columns, silver.QUARANTINE.columns)) == []

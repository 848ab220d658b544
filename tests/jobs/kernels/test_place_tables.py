"""Coverage by match method, and how often evidence disagreed."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest

from jobs.kernels.place_tables import ambiguity_table, count_conflicts, place_coverage

MONEY = pl.Decimal(20, 2)
SCHEMA = {
    "year": pl.Int32, "city_id": pl.String, "place_method": pl.String, "value_usd": MONEY, "is_place_ambiguous": pl.Boolean,
    "place_conflict": pl.String, "place_confidence": pl.Float64, "unit_type": pl.String,
}


@pytest.fixture
def declarations():
    rows = [
        (2007, "320400", "postcode4", Decimal("60.00"), False, None, 0.98, "district"),
        (2007, "320400", "postcode4", Decimal("20.00"), False, "text_unit", 0.78, "district"),
        (2007, "320400", "place_text", Decimal("20.00"), False, "postcode_prefecture", 0.5, None),
        (2007, "320400", "place_text", Decimal("0.00"), False, "text_prefecture+postcode_unknown", 0.4, None),
        (2008, "330600", "postcode6", Decimal("10.00"), True, None, 0.59, "district"),
    ]
    return pl.LazyFrame(rows, SCHEMA, orient="row")


def test_shares_of_a_city_year_add_up_to_one(declarations):
    rows = place_coverage(declarations).collect().iter_rows(named=True)
    found = {
        (r["year"], r["city_id"], r["place_method"]): (
            r["n_records"], round(r["share_records"], 6), r["share_value"], r["share_ambiguous"], r["share_conflict"],
            r["share_postcode_unknown"],
        )
        for r in rows
    }
    assert found == {
        (2007, "320400", "postcode4"): (2, 0.5, 0.8, 0.0, 0.5, 0.0),
        (2007, "320400", "place_text"): (2, 0.5, 0.2, 0.0, 1.0, 0.5),
        (2008, "330600", "postcode6"): (1, 1.0, 1.0, 1.0, 0.0, 0.0),
    }


def test_conflicts_are_counted_by_kind(declarations):
    rows = count_conflicts(declarations).filter(pl.col("year") == 2007).collect().rows()
    assert rows == [
        (2007, "(none)", 1, Decimal("60.00")),
        (2007, "postcode_prefecture", 1, Decimal("20.00")),
        (2007, "text_prefecture+postcode_unknown", 1, Decimal("0.00")),
        (2007, "text_unit", 1, Decimal("20.00")),
    ]


def test_ambiguous_cities_in_out_and_whole():
    one = Decimal("1.00")
    unknown = ("postcode_unknown", None)
    kept = [
        (2007, "320400", one, None, "district"), (2007, "320400", one, *unknown), (2007, "330600", one, None, "district"),
        # a place text that names the district, and a city that has no districts, need no postcode
        (2007, "320400", one, "postcode_unknown", "district"), (2014, "330600", one, *unknown),
    ]
    common = {"year": pl.Int32, "city_id": pl.String, "value_usd": MONEY}
    silver = pl.LazyFrame(kept, common | {"place_conflict": pl.String, "unit_type": pl.String}, orient="row")
    refused = [
        (2007, "330600", one, ["county"]),
        (2007, "330600", one, ["county", "value_nonpositive"]),
        (2007, "320400", one, ["county"]),
        (2007, None, one, ["import"]),
    ]
    quarantine = pl.LazyFrame(refused, common | {"reasons": pl.List(pl.String)}, orient="row")
    shared = pl.LazyFrame({"city_id": ["330600"], "valid_from": [2000], "valid_to": [2013]})
    found = {
        (r["year"], r["ambiguous"]): (r["n_cities"], r["n_records"])
        for r in ambiguity_table(silver, quarantine, shared).collect().iter_rows(named=True)
    }
    # Shaoxing: one record in its districts, one refused only for its county; no longer ambiguous in 2014
    assert found == {
        (2007, "in"): (2, 4), (2007, "out"): (1, 3), (2007, "whole_city"): (2, 5), (2007, "unknown_refused"): (2, 3),
        (2014, "in"): (1, 1), (2014, "out"): (1, 1), (2014, "whole_city"): (1, 1),
    }

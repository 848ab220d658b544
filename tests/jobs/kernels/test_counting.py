"""Counting: against sets and sums in plain Python, whatever the order and the shares the declarations come in."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.core.file_slices import FileSlice
from jobs.kernels import counting
from jobs.kernels.counting import COUNT_INPUTS, CityYears, count_tasks, export_rows

MONEY = pl.Decimal(20, 2)
TYPES = dict.fromkeys(COUNT_INPUTS, pl.String) | {
    "year": pl.Int32, "value_usd": MONEY, "is_destination": pl.Boolean, "is_place_ambiguous": pl.Boolean,
}
#: Code, its converted code and its family; partner and its economy.
PRODUCTS = [("610910", "610910", "F1"), ("610990", None, "F1"), ("847130", "847130", "F2")]
PARTNERS = [("502", "USA", True), ("503", "USA", True), ("142", "CHN", False), ("701", None, False)]
#: The largest value that the column holds: a sum of some is beyond 64 bits of cents.
LARGEST = Decimal("999999999999999999.99")
VALUES = st.one_of(st.decimals("0.01", 10**7, places=2), st.sampled_from([LARGEST, Decimal("0.01")]))


@st.composite
def _declaration(draw):
    product, converted, family = draw(st.sampled_from(PRODUCTS))
    partner, iso3, is_destination = draw(st.sampled_from(PARTNERS))
    return {
        "year": draw(st.sampled_from([2004, 2005])), "city_id": draw(st.sampled_from(["320400", "310000", "my-town"])),
        "hs6_code": product, "hs6_converted": converted, "hs6_family": family, "hs_revision": "HS2002",
        "partner_code": partner, "country_iso3": iso3, "is_destination": is_destination, "value_usd": draw(VALUES),
        "firm_id": draw(st.sampled_from(["3204910001", "3101910002", None])),
        "place_method": draw(st.sampled_from(["postcode6", "postcode5", "postcode4", "place_name", "firm_code"])),
        "is_place_ambiguous": draw(st.booleans()), "unit_type": draw(st.sampled_from(["district", None])),
        "place_conflict": draw(st.sampled_from(
            [None, "", "postcode_unknown", "name+postcode_unknown", "postcode_unknown_too", "my_postcode_unknown+name"]
        )),
    }


def _frame(rows):
    return pl.DataFrame(rows, schema=TYPES, orient="row")


def _counted(rows, cuts=()):
    counts = CityYears()
    for start, end in pairwise(sorted({0, len(rows), *(cut % len(rows) for cut in cuts)})):
        counts.add(_frame(rows[start:end]))
    return counts


def _brute(rows):
    """City-years by sets and sums."""
    found = {}
    for key in {(row["year"], row["city_id"]) for row in rows}:
        own = [row for row in rows if (row["year"], row["city_id"]) == key]

        def distinct(name, own=own):
            return len({row[name] for row in own} - {None})

        def dollars(chosen, own=own):
            return sum((row["value_usd"] for row in own if chosen(row)), Decimal(0))

        def is_unknown(row):
            return "postcode_unknown" in (row["place_conflict"] or "").split("+") and row["unit_type"] is None

        total = dollars(lambda _: True)
        found[key] = {
            "value_usd": total, "n_products": distinct("hs6_code"), "n_products_converted": distinct("hs6_converted"),
            "n_products_family": distinct("hs6_family"), "n_partner_codes": distinct("partner_code"),
            "n_destinations": len({row["country_iso3"] for row in own if row["is_destination"]} - {None}),
            "n_pairs": len({(row["hs6_code"], row["partner_code"]) for row in own}), "n_firms": distinct("firm_id"),
            "n_records": len(own), "n_records_postcode_unknown": sum(map(is_unknown, own)),
            "share_value_by_fallback": float(dollars(lambda row: "postcode" not in row["place_method"])) / float(total),
            "share_value_ambiguous": float(dollars(lambda row: row["is_place_ambiguous"])) / float(total),
            "share_value_postcode_unknown": float(dollars(is_unknown)) / float(total),
        }
    return found


def _exports(counts):
    (batch,) = counting._results([], counts.counts())
    rows = list(export_rows(batch.column(1)[0].as_py(), {"320400": ("常州市", "320000")}))
    for row in rows:
        assert (row["city_name"], row["province_code"]) == (
            ("常州市", "320000") if row["city_id"] == "320400" else (None, None)
        )
    return {
        (row["year"], row["city_id"]): {
            name: value for name, value in row.items() if name not in ("year", "city_id", "city_name", "province_code")
        }
        for row in rows
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_declaration(), min_size=1, max_size=40), st.lists(st.integers(0, 40), max_size=4))
def test_city_years_and_cube_are_sets_and_sums_however_the_frames_are_cut(rows, cuts):
    counts = _counted(rows, cuts)
    # the very doubles: exact sums, then one division
    assert _exports(counts) == _brute(rows)
    cells = {}
    for row in rows:
        key = tuple(row[name] for name in (*counting.CUBE_KEY, *counting.CUBE_CARRIED))
        usd, n_records = cells.get(key, (Decimal(0), 0))
        cells[key] = (usd + row["value_usd"], n_records + 1)
    if max(usd for usd, _ in cells.values()) > LARGEST:
        # more than the column holds is an error, never another number
        with pytest.raises(pl.exceptions.PolarsError):
            counts.cube()
        return
    cube = counts.cube()
    assert cube["value_usd"].dtype == MONEY and cube.equals(cube.sort(counting.CUBE_KEY))
    assert cells == {
        tuple(row[name] for name in (*counting.CUBE_KEY, *counting.CUBE_CARRIED)): (row["value_usd"], row["n_records"])
        for row in cube.to_dicts()
    }


def test_sums_that_are_put_together_on_the_way_stay_the_same(monkeypatch):
    rows = [
        {"year": 2005, "city_id": f"{city:02}0000", "hs6_code": f"{k % 97:06}", "hs6_converted": None, "hs6_family": "F",
         "hs_revision": "HS2002", "partner_code": "502", "country_iso3": "USA", "is_destination": True,
         "value_usd": Decimal(k + 1), "firm_id": str(k % 31), "place_method": "postcode6", "is_place_ambiguous": k % 2 == 0,
         "unit_type": None, "place_conflict": None}
        for k in range(400) for city in (11, 31)
    ]
    monkeypatch.setattr(counting, "ROWS_AT_ONCE", 50)
    assert _exports(_counted(rows, range(0, 800, 40))) == _brute(rows)


def test_a_year_is_shared_out_by_cities_and_each_city_is_counted_in_one_share():
    slices = [FileSlice(f"/{year}", 0, n_rows, {"year": year}) for year, n_rows in ((2005, 7_000_000), (2006, 10))]
    tasks = [counting.json.loads(task) for task in count_tasks(slices, at_least=2)]
    assert [(task["share"], task["shares"]) for task in tasks] == [(0, 3), (1, 3), (2, 3), (0, 1)]
    assert all(len({item["partition"]["year"] for item in task["slices"]}) == 1 for task in tasks)
    # one year alone on many cores is shared out, too, where it is worth it
    assert len(count_tasks(slices[:1], at_least=64)) == 28 and len(count_tasks(slices[1:], at_least=64)) == 1
    assert count_tasks([], at_least=2) == []
    cities = pl.DataFrame({"city_id": ["320400", "310000", "110000", "my-town", "", "340100", "341800"]})
    for shares in (1, 2, 3, 28):
        of_share = [cities.filter(counting.share_of_city(shares) == share).height for share in range(shares)]
        assert sum(of_share) == cities.height and (shares == 1 or max(of_share) < cities.height)

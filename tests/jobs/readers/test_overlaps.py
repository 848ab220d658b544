"""The same records in other files: taken once, and nothing else is lost; no JVM."""

from __future__ import annotations

import random
import time

import pyarrow as pa
import pytest

from jobs.kernels.content import Part, summarise
from jobs.readers.delivery import FileYear
from jobs.readers.overlaps import Holding, find_overlaps

YEAR = 2005


def _rows(month, n_rows, *, seed=0):
    draw = random.Random(f"{month}-{seed}")
    return [
        {"period": f"{YEAR}{month:02d}" if month else str(YEAR), "hs_code": str(draw.randrange(10**7, 10**8)),
         "firm_id": str(draw.randrange(10**9, 10**10)), "value": str(draw.randrange(1, 10**7)), "quantity": "1"}
        for _ in range(n_rows)
    ]


def _holding(name, rows, *, month=None, in_force=False, accepted=False, rank=0):
    table = pa.table({key: [row[key] for row in rows] for key in rows[0]})
    year = FileYear(YEAR, month, len(rows), summarise([table]))
    return Holding(name, YEAR, year.by_month(), in_force, accepted, rank)


def _found(*holdings, max_share=0.5):
    found = find_overlaps(holdings, max_share=max_share)
    return {item.name: item.kind for item in found.set_aside}, found


@pytest.mark.parametrize("n_rows", [5, 3_000])
def test_one_month_in_three_forms_is_taken_once_the_text_first(n_rows):
    rows = _rows(1, n_rows)
    forms = [_holding("a.dta", rows, month=1, rank=3), _holding("a.csv", rows, month=1), _holding("a.csv.gz", rows, rank=1)]
    aside, found = _found(*forms)
    assert aside == {"a.dta": "duplicate", "a.csv.gz": "duplicate"}
    assert all("a.csv, counted once" in item.reason for item in found.set_aside)


@pytest.mark.parametrize("n_rows", [5, 2_000])
def test_months_are_taken_before_the_years_file_made_of_them(n_rows):
    months = {month: _rows(month, n_rows) for month in range(1, 13)}
    year = [row for rows in months.values() for row in rows]
    random.Random(1).shuffle(year)
    files = [_holding(f"m{month:02d}", rows, month=month) for month, rows in months.items()]
    aside, found = _found(*files, _holding("year", year))
    assert aside == {"year": "duplicate"} and "m01, m02" in found.set_aside[0].reason


def test_years_file_that_holds_more_than_the_months_beside_it_is_taken_instead():
    months = {month: _rows(month, 500) for month in range(1, 13)}
    year = [row for rows in months.values() for row in rows]
    aside, found = _found(_holding("jan", months[1], month=1), _holding("feb", months[2], month=2), _holding("year", year))
    assert aside == {"jan": "duplicate", "feb": "duplicate"}
    assert all("all in year" in item.reason for item in found.set_aside)


def test_what_is_in_force_stays_until_the_larger_file_is_accepted():
    months = {month: _rows(month, 500) for month in (1, 2, 3)}
    year = [row for rows in months.values() for row in rows]
    held = [_holding("jan", months[1], month=1, in_force=True), _holding("feb", months[2], month=2, in_force=True)]
    aside, found = _found(*held, _holding("year", year))
    assert aside == {"year": "overlap"} and "feb, jan and 500 others" in found.set_aside[0].reason
    aside, found = _found(*held, _holding("year", year, accepted=True))
    assert aside == {} and found.replaced == ("feb", "jan")


def test_copy_of_a_file_in_force_is_set_aside_and_two_in_force_are_left_as_they_are():
    rows = _rows(1, 300)
    held = _holding("z", rows, month=1, in_force=True)
    assert _found(held, _holding("a", rows, month=1))[0] == {"a": "duplicate"}
    both = find_overlaps([held, _holding("y", rows, month=1, in_force=True)], max_share=0.5)
    assert both.set_aside == both.replaced == ()


def test_part_in_common_is_set_aside_beyond_the_bound_and_named_below():
    common = _rows(4, 3_000)
    a = _holding("a", common + _rows(4, 1_000, seed=1), month=4)
    mostly = _holding("b", common + _rows(4, 1_000, seed=2), month=4)
    aside, found = _found(a, mostly)
    assert aside == {"b": "overlap"} and "are in a too" in found.set_aside[0].reason
    little = _holding("c", common[:1_500] + _rows(4, 3_000, seed=3), month=4)
    aside, found = _found(a, little)
    assert aside == {} and "c: about" in found.notes[0]


def test_files_without_a_record_in_common_are_never_set_aside():
    months = [_holding(f"m{month}", _rows(month, 400), month=month) for month in range(1, 13)]
    parts = [_holding(f"p{part}", _rows(None, 400, seed=part)) for part in range(6)]
    aside, found = _found(*months, *parts)
    assert aside == {} and found.notes == ()


def test_same_amounts_in_different_months_are_no_overlap():
    rows = _rows(1, 100)
    february = [row | {"period": f"{YEAR}02"} for row in rows]
    assert _found(_holding("jan", rows + _rows(1, 9), month=1), _holding("feb", february, month=2))[0] == {}


def test_very_many_small_files_are_compared_in_seconds():
    def small(name, number):
        sketch = tuple(sorted(random.Random(number).randrange(1 << 64) for _ in range(3)))
        return Holding(name, YEAR, {None: Part(3, 300, sum(sketch) % (1 << 64), sketch)}, False, False, 0)

    files = [small(f"f{number:06d}", number) for number in range(50_000)]
    start = time.process_time()
    aside, _ = _found(*files, small("z", 17))
    assert aside == {"z": "duplicate"}
    # comparing all with all, 1.25 thousand million pairs, would take minutes
    assert time.process_time() - start < 20

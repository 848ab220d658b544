"""Content of a file: the same for the same records whatever their form, exact in cents, additive; no JVM."""

from __future__ import annotations

import doctest
import json
import math
import random
from decimal import ROUND_HALF_UP, Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.kernels import content
from jobs.kernels.content import (
    MAX_FLOW_MARKS,
    SKETCH_SIZE,
    Content,
    Part,
    month_of,
    shared_records,
    summarise,
    summarised,
)

MASK = (1 << 64) - 1


def _table(rows):
    names = sorted({name for row in rows for name in row})
    return pa.table({name: pa.array([row.get(name) for row in rows], pa.string()) for name in names})


def _records(n_rows, *, seed=1, months=(200301,)):
    draw = random.Random(seed)
    return [
        {
            "period": str(draw.choice(months)), "flow": draw.choice(("出口", "进口")),
            "hs_code": f"{draw.randrange(1_000_000, 99_999_999):08d}", "firm_id": str(draw.randrange(10**9, 4 * 10**9)),
            "value": str(draw.randrange(1, 10**6)), "quantity": str(draw.randrange(1, 500)),
        }
        for _ in range(n_rows)
    ]


def _mixed(value):
    """The finaliser of SplitMix64 in whole numbers."""
    value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ value >> 27) * 0x94D049BB133111EB) & MASK
    return value ^ value >> 31


def _record_hash(row):
    state = 0
    for number in (int(row["hs_code"]), int(row["firm_id"]), 100 * int(row["value"]), 100 * int(row["quantity"])):
        state = _mixed((state * 0x9E3779B97F4A7C15 + number) & MASK)
    return state


def test_hashes_are_those_of_whole_number_arithmetic():
    rows = _records(200, months=(200301, 200302))
    found = summarise([_table(rows)])
    for month in (1, 2):
        hashes = [_record_hash(row) for row in rows if row["period"] == f"20030{month}"]
        part = found.parts[2003, month]
        assert (part.n_rows, part.key_hash) == (len(hashes), sum(hashes) & MASK)
        assert part.sketch == tuple(sorted(set(hashes))[:SKETCH_SIZE])


def test_same_records_in_another_form_have_the_same_content():
    rows = _records(300)
    # numbers as a spreadsheet or a Stata file leaves them, in another order and other pieces
    stored = [
        row | {
            "hs_code": str(int(row["hs_code"])), "firm_id": f"{row['firm_id']}.0", "value": f"{int(row['value']):,}",
            "quantity": f"{row['quantity']}.0", "partner": "502", "flow": "0",
        }
        for row in rows
    ]
    random.Random(2).shuffle(stored)
    a, b = summarise([_table(rows)]), summarise([_table(stored[:77]), _table(stored[77:])])
    assert a.parts == b.parts
    assert a.parts != summarise([_table(rows[1:])]).parts


def test_months_add_up_to_the_years_file_and_pieces_to_the_whole():
    rows = _records(400, months=tuple(range(200301, 200313)))
    months = [summarise([_table([row for row in rows if row["period"] == period])]) for period in {r["period"] for r in rows}]
    year = summarise([_table(rows)])
    assert sum(months, Content()).parts == year.parts
    assert sum((content.total for content in months), Part()).is_same(year.total)


@given(st.lists(st.decimals(min_value=-(10**9), max_value=10**12, places=4, allow_nan=False), max_size=30))
def test_dollars_are_the_sum_of_amounts_rounded_to_cents(values):
    expected = sum((value.quantize(Decimal("0.01"), ROUND_HALF_UP) for value in values), Decimal(0))
    assert summarise([_table([{"value": str(value)} for value in values])] if values else []).value_usd == expected


@pytest.mark.parametrize(
    ("text", "dollars"),
    [
        ("12404", "12404"), ("1,234.5", "1234.50"), (" 7 ", "7"), ("１２．５", "12.50"), ("1e3", "1000"),
        ("3.20491E+09", "3204910000"),
        ("1234.56005859375", "1234.56"), ("n/a", "0"), ("", "0"), (None, "0"), ("12,34", "0"), ("1 234,5", "0"),
    ],
)
def test_amounts_are_read_as_the_cleaning_step_reads_them(text, dollars):
    found = summarise([_table([{"value": text, "hs_code": "1"}])])
    assert found.value_usd == Decimal(dollars)
    assert found.n_unreadable_values == (dollars == "0")


@pytest.mark.parametrize(
    ("text", "month"),
    [
        ("200301", (2003, 1)), ("200312.0", (2003, 12)), ("2003", (2003, None)), ("20030115", (2003, 1)),
        ("2003-01-15", (2003, 1)), ("2003-1", (2003, 1)), ("2003/01/15 00:00:00", (2003, 1)), ("2003年1月", (2003, 1)),
        ("2003年12月", (2003, 12)), ("2003年", (2003, None)), ("2003m11", (2003, 11)), ("200300", (2003, None)),
        ("01/15/03 00:00:00", (2003, 1)), ("15/01/2003", (2003, 1)), ("2015-06-15", (2015, 6)), ("200313", (None, None)),
        ("", (None, None)), (None, (None, None)), ("一般贸易", (None, None)),
        ("85171100", (None, None)), ("12404", (None, None)), ("15-Mar-2003", (2003, 3)), ("15mar2003", (2003, 3)),
        ("Mar-03", (2003, 3)), ("March 2003", (2003, 3)), ("2003-Mar-15", (2003, 3)), ("01MAR2003:00:00:00", (2003, 3)),
        ("3月-03", (2003, 3)), ("2003Q1", (2003, None)), ("２００３０３", (2003, 3)), ("'200303", (2003, 3)),
        ('="200303"', (2003, 3)), ("Marseille 2003", (None, None)), ("Dec-79", (None, None)),
        ("2003-03-15T00:00:00", (2003, 3)),
    ],
)
def test_dates_as_delivered_speak_of_a_month(text, month):
    assert month_of(text) == month


def test_share_in_common_is_exact_when_small_and_close_when_large():
    rows = _records(60)
    a = summarise([_table(rows)]).total
    assert shared_records(a, summarise([_table(rows[:20])]).total) == 1
    assert shared_records(a, summarise([_table(rows[:30] + _records(30, seed=9))]).total) == 0.5
    assert shared_records(a, summarise([_table(_records(60, seed=9))]).total) == 0
    # the largest hash of a full sample counts: the only one in common of 64
    full, other = Part(64, 0, 0, tuple(range(64))), Part(65, 0, 0, (63, 100))
    assert len(full.sketch) == SKETCH_SIZE and shared_records(full, other) == 1 / 64
    large, rest = _records(20_000), _records(20_000, seed=9)
    mixed = summarise([_table(large[:12_000] + rest[:8_000])]).total
    # three standard errors of a share of 0.6 in a sample of 64
    assert shared_records(summarise([_table(large)]).total, mixed) == pytest.approx(0.6, abs=3 * math.sqrt(0.24 / 64))


def test_flows_postcodes_and_damage_are_counted():
    rows = [
        {"flow": "出口", "postcode": "213000"}, {"flow": " 出口", "postcode": "NULL"}, {"flow": None, "partner": "美\ufffd"},
    ]
    found = summarise([_table(rows)])
    assert (found.flows, found.n_postcodes, found.n_damaged) == ({"出口": 2, None: 1}, 1, 1)
    many = summarise([_table([{"flow": f"mark {k}"}]) for k in range(50)])
    assert len(many.flows) <= MAX_FLOW_MARKS + 1 and sum(many.flows.values()) == 50


def test_summary_survives_json_and_passes_batches_on():
    rows, into = _records(100, months=(200301, 200402)), []
    assert sum(batch.num_rows for batch in summarised(_table(rows).to_batches(max_chunksize=30), into)) == 100
    (found,) = into
    assert Content.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert found.years == {2003: found.of_year(2003).n_rows, 2004: found.of_year(2004).n_rows}


def test_examples_in_the_module_hold():
    assert doctest.testmod(content).failed == 0

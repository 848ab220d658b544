"""Sums of records by canonical members, from one frame and from many."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.kernels.trade_sums import KEY, added_up, sums_of

TYPES = {
    "year": pl.Int32, "flow_kind": pl.String, "value_usd": pl.Decimal(20, 2), "month": pl.Int32, "file_sha256": pl.String,
    "country_iso3": pl.String, "hs8_code": pl.String, "firm_type": pl.String, "trade_regime": pl.String, "firm_id": pl.String,
}
#: A text as delivered, and what it means.
REGIMES = {
    None: "", "": "", "  ": "", " 10 ": "ordinary", "一般贸易": "ordinary", "0615": "processing", "进料加工贸易": "processing",
    "39": "other", "\u3000": "other",
}
OWNERS = {"国有企业": "state", " 3": "foreign", "外商独资企业": "foreign", "5": "collective", "个体": "private", "9": "other"}
FIRMS = {
    None: "", "32049": "", "3204940001": "foreign", "3204910001": "state", "9904960001": "private",
    "A204950001": "collective",
}


@st.composite
def _record(draw):
    firm = draw(st.sampled_from(list(FIRMS)))
    return {
        "year": draw(st.sampled_from([2003, 2004])), "flow_kind": draw(st.sampled_from(["export", "import", None])),
        "value_usd": draw(st.one_of(st.none(), st.decimals(-5, 10**9, places=2))),
        "month": draw(st.sampled_from([None, 1, 12])), "file_sha256": draw(st.sampled_from("ab")),
        "country_iso3": draw(st.sampled_from(["USA", None])),
        "hs8_code": draw(st.sampled_from(["01011000", "84713000", None])),
        "firm_type": draw(st.sampled_from([*OWNERS, None, " "])), "trade_regime": draw(st.sampled_from(list(REGIMES))),
        "firm_id": firm,
    }


def _members(row):
    regime = REGIMES[row["trade_regime"]]
    owner = OWNERS.get(row["firm_type"]) or FIRMS[row["firm_id"]]
    firm = row["firm_id"] or ""
    return {
        "all": "", "month": "" if row["month"] is None else f"{row['month']:02}", "file": row["file_sha256"],
        "partner": row["country_iso3"] or "", "chapter": (row["hs8_code"] or "")[:2], "regime": regime, "ownership": owner,
        "regime_ownership": "/".join(filter(None, (regime, owner))),
        "province": "32" if firm.startswith("32") and len(firm) == 10 else "",
    }


def _frame(rows):
    return pl.DataFrame(rows, schema=TYPES, orient="row")


@settings(max_examples=40, deadline=None)
@given(st.lists(_record(), min_size=1, max_size=30), st.integers(1, 29))
def test_sums_are_those_of_plain_python_however_the_records_are_cut(rows, cut):
    wanted = defaultdict(lambda: [None, 0, 0])
    for row in rows:
        for dimension, member in _members(row).items():
            entry = wanted[row["year"], row["flow_kind"] or "unknown", dimension, member]
            if row["value_usd"] is not None and row["value_usd"] > 0:
                entry[0] = (entry[0] or Decimal(0)) + row["value_usd"]
                entry[1] += 1
            else:
                entry[2] += 1
    found = added_up([sums_of(_frame(part)) for part in (rows[:cut], rows[cut:])])
    assert {row[:4]: list(row[4:]) for row in found.iter_rows()} == dict(wanted)
    assert tuple(found.columns[:4]) == KEY

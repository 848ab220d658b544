"""Indicators of a city and year as columns beside the panel, so that a result table can name them.

Measures of dynamics bear their own name (``entry_rate``; ``_producers`` without trading companies, ``_constant`` within
constant borders), measures of diversity that of what value is spread over (``theil_product``), shares of trade mix that of
the member (``share_processing``, ``share_hs_section_XVI``), margins ``ln_margin_...``, ``hk_...`` and ``growth_from_...``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas.indicators import (
    ALL_PARTNERS,
    CITY_DIVERSITY,
    CITY_DYNAMICS,
    CITY_MARGINS,
    DIVERSITY_MEASURES,
    DYNAMICS_SUFFIXES,
    FIRM_MEASURES,
    GROWTH_SHARES,
    LOG_MARGINS,
    MIX_MEMBERS,
    OVER,
    TRADE_MIX,
    VARIETY_MEASURES,
    measure_names,
    mix_variable,
)

if TYPE_CHECKING:
    from jobs.core.lake import Lake

#: Tables that measures come from.
MEASURED = (CITY_DYNAMICS, CITY_DIVERSITY, TRADE_MIX, CITY_MARGINS)
KEY = ["city_id", "year"]


def city_measures(lake: Lake, keys: pd.DataFrame, versions: Mapping[str, int | None]) -> pd.DataFrame:
    """Return every measure of the city-years, in their order; empty columns where a table is not there.

    Parameters
    ----------
    lake : Lake
    keys : DataFrame
        ``city_id, year``.
    versions : mapping
        Name of a table to the version that is read; a table without one was not built yet.
    """
    frames = {
        table.name: lake.arrow(table, version=versions[table.name]).to_pandas()
        for table in MEASURED if versions.get(table.name) is not None
    }
    parts = [
        make(frames[table.name])
        for table, make in (
            (CITY_DYNAMICS, dynamics_columns), (CITY_DIVERSITY, diversity_columns), (TRADE_MIX, mix_columns),
            (CITY_MARGINS, margin_columns),
        )
        if table.name in frames
    ]
    found = keys[KEY].reset_index(drop=True)
    for part in parts:
        found = found.merge(part.astype({"year": found["year"].dtype}), on=KEY, how="left", validate="1:1")
    return found.reindex(columns=list(measure_names())).astype(float)


def dynamics_columns(rows: pd.DataFrame) -> pd.DataFrame:
    """``city_id, year`` and the measures of each population and borders."""
    parts = []
    for (population, borders), suffix in DYNAMICS_SUFFIXES.items():
        names = [*FIRM_MEASURES, *(VARIETY_MEASURES if borders == "year" else ())]
        chosen = rows[(rows["population"] == population) & (rows["borders"] == borders)]
        parts.append(chosen.set_index(KEY)[names].add_suffix(suffix))
    return pd.concat(parts, axis=1).reset_index()


def diversity_columns(rows: pd.DataFrame) -> pd.DataFrame:
    """``city_id, year`` and the measures over each thing."""
    parts = [
        rows[rows["over"] == over].set_index(KEY)[list(DIVERSITY_MEASURES)].add_suffix(f"_{over}") for over in OVER
    ]
    return pd.concat(parts, axis=1).reset_index()


def mix_columns(rows: pd.DataFrame) -> pd.DataFrame:
    """``city_id, year`` and shares of value; a member that the city does not trade under has the share 0.

    A dimension of which nothing is known in a city and year is missing, and so is a trading company's share where any firm
    may be one.
    """
    columns = {}
    for dimension, members in MIX_MEMBERS.items():
        shares = rows[rows["dimension"] == dimension].pivot(index=KEY, columns="member", values="share_value")
        unknown = shares.get("unknown", pd.Series(0.0, shares.index)).fillna(0.0)
        for member in members:
            share = shares.get(member, pd.Series(0.0, shares.index)).fillna(0.0)
            columns[mix_variable(dimension, member)] = share.where(unknown < 1)
    return pd.DataFrame(columns).rename_axis(KEY).reset_index()


def margin_columns(rows: pd.DataFrame) -> pd.DataFrame:
    """``city_id, year`` and the margins of the city as a whole."""
    whole = rows[rows["destination"] == ALL_PARTNERS].set_index(KEY)
    logs = {}
    for name, source in LOG_MARGINS.items():
        values = whole[source].astype(float)
        logs[name] = np.log(values.where(values > 0))
    before = whole["value_before_usd"].astype(float)
    terms = {
        name: whole[f"change_{name.removeprefix('growth_from_')}_usd"].astype(float) / before.where(before > 0)
        for name in GROWTH_SHARES
    }
    columns = {**logs, **terms, "hk_extensive": whole["hk_extensive"], "hk_intensive": whole["hk_intensive"]}
    return pd.DataFrame(columns).reset_index()

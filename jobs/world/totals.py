"""Totals of a generated world: what an office of statistics would publish of its records, in ``truth/trade_totals.csv``.

Every record counts whose direction is marked and whose value is a positive number, whatever else is wrong with it; a
partner or chapter gets the records in which it can be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from jobs.world import dirt

if TYPE_CHECKING:
    from jobs.world.records import Records
    from jobs.world.world import World

_NO_TOTAL = dirt.VALUE_UNREADABLE | dirt.BIT["flow_missing"]
_NO_CHAPTER = dirt.BIT["hs_missing"] | dirt.BIT["hs_malformed"]
_NO_PARTNER = dirt.BIT["destination_missing"] | dirt.BIT["destination_unknown"]


def year_totals(world: World, year: int, records: Records) -> pd.DataFrame:
    """Totals of one year by direction: of all records, by partner economy and by HS chapter.

    Returns
    -------
    DataFrame
        ``year, flow, dimension, member, value``, value in US dollars.
    """
    counted = records.take(((records.defects & _NO_TOTAL) == 0) & (records.value > 0))
    iso3 = world.goods.partners["iso3"].to_numpy(dtype=object)[counted.partner]
    chapters = np.array([code[:2] for code in world.goods.codes], dtype=object)[counted.code]
    frame = pd.DataFrame({
        "flow": np.where(counted.is_export, "export", "import"), "value": counted.value, "all": "",
        "partner": np.where((counted.defects & _NO_PARTNER) == 0, iso3, None),
        "chapter": np.where((counted.defects & _NO_CHAPTER) == 0, chapters, None),
    })
    parts = [
        frame[frame[name].notna() & ((frame[name] != "") | (name == "all"))]
        .groupby(["flow", name], as_index=False)["value"].sum()
        .rename(columns={name: "member"}).assign(dimension=name)
        for name in ("all", "partner", "chapter")
    ]
    totals = pd.concat(parts, ignore_index=True).assign(year=year)
    return totals[["year", "flow", "dimension", "member", "value"]]

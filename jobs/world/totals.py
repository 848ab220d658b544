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
_FLOWS = ("import", "export")


class TradeTotals:
    """Totals of one year by direction: of all records, by partner economy and by HS chapter; fed block by block.

    Parameters
    ----------
    world : World
    """

    def __init__(self, world: World) -> None:
        iso3 = world.goods.partners["iso3"].to_numpy(dtype=object)
        chapters = np.array([code[:2] for code in world.goods.codes], dtype=object)
        self._members = {"all": np.array([""], dtype=object)}
        self._member_of: dict[str, np.ndarray] = {}
        for name, texts in (("partner", iso3), ("chapter", chapters)):
            self._members[name], self._member_of[name] = np.unique(texts, return_inverse=True)
        self._sums = {name: np.zeros((len(_FLOWS), len(members)), np.int64) for name, members in self._members.items()}

    def add(self, records: Records) -> None:
        """Enter a block of records."""
        counted = records.take(((records.defects & _NO_TOTAL) == 0) & (records.value > 0))
        flow = counted.is_export.astype(np.int8)
        np.add.at(self._sums["all"][:, 0], flow, counted.value)
        for name, position, unread in (("partner", counted.partner, _NO_PARTNER), ("chapter", counted.code, _NO_CHAPTER)):
            read = (counted.defects & unread) == 0
            member = self._member_of[name][position[read]]
            np.add.at(self._sums[name], (flow[read], member), counted.value[read])

    def table(self, year: int) -> pd.DataFrame:
        """All totals that are not zero: ``year, flow, dimension, member, value``, value in US dollars."""
        rows = [
            (year, _FLOWS[flow], name, members[k], self._sums[name][flow, k])
            for name, members in self._members.items()
            for flow in (1, 0)
            for k in np.flatnonzero(self._sums[name][flow])
            if members[k] or name == "all"
        ]
        return pd.DataFrame(rows, columns=["year", "flow", "dimension", "member", "value"])

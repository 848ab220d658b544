"""Destinations counted both ways are handed over from the exports that the version of the panel was made of."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa

from estimation.tables import StudyPanel
from jobs.study import handoff
from schemas.gold import CITY_EXPORTS
from schemas.panel import CITY_PANEL


class _Lake:
    """Two versions of the exports, one written after the panel."""

    commits_of = {CITY_PANEL.name: [(0, 50)], CITY_EXPORTS.name: [(0, 10), (1, 40), (2, 90)]}

    def __init__(self, exports=True):
        self.has_exports = exports
        self.asked = []

    def exists(self, table):
        return table.name != CITY_EXPORTS.name or self.has_exports

    def commits(self, table):
        return [
            SimpleNamespace(version=version, timestamp_ms=at, changes_rows=True)
            for version, at in self.commits_of[table.name]
        ]

    def arrow(self, table, *, version, columns):
        self.asked.append((table.name, version))
        rows = pd.DataFrame({"city_id": ["b", "a", "a"], "year": np.array([2003, 2004, 2003], dtype="int32"),
                             "n_destinations": [5, 0, 20], "n_partner_codes": [6, 1, 22]})
        return pa.Table.from_pandas(rows[list(columns)], preserve_index=False)


def _panel():
    return StudyPanel.from_natural(
        pd.DataFrame({"city_id": ["a", "a", "b", "c"], "year": [2003, 2004, 2003, 2003], "lnnumcou": np.log([20, 1, 5, 9])})
    )


def test_both_counts_come_from_the_exports_before_the_panel():
    lake = _Lake()
    panel = handoff._with_counts(lake, _panel(), 0)
    assert lake.asked == [(CITY_EXPORTS.name, 1)]
    codes = panel.counted("lnnumcou", "codes").natural["lnnumcou"]
    np.testing.assert_allclose(np.exp(codes), [22, 1, 6, np.nan])
    economies = panel.counted("lnnumcou", "economies").natural["lnnumcou"]
    np.testing.assert_allclose(np.exp(economies), [20, np.nan, 5, np.nan])
    assert panel.counted("lnnumcou", "panel") is panel


def test_a_lake_without_exports_keeps_the_panel_s_own_count():
    panel = _panel()
    assert handoff._with_counts(_Lake(exports=False), panel, 0) is panel
    assert panel.counted("lnnumcou", "codes") is panel

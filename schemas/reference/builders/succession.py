"""Which unit or prefecture stands for another one in a given year: through conversions, mergers, and new numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from schemas.reference.builders.common import read_source
from schemas.reference.builders.names import PREFECTURE_ENDINGS, strip_ending

_OPEN = 9999


class Succession:
    """Units and prefectures by code and year, followed through the official changes.

    Parameters
    ----------
    units, prefectures : DataFrame
        ``county_units.csv`` and ``prefectures.csv``.
    """

    def __init__(self, units: pd.DataFrame, prefectures: pd.DataFrame) -> None:
        self._units: dict[str, list] = {}
        for row in units.itertuples():
            self._units.setdefault(row.unit_code, []).append((int(row.valid_from), int(row.valid_to or _OPEN), row))
        self._prefectures: dict[str, list] = {}
        self._by_stem: dict[tuple[str, str], list] = {}
        for row in prefectures.itertuples():
            span = (int(row.valid_from), int(row.valid_to or _OPEN), row)
            self._prefectures.setdefault(row.prefecture_code, []).append(span)
            self._by_stem.setdefault((row.prefecture_code[:2], _stem(row.name_zh)), []).append(span)
        self._after: dict[str, set[str]] = {}
        self._before: dict[str, set[str]] = {}
        for event in read_source("division_events").itertuples():
            if event.new_code and event.old_code != event.new_code:
                self._after.setdefault(event.old_code, set()).add(event.new_code)
                self._before.setdefault(event.new_code, set()).add(event.old_code)

    def unit(self, code: str, year: int) -> Any:
        """Row of a unit in a year; None when it does not exist then."""
        return next((row for start, end, row in self._units.get(code, ()) if start <= year < end), None)

    def units(self, codes: Iterable[str], year: int) -> list:
        """Rows of the units that stand for these in a year: themselves, otherwise what they became or came from."""
        found: dict[str, object] = {}
        for code in codes:
            for current in self._in_year(code, year, frozenset()):
                found[current] = self.unit(current, year)
        return [found[code] for code in sorted(found)]

    def _in_year(self, code: str, year: int, seen: frozenset[str]) -> set[str]:
        if self.unit(code, year) is not None:
            return {code}
        spans = self._units.get(code, ())
        is_over = bool(spans) and max(end for _, end, _ in spans) <= year
        steps = self._after if is_over or not spans else self._before
        following = steps.get(code, set()) - seen
        return {one for step in following for one in self._in_year(step, year, seen | {code})}

    def prefecture(self, codes: Iterable[str], year: int) -> Any:
        """Row of the prefecture that one of these codes, or its namesake in the province, is in a year; or None."""
        codes = [code for code in codes if code]
        for code in codes:
            for start, end, row in self._prefectures.get(code, ()):
                if start <= year < end:
                    return row
        for code in codes:
            for _, _, known in self._prefectures.get(code, ()):
                for start, end, row in self._by_stem[(code[:2], _stem(known.name_zh))]:
                    if start <= year < end:
                        return row
        return None


def _stem(name: str) -> str:
    return strip_ending(name, PREFECTURE_ENDINGS)

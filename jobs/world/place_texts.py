"""What declarations of the generated world write as the place of production: entries of customs' list of districts.

Files carry an entry of the list (国内地区代码表), so a firm in a zone names the zone, one elsewhere in a city its rest. In
Shanghai, Suzhou, Tianjin, and Dalian most exporters sit in zones, elsewhere about a third do. A quarter of the records has
an older or freer spelling of the prefecture, as files before 2002 have. An entry is written as in the list, with 其它 for
其他, or with its province in front.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from jobs.world.reference import WorldReference, valid_in, with_interval
from schemas.places import INSIDE_TYPES

#: Texts of one place; a record takes one of them by its style.
SLOTS = 40
#: Share of free spellings of the prefecture, and of zones among the entries of the list.
FREE_SHARE, ZONE_SHARE, ZONE_SHARE_OF_PORTS = 0.25, 0.35, 0.75
#: Cities most of whose exporters sit in zones: Shanghai, Suzhou, Tianjin, Dalian.
CITIES_OF_ZONES = frozenset({"310000", "320500", "120000", "210200"})
#: Entry of the list that says nothing on its own: 海南 is a prefecture of Qinghai there, and the province to everybody.
AMBIGUOUS_NAMES = frozenset({"海南"})


@dataclass(frozen=True)
class PlaceTexts:
    """Texts for production places, by prefecture, county-level unit, and year.

    Attributes
    ----------
    reference : WorldReference
        The list and the spellings.
    """

    reference: WorldReference

    def slots(self, prefecture: str, unit: str, year: int, *, is_inside: bool) -> list[str]:
        """:data:`SLOTS` texts that name the prefecture or a place in it on the firm's side of the district line.

        Empty when the list has no entry for the place.
        """
        zones, rests = self._entries(prefecture, unit, year, is_inside=is_inside)
        if not zones and not rests:
            return []
        share = ZONE_SHARE_OF_PORTS if prefecture in CITIES_OF_ZONES else ZONE_SHARE
        n_zones = round(share * SLOTS) if zones else 0
        free = self.reference.place_texts.get((prefecture, year), ())
        n_free = min(round(FREE_SHARE * SLOTS), (SLOTS - n_zones) // 2) if free else 0
        n_rests = SLOTS - n_zones - n_free
        texts = [free[k % len(free)] for k in range(n_free)]
        for names, n in ((zones, n_zones), (rests or zones, n_rests)):
            texts += [self._written(names[k % len(names)], k // len(names), prefecture) for k in range(n)]
        return texts

    def _entries(self, prefecture: str, unit: str, year: int, *, is_inside: bool) -> tuple[list[str], list[str]]:
        """Names of the zones and of the rests a firm there may write, in order of their codes."""
        here = self._list(year).get(prefecture, [])
        sides = {"inside", "mixed"} if is_inside else {"mixed"}
        usable = [row for row in here if row.unit_code == unit or (not row.unit_code and row.side in sides)]
        if is_inside:
            usable += [row for row in here if row.is_inside and row.zone_type != "other" and row not in usable]
        zones = [row.name for row in usable if row.zone_type != "other" and (row.side != "mixed" or row.unit_code)]
        own = [row.name for row in usable if row.zone_type == "other" and row.unit_code]
        rests = own or [row.name for row in usable if row.zone_type == "other"]
        return sorted(set(zones)), rests

    def _written(self, name: str, turn: int, prefecture: str) -> str:
        """The name as the list has it, every third time with the other 其他, and with its province."""
        province = self.reference.province_names[prefecture[:2]]
        if turn % 3 == 1:
            return name.replace("其他", "其它")
        if turn % 3 == 2 and not name.startswith(province[:2]):
            return province + name
        return name

    def _list(self, year: int) -> dict[str, list]:
        """Entries of each prefecture in a year, those whose name means two places left out."""
        if year not in self._lists:
            table, units = self._tables
            kinds = valid_in(units, year).set_index("unit_code")["unit_type"]
            now = valid_in(table, year)
            is_inside = now["unit_code"].map(kinds).isin(INSIDE_TYPES) | (now["unit_code"].eq("") & now["side"].eq("inside"))
            entries: dict[str, list] = {}
            for row in now.assign(is_inside=is_inside).itertuples(index=False):
                entries.setdefault(row.prefecture_code, []).append(row)
            self._lists[year] = entries
        return self._lists[year]

    @cached_property
    def _lists(self) -> dict[int, dict[str, list]]:
        return {}

    @cached_property
    def _tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The list without names that mean two places, and the county-level units."""
        table = with_interval(self.reference.table("customs_districts"))
        codes_of_name = table.groupby("name")["code"].nunique()
        shared = set(codes_of_name.index[codes_of_name > 1]) | AMBIGUOUS_NAMES
        usable = table[~table["name"].isin(shared) & table["prefecture_code"].ne("")]
        return usable, with_interval(self.reference.table("county_units"))

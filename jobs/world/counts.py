"""Value, products, destinations, partner codes, firms and records of every city in a year, counted block by block.

By the city that made the goods and, under ``_registered``, by the one the firm is registered in. A set is a table of
ticks, city by member, so memory follows the codes and firms there are and not the records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from jobs.world.records import Records
    from jobs.world.world import World


class CityCounts:
    """Counts of the clean records of one year.

    Parameters
    ----------
    world : World
    year : int
    """

    def __init__(self, world: World, year: int) -> None:
        goods = world.goods
        families, self._family = np.unique(
            np.array([goods.family(k, year) for k in range(len(goods.codes))], dtype=object), return_inverse=True
        )
        economies, self._economy = np.unique(goods.partners["iso3"].to_numpy(dtype=object), return_inverse=True)
        self._world, self._year = world, year
        sizes = (len(goods.codes), len(families), len(economies), len(goods.partners))
        self._made = _Counts(len(world.places), len(world.roster), sizes)
        self._registered = _Counts(len(world.places), len(world.roster), sizes)
        self._n_doubtful = np.zeros(len(world.places), np.int64)

    def add(self, clean: Records) -> None:
        """Enter a block of clean records."""
        is_destination = self._world.is_destination[clean.partner]
        members = (
            (clean.code, None), (self._family[clean.code], None), (self._economy[clean.partner], is_destination),
            (clean.partner, None),
        )
        self._made.add(clean.place, clean, members)
        self._registered.add(self._world.registered_place[clean.firm], clean, members)
        np.add.at(self._n_doubtful, clean.place, self._world.has_doubtful_postcode[clean.firm].astype(np.int64))

    def table(self) -> pd.DataFrame:
        """One row per city with clean records, in order of its code."""
        places = np.array(self._world.places, dtype=object)
        made = self._made.table(places)
        registered = self._registered.table(places).add_suffix("_registered")
        doubtful = pd.Series(self._n_doubtful, index=places) / self._made.n_records
        return made.join(registered, how="left").assign(share_rows_ambiguous=doubtful, year=self._year)


class _Counts:
    """Sums and sets by one idea of a record's city; a firm belongs to one city in either."""

    NAMES = ("n_products", "n_products_family", "n_destinations", "n_partner_codes")

    def __init__(self, n_places: int, n_firms: int, sizes: tuple[int, ...]) -> None:
        self.value, self.n_records = np.zeros(n_places, np.int64), np.zeros(n_places, np.int64)
        self._seen = [np.zeros((n_places, size), bool) for size in sizes]
        self._place_of_firm = np.full(n_firms, -1, np.int32)

    def add(self, place: np.ndarray, rows: Records, members: tuple[tuple[np.ndarray, np.ndarray | None], ...]) -> None:
        np.add.at(self.value, place, rows.value)
        self.n_records += np.bincount(place, minlength=len(self.n_records))
        for seen, (member, chosen) in zip(self._seen, members, strict=True):
            if chosen is None:
                seen[place, member] = True
            else:
                seen[place[chosen], member[chosen]] = True
        self._place_of_firm[rows.firm] = place

    def table(self, places: np.ndarray) -> pd.DataFrame:
        n_firms = np.bincount(self._place_of_firm[self._place_of_firm >= 0], minlength=len(places))
        sets = {name: seen.sum(axis=1) for name, seen in zip(self.NAMES, self._seen, strict=True)}
        table = pd.DataFrame(
            {"value_usd": self.value, **sets, "n_firms": n_firms, "n_records": self.n_records}, index=places
        )
        return table[table["n_records"] > 0].sort_index()

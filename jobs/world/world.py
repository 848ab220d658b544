"""The world in one object: tables every city-year is drawn from, and the plan of what each must come to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from jobs.world.errors import WorldOptionError
from jobs.world.firms import Roster, build_roster, outside_prefectures
from jobs.world.goods import SELF, TERRITORY_HOST, Goods
from jobs.world.latent import LatentPanel, WorldModel, simulate
from jobs.world.place_texts import PlaceTexts
from jobs.world.records import (
    IMPORT_SHARE,
    OUTSIDE_PREFECTURE_ROWS,
    OUTSIDE_SHARE,
    REJECT_SHARE,
    CityYearPlan,
    Records,
    draw_city_year,
    draw_outside_prefecture,
)
from jobs.world.reference import ALL_YEARS, WorldReference

#: Fewest firms a city has; more as the files grow.
MIN_FIRMS, RECORDS_PER_FIRM = 12, 60
#: Clean rows of all, and least share of clean rows beyond one for each product and destination.
CLEAN_SHARE, MIN_EXTRA = 1 - IMPORT_SHARE - REJECT_SHARE - OUTSIDE_SHARE, 0.02
#: Most firms drawn for the districts of a city, before the draw of its size (up to 1.4 times as many): a customs code has
#: four digits for them.
MAX_FIRMS = 7_000
#: Share of the largest exporting cities in the city x product x destination cells of 2003 to 2010 (Shenzhen, Shanghai,
#: Dongguan; profile of the customs records published with Pernet's code).
LARGE_CITIES = {"440300": 0.094, "310000": 0.092, "441900": 0.058}


@dataclass(frozen=True)
class World:
    """Everything the records of any city-year follow from.

    Attributes
    ----------
    model : WorldModel
        Seed and latent settings.
    reference : WorldReference
        Reference tables.
    years : tuple of int
        Years with customs files.
    city_ids : tuple of str
        Cities with customs files; the latent panel always has all.
    records : int
        Raw rows aimed at, imports and dirt included.
    skew : float
        Times the real odds that a record is of one of :data:`LARGE_CITIES`: 1 is as in the real files, 10 gives them three
        quarters of the rows. 0 shares rows by the cities' products and destinations.
    """

    model: WorldModel
    reference: WorldReference
    years: tuple[int, ...] = ALL_YEARS
    city_ids: tuple[str, ...] = ()
    records: int = 600_000
    skew: float = 0.0
    goods: Goods = field(init=False)
    # what goods answers, remembered for each city and year
    taste: Callable[[str], tuple[np.ndarray, np.ndarray]] = field(init=False, repr=False, compare=False)
    foreign_codes: Callable[[int], np.ndarray] = field(init=False, repr=False, compare=False)

    N_SUFFIXES = 4
    N_PORTS = 12

    def __post_init__(self) -> None:
        object.__setattr__(self, "goods", Goods(self.model.seed, self.reference))
        if not self.city_ids:
            object.__setattr__(self, "city_ids", tuple(self.reference.cities["city_id"]))
        self._remember()

    def _remember(self) -> None:
        # frozen: the two memories are set once, here
        object.__setattr__(self, "taste", lru_cache(maxsize=None)(self.goods.taste))
        object.__setattr__(self, "foreign_codes", lru_cache(maxsize=None)(self.goods.foreign_codes))

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the memories, so that another process gets what is drawn already."""
        return {name: value for name, value in self.__dict__.items() if name not in ("taste", "foreign_codes")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._remember()

    def prepare(self) -> None:
        """Draw what all years share, so that no process draws it again."""
        for name in ("plans", "outside_places", "is_destination", "has_other_spelling", "registered_place"):
            getattr(self, name)
        for name in ("slots", "families", "destinations"):
            getattr(self.goods, name)

    @property
    def seed(self) -> int:
        """Root of all random streams."""
        return self.model.seed

    @cached_property
    def latent(self) -> LatentPanel:
        """The truth, city by year."""
        return simulate(self.model, self.reference)

    @cached_property
    def place_texts(self) -> PlaceTexts:
        """Texts of the production places."""
        return PlaceTexts(self.reference)

    @cached_property
    def roster(self) -> Roster:
        """All firms."""
        per_city = self.records / max(len(self.city_ids), 1) / RECORDS_PER_FIRM
        return build_roster(self.seed, self.reference, self.city_ids, min(max(MIN_FIRMS, int(per_city)), MAX_FIRMS))

    @cached_property
    def places(self) -> tuple[str, ...]:
        """Cities, then prefectures outside the study."""
        return (*self.reference.cities["city_id"], *outside_prefectures(self.reference))

    @cached_property
    def place_position(self) -> dict[str, int]:
        """Place to its position in ``places``."""
        return {place: k for k, place in enumerate(self.places)}

    @cached_property
    def outside_places(self) -> tuple[str, ...]:
        """Prefectures outside the study whose firms declare; a tenth of the rows of the cities' share of them."""
        known = [place for place in outside_prefectures(self.reference) if (place, ALL_YEARS[0]) in self.roster.outside]
        n_wanted = max(1, round(len(known) * len(self.city_ids) / len(self.reference.cities)))
        return tuple(known[:: max(1, len(known) // n_wanted)])

    @cached_property
    def is_county_city(self) -> dict[int, np.ndarray]:
        """Year to whether each postcode of the reference is then one of a county-level city."""
        postcodes = self.reference.postcodes
        return {
            year: np.array([postcode.kinds.get(year) == "county_city" for postcode in postcodes]) for year in self.years
        }

    @cached_property
    def postcode_starts_with_zero(self) -> np.ndarray:
        """Whether the postcode a firm writes has a zero to lose."""
        return pc.starts_with(self.roster.texts["written_postcode"], "0").to_numpy(zero_copy_only=False)

    @cached_property
    def registered_place(self) -> np.ndarray:
        """Position in ``places`` of the city each firm is registered in."""
        return pc.index_in(self.roster.texts["registered_city"], pa.array(self.places)).to_numpy().astype(np.int16)

    @cached_property
    def has_doubtful_postcode(self) -> np.ndarray:
        """Whether districts and counties share the firm's production postcode."""
        return np.array([postcode.is_doubtful for postcode in self.reference.postcodes])[self.roster.postcode]

    @cached_property
    def has_other_spelling(self) -> np.ndarray:
        """Whether a partner is known under other names."""
        names = self.goods.partners["name_zh"]
        return np.array([spellings != [name] for spellings, name in zip(self.goods.partner_spellings, names, strict=True)])

    @cached_property
    def host_of_territory(self) -> int:
        """Position of the economy the territory counts for."""
        table = self.goods.partners
        return int(table.index[table["iso3"].eq(TERRITORY_HOST) & table["kind"].eq("normal")][0])

    @cached_property
    def is_destination(self) -> np.ndarray:
        """Whether a partner is an economy other than China."""
        table = self.goods.partners
        return (table["kind"].isin(("normal", "territory")) & table["iso3"].ne("") & table["code"].ne(SELF)).to_numpy()

    @cached_property
    def plans(self) -> tuple[CityYearPlan, ...]:
        """One plan per city and year, in order of city and year; rows beyond the cover shared by size."""
        panel = self.latent.panel
        wanted = panel[panel["city_id"].isin(self.city_ids) & panel["year"].isin(self.years) & panel["is_city"]]
        can_export = [len(self.roster.district[key]) > 0 for key in zip(wanted["city_id"], wanted["year"], strict=True)]
        wanted = wanted[can_export]
        cover = np.maximum(wanted["n_products"], wanted["n_destinations"]).to_numpy()
        n_outside = OUTSIDE_PREFECTURE_ROWS * len(self.outside_places) * len(self.years)
        target = (self.records - n_outside) * CLEAN_SHARE
        extra = np.maximum(target / cover.sum() * self._tilt(wanted["city_id"], cover) - 1, MIN_EXTRA)
        rows = cover + np.ceil(extra * cover).astype(int)
        plans = [
            CityYearPlan(row.city_id, int(row.year), int(row.value_usd), int(row.n_products), int(row.n_destinations), int(n))
            for row, n in zip(wanted.itertuples(), rows, strict=True)
        ]
        poor = [plan for plan in plans if plan.value_usd < plan.n_rows]
        if poor:
            raise WorldOptionError(
                f"records={self.records:,}: expected at least one dollar per row, but {len(poor)} city-years have more rows "
                f"than dollars, e.g. {poor[0].city_id} {poor[0].year}. Ask for fewer records or raise mean_ln_value."
            )
        return tuple(plans)

    def _tilt(self, cities: pd.Series, cover: np.ndarray) -> np.ndarray | float:
        """How many times the rows that follow from its products and destinations each city-year has."""
        if not self.skew:
            return 1.0
        group = cities.where(cities.isin(list(LARGE_CITIES)), "")
        real = {name: LARGE_CITIES.get(name, 0.0) for name in set(group)}
        odds = {name: self.skew * share for name, share in real.items()} | {"": 1 - sum(real.values())}
        by_cover = pd.Series(cover, index=cities.index).groupby(group).sum() / cover.sum()
        return group.map(pd.Series(odds) / sum(odds.values()) / by_cover).to_numpy(float)

    def draw_year(self, year: int) -> Iterator[Records]:
        """All records of a year: cities in order, then the prefectures outside."""
        for plan in self.plans:
            if plan.year == year:
                yield draw_city_year(self, plan)
        for place in self.outside_places:
            yield draw_outside_prefecture(self, place, year)


def pick_cities(reference: WorldReference, n_cities: int, first: Sequence[str]) -> tuple[str, ...]:
    """Choose cities: the named ones, then evenly over the list until ``n_cities``."""
    every = list(reference.cities["city_id"])
    if not 1 <= n_cities <= len(every):
        raise WorldOptionError(f"cities: expected 1 to {len(every)}, found {n_cities}.")
    rest = [city for city in every if city not in first]
    n_rest = max(n_cities - len(first), 0)
    positions: Any = np.linspace(0, len(rest) - 1, n_rest).astype(int) if n_rest else []
    return tuple(sorted([*list(first)[:n_cities], *(rest[k] for k in positions)]))


def cities_that_fit(
    model: WorldModel, reference: WorldReference, years: Sequence[int], records: int, choices: Sequence[tuple[str, ...]]
) -> tuple[str, ...]:
    """The last of the choices whose products and destinations need no more than ``records`` rows, else the first."""
    panel = simulate(model, reference).panel
    panel = panel[panel["year"].isin(years) & panel["is_city"]]
    cover = panel[["n_products", "n_destinations"]].max(axis=1).groupby(panel["city_id"]).sum()
    n_outside = OUTSIDE_PREFECTURE_ROWS * len(outside_prefectures(reference)) * len(years) / len(reference.cities)

    def fits(cities: tuple[str, ...]) -> bool:
        rows = (1 + MIN_EXTRA) * cover.reindex(cities).sum() / CLEAN_SHARE + n_outside * len(cities)
        return rows <= records

    return next((cities for cities in reversed(choices) if fits(cities)), choices[0])

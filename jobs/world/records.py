"""Declarations of one city and year: a pure function of the seed, the city and the year.

The clean rows have exactly the planned value, products and destinations; reject rows, imports and firms outside the
districts come on top. Rows are arrays of positions into the world's tables and become text only when a file is written.
Sources of the shapes: values lognormal with sigma 2 (published profiles of the customs files give 2.1 to 2.5 at every
percentile), imports about a sixth of the rows here.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from jobs.world import dirt
from jobs.world.goods import SELF, TERRITORY, UNKNOWN
from jobs.world.streams import generator

if TYPE_CHECKING:
    from jobs.world.world import World

VALUE_SIGMA = 2.0
#: Shares of raw rows, next to the clean ones.
IMPORT_SHARE, REJECT_SHARE, OUTSIDE_SHARE = 0.15, 0.07, 0.04
#: Share of clean rows with repairable dirt, and of clean rows to China itself or to an unknown destination.
REPAIR_SHARE, NO_DESTINATION_SHARE = 0.06, 0.006
#: Rows of each prefecture outside the study and year.
OUTSIDE_PREFECTURE_ROWS = 6
#: Partners in whole codes from this year on, in Chinese names before.
FIRST_YEAR_OF_CODES = 2007


@dataclass(frozen=True, slots=True)
class Records:
    """Columns of equal length; positions into the world's tables unless said otherwise.

    ``value`` and ``quantity`` are numbers; ``defects`` and ``repairs`` masks of ``dirt.BIT`` and ``dirt.REPAIR_BIT``;
    ``style`` picks spellings; ``month`` is 1 to 12 also in years whose files have none.
    """

    place: np.ndarray
    firm: np.ndarray
    code: np.ndarray
    suffix: np.ndarray
    partner: np.ndarray
    value: np.ndarray
    quantity: np.ndarray
    month: np.ndarray
    regime: np.ndarray
    port: np.ndarray
    transport: np.ndarray
    is_export: np.ndarray
    defects: np.ndarray
    repairs: np.ndarray
    style: np.ndarray

    def __len__(self) -> int:
        return len(self.value)

    def take(self, rows: np.ndarray) -> Records:
        """Rows by position or mask."""
        return Records(*(getattr(self, item.name)[rows] for item in fields(self)))


@dataclass(frozen=True, slots=True)
class CityYearPlan:
    """Targets of one city-year: value, products, destinations, and clean rows."""

    city_id: str
    year: int
    value_usd: int
    n_products: int
    n_destinations: int
    n_rows: int


def concatenate(parts: list[Records]) -> Records:
    """Stack records in the order given."""
    return Records(*(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(Records)))


def draw_city_year(world: World, plan: CityYearPlan) -> Records:
    """Draw all raw rows of one city-year from its own stream."""
    rng = generator(world.seed, "records", plan.city_id, plan.year)
    slots, destinations = world.taste(plan.city_id)
    codes = world.goods.slot_codes(plan.year)[slots]
    scale = plan.n_rows / (1 - IMPORT_SHARE - REJECT_SHARE - OUTSIDE_SHARE)
    clean = _clean_rows(rng, world, plan, codes, destinations)
    typical = int(np.median(clean.value))
    rejects = _reject_rows(rng, world, plan, codes, destinations, rng.poisson(REJECT_SHARE * scale), typical)
    outside = _outside_rows(
        rng, world, plan.city_id, plan.year, codes[plan.n_products :], destinations[plan.n_destinations :],
        rng.poisson(OUTSIDE_SHARE * scale), typical,
    )
    imports = _import_rows(rng, world, plan, codes, destinations, rng.poisson(IMPORT_SHARE * scale), typical)
    return concatenate([clean, rejects, outside, imports])


def draw_outside_prefecture(world: World, prefecture_code: str, year: int) -> Records:
    """Draw the rows of a prefecture that is not a city of the study."""
    rng = generator(world.seed, "records", prefecture_code, year)
    codes = rng.permutation(world.goods.slot_codes(year))[:50]
    rows = _outside_rows(
        rng, world, prefecture_code, year, codes, world.goods.destinations[:20], OUTSIDE_PREFECTURE_ROWS, 20_000
    )
    rows.defects[:] = dirt.BIT["outside_cities"]
    return rows


def _clean_rows(
    rng: np.random.Generator, world: World, plan: CityYearPlan, codes: np.ndarray, destinations: np.ndarray
) -> Records:
    cover = np.arange(max(plan.n_products, plan.n_destinations))
    n_more = plan.n_rows - len(cover)
    product = np.concatenate([cover % plan.n_products, _skewed(rng, plan.n_products, n_more)])
    destination = np.concatenate([cover % plan.n_destinations, _skewed(rng, plan.n_destinations, n_more)])
    partner = destinations[destination]
    more = np.arange(len(cover), plan.n_rows)  # only rows outside the cover may lose their destination
    chance = rng.random(len(more))
    partner[more[chance < NO_DESTINATION_SHARE]] = world.goods.partner(SELF)
    partner[more[chance > 1 - NO_DESTINATION_SHARE]] = world.goods.partner(UNKNOWN)
    host = world.host_of_territory
    if host in destinations[: plan.n_destinations]:
        of_host = more[partner[more] == host]
        partner[of_host[: len(of_host) // 4]] = world.goods.partner(TERRITORY)
    firm = _pick_firms(rng, world.roster.district[plan.city_id, plan.year], plan.n_rows)
    rows = _rows(rng, world, plan.city_id, codes[product], partner, firm, _exact_values(rng, plan.value_usd, plan.n_rows))
    rows.repairs[:] = _draw_repairs(rng, world, rows, plan.year)
    return rows


def _reject_rows(
    rng: np.random.Generator, world: World, plan: CityYearPlan, codes: np.ndarray, destinations: np.ndarray, n: int,
    typical: int,
) -> Records:
    """Rows to refuse, with products and partners next in the city's order after those it trades."""
    code = _beyond(rng, codes, plan.n_products, n)
    partner = _beyond(rng, destinations, plan.n_destinations, n)
    firm = _pick_firms(rng, world.roster.district[plan.city_id, plan.year], n)
    masks = dirt.draw_rejects(rng, n)
    # an unknown postcode refuses a record of which no more than the province is known; a municipality's is its city
    if plan.city_id.endswith("0000"):
        masks[masks == dirt.BIT["postcode_unknown"]] = dirt.BIT["postcode_malformed"]
    foreign = world.foreign_codes(plan.year)
    unknown = masks & dirt.BIT["hs_unknown"] != 0
    code[unknown] = foreign[rng.integers(len(foreign), size=n)][unknown]
    value = _free_values(rng, n, typical)
    nonpositive = masks & dirt.BIT["value_nonpositive"] != 0
    value[nonpositive] = np.where(rng.random(n) < 0.5, 0, -value)[nonpositive]
    rows = _rows(rng, world, plan.city_id, code, partner, firm, value)
    rows.defects[:] = masks
    return rows


def _outside_rows(
    rng: np.random.Generator, world: World, place: str, year: int, codes: np.ndarray, partners: np.ndarray, n: int,
    typical: int,
) -> Records:
    """Rows made in counties and county-level cities of a place; a few have a second defect."""
    firms = world.roster.outside[place, year]
    n = n if len(firms) else 0
    firm = firms[rng.integers(max(len(firms), 1), size=n)] if n else np.zeros(0, dtype=np.int64)
    rows = _rows(
        rng, world, place, _beyond(rng, codes, 0, n), _beyond(rng, partners, 0, n), firm, _free_values(rng, n, typical)
    )
    is_county_city = world.is_county_city[year][world.roster.postcode[firm]]
    rows.defects[:] = np.where(is_county_city, dirt.BIT["county_city"], dirt.BIT["county"])
    rows.defects[rng.random(n) < 0.05] |= dirt.BIT["hs_missing"]
    return rows


def _import_rows(
    rng: np.random.Generator, world: World, plan: CityYearPlan, codes: np.ndarray, partners: np.ndarray, n: int,
    typical: int,
) -> Records:
    firm = _pick_firms(rng, world.roster.district[plan.city_id, plan.year], n)
    rows = _rows(
        rng, world, plan.city_id, codes[rng.integers(len(codes), size=n)], partners[_skewed(rng, len(partners), n)],
        firm, _free_values(rng, n, typical),
    )
    rows.is_export[:] = False
    rows.defects[:] = dirt.BIT["import"]
    return rows


def _rows(
    rng: np.random.Generator, world: World, place: str, code: np.ndarray, partner: np.ndarray, firm: np.ndarray,
    value: np.ndarray,
) -> Records:
    """Complete rows with what is drawn alike for all of them."""
    n = len(value)
    return Records(
        place=np.full(n, world.place_position[place], dtype=np.int32), firm=firm.astype(np.int64), code=code,
        suffix=rng.integers(world.N_SUFFIXES, size=n), partner=partner, value=value,
        quantity=np.maximum(np.abs(value) // rng.integers(2, 60, size=n), 1), month=rng.integers(1, 13, size=n),
        regime=rng.integers(10, size=n), port=rng.integers(world.N_PORTS, size=n), transport=rng.integers(10, size=n),
        is_export=np.ones(n, dtype=bool), defects=np.zeros(n, dtype=np.int64), repairs=np.zeros(n, dtype=np.int64),
        style=rng.integers(1 << 20, size=n),
    )


def _skewed(rng: np.random.Generator, n_choices: int, size: int) -> np.ndarray:
    """Positions with most weight on the first ones, roughly Zipf."""
    return np.minimum((n_choices * rng.random(size) ** 2.5).astype(np.int64), n_choices - 1)


def _beyond(rng: np.random.Generator, order: np.ndarray, n_used: int, size: int) -> np.ndarray:
    """Entries of an order after the first ``n_used``; from its end where none is left."""
    n_left = len(order) - n_used
    if n_left <= 0:
        return order[-1 - rng.integers(len(order), size=size)]
    return order[n_used + rng.integers(min(n_left, 40), size=size)]


def _pick_firms(rng: np.random.Generator, firms: np.ndarray, size: int) -> np.ndarray:
    """Few firms make most declarations, in an order of their own every city."""
    return firms[_skewed(rng, len(firms), size)]


def _free_values(rng: np.random.Generator, size: int, typical: int) -> np.ndarray:
    return 1 + (typical * np.exp(VALUE_SIGMA * rng.standard_normal(size))).astype(np.int64)


def _exact_values(rng: np.random.Generator, total: int, size: int) -> np.ndarray:
    """Split a total into ``size`` whole dollars of at least one, lognormal weights, largest remainders."""
    weights = np.exp(VALUE_SIGMA * rng.standard_normal(size))
    exact = weights * ((total - size) / weights.sum())
    whole = np.floor(exact).astype(np.int64)
    missing = int(total - size - whole.sum())
    whole[np.argsort(whole - exact, kind="stable")[:missing]] += 1
    return whole + 1


def _draw_repairs(rng: np.random.Generator, world: World, rows: Records, year: int) -> np.ndarray:
    """Masks of repairable dirt that can occur on each row; yearly files lose leading zeros by themselves."""
    n = len(rows)
    kind = rng.integers(len(dirt.REPAIRS), size=n)
    chosen = np.int64(1) << kind
    bit = dirt.REPAIR_BIT
    is_yearly = year >= FIRST_YEAR_OF_CODES
    impossible = (
        ((chosen == bit["hs_leading_zero"]) & (~world.goods.starts_with_zero[rows.code] | is_yearly))
        | ((chosen == bit["postcode_leading_zero"]) & ~world.postcode_starts_with_zero[rows.firm])
        | ((chosen == bit["value_thousands"]) & (rows.value < 1000))
        | ((chosen == bit["partner_alias"]) & (~world.has_other_spelling[rows.partner] | is_yearly))
    )
    return np.where((rng.random(n) < REPAIR_SHARE) & ~impossible, chosen, 0)

"""Firms of the generated world: where they make their goods, and where they are registered.

Each prefecture has a roster. A firm has one production postcode; whether that lies in a municipal district, a county or
a county-level city is a matter of the year, so firms of a county that becomes a district start to count in that year.
A few firms are registered elsewhere (their code and address say so), and some of those also give the postcode of that
office: the production place is what counts. All names, numbers and addresses are invented.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from jobs.world.reference import ALL_YEARS, Postcode, WorldReference
from jobs.world.streams import generator

#: Share of district firms registered in another city, and of those that also give the other office's postcode.
REGISTERED_ELSEWHERE = 0.04
OFFICE_POSTCODE = 0.35
#: Places where exporters of other cities are registered: Shanghai, Beijing, Guangzhou, Shenzhen, Nanjing, Tianjin.
OFFICE_CITIES = ("310000", "110000", "440100", "440300", "320100", "120000")
#: The paper's example: registered in Shanghai, made in Changzhou. Always present.
EXAMPLE_CITY, EXAMPLE_OFFICE, EXAMPLE_POSITION = "320400", "310000", 1
#: Firms per postcode whose county becomes a district inside the study years, and postcodes of that sort per city.
SWITCHING_FIRMS, SWITCHING_POSTCODES = 2, 4
#: Kinds of prefecture that never are cities of the study.
OUTSIDE_KINDS = frozenset({"autonomous_prefecture", "league", "area", "prefecture"})

_OWNERSHIP = tuple(enumerate("国有企业 中外合作企业 中外合资企业 外商独资企业 集体企业 私营企业".split(), start=1))
_OWNERSHIP_SHARES = (0.14, 0.04, 0.17, 0.30, 0.05, 0.30)
_ZONES, _ZONE_SHARES = "239", (0.2, 0.1, 0.7)
_BRANDS = "华泰新永恒金宏东方明远星光大同兴隆正达瑞丰海天利源科创"
_TRADES = tuple("纺织 电子 机械 五金制品 化工 玩具 家具 服装 食品 医药 塑料 进出口 电器 光电".split())
_STREETS = tuple("人民路 建设路 解放路 工业园区 中山路 开发区大道 新华路 和平路 科技园".split())
_SURNAMES, _GIVEN = "王李张刘陈杨黄赵周吴", ("伟", "芳", "娜", "敏", "静", "强", "磊", "军", "洋", "勇")


def _cumulated(shares: Sequence[float]) -> list[float]:
    """Cumulated shares that end in one, as numpy's ``choice`` has them."""
    total = np.cumsum(shares)
    return list(total / total[-1])


_OWNERSHIP_STEPS, _ZONE_STEPS = _cumulated(_OWNERSHIP_SHARES), _cumulated(_ZONE_SHARES)
#: What a roster keeps of each firm as text.
TEXTS = (
    "firm_id", "name", "ownership", "address", "phone", "written_postcode", "email", "contact", "registered_city",
)


@dataclass(frozen=True, slots=True)
class Firm:
    """One exporter; ``kinds`` and ``owners`` say for each year what its production postcode means and to which city.

    ``written_postcode`` is what its declarations carry; it differs from the production postcode for firms that give the
    office they are registered at.
    """

    firm_id: str
    name: str
    ownership: str
    address: str
    phone: str
    postcode: Postcode
    written_postcode: str
    email: str
    contact: str
    registered_city: str
    is_elsewhere: bool


@dataclass(frozen=True)
class Roster:
    """All firms in columns, and which of them declare from where in each year.

    Attributes
    ----------
    texts : dict
        Name of :data:`TEXTS` to an array of strings, one per firm.
    postcode : ndarray of int32
        Position of each firm's production postcode in ``reference.postcodes``.
    is_elsewhere : ndarray of bool
        Whether it is registered in another city than it produces in.
    district : dict
        (city_id, year) to positions of the firms inside municipal districts.
    outside : dict
        (city_id or prefecture code, year) to positions of firms in counties and county-level cities.
    """

    texts: dict[str, pa.StringArray]
    postcode: np.ndarray
    is_elsewhere: np.ndarray
    district: dict[tuple[str, int], np.ndarray]
    outside: dict[tuple[str, int], np.ndarray]

    def __len__(self) -> int:
        return len(self.postcode)


@dataclass
class _RosterBuilder:
    """Takes the firms of one place after the other into columns, so that none stays an object of its own."""

    reference: WorldReference
    texts: dict[str, list[pa.StringArray]] = field(default_factory=lambda: {name: [] for name in TEXTS})
    postcode: list[np.ndarray] = field(default_factory=list)
    is_elsewhere: list[np.ndarray] = field(default_factory=list)
    district: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)
    outside: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)
    n_firms: int = 0

    def __post_init__(self) -> None:
        postcodes, owners = self.reference.postcodes, self.reference.city_of_prefecture
        self._position = {id(postcode): k for k, postcode in enumerate(postcodes)}
        self._kinds = {year: np.array([one.kinds.get(year, "") for one in postcodes]) for year in ALL_YEARS}
        self._owners = {
            year: np.array([owners[one.prefectures[year]] if year in one.prefectures else "" for one in postcodes])
            for year in ALL_YEARS
        }

    def enroll(self, place: str, firms: Sequence[Firm]) -> None:
        """Append the firms of a place, under the years in which they declare from it."""
        for name in TEXTS:
            self.texts[name].append(pa.array([getattr(firm, name) for firm in firms], pa.string()))
        postcode = np.array([self._position[id(firm.postcode)] for firm in firms], dtype=np.int32)
        self.postcode.append(postcode)
        self.is_elsewhere.append(np.array([firm.is_elsewhere for firm in firms], dtype=bool))
        for year in ALL_YEARS:
            kinds, is_here = self._kinds[year][postcode], self._owners[year][postcode] == place
            self.district[place, year] = self.n_firms + np.flatnonzero(is_here & (kinds == "city"))
            self.outside[place, year] = self.n_firms + np.flatnonzero(is_here & (kinds != "city"))
        self.n_firms += len(firms)

    def roster(self) -> Roster:
        """What was enrolled."""
        texts = {name: pa.concat_arrays(parts) for name, parts in self.texts.items()}
        return Roster(
            texts, np.concatenate(self.postcode), np.concatenate(self.is_elsewhere), self.district, self.outside
        )


@dataclass(frozen=True, slots=True)
class _Homes:
    """Postcodes of one prefecture-level place."""

    district: list[Postcode]
    switching: list[Postcode]
    county: list[Postcode]
    doubtful: list[Postcode]


def build_roster(seed: int, reference: WorldReference, city_ids: Sequence[str], firms_per_city: int) -> Roster:
    """Draw the firms of the cities and of the prefectures outside the study; each place has a stream of its own."""
    builder = _RosterBuilder(reference)
    homes = _homes(reference)
    offices = {city: homes[city].district for city in OFFICE_CITIES}
    wanted = frozenset(city_ids)
    for position, city in enumerate(reference.cities["city_id"]):
        if city not in wanted:
            continue
        rng = generator(seed, "firms", city)
        builder.enroll(city, _draw_city(rng, position, city, homes[city], offices, firms_per_city, reference))
    for code in outside_prefectures(reference):
        places = homes.get(code)
        if places is None or not places.county:
            continue
        rng, town = generator(seed, "firms", code), _town(code, reference)
        chosen = [places.county[k] for k in rng.integers(len(places.county), size=3)]
        builder.enroll(code, [_firm(rng, code, town, serial, one, reference) for serial, one in enumerate(chosen)])
    return builder.roster()


def outside_prefectures(reference: WorldReference) -> list[str]:
    """Prefectures that in no year are prefecture-level cities: autonomous prefectures, leagues, areas."""
    kinds = reference.prefectures.groupby("prefecture_code")["kind"].agg(set)
    return sorted(kinds.index[[kind <= OUTSIDE_KINDS for kind in kinds]])


def _homes(reference: WorldReference) -> dict[str, _Homes]:
    """Sort the postcodes by city (or prefecture outside the cities) and by what they are over the years."""
    homes: dict[str, _Homes] = {}
    for postcode in reference.postcodes:
        owner_of = {year: reference.city_of_prefecture[code] for year, code in postcode.prefectures.items()}
        for owner in sorted(set(owner_of.values())):
            place = homes.setdefault(owner, _Homes([], [], [], []))
            kinds = {kind for year, kind in postcode.kinds.items() if owner_of[year] == owner}
            if postcode.is_doubtful:
                place.doubtful.append(postcode)
            elif kinds == {"city"}:
                place.district.append(postcode)
            elif "city" in kinds:
                place.switching.append(postcode)
            else:
                place.county.append(postcode)
    return {owner: _complete(place) for owner, place in homes.items()}


def _complete(place: _Homes) -> _Homes:
    """Fill years without a certain district postcode with doubtful ones."""
    covered = {year for postcode in place.district for year in postcode.kinds}
    needed = [one for one in place.doubtful if any(year not in covered for year in one.kinds)]
    return _Homes(place.district + needed, place.switching, place.county, place.doubtful)


def _draw_city(
    rng: np.random.Generator, position: int, city: str, homes: _Homes, offices: dict[str, list[Postcode]],
    firms_per_city: int, reference: WorldReference,
) -> list[Firm]:
    town = _town(city, reference)
    n_district = int(firms_per_city * (0.6 + 0.8 * rng.random()))
    pool = homes.district or homes.switching
    chosen = [pool[k] for k in rng.integers(len(pool), size=n_district)] if pool else []
    # every year needs some firm: one at the last postcode of each distinct span of years
    chosen += {tuple(postcode.kinds): postcode for postcode in pool}.values()
    firms = [_firm(rng, city, town, serial, postcode, reference) for serial, postcode in enumerate(chosen)]
    n_elsewhere = max(int(city == EXAMPLE_CITY), int(round(REGISTERED_ELSEWHERE * n_district)))
    # the first firms of a roster declare most: whoever is registered elsewhere is drawn from all of it
    for k, chosen_firm in enumerate(rng.permutation(len(firms))[:n_elsewhere]):
        is_example = city == EXAMPLE_CITY and k == 0
        chosen_firm = EXAMPLE_POSITION if is_example else chosen_firm
        office = EXAMPLE_OFFICE if is_example else OFFICE_CITIES[rng.integers(len(OFFICE_CITIES))]
        gives_office = rng.random() < OFFICE_POSTCODE and not is_example
        if office != city and not firms[chosen_firm].is_elsewhere:
            firms[chosen_firm] = _move_registration(
                rng, firms[chosen_firm], position * 12 + k, office, offices[office], gives_office, reference
            )
    serial = len(firms)
    spans = {postcode.code[:4]: postcode for postcode in homes.switching}
    for postcode in list(spans.values())[:SWITCHING_POSTCODES]:
        for _ in range(SWITCHING_FIRMS):
            firms.append(_firm(rng, city, town, serial := serial + 1, postcode, reference))
    for k in rng.permutation(len(homes.county))[:6]:
        firms.append(_firm(rng, city, town, serial := serial + 1, homes.county[k], reference))
    return firms


def _town(place: str, reference: WorldReference) -> str:
    """Name of a place as firms have it in theirs."""
    return reference.city_name(place, ALL_YEARS[0]).removesuffix("市")


def _firm(
    rng: np.random.Generator, place: str, town: str, serial: int, postcode: Postcode, reference: WorldReference
) -> Firm:
    # rng.choice(n, p=shares) spelt out: the same draw without a check of the shares for every firm
    digit, ownership = _OWNERSHIP[bisect_right(_OWNERSHIP_STEPS, rng.random())]
    zone = _ZONES[bisect_right(_ZONE_STEPS, rng.random())]
    brand = "".join([_BRANDS[k] for k in rng.integers(len(_BRANDS), size=2)])
    trade = _TRADES[rng.integers(len(_TRADES))]
    name = _company_name(int(rng.integers(12)), town, brand, trade)
    phone = f"{rng.integers(2_000_000, 8_999_999)}"
    contact = _SURNAMES[rng.integers(10)] + _GIVEN[rng.integers(10)]
    return Firm(
        f"{reference.customs_numbers[place]}{zone}{digit}{serial:04d}", name, ownership,
        f"{town}{_STREETS[rng.integers(9)]}{rng.integers(1, 400)}号",
        phone, postcode, postcode.code, f"firm{place[:4]}{serial}@example.com", contact, place, False,
    )


def _company_name(style: int, town: str, brand: str, trade: str) -> str:
    """Names with commas and quotation marks are as common as in the files; both must survive the reading."""
    if style == 0:
        return f"{town}\"{brand}\"{trade}有限公司"
    if style == 1:
        return f"{town}{brand}{trade}CO.,LTD"
    if style == 2:
        return f"{town}市{brand}{trade}有限公司（中外合资）"
    return f"{town}{brand}{trade}有限公司"


def _move_registration(
    rng: np.random.Generator, firm: Firm, serial: int, office: str, postcodes: list[Postcode], gives_office: bool,
    reference: WorldReference,
) -> Firm:
    """Register a firm in another city: code, address and sometimes the postcode are the office's."""
    town = _town(office, reference)
    stable = [one for one in postcodes if len(one.kinds) == len(ALL_YEARS) and not one.is_doubtful]
    written = stable[rng.integers(len(stable))].code if gives_office else firm.written_postcode
    return Firm(
        f"{reference.customs_numbers[office]}8{firm.firm_id[5]}{serial % 10000:04d}", town + firm.name, firm.ownership,
        f"{town}市{_STREETS[rng.integers(9)]}{rng.integers(1, 400)}号", firm.phone, firm.postcode, written, firm.email,
        firm.contact, office, True,
    )

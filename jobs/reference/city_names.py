"""Names of prefecture-level cities as yearbooks print them, year by year: 北 京 市, 襄樊 before and 襄阳 after 2010.

From the reference table ``prefectures.csv``. The decision worth knowing: a name counts in the years it was in force and
in the year before it came (an edition is printed a year later, under the new name); a name that belonged to one city
only is accepted in any year that city existed; everything else is not a city and goes to the quarantine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from conf.yearbook import squeeze
from jobs.reference.place_book import load_place_book
from schemas.places import CITY_KINDS, OPEN_END

TOTALS = ("全国", "合计", "总计", "全国合计", "城市合计", "地级及以上城市", "地级及以上城市合计", "Total", "平均")
PROVINCE_ENDINGS = ("维吾尔自治区", "壮族自治区", "回族自治区", "自治区", "省", "市")


@dataclass(frozen=True, slots=True)
class _Named:
    city_id: str
    valid_from: int
    valid_to: int


class CityNames:
    """Look-up of city and province names.

    Parameters
    ----------
    rows : iterable of mapping
        Rows of prefectures.csv: city_id, name_zh, kind, province_name, valid_from, valid_to ([from, to), empty = open).
    """

    def __init__(self, rows: Iterable[Mapping[str, str]]) -> None:
        self._by_name: dict[str, list[_Named]] = {}
        self._exists: dict[str, list[tuple[int, int]]] = {}
        self._names: dict[str, list[tuple[int, str]]] = {}
        provinces: set[str] = set()
        for row in rows:
            provinces.add(squeeze(row["province_name"]))
            if row["kind"] not in CITY_KINDS:
                continue
            name = squeeze(row["name_zh"])
            span = int(row["valid_from"] or 0), int(row["valid_to"] or OPEN_END)
            self._exists.setdefault(row["city_id"], []).append(span)
            self._names.setdefault(row["city_id"], []).append((span[0], name))
            for form in {name, name.removesuffix("市")}:
                self._by_name.setdefault(form, []).append(_Named(row["city_id"], *span))
        cities = set(self._by_name)
        bare = {_without_ending(name) for name in provinces}
        # the four municipalities are provinces and cities at once: their row is the city's row
        self._provinces = {name for name in provinces | bare if name and name not in cities}
        # 吉林 alone may be the province or its city: the province is printed first
        self._either = {name for name in bare if name in cities and f"{name}市" not in provinces}

    def is_total(self, name: str) -> bool:
        """Tell whether a row sums over cities."""
        return name in TOTALS

    def is_province(self, name: str, *, seen: set[str]) -> bool:
        """Tell whether a row is a province's; ``seen`` holds the province names met in this block already."""
        return name in self._provinces or (name in self._either and name not in seen)

    def city_id(self, name: str, year: int) -> str | None:
        """Return the city a name means in the yearbook of a data year, or None.

        Parameters
        ----------
        name : str
            Squeezed name, with or without 市.
        year : int
            Data year.
        """
        candidates = self._by_name.get(name, [])
        in_force = {one.city_id for one in candidates if one.valid_from <= year + 1 and year < one.valid_to}
        if len(in_force) != 1:
            owners = {one.city_id for one in candidates}
            in_force = owners if len(owners) == 1 else set()
        found = next(iter(in_force), None)
        return found if found is not None and self.exists(found, year) else None

    def exists(self, city_id: str, year: int) -> bool:
        """Tell whether the city was a prefecture-level city at the end of the year."""
        return any(first <= year < last for first, last in self._exists.get(city_id, []))

    def is_city(self, city_id: str) -> bool:
        """Tell whether the code was a prefecture-level city in any year."""
        return city_id in self._exists

    def name(self, city_id: str) -> str:
        """Latest name of a city, its code if it has none."""
        return max(self._names.get(city_id, [(0, city_id)]))[1]

    def cities(self, years: Iterable[int]) -> list[tuple[str, int]]:
        """All (city_id, year) in which a city existed, in order."""
        return sorted((city, year) for city in self._exists for year in years if self.exists(city, year))


def load_city_names(user_cities: str | Path = "") -> CityNames:
    """City names of the place reference, a user's list of cities laid over it when one is named."""
    return CityNames(load_place_book(user_cities=user_cities).prefectures.astype(str).to_dict("records"))


def _without_ending(name: str) -> str:
    for ending in PROVINCE_ENDINGS:
        if name.endswith(ending):
            return name.removesuffix(ending)
    return name

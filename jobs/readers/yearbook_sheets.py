"""Read published yearbook sheets: header rows, city rows, provinces and continuations become one tidy row per number.

A sheet is a grid of cells. A header starts at a title, at "续表" or at the column name "城市" and ends with the line that
says 全市 / 市辖区; then city rows follow until the next header. A column is known by its heading, never by its position
or by the sheet's name. Edition t+1 holds year t.

The decision worth knowing: a number is read only when heading, unit, area and city are all certain. Everything else
leaves with its cell (``2005.xlsx!2-18!C17``) and a reason. Layout after the China City Statistical Yearbook.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from openpyxl.utils import get_column_letter

from conf.yearbook import Indicator, YearbookConfig, squeeze
from jobs.readers.yearbook_files import Sheet, UnusableFileError, open_sheets, yearbook_files
from jobs.reference.city_names import CityNames

HEADER_ROWS_MAX = 8  # a header longer than this is not a header
AREA_WORDS = {"全市": "whole_city", "市辖区": "districts"}
NAME_HEADINGS = ("城市", "城市名称", "地区", "地区名称", "城市City", "地区Region")
_TITLE = re.compile(r"^\d+[-—－]\d+")
_LAST_BRACKET = re.compile(r"^(.*)\(([^()]*)\)$")
_UNIT_LINE = re.compile(r"(?:计量)?单位:([^\s();,，]+)")
_MISSING = re.compile(r"^[-—–－─.…·/]*$|^(?i:na|n/a|null|nan)$")
_GROUPED = re.compile(r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$")
_NUMBER = re.compile(r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$")
# not NFKC: that would turn the footnote mark of 68① into a digit, 681
_FULL_WIDTH = {ord("０") + digit: str(digit) for digit in range(10)} | {ord("．"): ".", ord("，"): ",", ord("－"): "-"}

VALUE_COLUMNS = (
    "city_id", "year", "indicator", "area", "indicator_value", "indicator_unit", "value_printed", "unit_printed",
    "city_printed", "edition", "source_cell",
)  # fmt: skip
REFUSED_COLUMNS = (
    "primary_reason", "detail", "source_cell", "edition", "year", "city_id", "city_printed", "indicator", "area",
    "value_printed", "unit_printed",
)  # fmt: skip


@dataclass(slots=True)
class SheetRows:
    """What came out of sheets; grows while they are read.

    Attributes
    ----------
    values, refused : list of tuple
        Rows of VALUE_COLUMNS and REFUSED_COLUMNS.
    skipped : Counter
        Rows and columns that are not cities data: province rows, totals, unknown headings, sheets without a header.
    unknown_headings : Counter
        Headings nobody asked for.
    """

    values: list[tuple] = field(default_factory=list)
    refused: list[tuple] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    unknown_headings: Counter[str] = field(default_factory=Counter)

    def refuse(self, reason: str, detail: str, source: str, **known: object) -> None:
        """Add one refused cell, sheet or file."""
        row = {"primary_reason": reason, "detail": detail, "source_cell": source} | known
        self.refused.append(tuple(row.get(name) for name in REFUSED_COLUMNS))


@dataclass(frozen=True, slots=True)
class _Column:
    position: int
    indicator: Indicator
    area: str | None
    unit: str


@dataclass(frozen=True, slots=True)
class Block:
    """A list of cities under one header, as far as it was read.

    Attributes
    ----------
    columns : list
        Columns with an indicator.
    provinces : set of str
        Province names met so far.
    """

    columns: list[_Column]
    provinces: set[str]


@dataclass(frozen=True, slots=True)
class _CityRow:
    """What the cells of one city row have in common.

    Attributes
    ----------
    sheet : Sheet
    name : str
        City as printed.
    city_id : str or None
        None when the name is not that of a city of the year.
    year : int
        Year the numbers are of.
    rows : SheetRows
        Where they go.
    """

    sheet: Sheet
    name: str
    city_id: str | None
    year: int
    rows: SheetRows


@dataclass(frozen=True, slots=True)
class _Reader:
    """What every row of one sheet is read with."""

    sheet: Sheet
    config: YearbookConfig
    cities: CityNames
    rows: SheetRows


def read_folder(folder: Path, config: YearbookConfig, cities: CityNames) -> SheetRows:
    """Read every workbook and text file below a folder.

    Parameters
    ----------
    folder : Path
        ``raw/yearbook``.
    config : YearbookConfig
        Indicators, headings and units.
    cities : CityNames
        City names of every year.
    """
    rows = SheetRows()
    for path in yearbook_files(folder):
        before: Block | None = None
        try:
            for sheet in open_sheets(path, folder):
                before = parse_sheet(sheet, config, cities, rows, before=before) or before
        except UnusableFileError as error:
            rows.refuse(error.reason, str(error), path.relative_to(folder).as_posix(), edition=error.edition)
    return rows


def parse_sheet(
    sheet: Sheet, config: YearbookConfig, cities: CityNames, rows: SheetRows, *, before: Block | None = None
) -> Block | None:
    """Add the numbers of one sheet to the rows, and what could not be read to the refused.

    Parameters
    ----------
    before : Block, optional
        Last block of the sheet before in the same workbook: a continuation sheet goes on with its list of cities.

    Returns
    -------
    Block or None
        Last block of this sheet; None when it has no header.
    """
    reader, headings = _Reader(sheet, config, cities, rows), config.by_heading()
    columns: list[_Column] | None = None
    name_position, index = 0, 0
    previous, block_provinces = None, set()
    if before is not None and _is_continuation(sheet):
        previous, block_provinces = before.columns, before.provinces
    while index < len(sheet.grid):
        row = sheet.grid[index]
        if _starts_header(row):
            header, index = _take_header(sheet.grid, index)
            columns, name_position = _read_header(header, sheet, headings, rows)
            if columns != previous:
                # the list of cities starts again; a page that only repeats its header goes on with the list
                block_provinces = set()
            previous = columns
            continue
        if columns:
            _read_city_row(reader, index, columns, name_position, block_provinces)
        index += 1
    if columns is None:
        rows.skipped["sheets without a header"] += 1
        return None
    return Block(columns, block_provinces)


def read_number(cell: object) -> Decimal | None:
    """Return the number in a cell as an exact decimal, None when it is text.

    Thousands separators and full-width digits are understood; ``12.3.4`` or ``68①`` is not a number.
    """
    if isinstance(cell, bool) or cell is None:
        return None
    if isinstance(cell, (int, float)):
        return None if cell != cell else Decimal(repr(cell))
    text = squeeze(cell).translate(_FULL_WIDTH)
    if _GROUPED.match(text):
        text = text.replace(",", "")
    return Decimal(text) if _NUMBER.match(text) else None


# --- headers --------------------------------------------------------------------------------------------------------


def _starts_header(row: Sequence[object]) -> bool:
    texts = [squeeze(cell) for cell in row if isinstance(cell, str)]
    first = next((text for text in texts if text), "")
    return bool(_TITLE.match(first)) or "续表" in first or any(text in NAME_HEADINGS for text in texts)


def _is_continuation(sheet: Sheet) -> bool:
    """Tell whether the sheet's name or its first row with text says so (续表, 续)."""
    first = next((texts for row in sheet.grid if any(texts := [squeeze(cell) for cell in row])), [])
    return "续" in sheet.place.rpartition("!")[2] or any("续" in text for text in first)


def _has_areas(row: Sequence[object]) -> bool:
    return any(_area_of(cell) for cell in row)


def _area_of(cell: object) -> str | None:
    text = squeeze(cell) if isinstance(cell, str) else ""
    # a title such as 市辖区人口 is not an area mark: the mark is the word, with or without its translation
    return next((area for word, area in AREA_WORDS.items() if re.fullmatch(f"{word}[A-Za-z()]*", text)), None)


def _take_header(grid: Sequence[Sequence[object]], start: int) -> tuple[list[Sequence[object]], int]:
    """Rows of the header that starts here, and the index of the first row behind it."""
    header: list[Sequence[object]] = []
    for index in range(start, min(start + HEADER_ROWS_MAX, len(grid))):
        row = grid[index]
        if header and not _starts_header(row) and not _has_areas(row) and _holds_numbers(row):
            return header, index
        header.append(row)
        if _has_areas(row):
            return header, index + 1
    return header, start + len(header)


def _holds_numbers(row: Sequence[object]) -> bool:
    return any(read_number(cell) is not None for cell in row)


def _read_header(
    header: Sequence[Sequence[object]], sheet: Sheet, headings: Mapping[str, Indicator], rows: SheetRows
) -> tuple[list[_Column], int]:
    width = max(len(row) for row in header)
    cells = [[squeeze(cell) for cell in row] + [""] * (width - len(row)) for row in header]
    name_position = next((row.index(text) for row in cells for text in row if text in NAME_HEADINGS), 0)
    areas = next(([_area_of(text) for text in row] for row in cells if any(map(_area_of, row))), [None] * width)
    unit_line = next((match.group(1) for row in cells for text in row if (match := _UNIT_LINE.search(text))), "")
    titled = [row for row in cells if not _TITLE.match(row[0]) and "续表" not in row[0]]
    filled = [_fill_merged(row, areas, name_position) for row in titled if not any(map(_area_of, row))]
    title_area = _title_area(cells, sheet.place)
    columns = []
    for position in range(name_position + 1, width):
        texts = [row[position] for row in filled if row[position]]
        recognised = _match_heading(texts, headings)
        if recognised is None:
            chinese = [text for text in texts if re.search(r"[\u4e00-\u9fff]", text) and text not in NAME_HEADINGS]
            if chinese:
                rows.unknown_headings[chinese[0]] += 1
            continue
        indicator, unit = recognised
        area = areas[position] or title_area or (indicator.areas[0] if len(indicator.areas) == 1 else None)
        columns.append(_Column(position, indicator, area, unit or unit_line))
    return columns, name_position


def _fill_merged(row: Sequence[str], areas: Sequence[str | None], name_position: int) -> list[str]:
    """Carry a merged heading to the right until an area repeats: one heading covers each area once."""
    filled, current, covered = list(row), "", set()
    for position in range(name_position + 1, len(row)):
        if row[position]:
            current, covered = row[position], {areas[position]}
        elif current and areas[position] is not None and areas[position] not in covered:
            filled[position] = current
            covered.add(areas[position])
        else:
            current = ""
    return filled


def _match_heading(texts: Sequence[str], headings: Mapping[str, Indicator]) -> tuple[Indicator, str] | None:
    """Find the indicator of a column and its printed unit; the unit may stand in a line of its own."""
    own_line = next((match.group(2) for text in texts if (match := _LAST_BRACKET.match(text)) and not match.group(1)), "")
    chinese = "".join(text for text in texts if re.search(r"[\u4e00-\u9fff]", text))
    for text in (*texts, chinese):
        bracket = _LAST_BRACKET.match(text)
        if bracket and bracket.group(1) in headings:
            indicator = headings[bracket.group(1)]
            is_part_of_name = text in headings and bracket.group(2) not in indicator.units
            return indicator, own_line if is_part_of_name else bracket.group(2)
        if text in headings:
            return headings[text], own_line
    return None


def _title_area(cells: Sequence[Sequence[str]], place: str) -> str | None:
    """Area named in the title or the sheet's name when the columns do not say it; None when both or neither are."""
    text = "".join(cells[0]) + squeeze(place)
    named = [area for word, area in AREA_WORDS.items() if word in text]
    return named[0] if len(named) == 1 else None


# --- rows -----------------------------------------------------------------------------------------------------------


def _read_city_row(
    reader: _Reader, index: int, columns: Iterable[_Column], name_position: int, block_provinces: set[str]
) -> None:
    sheet, cities, rows = reader.sheet, reader.cities, reader.rows
    row = sheet.grid[index]
    name = squeeze(row[name_position]) if name_position < len(row) else ""
    printed = [
        (column, row[column.position])
        for column in columns
        if column.position < len(row) and not _is_missing(row[column.position])
    ]
    if not name or cities.is_total(name):
        rows.skipped["rows of totals and empty rows"] += 1
        return
    if cities.is_province(name, seen=block_provinces):
        block_provinces.add(name)
        rows.skipped["province rows"] += 1
        return
    year = sheet.edition - reader.config.edition_lag
    city = _CityRow(sheet, name, cities.city_id(name, year), year, rows)
    if city.city_id is None and not printed:
        rows.skipped["rows of totals and empty rows"] += 1
        return
    for column, cell in printed:
        _read_cell(cell, column, city, f"{sheet.place}!{get_column_letter(column.position + 1)}{index + 1}")


def _read_cell(cell: object, column: _Column, city: _CityRow, source: str) -> None:
    # old workbooks know no whole numbers: 705.0 is printed 705
    printed = str(int(cell) if isinstance(cell, float) and cell.is_integer() else cell).strip()
    indicator, rows = column.indicator, city.rows
    number, factor = read_number(cell), indicator.units.get(column.unit)
    known = {
        "edition": city.sheet.edition, "year": city.year, "city_id": city.city_id, "city_printed": city.name,
        "indicator": indicator.name, "area": column.area, "value_printed": printed, "unit_printed": column.unit,
    }
    if city.city_id is None:
        rows.refuse("not_a_city", f"{city.name!r} is not a prefecture-level city of {city.year}", source, **known)
    elif factor is None:
        declared = ", ".join(indicator.units)
        rows.refuse("unit_not_declared", f"expected one of {declared}; found {column.unit or 'none'!r}", source, **known)
    elif column.area is None:
        rows.refuse("area_unknown", "neither the column nor the title says 全市 or 市辖区", source, **known)
    elif number is None:
        rows.refuse("unreadable_number", f"{printed!r} is not a number", source, **known)
    else:
        rows.values.append(
            (
                city.city_id, city.year, indicator.name, column.area, float(number * factor), indicator.unit, printed,
                column.unit, city.name, city.sheet.edition, source,
            )
        )


def _is_missing(cell: object) -> bool:
    if cell is None or (isinstance(cell, float) and cell != cell):
        return True
    return isinstance(cell, str) and _MISSING.match(squeeze(cell)) is not None
